"""The files of one bucket of raw bars, and which of its instruments are on disk as its ledger says.

Files are written in this order: intent, shards, events, ledger; the ledger then drops the intent. So between any two
of these steps each file is as the ledger says or as the intent says, and any other content came from outside.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from src.core.instruments import Key
from src.fetching.provider import EVENTS, raw_schema
from src.hydration.live import content_hash
from src.hydration.live.history import History, ordered
from src.storage import partitions
from src.storage.atomic import write_parquet
from src.storage.ledger import Ledger, Record

log = logging.getLogger(__name__)
STATES = ("fetched", "failed", "unknown", "unfit")
_STAMP = pl.Datetime("us", "UTC")
ENTRY: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "provider": pl.String(),  # the link of the chain that serves it
    "name": pl.String(),  # what the provider calls it
    "state": pl.String(),
    "tries": pl.Int64(),
    "next_attempt": _STAMP,
    "error_class": pl.String(),
    "reason": pl.String(),
    "first": pl.Date(),  # intraday: UTC timestamp, as in the bars
    "last": pl.Date(),
    "rows": pl.Int64(),  # bars stored, of all sources
    "content_hash": pl.String(),  # of its bars and events
    "checked": _STAMP,  # when a good answer last came; null if there are only rows of archives
    "facts": pl.String(),  # JSON: what the provider says of it (currency, type, ...), and `adjustment` (a message)
}


def ledger(root: Path, interval: str) -> Ledger:
    """The ledger of a raw store: one record per bucket, one row per instrument.

    Parameters
    ----------
    root : Path
        Folder of the raw store.
    interval : str
        Of the bars; it decides the type of `first` and `last`.

    Returns
    -------
    Ledger
        With the columns of `ENTRY` and the states of `STATES`.
    """
    day = raw_schema(interval)["date"]
    return Ledger(root, ENTRY | {"first": day, "last": day}, states=STATES)


def entries_digest(entries: Iterable[dict[str, Any]]) -> str:
    """Hash over entries: content, state and class of error.

    Parameters
    ----------
    entries : iterable of dict
        Rows of the ledger, in any order.

    Returns
    -------
    str
        Empty if there is no entry.
    """
    names = ("asset_class", "symbol", "content_hash", "state", "error_class")
    parts = sorted([entry[name] for name in names] for entry in entries)
    return content_hash.text_hash(json.dumps(parts)) if parts else ""


class RawBucket:
    """``b007-2023.parquet`` (bars), ``e007.parquet`` (events), ``b007.json`` (ledger), ``b007.intent``.

    Parameters
    ----------
    root : Path
        Folder of the store.
    b : int
        Number of the bucket.
    interval : str
        Of the bars.
    """

    def __init__(self, root: Path, b: int, interval: str) -> None:
        self.root = Path(root)
        self.b = b
        self.schema = raw_schema(interval)
        self.ledger = ledger(self.root, interval)

    def record(self) -> Record:
        """What the ledger holds of the bucket.

        Returns
        -------
        Record
            `states` are the entries; the fact `files` maps each file to the hash of its content, and `archives` maps
            each archive to the mark of what was loaded from it.
        """
        return self.ledger.read(self.b) or Record("", {"files": {}, "archives": {}})

    def intent(self) -> Record | None:
        """What an interrupted merge was about to write.

        Returns
        -------
        Record or None
            As `record`, with the further fact `answers`: the names of the files of the log that led to it.
        """
        return self.ledger.intent(self.b)

    def history(self) -> History:
        """Bars and events on disk, whatever the ledger says.

        Returns
        -------
        History
            Without the files that can't be read; a warning names them.
        """
        shards = [self._table(path, self.schema) for path in partitions.paths(self.root, self.b).values()]
        events = self._events_path()
        empty = pl.DataFrame(schema=EVENTS)
        bars = ordered(pl.concat([pl.DataFrame(schema=self.schema), *shards]))
        return History(bars, self._table(events, EVENTS) if events.is_file() else empty)

    def verified(self, history: History | None = None) -> dict[Key, dict[str, Any]]:
        """Entries whose bars are on disk as they say.

        The hashes in the files' metadata tell this if no file was changed from outside. Otherwise the content of every
        instrument is hashed.

        Parameters
        ----------
        history : History, optional
            All that the bucket has; if given, its content is hashed in any case.

        Returns
        -------
        dict
            Entry by (asset_class, symbol).
        """
        record, intent = self.record(), self.intent()
        entries = _by_key(record.states)
        planned = [each.facts["files"] for each in (record, intent) if each is not None]
        disk = self._on_disk()
        names = {*disk, *(name for files in planned for name in files)}
        unchanged = all(disk.get(name) in [files.get(name) for files in planned] for name in names)
        if unchanged and (history is None or intent is not None):
            return entries
        intended = {key: entry["content_hash"] for key, entry in _by_key(intent.states if intent else []).items()}
        return self._matching(entries, intended, history or self.history())

    def write(
        self, history: History, answers: list[str], archives: dict[str, str], entries: list[dict[str, Any]]
    ) -> None:
        """Make `history` and `entries` the bucket's content; a file whose rows did not change is not touched.

        Parameters
        ----------
        history : History
            In the order of the store.
        answers : list of str
            Names of the files of the log that led to it: what is done again after a kill.
        archives : dict of str to str
            Mark of each archive.
        entries : list of dict
            Rows of the ledger.
        """
        parts = partitions.by_year(history.bars)
        hashes = {year: content_hash.frame_hash(part) for year, part in parts.items()}
        files = {partitions.name(self.b, year): digest for year, digest in hashes.items()}
        events = self._events_path()
        if history.events.height:
            files[events.name] = content_hash.frame_hash(history.events)
        key = entries_digest(entries)
        facts: dict[str, Any] = {"files": files, "archives": archives}
        if files != self._on_disk():
            self.ledger.begin(self.b, key, entries, answers=answers, **facts)
            partitions.write(self.root, self.b, parts, hashes)
            if not history.events.height:
                events.unlink(missing_ok=True)
            elif partitions.marked(events) != files[events.name]:
                write_parquet(history.events, events, {"content": files[events.name]})
        self.ledger.record(self.b, key, entries, **facts)

    def _matching(
        self, entries: dict[Key, Any], intended: dict[Key, str], history: History
    ) -> dict[Key, dict[str, Any]]:
        """Entries whose content is what they say, or what the intent says; a warning names the others."""
        sums = content_hash.sums(history.bars, history.events)
        hashes = {key: sums.get(key, {"content_hash": ""})["content_hash"] for key in entries}
        lost = [key for key, entry in entries.items() if hashes[key] not in (entry["content_hash"], intended.get(key))]
        if lost:
            names = ", ".join(":".join(key) for key in lost[:3]) + (", ..." if len(lost) > 3 else "")
            log.warning(
                "bucket %d: the bars of %d of %d instruments are not what the ledger says (%s):"
                " they count as absent and are requested again",
                self.b, len(lost), len(entries), names,
            )  # fmt: skip
        return {key: entry for key, entry in entries.items() if key not in set(lost)}

    def _on_disk(self) -> dict[str, str]:
        """Hash of each file of bars and events, from the file's metadata."""
        paths = [*partitions.paths(self.root, self.b).values(), self._events_path()]
        return {path.name: partitions.marked(path) for path in paths if path.is_file()}

    def _events_path(self) -> Path:
        return self.root / f"e{self.b:03d}.parquet"

    def _table(self, path: Path, schema: dict[str, Any]) -> pl.DataFrame:
        try:
            table = pl.read_parquet(path, hive_partitioning=False, glob=False)
            return table.select(pl.col(name).cast(kind) for name, kind in schema.items())
        except (pl.exceptions.PolarsError, OSError) as error:
            log.warning("%s can't be read: %s", path, (str(error) or type(error).__name__).splitlines()[0])
            return pl.DataFrame(schema=schema)


def _by_key(entries: Iterable[dict[str, Any]]) -> dict[Key, dict[str, Any]]:
    return {(entry["asset_class"], entry["symbol"]): entry for entry in entries}
