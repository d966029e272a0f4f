import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.market.panel import LIMIT, member_returns, panel_hash, panel_table, table_of
from tests.features.series import lively
from tests.test_featurize import hydrated

CLASSES = [*(("stock", f"S{k}") for k in range(8)), *(("etf", f"E{k}") for k in range(3))]


def universe(n: int = 120) -> pl.DataFrame:
    return pl.concat(
        lively(n, seed, symbol=symbol, asset_class=kind) for seed, (kind, symbol) in enumerate(CLASSES)
    ).sort("asset_class", "symbol", "date")


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return table_of(member_returns(universe()))


def naive(day: dt.date) -> dict[str, float]:
    """Chang, Cheng and Khorana's equation 2 for one day, over the stocks that traded."""
    found = []
    for (_, _), bars in universe().filter(asset_class="stock").group_by("asset_class", "symbol", maintain_order=True):
        rows = bars.filter((pl.col("volume") > 0) & (pl.col("date") <= day)).tail(2)
        if rows["date"][-1] == day:
            before, last = (rows["close"] * rows["factor"]).to_list()
            found.append(last / before - 1)
    market = sum(found) / len(found)
    return {
        "market_return": market,
        "dispersion": float(np.std(found, ddof=1)),
        "csad": sum(abs(each - market) for each in found) / len(found),
        "breadth": sum(each > 0 for each in found) / len(found),
        "n": len(found),
    }


@pytest.mark.parametrize("row", [20, 77, 118])
def test_a_day_is_that_of_the_paper(table, row):
    day = table.filter(asset_class="stock").row(row, named=True)
    for name, value in naive(day["date"]).items():
        assert day[name] == pytest.approx(value, abs=1e-11), name


def test_days_with_fewer_than_five_members_are_null_and_counted(table):
    few = table.filter(asset_class="etf")
    assert few["n"].max() <= 3
    assert few.select("market_return", "dispersion", "csad", "breadth").null_count().row(0) == (few.height,) * 4


def test_later_bars_change_no_earlier_day(table):
    cut = universe().filter(pl.col("date") <= table["date"].sort()[100])
    again = table_of(member_returns(cut))
    assert again.equals(table.filter(pl.col("date") <= cut["date"].max()))


def test_the_order_of_members_changes_nothing(table):
    assert table_of(member_returns(universe().sample(fraction=1.0, shuffle=True, seed=4))).equals(table)


def test_one_wild_print_is_limited():
    bars = universe()
    wild = (pl.col("symbol") == "S3") & (pl.col("date") == bars["date"].sort()[600])
    jumped = bars.with_columns(pl.when(wild).then(pl.col("close") * 5000).otherwise(pl.col("close")).alias("close"))
    assert member_returns(jumped)["return"].max() == LIMIT
    assert table_of(member_returns(jumped))["market_return"].abs().max() < 0.1


def test_a_return_over_more_than_a_week_is_no_days_return():
    bars = lively(30).filter((pl.col("date") < dt.date(2015, 1, 15)) | (pl.col("date") > dt.date(2015, 1, 28)))
    first_after = bars.filter(pl.col("date") > dt.date(2015, 1, 28))["date"][0]
    assert first_after not in member_returns(bars)["date"].to_list()


def test_the_hash_ends_at_until_and_knows_its_class(table):
    until = table["date"].sort()[200]
    later = table.filter(pl.col("date") <= until)
    assert panel_hash(table, until) == panel_hash(later, until) == panel_hash(later)
    assert panel_hash(table) != panel_hash(later)
    assert panel_hash(table, until, "stock") != panel_hash(table, until, "etf")
    changed = table.with_columns(pl.when(pl.col("asset_class") == "etf").then(9).otherwise("n").alias("n"))
    assert panel_hash(changed, None, "stock") == panel_hash(table, None, "stock")
    assert panel_hash(changed) != panel_hash(table)


def test_only_pinned_members_count_and_an_empty_panel_gives_an_empty_table(tmp_path, table):
    stranger = lively(120, 77, symbol="ZZZ")
    store = hydrated(tmp_path, pl.concat([universe(), stranger]), panel=CLASSES)
    assert panel_table(store).equals(table)
    store.write_panel([])
    assert panel_table(store).is_empty()
