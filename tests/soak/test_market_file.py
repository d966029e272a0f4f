"""Real bars as they are, and the quick universe taken from them, where they are at hand: ``make soak``."""

from __future__ import annotations

import polars as pl
import pytest

from src.hydrate import hydrate
from tests.hydration.test_validation import check_market_file
from tests.market_case import MARKET, config


@pytest.mark.skipif(not (MARKET / "bars.parquet").is_file(), reason="the shared market file is not at hand")
def test_the_most_traded_of_the_shared_market_file_are_chosen_without_stablecoins(tmp_path):
    path = {"source__path": str(MARKET / "bars.parquet"), "universe__buckets": 16}
    quick = config(tmp_path, **path, universe__stock=500, universe__etf=200, universe__crypto=20)
    assert hydrate(quick).startswith("hydrate: 720 instruments of mine from folder: 714 done")
    chosen = pl.read_parquet(tmp_path / "data" / "bars" / "mine" / "universe.parquet")
    assert chosen.filter(~pl.col("included"))["symbol"].to_list() == ["BTCB", "USDT", "WBTC", "WETH"]


@pytest.mark.skipif(not (MARKET / "bars.parquet").is_file(), reason="the shared market file is not at hand")
def test_the_bad_ones_of_all_the_shared_market_file_are_found_and_no_other():
    frame = pl.read_parquet(MARKET / "bars.parquet")
    assert frame.select("asset_class", "symbol").n_unique() == 724
    check_market_file(frame)


@pytest.mark.skipif(not (MARKET / "bars.parquet").is_file(), reason="the shared market file is not at hand")
def test_the_shared_market_file_is_hydrated_as_it_is(tmp_path):
    path = {"source__path": str(MARKET / "bars.parquet"), "universe__buckets": 16}
    assert hydrate(config(tmp_path, **path)) == (
        "hydrate: 724 instruments of mine from folder: 718 done (25 repaired), 0 failed, 6 quarantined;"
        " 1,695,790 bars, 2014-01-02 to 2024-12-07"
    )
