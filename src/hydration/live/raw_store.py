"""What providers served, kept as served: bars in shards, events beside them, and a durable ledger of every instrument.

A bucket is ``b007-2023.parquet`` (bars of a year), ``e007.parquet`` (events) and ``t007.json`` (ledger). An answer is
first kept in the journal (``pending/``), then folded into its bucket: intent, shards, events, ledger, in this order,
and only then does it leave the journal. A fold that was killed is done again and gives the same bytes, because merging
an answer twice is merging it once. The ledger names the content of every file; an instrument whose bars are not what
its entry says counts as absent, and is asked for anew.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.fetching.provider import EVENTS, Answer, raw_schema
from src.hydration.live import content_hash
from src.hydration.live.answer_log import Journal, Kept
from src.hydration.live.corporate_actions import disagreements
from src.hydration.live.raw_bucket import Bucket
from src.hydration.live.raw_view import ENTRY, Folded, ledger_schema, of_keys
from src.hydration.live.refresh import Held, merge, ordered, ordered_events
from src.market import bars as table
from src.sources import registry
from src.storage.atomic import remove

log = logging.getLogger(__name__)
STATES = ("fetched", "failed", "unknown", "unfit")


class RawStore:
    """Raw bars, events and ledger of one dataset; written by one process, read by any.

    Parameters
    ----------
    root
        ``data/bars/<dataset>/raw``; it need not exist.
    interval
        Of the bars.
    buckets
        How many buckets the dataset has.
    """

    def __init__(self, root: Path, interval: str, buckets: int) -> None:
        self.root = Path(root)
        self.interval = interval
        self.buckets = buckets
        self.schema = raw_schema(interval)
        self.journal = Journal(self.root / "pending", interval)
        self._latest: Folded | None = None  # what the last fold wrote

    def bucket(self, key: tuple[str, str]) -> int:
        """Bucket of an instrument."""
        return table.bucket(*key, self.buckets)

    def keep(
        self,
        key: tuple[str, str],
        provider: str,
        state: str,
        at: dt.datetime,
        *,
        answer: Answer | None = None,
        replace: bool = True,
        name: str = "",
        tries: int = 0,
        next_attempt: dt.datetime | None = None,
        error_class: str = "",
        reason: str = "",
        facts: dict[str, str] | None = None,
    ) -> None:
        """Keep one answer, or the failure to get one, until `fold`.

        Parameters
        ----------
        key
            (asset_class, symbol).
        provider
            The link that was asked.
        state
            One of `STATES`. A failure leaves the bars that are stored, their facts and `checked` as they are.
        at
            Now, UTC: becomes `checked` where there is an answer.
        answer
            Bars and events as served.
        replace
            The answer takes the place of all that live providers served before (`Verdict.replace`); otherwise it is
            merged.
        name, tries, next_attempt, error_class, reason
            As in `ENTRY`.
        facts
            Further facts, beside those of the answer.
        """
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}, got {state}")
        entry: dict[str, Any] = {
            "asset_class": key[0],
            "symbol": key[1],
            "provider": provider,
            "name": name,
            "state": state,
            "tries": tries,
            "next_attempt": _iso(next_attempt),
            "error_class": error_class,
            "reason": reason,
        }
        if answer is None:
            bars, events = pl.DataFrame(schema=self.schema), pl.DataFrame(schema=EVENTS)
            self.journal.keep(self.bucket(key), Kept(bars, events, entry, "nothing"))
            return
        entry["checked"] = _iso(at)
        entry["facts"] = {**answer.facts, **(facts or {})}
        how = "replace" if replace else "merge"
        self.journal.keep(self.bucket(key), Kept(answer.bars, answer.events, entry, how))

    def base(self, b: int, bars: pl.DataFrame, source: str, mark: str = "") -> None:
        """Make `bars` the bulk rows of a bucket: they replace those of an earlier archive and no live row.

        Parameters
        ----------
        b
            Bucket.
        bars
            Rows of any of its instruments, as the archive has them; adj_close where it has any.
        source
            Name of the archive.
        mark
            What `based` shall say: the archive's fingerprint.
        """
        if not registry.is_archive(source):
            raise ValueError(f"source must be one of {', '.join(registry.archive_names())}, got {source}")
        adjusted = pl.col("adj_close") if "adj_close" in bars.columns else pl.lit(None, pl.Float64)
        rows = bars.with_columns(adj_close=adjusted, source=pl.lit(source)).select(self.schema.keys())
        entry = {"mark": mark, "source": source}
        self.journal.keep(b, Kept(rows, pl.DataFrame(schema=EVENTS), entry, "base"))
        self.fold(b)

    def based(self, b: int, source: str) -> str:
        """The mark of the archive whose rows a bucket holds; empty where it holds none, or where some were lost."""
        return str(self._bucket(b).ledger()["base"].get(source, ""))

    def pending(self) -> list[int]:
        """Buckets with answers that are kept and not folded, or whose fold was killed: fold them before anything."""
        killed = (int(path.stem[1:]) for path in self.root.glob("i*.json"))
        return sorted({*self.journal.buckets(), *killed})

    def fold(self, b: int) -> list[tuple[str, str]]:
        """Merge the kept answers of a bucket into its shards, then the ledger, then let go of them.

        Returns
        -------
        list of (asset_class, symbol)
            Whose entries were written, bulk rows aside.
        """
        done: list[tuple[str, str]] = []
        intent = self._bucket(b).intent()
        if intent is not None:  # killed in the midst: the same answers again, and no others
            done += self._apply(b, [self.journal.folder / name for name in intent["journal"]])
        paths = self.journal.paths(b)
        return [*done, *(self._apply(b, paths) if paths else [])]

    def folded(self, b: int) -> Folded:
        """A bucket with its ledger at one moment; read from disk, unless the last `fold` wrote it: then let go here."""
        latest, self._latest = self._latest, None
        return latest if latest is not None and latest.bucket.b == b else Folded(self._bucket(b), self.interval)

    def read(self, b: int, keys: Iterable[tuple[str, str]] | None = None) -> Held:
        """Bars and events of a bucket, or of some of its instruments; those that count as absent are left out."""
        found = Folded(self._bucket(b), self.interval)
        return found.held(found.sound if keys is None else keys)

    def entries(self, b: int | None = None) -> pl.DataFrame:
        """The ledger, of one bucket or of all: columns of `ENTRY`, sorted by key.

        An entry whose bars are not on disk as it says is left out, with a warning.
        """
        each = sorted(int(path.stem[1:]) for path in self.root.glob("t*.json")) if b is None else [b]
        parts = [Folded(self._bucket(one), self.interval).entries for one in each]
        return pl.concat([pl.DataFrame(schema=ledger_schema(self.interval)), *parts]).sort(KEY)

    def entry(self, key: tuple[str, str]) -> dict[str, Any] | None:
        """One instrument's entry, with facts as a dict; None where it is absent."""
        found = self.entries(self.bucket(key)).filter(asset_class=key[0], symbol=key[1]).to_dicts()
        return {**found[0], "facts": json.loads(found[0]["facts"])} if found else None

    def digest(self, b: int) -> str:
        """Hash over all entries of a bucket: content, state and class of error; when it changed, publish again."""
        return Folded(self._bucket(b), self.interval).digest()

    def _bucket(self, b: int) -> Bucket:
        return Bucket(self.root, b, self.schema)

    def _apply(self, b: int, paths: list[Path]) -> list[tuple[str, str]]:
        """Fold these files, then remove them, the oldest first: what a kill leaves is the latest of them."""
        kept = [each for path in paths if path.is_file() for each in [self.journal.read(path)] if each is not None]
        bucket = self._bucket(b)
        ledger, held = bucket.ledger(), bucket.held()
        entries = bucket.sound(held)
        base = dict(ledger["base"]) if len(entries) == len(ledger["entries"]) else {}  # bulk rows may be lost too
        held = of_keys(held, entries)
        said: dict[int, str] = {}
        for some in _rounds(kept, set(entries)):
            held = _merged(held, some)
            said |= _said(some)
        base |= {each.entry["source"]: each.entry["mark"] for each in kept if each.how == "base"}
        held = Held(ordered(held.bars), ordered_events(held.events))
        named = _update(entries, kept, held, said)
        bucket.write(held, [path.name for path in paths], base, [entries[key] for key in sorted(entries)])
        for path in paths:
            remove(path)
        self._latest = Folded(bucket, self.interval, held, {key: entries[key] for key in sorted(entries)})
        return named


