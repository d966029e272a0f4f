"""Ranks of each day's eligible names by each feature: one file of bytes a feature, mapped into memory by who reads it.

The rows are the eligible pairs of a day and a name, day by day. A file's name carries a hash of the feature's code, of
the rows, of the bars and of the seed: what is there under its name is right, so that an interrupted build goes on, a
further feature costs one file, and files of other data are dropped.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, Bytes, DateArray, IntArray
from src.core.code_hash import code_digest
from src.core.errors import StageError
from src.core.hashing import json_digest, text_digest
from src.features.store import FeatureStore
from src.market.cross_section import CrossSection
from src.models.pooled_columns import MISSING
from src.storage import atomic
from src.training.pooled.day_ranks import codes, day_ranks
from src.training.pooled.eligible_features import EligibleRows, values_of_year

INDEX, ROWS = "index.json", "rows.npz"
COLUMNS_AT_ONCE = 16
"""Features that are read and ranked together: they take 21 bytes a row of memory, and each pass reads keys once."""
_BLOCK = 8192
CATEGORY = "category."
"""Begins the names of columns that hold no rank but the number of a category."""


@dataclass(frozen=True)
class RankTable:
    """The ranks of an asset class: a row an eligible pair of day and name, a column a feature.

    Attributes
    ----------
    folder : Path
        Where the files stand.
    dates : datetime64[D], shape (T,)
        Sessions of the class.
    symbols : tuple of str, length N
    offsets : int64, shape (T + 1,)
        The rows of day t are ``offsets[t]:offsets[t + 1]``.
    names : int32, shape (R,)
        Column of each row's instrument in the cross-section.
    files : dict of str to str
        Name of each column's file: features first, then categories.
    """

    folder: Path
    dates: DateArray
    symbols: tuple[str, ...]
    offsets: IntArray
    names: npt.NDArray[np.int32]
    files: dict[str, str]

    @classmethod
    def open(cls, folder: Path) -> RankTable:
        """Read which rows and columns a folder holds; the columns themselves stay on disk.

        Parameters
        ----------
        folder : Path
            What `rank_table` filled.

        Raises
        ------
        StageError
            If it holds no complete table.
        """
        try:
            index = atomic.read_json(folder / INDEX)
            with np.load(folder / index["rows"], allow_pickle=False) as rows:
                dates, offsets, names = rows["dates"], rows["offsets"], rows["names"]
        except (OSError, ValueError, KeyError) as error:
            raise StageError(f"{folder.as_posix()} holds no ranks ({error}): run the same command again") from error
        return cls(folder, dates, tuple(index["symbols"]), offsets, names, index["files"])

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns: the features, then the categories."""
        return tuple(self.files)

    @property
    def categories(self) -> tuple[int, ...]:
        """Positions of the columns that are categories, the last ones."""
        return tuple(j for j, name in enumerate(self.files) if name.startswith(CATEGORY))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.offsets[-1])

    def days(self, days: slice | Sequence[int] | IntArray) -> IntArray:
        """Return the rows of some days, ascending.

        Parameters
        ----------
        days : slice or sequence of int
            Rows of the cross-section, ascending.

        Returns
        -------
        int64
        """
        chosen = np.arange(len(self.dates))[days]
        spans = [np.arange(self.offsets[t], self.offsets[t + 1]) for t in chosen]
        return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)

    def read(self, rows: slice | IntArray) -> Bytes:
        """Read rows with all columns.

        Parameters
        ----------
        rows : slice or int64
            Positions of rows.

        Returns
        -------
        uint8, shape (rows, columns), C-contiguous
            Ranks 0 to 254, `MISSING` where a feature has no value; the number of the category in the last columns.
        """
        maps = [np.load(self.folder / file, mmap_mode="r", allow_pickle=False) for file in self.files.values()]
        wanted = np.arange(*rows.indices(self.rows)) if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        table = np.empty((wanted.size, len(maps)), dtype=np.uint8)
        block = np.empty((len(maps), _BLOCK), dtype=np.uint8)
        for start in range(0, wanted.size, _BLOCK):
            part = wanted[start : start + _BLOCK]
            for j, column in enumerate(maps):
                block[j, : part.size] = column[part]
            table[start : start + part.size] = block[:, : part.size].T
        return table


