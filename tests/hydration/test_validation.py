"""Faults of bars: what is repaired, by which rule, and what condemns an instrument. Each fault is planted once."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from src.hydration.validation import REPAIRED, validate
from tests.market_case import MARKET, put, scale, series

NAN, INF = float("nan"), float("inf")


def one(frame: pl.DataFrame, **settings) -> tuple[pl.DataFrame, dict]:
    bars, states = validate(frame, **settings)
    assert states.height == 1
    return bars, states.row(0, named=True)


def test_sane_bars_pass_unchanged_and_without_remark():
    frame = series()
    bars, state = one(frame)
    assert (state["state"], state["reason"], state["repaired"], state["rows"]) == ("done", "", 0, 800)
    assert_frame_equal(
        bars.select("date", "open", "high", "low", "close", "volume"),
        frame.select("date", "open", "high", "low", "close", "volume"),
    )
    assert bars["factor"].unique().to_list() == [1.0] and not bars["repaired"].any()


@pytest.mark.parametrize("value", [0.0, -3.0, NAN, INF, -INF, None])
def test_a_bar_without_a_valid_close_keeps_the_last_one_and_does_not_trade(value):
    frame = series()
    bars, state = one(put(frame, 100, close=value))
    bar, before = bars.row(100, named=True), bars.row(99, named=True)
    assert bar["close"] == bar["open"] == bar["high"] == bar["low"] == before["close"]
    assert bar["volume"] == 0 and bar["repaired"] and state["state"] == "done"
    assert state["reason"] == "1 bar without a valid close (last close held, no trade)"
    assert bars["repaired"].sum() == 1


@pytest.mark.parametrize("value", [0.0, -3.0, NAN, INF, None, 1e6, 1e-6])
def test_a_bar_without_a_possible_open_does_not_trade(value):
    frame = series()
    bars, state = one(put(frame, 100, open=value))
    bar = bars.row(100, named=True)
    assert bar["volume"] == 0 and bar["repaired"] and bar["close"] == frame["close"][100]
    assert bar["low"] <= bar["open"] <= bar["high"]
    assert "1 bar without a possible open (no trade)" in state["reason"]


def test_a_high_below_the_low_is_widened_to_enclose_open_and_close():
    frame = series()
    low, high = frame["low"][100], frame["high"][100]
    bars, state = one(put(frame, 100, high=low, low=high))
    bar = bars.row(100, named=True)
    assert bar["high"] == max(bar["open"], bar["close"]) and bar["low"] == min(bar["open"], bar["close"])
    assert bar["volume"] > 0 and bar["repaired"]
    assert state["reason"] == "1 bar whose high and low did not enclose open and close (widened)"


def test_a_close_outside_high_and_low_widens_them_but_rounding_of_float32_does_not_count():
    frame = series()
    bars, state = one(put(frame, 100, high=float(frame["close"][100]) * 0.99))
    assert bars["high"][100] >= bars["close"][100] and state["repaired"] == 1
    rounded = frame.with_columns(pl.col("high", "low", "open", "close").cast(pl.Float32))
    assert one(rounded)[1]["repaired"] == 0


def test_a_wick_beyond_x3_of_open_and_close_is_cut_to_them():
    bars, state = one(put(put(series(), 100, high=1e5), 200, low=0.0))
    assert bars["high"][100] == max(bars["open"][100], bars["close"][100])
    assert bars["low"][200] == min(bars["open"][200], bars["close"][200])
    assert state["reason"] == "2 bars with a high or low beyond x3 of open and close (cut to them)"


@pytest.mark.parametrize("value", [-5.0, NAN, None])
def test_missing_or_negative_volume_is_none(value):
    bars, state = one(put(series(), 100, volume=value))
    assert bars["volume"][100] == 0 and "missing or negative volume" in state["reason"]


def test_a_print_beyond_x20_is_held_at_the_last_close_until_prices_are_back():
    frame = series()
    bars, state = one(scale(frame, slice(100, 103), 1000.0))
    assert bars["close"][100:103].to_list() == [frame["close"][99]] * 3
    assert bars["close"][103] == frame["close"][103] and bars["volume"][100:103].to_list() == [0.0] * 3
    assert state["state"] == "done" and state["repaired"] == 3


def test_a_close_alone_beyond_x20_is_held_even_where_adj_close_is_sane():
    bars, state = one(put(series(), 100, close=1e6))
    assert bars["close"][100] == bars["close"][99] and bars["factor"][100:].unique().to_list() == [1.0]
    assert "1 bar beyond x20 of the last close" in state["reason"]


def test_a_price_scale_that_changes_for_good_quarantines():
    bars, state = one(scale(series(), slice(400, 800), 5000.0))
    assert bars.is_empty() and state["state"] == "quarantined"
    assert "one beyond x20 on" in state["reason"] and "mixes price scales" in state["reason"]


def test_three_moves_beyond_x3_quarantine_with_their_count():
    frame = scale(scale(series(), slice(100, 150), 8.0), slice(300, 500), 6.0)
    _, state = one(frame)
    assert state["reason"] == "4 of 800 one-day moves beyond x3: the series mixes price scales"


def test_a_crash_on_great_volume_is_news_and_kept():
    frame = put(scale(series(), slice(400, 800), 1 / 3.7), 400, volume=3e6)
    bars, state = one(frame)
    assert state["state"] == "done" and bars.height == 800 and "kept as news" in state["reason"]


def test_the_same_crash_without_volume_is_not_believed():
    _, state = one(scale(series(), slice(400, 800), 1 / 3.7))
    assert state["state"] == "quarantined" and "times its usual volume: no market move" in state["reason"]


@pytest.mark.parametrize("ratio", ["3:2", "2:1", "4:1", "20:1"])
def test_a_split_that_left_the_number_of_shares_traded_as_it_was_quarantines(ratio):
    by = {"3:2": 1.5, "2:1": 2.0, "4:1": 4.0, "20:1": 19.99}[ratio]
    frame = series()
    flat = put(frame, 400, **dict.fromkeys(("open", "close", "adj_close"), frame["close"][399]))
    _, state = one(scale(flat, slice(400, 800), 1 / by))
    assert state["state"] == "quarantined"
    assert f"moved as by a {ratio} split" in state["reason"] and "an unrecorded split" in state["reason"]


def test_a_split_that_adj_close_explains_is_no_fault():
    frame = series()
    raw = frame.with_columns(
        pl.when(pl.int_range(pl.len()) >= 400).then(pl.col(c) / 4).otherwise(c).alias(c)
        for c in ("open", "high", "low", "close")
    )
    bars, state = one(raw)
    assert state["state"] == "done" and state["repaired"] == 0
    np.testing.assert_allclose(bars["close"] * bars["factor"], frame["close"], rtol=1e-12)


def test_two_vintages_of_one_ticker_merged_row_by_row_are_found():
    frame = series()
    other = pl.Series(np.random.default_rng(3).uniform(size=800) < 0.5)
    mixed = frame.with_columns(
        pl.when(other).then(pl.col(c) * 0.93).otherwise(c).alias(c)
        for c in ("open", "high", "low", "close", "adj_close")
    )
    _, state = one(mixed)
    assert state["state"] == "quarantined" and "two series are merged under one ticker" in state["reason"]


def test_two_series_with_the_same_dates_are_found():
    _, state = one(pl.concat([series(), scale(series(), slice(0, 800), 1.01)]))
    assert state["reason"].startswith("800 dates come twice with different values")


def test_repeated_rows_are_dropped_and_of_a_date_that_came_again_the_last_row_counts():
    frame = series()
    again = frame.slice(50, 1).with_columns(volume=pl.lit(7.0))
    bars, state = one(pl.concat([frame, frame.slice(10, 2), again]))
    assert bars.height == 800 and bars["volume"][50] == 7.0
    assert "2 repeated rows dropped" in state["reason"] and "1 row dropped whose date came again" in state["reason"]


def test_disorder_is_sorted_and_said():
    frame = series()
    bars, state = one(frame.reverse())
    assert_frame_equal(bars, validate(frame)[0])
    assert state["reason"] == "rows came out of order (sorted)" and state["state"] == "done"


def test_rows_without_a_date_and_weekend_rows_of_an_exchange_are_dropped():
    frame = put(series(), 5, date=pl.lit(None, pl.Date))
    saturday = frame.slice(9, 1).with_columns(date=pl.lit(dt.date(2015, 1, 17)))
    bars, state = one(pl.concat([frame, saturday]))
    assert bars.height == 799
    assert "1 row without a readable date dropped" in state["reason"] and "1 weekend row dropped" in state["reason"]


def test_a_stock_that_trades_on_weekends_is_taken_for_a_coin():
    coin = series("BTC", asset_class="crypto").with_columns(asset_class=pl.lit("stock"))
    assert "is this a coin?" in one(coin)[1]["reason"]
    assert one(series("BTC", asset_class="crypto"))[1]["state"] == "done"


def test_a_frozen_series_quarantines_and_a_frozen_tail_is_said():
    frame = series(n=900)
    flat = {c: frame["close"][399] for c in ("open", "high", "low", "close", "adj_close")}
    here = pl.int_range(pl.len())
    frozen = frame.with_columns(
        pl.when(here.is_between(400, 700)).then(v).otherwise(c).alias(c) for c, v in flat.items()
    )
    assert "the price stands still for 302 bars" in one(frozen)[1]["reason"]
    tail = frame.with_columns(volume=pl.when(here >= 870).then(0.0).otherwise("volume"))
    assert one(tail)[1]["reason"] == "no trade in the last 30 bars"


def test_a_bar_that_the_vendor_repeats_with_its_volume_does_not_trade_from_the_third_time_on():
    frame = series()
    columns = ["open", "high", "low", "close", "adj_close", "volume"]
    here = pl.int_range(pl.len()).is_between(101, 105)
    bars, state = one(frame.with_columns(pl.when(here).then(frame[c][100]).otherwise(c).alias(c) for c in columns))
    assert (bars["volume"][100:107] > 0).to_list() == [True, True, True, False, False, False, True]
    assert state["reason"] == "3 bars repeating the last ones in every field (no trade)"


def test_a_stub_before_a_gap_goes_and_a_history_stays_whatever_gap_comes_later():
    frame = series(n=1000)
    here = pl.int_range(pl.len())
    stub = frame.filter((here < 10) | (here >= 70))
    bars, state = one(stub)
    assert bars.height == 930 and bars["factor"][0] == 1.0
    assert state["reason"] == "10 rows before a gap dropped, the history starts after it"
    noted = frame.filter((here < 500) | (here >= 540))
    assert one(noted)[0].height == 960 and "gap of 57 days before" in one(noted)[1]["reason"]
    parted = frame.filter((here < 500) | (here >= 700))
    before = one(frame.filter(here < 500))[0]
    assert one(parted)[0].height == 800
    assert one(parted)[0].head(500).equals(before)  # bars to come take nothing away


def test_no_rows_of_use_no_volume_and_too_many_repairs_quarantine():
    assert one(series(close=pl.lit(0.0)))[1]["reason"] == "none of 800 rows has a valid date and close"
    assert "nothing can be traded" in one(series(volume=pl.lit(0.0)))[1]["reason"]
    many = series().with_columns(high=pl.when(pl.int_range(pl.len()) % 8 == 0).then(1.0).otherwise("high"))
    assert one(many)[1]["reason"] == "100 of 800 bars need repair, more than 10%"


def test_a_short_history_is_still_done():
    assert one(series(n=5))[1]["state"] == "done"


def test_dividends_become_a_factor_that_starts_at_one_and_cumulates_forward():
    frame = series()
    paid = np.where(np.arange(800) < 300, 0.99, 1.0) * np.where(np.arange(800) < 600, 0.98, 1.0)
    bars, _ = one(frame.with_columns(adj_close=pl.col("close") * pl.Series(paid)))
    expected = np.where(np.arange(800) < 300, 1, 1 / 0.99) * np.where(np.arange(800) < 600, 1, 1 / 0.98)
    np.testing.assert_allclose(bars["factor"], expected, rtol=1e-12)


def test_a_later_dividend_changes_no_earlier_row():
    frame = series()
    later = frame.with_columns(adj_close=pl.col("close") * pl.Series(np.where(np.arange(800) < 700, 0.97, 1.0)))
    assert_frame_equal(one(frame)[0].head(700), one(later)[0].head(700))


@pytest.mark.parametrize("decimals", [2, 4, None])
def test_rounding_of_adj_close_makes_no_returns(decimals):
    frame = series().with_columns(pl.col("open", "high", "low", "close").round(2))
    adjusted = frame["close"] * 0.876543
    adjusted = adjusted.round(decimals) if decimals else adjusted.cast(pl.Float32)
    bars, _ = one(frame.with_columns(adj_close=adjusted))
    assert bars["factor"].unique().to_list() == [1.0]


def test_how_adj_close_is_rounded_is_known_from_the_past_alone():
    frame = series().with_columns(pl.col("open", "high", "low", "close").round(2))
    exact = frame["close"] * 0.876543
    mixed = pl.Series(np.where(np.arange(800) < 500, exact.round(2), exact))
    whole, _ = one(frame.with_columns(adj_close=mixed))
    assert whole["factor"].head(500).unique().to_list() == [1.0]
    assert_frame_equal(one(frame.with_columns(adj_close=mixed).head(500))[0], whole.head(500))


def test_a_step_where_adj_close_changes_its_sign_is_ignored():
    wrong = pl.Series(np.where(np.arange(800) < 500, -3.47, 1.0))
    bars, state = one(series().with_columns(adj_close=pl.col("close") * wrong))
    assert bars["factor"].unique().to_list() == [1.0] and bars["repaired"].sum() == 1
    assert state["reason"] == "1 step ignored where adj_close changes its sign"


def test_a_special_dividend_counts_where_the_price_shows_it_and_only_there():
    frame, half = series(), pl.Series(np.where(np.arange(800) < 500, 0.6, 1.0))
    seen = scale(frame, slice(500, 800), 0.6).with_columns(adj_close=frame["close"] * 0.6)
    bars, state = one(put(seen, 500, volume=2e6))
    assert bars["factor"][-1] == pytest.approx(1 / 0.6) and state["repaired"] == 0
    bars, state = one(frame.with_columns(adj_close=pl.col("close") * half))
    assert bars["factor"][-1] == 1.0 and "beyond 10% ignored that the price does not show" in state["reason"]


def test_the_basis_follows_from_adj_close_or_from_the_setting():
    frame = series().with_columns(adj_close=pl.col("close") * pl.Series(np.where(np.arange(800) < 300, 0.99, 1.0)))
    assert one(frame)[1]["basis"] == "split_adjusted"
    assert one(frame.drop("adj_close"))[1]["basis"] == "total_return"
    bars, state = one(frame, basis="total_return")
    assert state["basis"] == "total_return" and bars["factor"].unique().to_list() == [1.0]


def faulty(n: int = 800) -> pl.DataFrame:
    """Every repairable fault at once."""
    frame = put(series(n=n), 100, close=0.0)
    frame = put(put(frame, 120, open=-1.0), 140, high=0.5)
    frame = put(put(scale(frame, slice(160, 162), 100.0), 180, low=0.0), 200, volume=None)
    here = pl.int_range(pl.len()).is_between(221, 225)
    columns = ["open", "high", "low", "close", "adj_close", "volume"]
    frame = frame.with_columns(pl.when(here).then(frame[c][220]).otherwise(c).alias(c) for c in columns)
    signs = pl.Series(np.where(np.arange(n) < 240, -1.0, 1.0) * np.where(np.arange(n) < 260, 0.7, 1.0))
    return frame.with_columns(adj_close=pl.col("adj_close") * signs)


def test_no_repair_looks_at_a_later_bar():
    frame = faulty()
    whole, states = validate(frame)
    assert all(word.split("}")[-1][:12] in states["reason"][0] for word in REPAIRED.values())
    later, frames = series(n=800, seed=9), []
    moments = (101, 121, 141, 161, 162, 163, 181, 201, 222, 224, 226, 240, 241, 260, 261, 300)
    for k in moments:
        other = pl.concat([frame.head(k), scale(later.slice(k), slice(0, 800), 1.3)], how="vertical_relaxed")
        frames += [frame.head(k).with_columns(symbol=pl.lit(f"C{k}")), other.with_columns(symbol=pl.lit(f"O{k}"))]
    bars, _ = validate(pl.concat(frames))
    for k in moments:
        for name in (f"C{k}", f"O{k}"):
            own = bars.filter(symbol=name)
            assert own.height >= k
            assert_frame_equal(own.head(k).drop("symbol"), whole.head(k).drop("symbol"))
        assert bars.filter(symbol=f"C{k}").height == k


def test_many_instruments_at_once_give_what_each_gives_alone():
    frames = [
        series("AAA"),
        faulty().with_columns(symbol=pl.lit("BBB")),
        series("AAA", asset_class="crypto"),
        scale(series("CCC"), slice(300, 800), 5000.0),
        series("NA", n=1),
        series("ZZZ", close=pl.lit(None, pl.Float64)),
    ]
    together, states = validate(
        pl.concat(frames, how="vertical_relaxed")
        .sample(fraction=1, shuffle=True, seed=3)
        .sort("date", maintain_order=True)
    )
    alone = [validate(frame) for frame in frames]
    assert_frame_equal(together, pl.concat([bars for bars, _ in alone]).sort("asset_class", "symbol", "date"))
    assert states.select("symbol", "state").sort("symbol", "state").rows() == sorted(
        (s["symbol"][0], s["state"][0]) for _, s in alone
    )


def test_validated_bars_hold_every_property_of_the_table():
    bars, _ = validate(faulty())
    assert bars.filter(~(pl.col("low") <= pl.min_horizontal("open", "close"))).is_empty()
    assert bars.filter(~(pl.col("high") >= pl.max_horizontal("open", "close"))).is_empty()
    assert bars.filter(~(pl.col("low") > 0) | ~(pl.col("volume") >= 0) | ~(pl.col("factor") > 0)).is_empty()
    assert bars.drop("split").null_count().sum_horizontal()[0] == 0
    assert not bars.select("asset_class", "symbol", "date").is_duplicated().any()


def test_prices_times_seven_change_no_verdict_and_no_factor():
    frame = faulty()
    bars, states = validate(frame)
    seven, other = validate(scale(frame, slice(0, 800), 7.0))
    assert states["reason"].to_list() == other["reason"].to_list()
    np.testing.assert_allclose(seven["close"], bars["close"] * 7, rtol=1e-12)
    np.testing.assert_allclose(seven["factor"], bars["factor"], rtol=1e-9)


def test_validating_validated_bars_changes_nothing():
    bars, _ = validate(faulty())
    again, states = validate(bars.with_columns(adj_close=pl.col("close") * pl.col("factor")))
    assert states["repaired"][0] == 0
    assert_frame_equal(again.drop("repaired"), bars.drop("repaired"))


NAMED = ("ABVC", "GMGI", "IVT", "NCPL", "CORT", "CCTSW", "CLIP", "VATE", "CTRE", "PRTA", "LRFC", "AVAX", "WETH")
"""Instruments of the shared market file whose faults are known."""


@pytest.mark.skipif(not (MARKET / "bars.parquet").is_file(), reason="the shared market file is not at hand")
def test_the_bad_ones_of_the_shared_market_file_are_found():
    """Among every eighth instrument; `make soak` looks at all."""
    frame = pl.read_parquet(MARKET / "bars.parquet")
    names = pl.Series(sorted({*frame["symbol"].unique().sort()[::8], *NAMED}))
    check_market_file(frame.filter(pl.col("symbol").is_in(names.implode())))


def check_market_file(frame):
    """The bad ones of the shared market file are found in what it holds of them, and no other one."""
    _, states = validate(frame)
    said = {
        row["symbol"]: (row["state"], row["reason"])
        for row in states.filter(pl.col("asset_class") != "crypto").iter_rows(named=True)
    }
    assert {s for s, (state, _) in said.items() if state == "quarantined"} == {
        "ABVC",
        "GMGI",
        "IVT",
        "NCPL",
        "CORT",
        "CCTSW",
    }
    for symbol, words in {
        "ABVC": "8 of 2,563 one-day moves beyond x3, one beyond x20 on 2015-08-13 that lasted",
        "GMGI": "11 of 2,563 one-day moves beyond x3, one beyond x20 on 2015-10-15 that lasted",
        "CLIP": "1:4 split on 2024-06-17, not in the prices: earlier bars adjusted",
        "CORT": "moved as by a 2:1 split on 2014-05-07 without unusual turnover: an unrecorded split",
        "VATE": "1 step ignored where adj_close changes its sign",
        "CTRE": "1 step of adj_close beyond 10% ignored that the price does not show",
        "PRTA": "move of x3.2 down on 2018-04-23 on 26 times its usual volume kept as news",
        "IVT": "the price stands still for 303 bars (2017-06-15 to 2018-08-27): a frozen series",
    }.items():
        assert words in said[symbol][1]
    assert said["LRFC"] == ("done", "")
    coins = {
        row["symbol"]: row["reason"] for row in states.filter(pl.col("asset_class") == "crypto").iter_rows(named=True)
    }
    assert coins["AVAX"] == "2 rows before a gap dropped, the history starts after it"
    assert coins["WETH"] == "5 bars with a high or low beyond x3 of open and close (cut to them)"


@pytest.mark.parametrize("days", [7, 14, 28])
def test_weekly_and_monthly_bars_are_no_daily_bars(days):
    frame = series(n=60)
    monday = frame["date"].min()
    apart = [monday + dt.timedelta(days * i) for i in range(60)]
    _, state = one(frame.with_columns(date=pl.Series(apart)))
    assert state["state"] == "quarantined"
    assert f"most bars are {days} days apart: these are no bars of universe.interval=1d" in state["reason"]


@pytest.mark.parametrize(("minutes", "fits"), [(5, False), (30, False), (60, True), (120, True), (240, False)])
def test_bars_of_another_length_than_the_interval_are_set_aside(minutes, fits):
    begin = dt.datetime(2021, 1, 4, 0, tzinfo=dt.UTC)
    times = [begin + dt.timedelta(minutes=minutes * i) for i in range(100)]
    frame = series(n=100, asset_class="crypto").with_columns(date=pl.Series(times, dtype=pl.Datetime("us", "UTC")))
    _, state = one(frame, interval="1h")
    assert (state["state"] == "done") == fits
    assert fits or f"most bars are {minutes} minutes apart" in state["reason"]
