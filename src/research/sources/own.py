"""A folder of the user's own research: PDF, Word, Markdown, text, HTML and CSV.

What lies in the folder at its first look is history, known at the date that a file states. What is put there later is
known when it is first seen, whatever date it states: a file that was not there can't have been used.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath
from stat import S_ISREG
from typing import Any

import polars as pl

from src.config.paths import main_root
from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.core.text import escaped
from src.documents.document import Ask, Document
from src.documents.office_text import Unreadable
from src.documents.text import readable_text
from src.fetching.provider import Malformed, RequestGate, Unavailable
from src.research.own_files import Stated, rows, stated
from src.research.source import CollectContext, Harvest, Page, Reply, ResearchSource

_NAME, _FOLDER, _LOOKED = "own", "folder", "looked"
ENDINGS = frozenset([".pdf", ".docx", ".docm", ".md", ".markdown", ".txt", ".text", ".htm", ".html", ".xhtml", ".csv"])
MOST_BYTES = 64 << 20
_MOST_FILES = 200_000
_PASSED = (".", "~$")  # hidden files, and the locks of Word beside open files


class FolderClient:
    """Reads the folder and its files.

    Parameters
    ----------
    settings : ResearchConfig
    live : LiveSource
    gate : RequestGate
        The last two are those of every source's client; there is no network here.
    """

    def __init__(self, settings: ResearchConfig, live: LiveSource, gate: RequestGate) -> None:  # noqa: ARG002 (see above)
        self._root = folder(settings)

    def fetch(self, page: Page) -> Reply:
        """List the folder, or read one file whole.

        Parameters
        ----------
        page : Page

        Returns
        -------
        Reply
            The list as JSON; or the bytes of a file, `missing` if it was removed since the list was made.

        Raises
        ------
        Unavailable
            If the file is being written, or can't be read.
        """
        if page.unit == _FOLDER:
            body = json.dumps(_listed(self._root)).encode()
        elif page.unit == _LOOKED:
            body = b""
        else:
            try:
                body = _whole(_path(page))
            except FileNotFoundError:
                return Reply(b"", dt.datetime.now(dt.UTC), missing=True)
            except OSError as error:
                raise Unavailable(
                    f"{escaped(page.url)} can't be read ({error.strerror}): correct its rights"
                ) from error
        return Reply(body, dt.datetime.now(dt.UTC))

    def close(self) -> None:
        """There is nothing to close."""


def folder(settings: ResearchConfig) -> Path:
    """Return the folder that is read, relative to the main checkout.

    Parameters
    ----------
    settings : ResearchConfig
    """
    return main_root() / Path(settings.own.path).expanduser()


def pages(context: CollectContext) -> Iterator[Page]:
    """Plan the list of the folder; its files follow from it.

    Parameters
    ----------
    context : CollectContext

    Yields
    ------
    Page
    """
    yield Page(_NAME, _FOLDER, str(folder(context.settings)))


def read(page: Page, reply: Reply, context: CollectContext) -> Harvest:
    """Read the list of the folder, or one file.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext

    Returns
    -------
    Harvest
        A file's bytes as a document; a row of a table with columns of text as a document each.

    Raises
    ------
    Malformed
        If the list can't be read.
    """
    if page.unit == _FOLDER:
        return _files(reply, context)
    if page.unit == _LOOKED:
        ask = Ask(_NAME, str(page.context["stream"]), reply.arrived)
        return Harvest(asks=[ask], again=reply.arrived, notes={"first": reply.arrived.isoformat()})
    name = str(page.context["name"])
    if reply.missing:
        return Harvest(remarks=[f"{name} was removed before it was read"])
    if not reply.body.strip(b"\0 \t\r\n"):
        return Harvest(remarks=[f"{name} is empty"])
    try:
        text = readable_text(reply.body, name)
    except Unreadable as error:
        return Harvest(remarks=[f"{name} {error}"])
    return _documents(page, reply, name, text, context)


def _files(reply: Reply, context: CollectContext) -> Harvest:
    """A page for each file that is not stored as it is, and one that says when the folder was looked at."""
    try:
        listing: dict[str, list[Any]] = json.loads(reply.body)
        listed, remarks = listing["files"], [str(each) for each in listing["remarks"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"the list of the folder can't be read: {error}") from error
    stream = context.settings.own.path
    first = not (context.notes(_LOOKED) or context.asked(stream))
    more = []
    for path, name, size, changed in listed[:_MOST_FILES]:
        unit = f"{name}?{size}-{changed}"
        if context.notes(unit):
            continue
        if size > MOST_BYTES:
            remarks.append(f"{name} has {size >> 20:,} MB and is left out: the most is {MOST_BYTES >> 20} MB")
            continue
        more.append(_page(unit, path, {"name": name, "stream": stream, "first": first}))
    if len(listed) > _MOST_FILES:
        remarks.append(f"{len(listed) - _MOST_FILES:,} files beyond the first {_MOST_FILES:,} are left out")
    last = Page(_NAME, _LOOKED, stream, 2, {"stream": stream})
    return Harvest(pages=[*more, last], again=reply.arrived, remarks=remarks)


def _documents(page: Page, reply: Reply, name: str, text: str, context: CollectContext) -> Harvest:
    """The file as one document, or each row of its table."""
    found, remarks = stated(name, reply.body, text)
    parts, columns = [(name, reply.body, found)], dict[str, str]()
    if name.lower().endswith(".csv"):
        table, columns, more = rows(reply.body)
        remarks += [f"{name}: {each}" for each in more]
        if table:
            merged = [(key, own.over(found)) for key, own in table]
            parts = [(f"{name}#{key}", f"{own.title}\n\n{own.text}\n".encode(), own) for key, own in merged]
    if not text:
        remarks.append(f"{name} has no text: if its pages are pictures, run a recognition of text over it")
    symbols = {symbol for _, _, own in parts for symbol in own.symbols}
    classes = _classes(context.instruments, symbols) if symbols else {}
    documents = [_document(page, reply, id, body, own, columns, remarks, classes) for id, body, own in parts]
    return Harvest(documents, notes={"documents": len(documents)}, remarks=remarks)


def _classes(instruments: pl.DataFrame, symbols: set[str]) -> dict[str, str]:
    """Asset class of symbols; of one that is in several classes, a stock's comes first."""
    found = instruments.filter(pl.col("symbol").is_in(list(symbols))).sort("asset_class")
    return dict(found.select("symbol", "asset_class").iter_rows())


