import dataclasses
import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.market.cross_section import cross_section
from src.market.spread import spread
from tests.features.series import lively


def panel(**columns) -> list[pl.DataFrame]:
    """Two parts, as two buckets of a store: three stocks and an ETF, of different lengths."""
    first = pl.concat([lively(150, 1, symbol="CCC"), lively(120, 2, symbol="AAA")])
    second = pl.concat([lively(150, 3, symbol="BBB"), lively(90, 4, symbol="SPY", asset_class="etf")])
    return [first.with_columns(**columns), second.with_columns(**columns)]


def bars_of(symbol: str) -> pl.DataFrame:
    return pl.concat(panel()).filter(pl.col("symbol") == symbol, pl.col("volume") > 0).sort("date")


def test_each_bar_stands_on_its_day_and_all_else_is_nan():
    section = cross_section(panel(), "stock")
    assert section.symbols == ("AAA", "BBB", "CCC")
    found = 0
    for column, symbol in enumerate(section.symbols):
        for bar in bars_of(symbol).iter_rows(named=True):
            row = int(np.searchsorted(section.dates, np.datetime64(bar["date"])))
            if section.dates[row] != np.datetime64(bar["date"]):
                continue  # no session
            found += 1
            assert section.open[row, column] == bar["open"] * bar["factor"]
            assert section.close[row, column] == bar["close"] * bar["factor"]
            assert section.dollar_volume[row, column] == np.float32(bar["close"] * bar["volume"])
            assert section.traded_price[row, column] == np.float32(bar["close"] * (bar["split"] or 1.0))
    assert found > 300
    for table in (section.open, section.dollar_volume, section.traded_price, section.half_spread):
        assert np.array_equal(np.isfinite(table), section.traded)
    assert section.traded.sum() == found


def test_the_spread_is_that_of_the_instruments_own_bars():
    section = cross_section(panel(), "stock", spread_window=21)
    bars = bars_of("CCC").filter(pl.col("date").is_in(section.dates.tolist()))
    high, low, close = ((bars[name] * bars["factor"]).to_numpy() for name in ("high", "low", "close"))
    column = section.half_spread[section.traded[:, 2], 2]
    assert np.array_equal(column, (spread(high, low, close, 21) / 2).astype(np.float32))
    assert (column > 0).any()


def test_rows_are_the_sessions_from_the_first_bar_to_the_last():
    section = cross_section(panel(), "stock")
    days = pl.concat(panel()).filter(pl.col("asset_class") == "stock")["date"]
    assert days.min() <= section.dates[0].item() < section.dates[-1].item() <= days.max()
    assert (np.diff(section.dates).astype(int) >= 1).all()
    assert not np.isin(section.dates, np.array(["2015-12-25", "2016-07-04"], dtype="datetime64[D]")).any()
    rows = [int(np.flatnonzero(column)[-1]) for column in section.traded.T]
    assert section.last.tolist() == rows


def test_a_bar_without_a_trade_or_on_a_holiday_is_left_out():
    bars = bars_of("CCC")
    section = cross_section([bars], "stock")
    quiet, holiday = section.dates[50].item(), dt.date(2015, 12, 25)
    moved = bars.with_columns(volume=pl.when(pl.col("date") == quiet).then(0.0).otherwise("volume"))
    extra = bars[:1].with_columns(date=pl.lit(holiday))
    again = cross_section([pl.concat([moved, extra]).sort("date")], "stock")
    row = int(np.searchsorted(again.dates, np.datetime64(quiet)))
    assert np.isnan(again.close[row, 0]) and np.isnan(again.half_spread[row, 0])
    assert np.datetime64(holiday) not in again.dates


@pytest.mark.parametrize("as_text", [True, False])
def test_until_leaves_later_bars_out_and_changes_no_row(as_text):
    whole = cross_section(panel(), "stock")
    last = whole.dates[80].item()
    cut = cross_section(panel(), "stock", str(last) if as_text else last)
    assert np.array_equal(cut.dates, whole.dates[:81])
    for field in dataclasses.fields(cut):
        table = getattr(cut, field.name)
        if isinstance(table, np.ndarray) and table.ndim == 2:
            assert np.array_equal(table, getattr(whole, field.name)[:81], equal_nan=True), field.name


def test_a_class_without_a_bar_has_no_rows_and_no_names():
    section = cross_section(panel(), "crypto")
    assert section.shape == (0, 0) and section.close.shape == (0, 0) and section.last.size == 0


def test_one_instrument_in_two_parts_is_refused():
    first, second = panel()
    with pytest.raises(ValueError, match="must stand in one part, got stock AAA in two"):
        cross_section([first, second, first.filter(pl.col("symbol") == "AAA")], "stock")


def test_the_order_of_parts_and_rows_does_not_matter():
    one, other = cross_section(panel(), "stock"), cross_section([p.reverse() for p in reversed(panel())], "stock")
    for field in dataclasses.fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        assert np.array_equal(mine, theirs, equal_nan=True) if isinstance(mine, np.ndarray) else mine == theirs
