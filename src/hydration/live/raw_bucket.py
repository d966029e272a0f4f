"""The files of one bucket of raw bars, and which of its instruments are on disk as its ledger says.

Written in this order: intent, shards, events, ledger; then the intent goes. So between any two of these steps each file
is either as the ledger says or as the intent says, and anything else was done from outside.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import polars as pl

from src.fetching.provider import EVENTS
from src.hydration.live import content_hash
from src.hydration.live.refresh import Held, ordered
from src.storage import partitions
from src.storage.atomic import read_json, write_json, write_parquet

log = logging.getLogger(__name__)
Key = tuple[str, str]


class Bucket:
    """``b007-2023.parquet`` (bars), ``e007.parquet`` (events), ``t007.json`` (ledger), ``i007.json`` (intent).

    Parameters
    ----------
    root
        Folder of the store.
    b
        Number of the bucket.
    schema
        Columns and types of the bars.
    """

    def __init__(self, root: Path, b: int, schema: dict[str, Any]) -> None:
        self.root = Path(root)
        self.b = b
        self.schema = schema

    def ledger(self) -> dict[str, Any]:
        """What the ledger holds: files with their marks, base (mark of each archive), entries."""
        return self._read("t") or {"files": {}, "base": {}, "entries": []}

    def intent(self) -> dict[str, Any] | None:
        """What a fold that was killed was about to make: a ledger, and the names of its journal files."""
        return self._read("i")

    def held(self) -> Held:
        """Bars and events on disk, whatever the ledger says."""
        read = [self._frame(path, self.schema) for path in partitions.paths(self.root, self.b).values()]
        events = self._events_path()
        empty = pl.DataFrame(schema=EVENTS)
        bars = ordered(pl.concat([pl.DataFrame(schema=self.schema), *read]))
        return Held(bars, self._frame(events, EVENTS) if events.is_file() else empty)

    def sound(self, held: Held | None = None) -> dict[Key, dict[str, Any]]:
        """Entries whose bars are on disk as they say, by key.

        The files' own marks tell it where nothing was touched from outside. Where they don't, or where `held` (all
        that the bucket has) is given, every instrument's content is looked at.
        """
        ledger, intent = self.ledger(), self.intent()
        entries = {(each["asset_class"], each["symbol"]): each for each in ledger["entries"]}
        known = [each["files"] for each in (ledger, intent) if each is not None]
        disk = self._on_disk()
        names = {*disk, *(name for files in known for name in files)}
        in_step = all(disk.get(name) in [files.get(name) for files in known] for name in names)
        if in_step and (held is None or intent is not None):
            return entries
        meant = {(e["asset_class"], e["symbol"]): e["content_hash"] for e in (intent or {}).get("entries", [])}
        return self._matching(entries, meant, held or self.held())

    def write(self, held: Held, journal: list[str], base: dict[str, str], entries: list[dict[str, Any]]) -> None:
        """Make `held` and `entries` the bucket's content; a file whose rows did not change is not touched.

        Parameters
        ----------
        held
            Bars and events, in the order of the store.
        journal
            Names of the files that led to them: what is to be done again after a kill.
        base
            Mark of each archive.
        entries
            Of the ledger.
        """
        parts = partitions.by_year(held.bars)
        marks = {year: content_hash.frame_hash(part) for year, part in parts.items()}
        files = {partitions.name(self.b, year): mark for year, mark in marks.items()}
        events = self._events_path()
        if held.events.height:
            files[events.name] = content_hash.frame_hash(held.events)
        target = {"files": files, "base": base, "entries": entries}
        if files != self._on_disk():
            write_json({"journal": journal, **target}, self._path("i"))
            partitions.write(self.root, self.b, parts, marks)
            if not held.events.height:
                events.unlink(missing_ok=True)
            elif partitions.marked(events) != files[events.name]:
                write_parquet(held.events, events, {"content": files[events.name]})
        write_json(target, self._path("t"))
        self._path("i").unlink(missing_ok=True)

    def _matching(self, entries: dict[Key, Any], meant: dict[Key, str], held: Held) -> dict[Key, dict[str, Any]]:
        """Entries whose content is what they say, or what the intent says; the others are named in a warning."""
        found = content_hash.sums(held.bars, held.events)
        sums = {key: found.get(key, {"content_hash": ""})["content_hash"] for key in entries}
        lost = [key for key, entry in entries.items() if sums[key] not in (entry["content_hash"], meant.get(key))]
        if lost:
            names = ", ".join(":".join(key) for key in lost[:3]) + (", ..." if len(lost) > 3 else "")
            log.warning(
                "bucket %d: the bars of %d of %d instruments are not what the ledger says (%s):"
                " they count as absent and are asked for anew",
                self.b, len(lost), len(entries), names,
            )  # fmt: skip
        gone = set(lost)
        return {key: entry for key, entry in entries.items() if key not in gone}

    def _on_disk(self) -> dict[str, str]:
        """Files of bars and events with their marks."""
        found = [*partitions.paths(self.root, self.b).values(), self._events_path()]
        return {path.name: partitions.marked(path) for path in found if path.is_file()}

    def _path(self, letter: str) -> Path:
        return self.root / f"{letter}{self.b:03d}.json"

    def _events_path(self) -> Path:
        return self.root / f"e{self.b:03d}.parquet"

    def _read(self, letter: str) -> dict[str, Any] | None:
        path = self._path(letter)
        try:
            found: dict[str, Any] = read_json(path)
        except FileNotFoundError:
            return None
        except ValueError:
            log.warning("%s can't be read: what it says counts as absent", path)
            return None
        return found

    def _frame(self, path: Path, schema: dict[str, Any]) -> pl.DataFrame:
        try:
            read = pl.read_parquet(path, hive_partitioning=False)
            return read.select(pl.col(name).cast(kind) for name, kind in schema.items())
        except (pl.exceptions.PolarsError, OSError) as error:
            log.warning("%s can't be read: %s", path, (str(error) or type(error).__name__).splitlines()[0])
            return pl.DataFrame(schema=schema)