def _document(
    page: Page,
    reply: Reply,
    id: str,
    body: bytes,
    found: Stated,
    columns: dict[str, str],
    remarks: list[str],
    classes: dict[str, str],
) -> Document:
    date = found.date
    if date is not None and date - reply.arrived > dt.timedelta(days=1):  # that of today counts from its evening
        remarks.append(f"{id} states {date:%Y-%m-%d}, which is still to come: it counts as undated")
        date = None
    fields: dict[str, Any] = {"symbols": found.symbols} if found.symbols else {}
    alone = found.symbols[0] if len(found.symbols) == 1 else ""
    # A document names one entity; several stand behind the title as tags, which links find.
    tags = "" if alone or not found.symbols else f" ({' '.join(f'${each}' for each in found.symbols)})"
    return Document(
        source=_NAME,
        id=id,
        kind="file",
        seen=reply.arrived,
        body=body,
        stream=str(page.context["stream"]),
        entity=f"{classes.get(alone, 'stock')}:{alone}" if alone else "",
        title=f"{found.title}{tags}",
        published=date,
        # A file that comes while the folder is watched is stamped by its arrival, not by the date that it states.
        accepted=None if page.context["first"] else reply.arrived,
        fields=fields | ({"columns": columns} if columns else {}),
    )


def _listed(root: Path) -> dict[str, list[Any]]:
    """Path, name, size and time of change of each file, and what is left out; links to folders are not followed."""
    files: list[tuple[str, str, int, int]] = []
    remarks: list[str] = []
    others: Counter[str] = Counter()

    def note(error: OSError) -> None:
        remarks.append(f"{_shown(Path(error.filename))} can't be read ({error.strerror})")

    for parent, folders, names in os.walk(root, onerror=note, followlinks=False):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for file in sorted(each for each in names if not each.startswith(_PASSED)):
            path, ending = Path(parent) / file, PurePosixPath(file).suffix.lower()
            if ending not in ENDINGS:
                others[_shown(PurePosixPath(ending or "no ending"))] += 1
                continue
            try:
                state = path.stat()
            except OSError as error:  # a link that leads nowhere or in a circle, or a file that was removed just now
                note(error)
                continue
            if S_ISREG(state.st_mode):
                files.append((str(path), _shown(path.relative_to(root)), state.st_size, state.st_mtime_ns))
    if others:
        kinds = ", ".join(f"{count:,} of {ending}" for ending, count in sorted(others.items())[:20])
        remarks.append(f"files of other kinds are left out: {kinds}")
    return {"files": files, "remarks": remarks}


def _shown(path: PurePath) -> str:
    """A path as an id: with slashes, and with characters that can't be seen or stored written out."""
    return escaped(path.as_posix())


def _page(unit: str, path: str, context: dict[str, Any]) -> Page:
    """The page of a file; a path that is no text, as file systems allow, goes along as its bytes."""
    if path.isprintable():
        return Page(_NAME, unit, path, 1, context)
    return Page(_NAME, unit, escaped(path), 1, {**context, "bytes": os.fsencode(path).hex()})


def _path(page: Page) -> Path:
    raw = page.context.get("bytes")
    return Path(os.fsdecode(bytes.fromhex(str(raw)))) if raw else Path(page.url)


def _whole(path: Path) -> bytes:
    """The bytes of a file that is not being written."""
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        body = file.read(MOST_BYTES + 1)
        after = os.fstat(file.fileno())
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    if not same or len(body) != after.st_size:
        raise Unavailable(f"{escaped(str(path))} is being written: the next run takes it")
    return body


def _missing(settings: ResearchConfig, _live: LiveSource) -> str:
    root = folder(settings)
    return "" if root.is_dir() else f"there is no folder {root.as_posix()}: create it or set research.own.path"


RESEARCH = ResearchSource(_NAME, pages, read, connect=FolderClient, missing=_missing, offline=True)
