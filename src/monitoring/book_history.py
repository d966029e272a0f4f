"""The book's own out-of-sample record, on the days that the monitor counts; kept until champions or caps change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.config.constraints import values
from src.core.errors import StageError
from src.core.hashing import json_digest
from src.market.bars import BARS_PER_YEAR
from src.monitoring.bands import DailyRecord
from src.monitoring.book_record import on_sessions
from src.signals.kept_record import current_record
from src.storage import atomic
from src.tracking.crowned_versions import CrownedVersion

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import BookConfig, GradeConfig

FILE = "book_history.parquet"
_REMEDY = "move it away, and it is made again"
_OF_ORDERS = ("name", "capital", "holdings", "min_trade", "lots", "shared_journal", "benchmark", "max_bar_age")


def book_history(
    crowned: Sequence[CrownedVersion], paths: DatasetPaths, choice: BookConfig, gate: GradeConfig
) -> DailyRecord | None:
    """Make, or read, the returns that the book of today's champions would have had out of sample.

    Parameters
    ----------
    crowned : sequence of CrownedVersion
    paths : DatasetPaths
    choice : BookConfig
    gate : GradeConfig

    Returns
    -------
    DailyRecord or None
        None where no champion has stored decisions.

    Raises
    ------
    StageError
        If bars or runs can't be read.
    """
    if not crowned:
        return None
    settings = {key: value for key, value in values(choice) if key.rpartition(".")[2] not in _OF_ORDERS}
    champions = sorted([each.name, each.version, each.record_id, each.strategy_key] for each in crowned)
    key = json_digest([champions, settings])
    path = paths.monitor / FILE
    daily = _kept(path, key)
    if daily is None:
        made = current_record(crowned, paths, choice, gate).daily
        daily = made.select("date", "net", (pl.col("cost") + pl.col("borrow")).alias("cost"))
        atomic.write_parquet(daily, path, metadata={"key": key})
    coins = all(each.name.partition(".")[0] == "crypto" for each in crowned)
    days = daily if coins else on_sessions(daily)
    year = float(BARS_PER_YEAR["crypto" if coins else "stock"])
    return DailyRecord(days["net"].to_numpy(), days["cost"].to_numpy(), year) if days.height > 1 else None


def _kept(path: Path, key: str) -> pl.DataFrame | None:
    if not path.is_file():
        return None
    try:
        with atomic.read_errors(path, _REMEDY):
            if pl.read_parquet_metadata(path).get("key") != key:
                return None
            return pl.read_parquet(path, glob=False)
    except StageError:  # it is made again
        return None
