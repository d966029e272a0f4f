"""Answers that were kept and are not yet in the store: one file each, whole or not at all, taken up in their order.

A file is a line of JSON (what the ledger shall say, the events, and a hash of the rest), then the bars as an Arrow
stream: written once and read once, at a fifth of what Parquet takes.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from src.fetching.provider import EVENTS, raw_schema
from src.storage.atomic import write_atomic

log = logging.getLogger(__name__)
_SUFFIX = ".kept"


@dataclass(frozen=True)
class Kept:
    """One answer, or the news that there was none.

    Attributes
    ----------
    bars
        As served; empty where nothing was.
    events
        As served.
    entry
        What the ledger shall say of the instrument; empty for bulk rows, which are of many.
    how
        ``replace``: in the place of all that live providers served before; ``merge``: into what is stored;
        ``base``: bulk rows of a whole bucket; ``nothing``: no answer, the bars stay.
    """

    bars: pl.DataFrame
    events: pl.DataFrame
    entry: dict[str, Any]
    how: str


class Journal:
    """Files ``b007-00000000000000000042.kept``, numbered in the order of keeping.

    Parameters
    ----------
    folder
        Where they stand; it need not exist.
    interval
        Of the bars.
    """

    def __init__(self, folder: Path, interval: str) -> None:
        self.folder = Path(folder)
        self.schema = raw_schema(interval)
        self._next: int | None = None

    def paths(self, b: int) -> list[Path]:
        """Files of a bucket, oldest first."""
        return sorted(self.folder.glob(f"b{b:03d}-*{_SUFFIX}"))

    def buckets(self) -> list[int]:
        """Buckets that have files, ascending."""
        return sorted({int(path.stem[1:].split("-")[0]) for path in self.folder.glob(f"b*-*{_SUFFIX}")})

    def keep(self, b: int, kept: Kept) -> Path:
        """Write one answer; once this returns, no kill takes it away, and a power cut the last few seconds' at most."""
        path = self._new_path(b)
        events = [(*row[:2], row[2].isoformat(), *row[3:]) for row in kept.events.select(EVENTS.keys()).rows()]
        bars, stream = kept.bars, io.BytesIO()
        if dict(bars.schema) != self.schema:
            bars = bars.select(pl.col(name).cast(kind) for name, kind in self.schema.items())
        bars.write_ipc_stream(stream, compression="lz4")
        rest = stream.getvalue()
        said = {"entry": kept.entry, "how": kept.how, "events": events, "hash": _hash(rest)}
        line = json.dumps(said, ensure_ascii=False).encode()
        write_atomic(path, lambda to: _write(to, line + b"\n" + rest), settled=False)
        return path

    def read(self, path: Path) -> Kept | None:
        """One kept answer; a damaged file is set aside with a word, and its instrument is due as before."""
        try:
            line, _, rest = path.read_bytes().partition(b"\n")
            said = json.loads(line)
            if said["hash"] != _hash(rest):
                raise ValueError("its bars are not those that were written")
            bars = pl.read_ipc_stream(rest)
            if dict(bars.schema) != self.schema:
                raise ValueError(f"its columns are {', '.join(bars.columns)}")
            days = EVENTS | {"date": pl.String()}
            events = pl.DataFrame(said["events"], schema=days, orient="row").with_columns(pl.col("date").str.to_date())
            return Kept(bars, events, said["entry"], said["how"])
        except (OSError, ValueError, TypeError, KeyError, pl.exceptions.PolarsError) as error:
            aside = path.with_suffix(".damaged")
            log.warning("%s can't be read (%s): set aside as %s", path, _first_line(error), aside.name)
            path.replace(aside)
            return None

    def _new_path(self, b: int) -> Path:
        if self._next is None:
            taken = [int(path.stem.split("-")[1]) for path in self.folder.glob("b*-*.*")]
            self._next = max(taken, default=-1) + 1
        while (path := self.folder / f"b{b:03d}-{self._next:020d}{_SUFFIX}").exists():
            self._next += 1
        self._next += 1
        return path


def heads(folder: Path) -> list[dict[str, Any]]:
    """What the kept answers say for the ledger, oldest first, for whoever only looks: their bars are not read.

    Bulk rows, which are of many instruments, are left out, and so is what is damaged or goes away meanwhile.
    """
    found = []
    for path in sorted(folder.glob(f"b*-*{_SUFFIX}"), key=lambda path: path.stem.rpartition("-")[2]):
        try:
            with path.open("rb") as stream:
                entry = json.loads(stream.readline())["entry"]
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if isinstance(entry, dict) and "symbol" in entry:
            found.append(entry)
    return found


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
