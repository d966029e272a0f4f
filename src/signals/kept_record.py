"""The book's own record on disk: made again only where what it is made of has changed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.config.constraints import values
from src.core.code_hash import code_digest
from src.core.errors import StageError
from src.core.hashing import json_digest
from src.market.bars import BarStore
from src.signals.own_record import OwnRecord, own_record
from src.storage import atomic, partitions

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import BookConfig, GradeConfig
    from src.tracking.crowned_versions import CrownedVersion

NULL_BOOKS = 100
_MADE_OF = ("pooled_share", "max_weight", "max_class_weight", "max_gross", "max_turnover", "benchmark")
_BESIDE = ("key", "benchmark", "left_out")
_DAYS_LEFT = dt.timedelta(days=10)  # of a year, after the last decision that has its return


def record_folder(paths: DatasetPaths) -> Path:
    """Folder of the record, beside the books.

    It is not in ``data/portfolios``, which is an output of training: DVC would train again after each promotion.

    Parameters
    ----------
    paths : DatasetPaths

    Returns
    -------
    Path
    """
    return paths.signals / "record"


def current_record(
    champions: Sequence[CrownedVersion],
    paths: DatasetPaths,
    choice: BookConfig,
    gate: GradeConfig,
    *,
    null_books: int = NULL_BOOKS,
) -> OwnRecord:
    """Read the record of today's champions, or make and write it.

    Parameters
    ----------
    champions : sequence of CrownedVersion
    paths : DatasetPaths
    choice : BookConfig
    gate : GradeConfig
    null_books : int
        As `src.signals.own_record.own_record` takes it.

    Returns
    -------
    OwnRecord
        That of these champions, settings, grades and bars.

    Raises
    ------
    StageError
        If bars or runs can't be read.
    """
    key = record_key(champions, paths, choice, gate, null_books)
    stored = stored_record(paths, key)
    if stored is None:
        stored = own_record(champions, paths, choice, gate, null_books=null_books)
        write_record(stored, paths, key)
    return stored


def record_key(
    champions: Sequence[CrownedVersion], paths: DatasetPaths, choice: BookConfig, gate: GradeConfig, null_books: int
) -> str:
    """Digest what a record is made of: champions, settings, all graded runs, the code, and the bars of past years.

    Parameters
    ----------
    champions : sequence of CrownedVersion
    paths : DatasetPaths
    choice : BookConfig
    gate : GradeConfig
    null_books : int

    Returns
    -------
    str
        The bars of a year count where the champions' last decision is at its end or later: the file of a year that goes
        on changes every day.
    """
    days = [champion.grade.get("last_oos") for champion in champions]
    return json_digest(
        [
            sorted([each.name, each.record_id, each.strategy_key, list(each.objections)] for each in champions),
            {name: value for name, value in values(choice) if name.partition(".")[0] in _MADE_OF},
            dict(values(gate)),
            null_books,
            _bars(paths, max((day for day in days if day), default=None)),
            _runs(paths.grades),
            code_digest(own_record),
        ]
    )


def stored_record(paths: DatasetPaths, key: str | None = None) -> OwnRecord | None:
    """Read the record that is stored.

    Parameters
    ----------
    paths : DatasetPaths
    key : str, optional
        That it must have; None takes any.

    Returns
    -------
    OwnRecord or None
        None where none is stored, it has another key, or a file of it can't be read.
    """
    folder = record_folder(paths)
    if not (folder / "grade.parquet").is_file():
        return None
    try:
        with atomic.read_errors(folder, "remove it: it is made again"):
            grade, daily, weights = (
                pl.read_parquet(folder / f"{name}.parquet", glob=False) for name in ("grade", "daily", "weights")
            )
    except StageError:
        return None
    row = grade.row(0, named=True)
    if key is not None and row["key"] != key:
        return None
    figures = {name: value for name, value in row.items() if name not in _BESIDE}
    return OwnRecord(daily, weights, figures, row["benchmark"], json.loads(row["left_out"]))


def write_record(record: OwnRecord, paths: DatasetPaths, key: str = "") -> None:
    """Write the record: ``daily``, ``weights`` and, last, ``grade`` (one row), Parquet files.

    Parameters
    ----------
    record : OwnRecord
    paths : DatasetPaths
    key : str
        From `record_key`.
    """
    beside = {"key": key, "benchmark": record.benchmark, "left_out": json.dumps(dict(record.left_out), sort_keys=True)}
    row = {name: [value] for name, value in {**record.figures, **beside}.items()}
    table = pl.DataFrame(row, schema_overrides={"reasons": pl.List(pl.String)})
    folder = record_folder(paths)
    atomic.remove(folder / "grade.parquet")
    for name, content in (("daily", record.daily), ("weights", record.weights), ("grade", table)):
        atomic.write_parquet(content, folder / f"{name}.parquet")


def _bars(paths: DatasetPaths, last: dt.date | None) -> list[list[int]]:
    """Sizes and times of the files of whole years; a year whose rows did not change keeps its file."""
    store, found = BarStore(paths.bars), []
    if store.exists() and last is not None:
        for number in store.buckets():
            for year, path in partitions.paths(store.root, number).items():
                if dt.date(year, 12, 31) <= last + _DAYS_LEFT:
                    stat = path.stat()
                    found.append([number, year, stat.st_size, stat.st_mtime_ns])
    return found


def _runs(grades: Path) -> str:
    """Digest of the runs on which the choice of champions is repeated."""
    if not grades.is_file():
        return ""
    try:
        rows = pl.read_parquet(grades, columns=["record_id", "strategy_key"], glob=False)
    except (pl.exceptions.PolarsError, OSError):
        return ""
    return json_digest(sorted(rows.iter_rows()))