def rank_table(
    folder: Path,
    section: CrossSection,
    eligible: BoolArray,
    store: FeatureStore,
    hashes: Mapping[str, str],
    seed: int,
    *,
    bars: str | None = None,
    categories: Mapping[str, Bytes] | None = None,
    threads: int | None = None,
) -> RankTable:
    """Bring the ranks of an asset class up to date, and open them.

    Parameters
    ----------
    folder : Path
        ``data/ranks/<dataset>/<class>``; it need not exist. Nothing else is kept there.
    section : CrossSection
        Days and names.
    eligible : bool, shape (T, N)
        The pairs that are ranked.
    store : FeatureStore
        Of buckets that are complete and current.
    hashes : mapping of str to str
        Code hash of each feature, by name, in the order of the columns.
    seed : int
        Of the order of ties.
    bars : str, optional
        Digest of the bars that the features were computed from; None takes all bars of the buckets.
    categories : mapping of str to uint8, shape (T, N), optional
        Further columns, which are not ranked.
    threads : int, optional
        Threads that rank; the result is the same for every number. None takes one for each core, at most four.

    Returns
    -------
    RankTable
    """
    atomic.remove_temporaries(folder)
    rows = EligibleRows.of(section, eligible)
    of_bars = _bars_digest(store) if bars is None else bars
    made_from = text_digest(rows.digest, of_bars, seed, code_digest(day_ranks), *_facts_digests(store))
    files = {name: _file(name, code, made_from) for name, code in hashes.items()}
    build = partial(_build, folder, rows, store, seed, threads or min(4, os.cpu_count() or 1))
    todo = [name for name, file in files.items() if not _is_there(folder / file, rows.size)]
    for start in range(0, len(todo), COLUMNS_AT_ONCE):
        build({name: files[name] for name in todo[start : start + COLUMNS_AT_ONCE]})
    for name, table in (categories or {}).items():
        column = np.ascontiguousarray(table[eligible])
        file = _file(CATEGORY + name, hashlib.blake2b(column.tobytes(), digest_size=16).hexdigest(), made_from)
        files[CATEGORY + name] = file
        if not _is_there(folder / file, rows.size):
            atomic.write_atomic(folder / file, partial(_save, column))
    _write_index(folder, rows, files, made_from)
    return RankTable.open(folder)


def _bars_digest(store: FeatureStore) -> str:
    """Hash of the bars, and of the panel, that the stored features were computed from."""
    return text_digest(store.pinned(), *(store.ledger.fact(b, "bars") for b in store.buckets()))


def _facts_digests(store: FeatureStore) -> list[str]:
    """Hash of the facts that the stored features were computed from; empty where none look at any."""
    facts = [store.ledger.fact(b, "facts") for b in store.buckets()]
    return [json_digest(facts)] if any(facts) else []


def _file(name: str, code: str, made_from: str) -> str:
    return f"{name}-{text_digest(name, code, made_from)[:8]}.npy"


def _is_there(path: Path, rows: int) -> bool:
    """Whether a column file is there and whole."""
    try:
        return bool(np.load(path, mmap_mode="r", allow_pickle=False).shape == (rows,))
    except (OSError, ValueError):
        return False


def _build(
    folder: Path, rows: EligibleRows, store: FeatureStore, seed: int, threads: int, files: Mapping[str, str]
) -> None:
    """Rank some features on all days, and write their files."""
    for name, column in zip(files, ranked(rows, store, list(files), seed, threads), strict=True):
        atomic.write_atomic(folder / files[name], partial(_save, column), sync=False)
    atomic.sync_folder(folder)


def ranked(rows: EligibleRows, store: FeatureStore, names: Sequence[str], seed: int, threads: int = 1) -> Bytes:
    """Rank features among the eligible names of each day.

    Parameters
    ----------
    rows : EligibleRows
        The pairs that are ranked.
    store : FeatureStore
    names : sequence of str
        Features.
    seed : int
        Of the order of ties.
    threads : int

    Returns
    -------
    uint8, shape (features, rows)
        0 to 254, `MISSING` where a feature has no value.
    """
    ranks = np.full((len(names), rows.size), MISSING, dtype=np.uint8)
    features = codes(names)

    def rank(t: int, first: int) -> None:
        here, there = rows.span(t), slice(rows.offsets[t] - first, rows.offsets[t + 1] - first)
        symbols = rows.codes[rows.names[here]]
        ranks[:, here] = day_ranks(values[:, there], symbols, rows.dates[t], features, seed)

    with ThreadPoolExecutor(threads) as pool:
        for days in rows.years():
            values = values_of_year(store, rows, days, names)
            list(pool.map(partial(rank, first=int(rows.offsets[days.start])), rows.filled(days)))
    return ranks


def _save(column: Bytes, path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, column, allow_pickle=False)


def _write_index(folder: Path, rows: EligibleRows, files: Mapping[str, str], made_from: str) -> None:
    """Describe the table, and remove what was made from other rows, bars or another seed, or belongs to no feature."""
    name = f"{made_from[:8]}-{ROWS}"
    known = atomic.read_json(folder / INDEX) if (folder / INDEX).is_file() else {}
    kept = (known["kept"] if known.get("made_from") == made_from else {}) | dict(files)
    index = {"made_from": made_from, "rows": name, "symbols": list(rows.symbols), "files": dict(files), "kept": kept}
    if index != known or not (folder / name).is_file():
        atomic.write_atomic(folder / name, rows.save)
        atomic.write_json(index, folder / INDEX)
    for path in folder.glob("*.np[yz]"):
        if path.name not in {name, *kept.values()}:
            atomic.remove(path)
