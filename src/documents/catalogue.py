"""Which documents lie where: one narrow row for each content of each id, made from all files of a source.

Files hold what each machine observed. What counts is made of the union of all observations, whatever order they come
in: of one content the earliest first sight, of one id the contents in the order of their first sight.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from src.core.errors import StageError
from src.documents import segments

log = logging.getLogger(__name__)
Result = TypeVar("Result")

_MOMENT = pl.Datetime("us", "UTC")
OBSERVED: dict[str, Any] = {
    "key": pl.UInt64(),  # of the id
    "content": pl.UInt64(),  # of the content hash: its first 64 bits
    "kind": pl.Categorical(),
    "revision": pl.Int32(),
    "first_seen": _MOMENT,
    "known": _MOMENT,
    "backfilled": pl.Boolean(),
    "size": pl.Int64(),
    "file": pl.UInt32(),
    "row": pl.UInt32(),
}
_READ = ("source", "id", "kind", "revision", "first_seen", "known", "backfilled", "content_hash", "size")
_SEED = 20240301
_TRIES = 8


def keys(ids: pl.Series) -> pl.Series:
    """Hash ids to 64 bits, the same within one process.

    Parameters
    ----------
    ids : Series of String

    Returns
    -------
    Series of UInt64
    """
    return ids.hash(_SEED)


def content_numbers(hashes: pl.Series) -> pl.Series:
    """The first 64 bits of content hashes.

    Parameters
    ----------
    hashes : Series of String
        Hexadecimal digits.

    Returns
    -------
    Series of UInt64
    """
    return hashes.str.slice(0, 16).str.to_integer(base=16, dtype=pl.UInt64)


def retried(read: Callable[[], Result]) -> Result:
    """Read again if another process seals a batch of the log between listing and reading.

    Parameters
    ----------
    read : callable
        Lists and reads.

    Returns
    -------
    object
        What `read` returns.

    Raises
    ------
    StageError
        If files vanish again and again.
    """
    for _ in range(_TRIES):
        try:
            return read()
        except FileNotFoundError as error:
            vanished = error.filename or error
    raise StageError(f"{vanished} vanishes while it is read: let the other command end and run the same command")


class Catalogue:
    """Observations of documents by source, read when they are asked for and kept until their file is gone.

    Parameters
    ----------
    root : Path
        Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged: dict[Path, StageError] = {}
        self._paths: list[Path] = []
        self._numbers: dict[Path, int] = {}
        self._sealed: dict[str, dict[Path, pl.DataFrame]] = {}
        self._logged: dict[Path, pl.DataFrame] = {}
        self._resolved: dict[str, tuple[list[Path], pl.DataFrame]] = {}

    def path(self, file: int) -> Path:
        """The file of a number in column ``file``.

        Parameters
        ----------
        file : int

        Returns
        -------
        Path
        """
        return self._paths[file]

    def sources(self) -> list[str]:
        """Sources of which anything is stored, sealed or not.

        Returns
        -------
        list of str
            Sorted.
        """
        self._load(self._logged, segments.log_files(self.root))
        logged = {str(source) for frame in self._logged.values() for source in frame["source"].unique()}
        return sorted(logged | {*segments.sources(self.root)})

    def files(self, source: str) -> list[Path]:
        """Files that can hold documents of a source.

        Parameters
        ----------
        source : str

        Returns
        -------
        list of Path
        """
        return [*segments.segments(self.root, source), *segments.log_files(self.root)]

    def observed(self, source: str, *, sealed: bool = False) -> pl.DataFrame:
        """All observations of a source's documents; several of one content if several machines saw it.

        Parameters
        ----------
        source : str
        sealed : bool
            Only those of segments.

        Returns
        -------
        DataFrame
            Columns of `OBSERVED`.
        """
        frames = self._sealed.setdefault(source, {})
        self._load(frames, segments.segments(self.root, source))
        parts = [frames[path] for path in sorted(frames)]
        if not sealed:
            self._load(self._logged, segments.log_files(self.root))
            parts += [self._logged[path].filter(pl.col("source") == source) for path in sorted(self._logged)]
        return pl.concat([pl.DataFrame(schema=OBSERVED), *(part.select(OBSERVED.keys()) for part in parts)])

    def sealed_sizes(self, source: str) -> dict[Path, int]:
        """Bytes of bodies in each segment of a source; those that can't be read are left out.

        Parameters
        ----------
        source : str

        Returns
        -------
        dict of Path to int
        """
        self.observed(source, sealed=True)
        return {path: int(frame["size"].sum()) for path, frame in self._sealed[source].items()}

    def resolved(self, source: str) -> pl.DataFrame:
        """Each content of a source once, with the revision and the times that count.

        Parameters
        ----------
        source : str

        Returns
        -------
        DataFrame
            Columns of `OBSERVED`, sorted by key and revision.
        """
        files = self.files(source)
        cached = self._resolved.get(source)
        if cached is None or cached[0] != files or self.damaged:
            cached = self._resolved[source] = files, resolved(self.observed(source))
        return cached[1]

    def check(self, source: str) -> None:
        """Refuse to go on if a file that can hold documents of a source can't be read.

        Parameters
        ----------
        source : str

        Raises
        ------
        StageError
            Of the first of them.
        """
        for path in self.files(source):
            if path in self.damaged:
                raise self.damaged[path]

    def _load(self, frames: dict[Path, pl.DataFrame], files: list[Path]) -> None:
        """Drop what is no longer there, and read what is new."""
        for path in frames.keys() - {*files}:
            del frames[path]
        for path in self.damaged.keys() - {each for each in self.damaged if each.exists()}:
            del self.damaged[path]
        for path in files:
            if path not in frames:
                try:
                    frames[path] = self._observations(path)
                except StageError as error:
                    if path not in self.damaged:
                        log.warning("%s", error)
                    self.damaged[path] = error
                else:
                    self.damaged.pop(path, None)

    def _observations(self, path: Path) -> pl.DataFrame:
        table = segments.read_columns(path, _READ)
        if path not in self._numbers:
            self._numbers[path] = len(self._paths)
            self._paths.append(path)
        return table.with_columns(
            keys(table["id"]).alias("key"),
            content_numbers(table["content_hash"]).alias("content"),
            pl.col("source", "kind").cast(pl.Categorical),
            pl.lit(self._numbers[path], dtype=pl.UInt32).alias("file"),
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"),
        ).drop("id", "content_hash")


