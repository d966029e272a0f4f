"""Files of stored features: one for each bucket and calendar year, arrays in NumPy's own format one after the other.

The arrays are the names of the columns, the instruments (asset class, symbol, number of rows), the dates, and the
values: float32, a row after the other, NaN where undefined. So an instrument's rows of all columns are one piece of the
file, which is read to where it is needed and is never mapped: Windows can't replace a mapped file.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.instruments import KEY, Key
from src.features.feature_rows import FeatureRows, slices
from src.storage import atomic

if TYPE_CHECKING:
    import datetime as dt

    from src.core.arrays import DateArray, IntArray, Matrix

SUFFIX = ".npy"
_FLOAT = np.dtype("<f4")
_AT_ONCE = 2048
"""Rows that are read before columns are chosen from them: with 130 columns 1 MiB, which fits a processor's cache."""
_UNREADABLE = (ValueError, EOFError, LookupError, TypeError, MemoryError, OverflowError, SyntaxError, TokenError)
"""What NumPy raises on a damaged file; the last two come from a header that it takes for one of Python 2."""
_read_array: Callable[..., Any] = np.lib.format.read_array  # NumPy gives these no types
_read_magic: Callable[..., Any] = np.lib.format.read_magic
_read_header: Callable[..., Any] = np.lib.format.read_array_header_1_0
_write_array: Callable[..., Any] = np.lib.format.write_array
_write_header: Callable[..., Any] = np.lib.format.write_array_header_1_0


class DamagedFile(OSError):
    """A file of features is cut short, is something else, or lacks a column."""


@dataclass(frozen=True)
class FeatureFile:
    """An open file: what its rows and columns are.

    Attributes
    ----------
    stream : FileIO
    names : list of str
        The columns.
    instruments : list of (key, slice)
        Rows of each instrument, sorted by key.
    dates : datetime64, shape (rows,)
    start : int
        Where the values begin.
    """

    stream: io.FileIO
    names: list[str]
    instruments: list[tuple[Key, slice]]
    dates: DateArray
    start: int

    def columns(self, names: Sequence[str]) -> IntArray | None:
        """Positions of columns; None stands for all in their order.

        Raises
        ------
        DamagedFile
            If the file lacks one.
        """
        if list(names) == self.names:
            return None
        places = {name: at for at, name in enumerate(self.names)}
        if missing := [name for name in names if name not in places]:
            raise DamagedFile(f"{Path(self.stream.name).name} has no column {missing[0]}")
        return np.array([places[name] for name in names], dtype=np.int64)

    def read(self, rows: slice, columns: IntArray | None, out: Matrix) -> None:
        """Read consecutive rows into `out`, shape (rows, columns)."""
        if not out.size:
            return
        width = len(self.names)
        self.stream.seek(self.start + rows.start * width * _FLOAT.itemsize)
        if columns is None:
            self._fill(out)
            return
        scratch = np.empty((min(_AT_ONCE, len(out)), width), dtype=np.float32)
        for first in range(0, len(out), _AT_ONCE):
            part = out[first : first + _AT_ONCE]
            self._fill(scratch[: len(part)])
            np.take(scratch[: len(part)], columns, axis=1, out=part, mode="clip")

    def _fill(self, values: Matrix) -> None:
        rest = memoryview(values.reshape(-1).view(np.uint8))
        while rest:
            count = self.stream.readinto(rest)
            if not count:
                raise DamagedFile(f"{Path(self.stream.name).name} is cut short")
            rest = rest[count:]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[FeatureFile]:
    """Open a file of features for the duration of a ``with`` block.

    Raises
    ------
    DamagedFile
        If it is cut short or no such file.
    """
    with path.open("rb", buffering=0) as stream:
        try:
            names, instruments, dates = (_read_array(stream, allow_pickle=False) for _ in range(3))
            _read_magic(stream)
            shape, transposed, kind = _read_header(stream)
            keys = list(zip(instruments["asset_class"].tolist(), instruments["symbol"].tolist(), strict=True))
            places = slices(instruments["rows"].tolist())
        except _UNREADABLE as error:
            raise DamagedFile(f"{path.name} is cut short, or no file of features") from error
        start, rows = stream.tell(), places[-1].stop if places else 0
        described = kind == _FLOAT and not transposed and dates.shape == (rows,) and shape == (rows, len(names))
        if not described or os.fstat(stream.fileno()).st_size != start + rows * len(names) * _FLOAT.itemsize:
            raise DamagedFile(f"{path.name} is cut short, or no file of features")
        yield FeatureFile(stream, names.tolist(), list(zip(keys, places, strict=True)), dates, start)


