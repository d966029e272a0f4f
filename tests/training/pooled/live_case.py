"""The champion of the small class of stocks, and the lines of its books."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from src.config.paths import DatasetPaths
from src.signals.dataset import SignalDataset
from src.signals.days import BookDays
from src.signals.pooled_lines import pooled_lines
from src.tracking.crowned_versions import CrownedVersion
from tests.training.pooled.session_case import Stocks


def champion(project: Stocks, **changes: Any) -> CrownedVersion:
    (grade,) = project.grades().to_dicts()
    own = (grade["record_id"], grade["strategy_key"], grade["model_sha256"])
    return replace(CrownedVersion(f"pooled.{grade['symbol']}", 3, "run", *own, grade), **changes)


def dataset(project: Stocks, max_bar_age: int = 0) -> SignalDataset:
    return SignalDataset(DatasetPaths(project.root / "data", "demo"), "1d", max_bar_age)


def lines(project: Stocks, first: str, last: str | None = None, max_bar_age: int = 0, **changes: Any) -> pl.DataFrame:
    days = BookDays(dt.date.fromisoformat(first), dt.date.fromisoformat(last or first))
    return pooled_lines([champion(project, **changes)], dataset(project, max_bar_age), days)


def state_files(project: Stocks) -> list[Path]:
    return sorted((project.root / "data" / "signals" / "demo").glob("state-*"))


def change_parts(project: Stocks, **changes: Any) -> None:
    """Store a run as if its fits had been made otherwise."""
    (shard,) = project.portfolios.glob("b000-*.runs.parquet")
    runs = pl.read_parquet(shard)
    parts = json.loads(runs["parts"][0]) | changes
    runs.with_columns(parts=pl.lit(json.dumps(parts))).write_parquet(shard)