def resolved(observed: pl.DataFrame) -> pl.DataFrame:
    """Make of all observations what counts.

    Of one content the earliest first sight and the earliest known time count; where a machine that watched saw it, its
    time, and not what another one that came later took for history. The contents of an id are its revisions,
    in the order of their first sight; where that is equal, in the order in which the machine stored them. Only the
    first content can be history, so a later one is known when it is first seen.

    Parameters
    ----------
    observed : DataFrame
        Columns of `OBSERVED`.

    Returns
    -------
    DataFrame
        The same columns, sorted by key and revision.
    """
    content = ["key", "content"]
    ordered = observed.sort(*content, "first_seen", "revision", "known", "backfilled", maintain_order=True)
    if ordered.select(pl.struct(content).rle_id().max()).item() not in (None, ordered.height - 1):
        earliest = ordered.sort(*content, "backfilled", "known").unique(content, keep="first", maintain_order=True)
        ordered = ordered.unique(content, keep="first", maintain_order=True).with_columns(
            earliest["known"], earliest["backfilled"]
        )
    ordered = ordered.sort("key", "first_seen", "revision", "content")
    later = pl.col("revision") > 0
    return ordered.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over("key").alias("revision")).with_columns(
        pl.when(later).then("first_seen").otherwise("known").alias("known"),
        (pl.col("backfilled") & ~later).alias("backfilled"),
    )