def _rounds(kept: list[Kept], known: set[tuple[str, str]]) -> Iterator[list[Kept]]:
    """Answers in turns with at most one an instrument; bulk rows first, which touch no other rows.

    What should be merged into bars that are not there is left out: its instrument is due for the whole.
    """
    turns: dict[int, list[Kept]] = {}
    count: dict[tuple[str, str], int] = {}
    for each in kept:
        if each.how == "base":
            yield [each]
    for each in kept:
        if each.how == "base":
            continue
        key = _key(each)
        if each.how == "merge" and key not in known:
            log.warning("%s: a refresh came, and the bars before it are lost: left out", ":".join(key))
        if each.how == "replace" or (each.how == "merge" and key in known):
            known.add(key)
            count[key] = count.get(key, -1) + 1
            turns.setdefault(count[key], []).append(each)
    yield from turns.values()


def _merged(held: Held, kept: list[Kept]) -> Held:
    """What is held after these answers, one an instrument at most."""
    if kept[0].how == "base":
        bars = held.bars.filter(pl.col("source") != kept[0].entry["source"])
        return Held(pl.concat([bars, kept[0].bars]), held.events)
    whole = [each for each in kept if each.how == "replace"]
    parts = [each for each in kept if each.how == "merge"]
    keys = pl.DataFrame([_key(each) for each in whole], schema=dict.fromkeys(KEY, pl.String()), orient="row")
    live = ~pl.col("source").is_in(registry.archive_names())
    bars = pl.concat(
        [held.bars.filter(~live), held.bars.filter(live).join(keys, on=KEY, how="anti", maintain_order="left")]
    )
    events = held.events.join(keys, on=KEY, how="anti")
    bars = pl.concat([bars, *(each.bars for each in whole)])
    events = pl.concat([events, *(each.events for each in whole)])
    if not parts:
        return Held(bars, events)
    return merge(
        Held(bars, events), Held(*(pl.concat([getattr(e, name) for e in parts]) for name in ("bars", "events")))
    )


