"""What a batch's instruments come from, and why some have no bars: each has its origin and its finding."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from src.config.schema import Config, DataConfig, SourceConfig, UniverseConfig
from src.hydration import files
from src.hydration.job import HydrationJob
from src.hydration.quality import quality
from src.market.bars import BarStore
from tests.market_case import put, series


@pytest.fixture
def hydrated(tmp_path: Path) -> BarStore:
    """Bars of folders, of a table, and of files that are no bars."""
    root = tmp_path / "in;put"
    columns = ["date", "open", "high", "low", "close", "volume"]
    for folder, symbol in (("stocks", "A"), ("stocks/deep", "B"), ("etfs", "C")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        put(series(symbol=symbol), 100, close=None).select(columns).write_csv(root / folder / f"{symbol}.csv")
    table = pl.concat([series(symbol=name).select("symbol", *columns) for name in ("T1", "T2")])
    table.write_csv(root / "stocks" / "table.csv")
    (root / "stocks" / "bad; worse.csv").write_text("date,close\nx;y\n", encoding="utf-8")
    source = SourceConfig(kind="folder", path=str(root))
    config = Config(
        data=DataConfig(root=str(tmp_path / "data")), universe=UniverseConfig(name="mine", buckets=2), source=source
    )
    files.run(HydrationJob.of(config))
    return BarStore(config.paths.bars)


def test_each_instrument_says_the_folder_or_the_table_that_it_came_from(hydrated: BarStore) -> None:
    found = quality(hydrated).instruments.filter(state="done")
    assert dict(found.select("symbol", "origin").iter_rows()) == {
        "A": "stocks", "B": "stocks/deep", "C": "etfs", "T1": "stocks/table.csv", "T2": "stocks/table.csv",
    }  # fmt: skip


def test_a_file_that_is_no_bars_costs_itself_and_its_reason_is_one_finding(hydrated: BarStore) -> None:
    found = quality(hydrated)
    bad = found.instruments.filter(symbol="bad; worse")
    assert bad["state"].to_list()[0] in ("failed", "quarantined")
    findings = found.findings.filter(symbol="bad; worse")
    assert findings.height == 1 and findings["text"][0] == bad["reason"][0]
    assert findings["effect"][0] == bad["state"][0]
    assert found.counts()["repaired"] == 3 and found.counts()["used"] == 5
