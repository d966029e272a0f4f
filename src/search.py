"""Search the collected documents by words, newest first.

python -m src.search "accounting probe"                           documents that hold both words
python -m src.search '"accounting probe" -dismissed'              the phrase, without a word
python -m src.search "share buyback" symbol=AAPL source=edgar     of one instrument, of one source
python -m src.search "going concern" kind=10-K since=2024-01-01 until=2024-12-31 limit=50
python -m src.search "going concern" folder=//nas/documents       where the documents lie elsewhere

It only reads, beside an index of its own, and may run beside any other command. since and until are days, UTC, of the
time from which decisions may use a document. symbol= finds documents whose source names the instrument, as the stored
table of tickers has it for filings. Of a long text the first million characters are searched.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import shutil
import sys
from collections.abc import Sequence

from src.config.commands import command, is_setting, setting
from src.config.text_values import field_type
from src.core.errors import ConfigError, StageError
from src.core.instruments import ASSET_CLASSES
from src.core.text import escaped
from src.documents.search_index import SearchIndex
from src.documents.search_query import Hit, Hits, Query, words
from src.runtime.arguments import split_arguments
from src.runtime.command import run_command
from src.runtime.terminal import answer, notice

_OWN = ("symbol", "source", "kind", "since", "until", "limit", "folder")
_LIMIT = 20
_MOST = 100_000


def search(arguments: Sequence[str]) -> int:
    """Print what matches and return the exit status.

    Parameters
    ----------
    arguments : sequence of str
        The words, and settings as shown above.

    Returns
    -------
    int
        0 also if nothing matches.

    Raises
    ------
    StageError
        If nothing is stored, or the index can't be written.
    """
    if {"-h", "--help"} & {*arguments}:
        answer((__doc__ or "").strip())
        return 0
    from src.config.compose import compose

    own, rest = split_arguments((word.encode("utf-8", "replace").decode() for word in arguments), _OWN.__contains__)
    overrides = [word for word in rest if is_setting(word)]
    if "folder" in own:
        overrides.append(setting("research.folder", own["folder"]))
    try:
        _refuse_slips(overrides)
        query = _query(own, " ".join(word for word in rest if not is_setting(word)))
        paths = compose(overrides).paths
    except ConfigError as error:
        notice(f"search: {error}")
        return 2
    index = SearchIndex(paths.research_state, paths.documents)
    if not index.update():
        _show_remarks(index)
        hint = command("ingest", "research=news")
        raise StageError(f"search: no documents are stored in {paths.documents.as_posix()}: `{hint}` collects some")
    if "symbol" in own:
        query = _of_instrument(query, own["symbol"], index)
    _show(index.find(query), query, index)
    return 0


def _refuse_slips(typed: Sequence[str]) -> None:
    """Refuse what looks like one of the command's own arguments, misspelt."""
    for word in typed:
        name = word.partition("=")[0]
        near = difflib.get_close_matches(name, _OWN, n=1, cutoff=0.7)
        if near and field_type(name) is None:
            raise ConfigError(f"{name}= is no argument of search: did you mean {near[0]}=? ({', '.join(_OWN)})")


def _query(own: dict[str, str], text: str) -> Query:
    """The query of a command line.

    Raises
    ------
    ConfigError
        Without words, and for a malformed day or number.
    """
    found = words(text)
    if not found.wanted:
        raise ConfigError(f"name a word to look for: {command('search', 'accounting probe')}")
    limit = own.get("limit", str(_LIMIT))
    if not limit.isdecimal() or not 1 <= int(limit) <= _MOST:
        raise ConfigError(f"limit must be a whole number from 1 to {_MOST}, got {limit}")
    since, until = _day("since", own), _day("until", own)
    if since and until and until < since:
        raise ConfigError(f"until={own['until']} is before since={own['since']}: exchange them")
    return Query(
        found,
        source=own.get("source"),
        kind=own.get("kind"),
        since=since,
        until=until + dt.timedelta(days=1) if until else None,
        limit=int(limit),
    )


def _day(name: str, own: dict[str, str]) -> dt.datetime | None:
    if name not in own:
        return None
    try:
        return dt.datetime.combine(dt.date.fromisoformat(own[name]), dt.time(), dt.UTC)
    except ValueError:
        raise ConfigError(f"{name} must be a day such as 2024-03-01, got {own[name]}") from None


def _of_instrument(query: Query, symbol: str, index: SearchIndex) -> Query:
    """Restrict a query to what sources file under a symbol: ``stock:AAPL``, or the SEC's number of the company."""
    from src.research.linking.tickers import table_rows

    kind, _, name = symbol.rpartition(":")
    kinds = (kind,) if kind else ASSET_CLASSES
    entities = [f"{each}:{name}" for each in kinds]
    if "stock" in kinds or "etf" in kinds:
        tables = (table_rows(body) for body in index.bodies("tickers"))
        wanted = name.upper().replace(".", "-")
        entities += dict.fromkeys(f"CIK:{row.cik:010d}" for rows in tables for row in rows if row.symbol == wanted)
    return dataclasses.replace(query, entities=tuple(entities))


def _show(found: Hits, query: Query, index: SearchIndex) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for hit in found.hits:
        answer(_line(hit, width))
    _show_remarks(index)
    noun = "document" if found.total == 1 else "documents"
    if not found.total:
        narrowed = any((query.source, query.kind, query.since, query.until, query.entities))
        notice(f"search: no document holds these words{' within these limits' if narrowed else ''}")
    elif found.total == len(found.hits):
        notice(f"search: {found.total:,} {noun}, newest first")
    else:
        more = min(found.total, query.limit * 5, _MOST)
        notice(f"search: {len(found.hits):,} of {found.total:,} {noun}, newest first; limit={more} shows more")


def _line(hit: Hit, width: int | None) -> str:
    """One line a hit: the day from which it is known, source, kind, entity, title, snippet."""
    parts = [f"{hit.known:%Y-%m-%d}", hit.source, hit.kind, hit.entity or "-", hit.title or hit.id, hit.snippet]
    line = "  ".join(escaped(part) for part in parts if part)
    return line if width is None or len(line) <= width else f"{line[: width - 4]} ..."


def _show_remarks(index: SearchIndex) -> None:
    for remark in dict.fromkeys(index.remarks):
        notice(f"search: {remark}")


if __name__ == "__main__":
    run_command(search)