def _said(kept: list[Kept]) -> dict[int, str]:
    """Words on answers, one an instrument at most, whose adj_close and events disagree; by the answer's identity."""
    given = [each for each in kept if each.how in ("replace", "merge")]
    if not given:
        return {}
    words = disagreements(*(pl.concat([getattr(each, name) for each in given]) for name in ("bars", "events")))
    return {id(each): words[_key(each)] for each in given if _key(each) in words}


def _update(
    entries: dict[tuple[str, str], Any], kept: list[Kept], held: Held, said: dict[int, str]
) -> list[tuple[str, str]]:
    """Bring `entries` up to date with answers and with the bars that are held after them; say whose were written."""
    named, based = [], False
    for each in kept:
        if each.how == "base":
            based = True
            for key in each.bars.select(KEY).unique().rows():
                entries.setdefault(key, _blank(key, each.entry["source"]))
            continue
        key = _key(each)
        if each.how == "merge" and key not in entries:
            continue
        former = {**_blank(key, ""), **entries.get(key, {})}
        entries[key] = {**former, **each.entry}
        if each.how != "nothing":
            words = said.get(id(each), former["facts"].get("adjustment") if each.how == "merge" else None)
            entries[key]["facts"] = {**each.entry["facts"], **({"adjustment": words} if words else {})}
        named.append(key)
    for key, sums in content_hash.sums(held.bars, held.events, entries if based else named).items():
        entries[key] |= {**sums, "first": _iso(sums["first"]), "last": _iso(sums["last"])}
        if not sums["rows"] and registry.is_archive(entries[key]["provider"]):
            del entries[key]  # the archive has it no longer, and nobody else was asked
    return list(dict.fromkeys(named))


def _blank(key: tuple[str, str], provider: str) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(ENTRY)
    known = {"provider": provider, "name": "", "state": "fetched", "tries": 0, "error_class": "", "reason": ""}
    return {**blank, "asset_class": key[0], "symbol": key[1], **known, "rows": 0, "content_hash": "", "facts": {}}


def _key(kept: Kept) -> tuple[str, str]:
    return kept.entry["asset_class"], kept.entry["symbol"]


def _iso(moment: dt.date | dt.datetime | None) -> str | None:
    if isinstance(moment, dt.datetime):
        return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
    return moment.isoformat() if moment is not None else None