def read(
    paths: Sequence[Path],
    names: Sequence[str] | None = None,
    symbols: Collection[Key] | None = None,
    since: dt.date | None = None,
    before: dt.date | None = None,
    *,
    apart: bool = False,
) -> FeatureRows:
    """Read features from the files of a bucket.

    Parameters
    ----------
    paths : sequence of Path
        One for each year, ascending; at least one.
    names : sequence of str, optional
        Columns; all by default.
    symbols : collection of (asset_class, symbol), optional
        Instruments; all by default.
    since, before : date, optional
        First day, and the day after the last.
    apart : bool
        Whether each instrument's values have memory of their own, which can be given back alone.

    Raises
    ------
    DamagedFile
        If a file can't be read or lacks a column.
    """
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(opened(path)) for path in paths]
        chosen = files[0].names if names is None else list(names)
        pieces = sorted(
            (key, at, rows.start, rows.stop)
            for at, file in enumerate(files)
            for key, rows in _wanted(file, None if symbols is None else set(symbols), since, before)
        )
        sizes: dict[Key, int] = {}
        places = []
        for key, at, start, stop in pieces:
            places.append((at, start, stop, key, sizes.get(key, 0)))
            sizes[key] = sizes.get(key, 0) + stop - start
        blocks = dict(zip(sizes, _empty(list(sizes.values()), len(chosen), apart=apart), strict=True))
        columns = [file.columns(chosen) for file in files]
        for at, start, stop, key, first in sorted(places):
            files[at].read(slice(start, stop), columns[at], blocks[key][first : first + stop - start])
        dates = [files[at].dates[start:stop] for _, at, start, stop in pieces]
        every = np.concatenate([files[0].dates[:0], *dates])
    instruments = list(zip(sizes, slices(list(sizes.values())), strict=True))
    return FeatureRows(chosen, instruments, every, list(blocks.values()))


def write(
    path: Path, names: Sequence[str], instruments: Sequence[tuple[Key, int]], dates: DateArray, values: Matrix
) -> bool:
    """Write the file of a year, unless it holds exactly this already.

    Parameters
    ----------
    path : Path
        The target; its folder is left to the caller to be made durable, by `atomic.sync_folder`.
    names : sequence of str
        Columns.
    instruments : sequence of (key, int)
        Number of rows of each instrument, sorted by key.
    dates : datetime64, shape (rows,)
    values : float32, shape (rows, columns), C-contiguous
        NaN where undefined.

    Returns
    -------
    bool
        Whether it was written.
    """
    table = [(*key, rows) for key, rows in instruments]
    longest = [max((len(key[part]) for key, _ in instruments), default=1) for part in range(2)]
    kinds = [(KEY[0], f"<U{longest[0]}"), (KEY[1], f"<U{longest[1]}"), ("rows", "<i8")]
    head = io.BytesIO()
    for array in (np.array(names, dtype=str), np.array(table, dtype=kinds), dates):
        _write_array(head, array, allow_pickle=False)
    _write_header(head, {"descr": _FLOAT.str, "fortran_order": False, "shape": values.shape})
    values = values.astype(_FLOAT, copy=False)
    if _holds(path, head.getvalue(), values):
        return False
    atomic.write_atomic(path, partial(_put, head.getvalue(), values), sync=False)
    return True


def _empty(sizes: list[int], width: int, *, apart: bool) -> list[Matrix]:
    if apart:
        return [np.empty((size, width), dtype=np.float32) for size in sizes]
    whole = np.empty((sum(sizes), width), dtype=np.float32)
    return [whole[rows] for rows in slices(sizes)]


def _wanted(
    file: FeatureFile, symbols: set[Key] | None, since: dt.date | None, before: dt.date | None
) -> Iterator[tuple[Key, slice]]:
    """Rows of each wanted instrument in a range of days; nothing of one that has none there."""
    for key, rows in file.instruments:
        if symbols is not None and key not in symbols:
            continue
        dates = file.dates[rows]
        first = 0 if since is None else int(np.searchsorted(dates, np.datetime64(since)))
        last = len(dates) if before is None else int(np.searchsorted(dates, np.datetime64(before)))
        if first < last:
            yield key, slice(rows.start + first, rows.start + last)


def _holds(path: Path, head: bytes, values: Matrix) -> bool:
    """Whether a file consists of exactly this."""
    try:
        with path.open("rb", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size != len(head) + values.nbytes or stream.read(len(head)) != head:
                return False
            stored = np.fromfile(stream, dtype=np.uint8)
    except OSError:
        return False
    return np.array_equal(stored, values.reshape(-1).view(np.uint8))


def _put(head: bytes, values: Matrix, path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(head)
        stream.write(values.reshape(-1).view(np.uint8))
