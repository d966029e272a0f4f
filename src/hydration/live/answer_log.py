"""The append-only log of answers that were received and are not yet in the raw store.

Each answer is one file, whole or not at all, and files are merged into the store in the order of their numbers. A file
is a line of JSON (the instrument's row for the ledger, the events, and a hash of the rest), then the bars as an Arrow
stream, which costs a fifth of writing Parquet.

This is not the ledger's job (`src.storage.ledger`): the ledger says which units are done, and is replaced as a whole;
the log holds data that is not in any unit yet, grows by one file per answer, and loses a file once the ledger's record
of its bucket covers it.
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
SUFFIX = ".answer"


@dataclass(frozen=True)
class LoggedAnswer:
    """One answer, or the failure to get one.

    Attributes
    ----------
    bars : DataFrame
        As served; empty if nothing was.
    events : DataFrame
        As served.
    entry : dict
        The instrument's row for the ledger. For rows of an archive, which cover many instruments: ``source`` and
        ``mark``.
    how : str
        ``replace``: in place of all that live providers served before; ``merge``: into what is stored; ``archive``:
        rows of a whole bucket from an archive; ``failure``: no answer, the bars stay.
    """

    bars: pl.DataFrame
    events: pl.DataFrame
    entry: dict[str, Any]
    how: str

    @property
    def key(self) -> tuple[str, str]:
        """(asset_class, symbol) of the instrument; not for rows of an archive."""
        return self.entry["asset_class"], self.entry["symbol"]


class AnswerLog:
    """Files ``b007-00000000000000000042.answer``, numbered in the order of their arrival.

    Parameters
    ----------
    folder : Path
        Where they stand; it need not exist.
    interval : str
        Of the bars.
    """

    def __init__(self, folder: Path, interval: str) -> None:
        self.folder = Path(folder)
        self.schema = raw_schema(interval)
        self._next: int | None = None

    def paths(self, b: int) -> list[Path]:
        """Files of a bucket.

        Parameters
        ----------
        b : int
            Number of the bucket.

        Returns
        -------
        list of Path
            Oldest first.
        """
        return sorted(self.folder.glob(f"b{b:03d}-*{SUFFIX}"))

    def buckets(self) -> list[int]:
        """Buckets that have files, ascending."""
        return sorted({int(path.stem[1:].split("-")[0]) for path in self.folder.glob(f"b*-*{SUFFIX}")})

    def append(self, b: int, answer: LoggedAnswer) -> Path:
        """Write one answer.

        Once this returns, a kill loses nothing of it; a power cut can lose the last few seconds.

        Parameters
        ----------
        b : int
            Bucket of the instrument.
        answer : LoggedAnswer
            What came.

        Returns
        -------
        Path
            The new file.
        """
        path = self._new_path(b)
        events = [(*row[:2], row[2].isoformat(), *row[3:]) for row in answer.events.select(EVENTS.keys()).rows()]
        bars, stream = answer.bars, io.BytesIO()
        if dict(bars.schema) != self.schema:
            bars = bars.select(pl.col(name).cast(kind) for name, kind in self.schema.items())
        bars.write_ipc_stream(stream, compression="lz4")
        rest = stream.getvalue()
        head = {"entry": answer.entry, "how": answer.how, "events": events, "hash": _hash(rest)}
        line = json.dumps(head, ensure_ascii=False).encode()
        write_atomic(path, lambda to: _write(to, line + b"\n" + rest), sync=False)
        return path

    def read(self, path: Path) -> LoggedAnswer | None:
        """Read one answer.

        Parameters
        ----------
        path : Path
            One of `paths`.

        Returns
        -------
        LoggedAnswer or None
            None if the file is damaged. It is then renamed to ``.damaged`` with a warning; its instrument stays due.
        """
        try:
            line, _, rest = path.read_bytes().partition(b"\n")
            head = json.loads(line)
            if head["hash"] != _hash(rest):
                raise ValueError("its bars are not those that were written")
            bars = pl.read_ipc_stream(rest)
            if dict(bars.schema) != self.schema:
                raise ValueError(f"its columns are {', '.join(bars.columns)}")
            days = EVENTS | {"date": pl.String()}
            events = pl.DataFrame(head["events"], schema=days, orient="row").with_columns(pl.col("date").str.to_date())
            return LoggedAnswer(bars, events, head["entry"], head["how"])
        except (OSError, ValueError, TypeError, KeyError, pl.exceptions.PolarsError) as error:
            aside = path.with_suffix(".damaged")
            log.warning("%s can't be read (%s): set aside as %s", path, _first_line(error), aside.name)
            path.replace(aside)
            return None

    def _new_path(self, b: int) -> Path:
        if self._next is None:
            numbers = [int(path.stem.split("-")[1]) for path in self.folder.glob("b*-*.*")]
            self._next = max(numbers, default=-1) + 1
        while (path := self.folder / f"b{b:03d}-{self._next:020d}{SUFFIX}").exists():
            self._next += 1
        self._next += 1
        return path


def logged_entries(folder: Path) -> list[dict[str, Any]]:
    """Rows for the ledger of all logged answers, without reading their bars.

    Parameters
    ----------
    folder : Path
        Of an `AnswerLog`, which another process may be writing.

    Returns
    -------
    list of dict
        Oldest first. Rows of archives, which cover many instruments, are left out, and so are files that are damaged or
        vanish meanwhile.
    """
    entries = []
    for path in sorted(folder.glob(f"b*-*{SUFFIX}"), key=lambda path: path.stem.rpartition("-")[2]):
        try:
            with path.open("rb") as stream:
                entry = json.loads(stream.readline())["entry"]
        except (OSError, ValueError, TypeError, KeyError):
            continue
        if isinstance(entry, dict) and "symbol" in entry:
            entries.append(entry)
    return entries


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
