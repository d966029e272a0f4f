"""Intraday features, on hourly bars of a stock and of a coin."""

import numpy as np
import polars as pl
import pytest

from src.config.schema import FeaturesConfig
from src.features.catalog import declared
from src.features.compute import compute
from src.features.registry import Feature, FeatureError
from src.features.selection import select
from tests.features import properties
from tests.features.series import lively, market
from tests.features.sets import ON_BARS

SESSION = [item for item in declared().values() if item.intraday]
HOURS = 7


def hourly(n: int, asset_class: str = "stock", seed: int = 1) -> pl.DataFrame:
    """Bars that begin at 14:30 to 20:30 UTC of business days, or around the clock."""
    if asset_class == "crypto":
        stamps = np.datetime64("2020-03-06T00:00", "us") + np.arange(n) * np.timedelta64(1, "h")
    else:
        days = np.busday_offset("2020-03-06", np.arange(n) // HOURS, roll="forward").astype("datetime64[us]")
        stamps = days + np.timedelta64(870, "m") + (np.arange(n) % HOURS) * np.timedelta64(1, "h")
    bars = lively(n, seed, asset_class=asset_class)
    return bars.with_columns(date=pl.Series(stamps).dt.replace_time_zone("UTC"))


def values(bars: pl.DataFrame, features: list[Feature] = SESSION) -> dict[str, np.ndarray]:
    return properties.columns(bars, features, None)


def test_daily_sets_leave_them_out_and_hourly_ones_have_them():
    assert not [item for item in select(FeaturesConfig()) if item.intraday]
    assert [item for item in select(FeaturesConfig(), "1h") if item.intraday] == SESSION
    assert [item.name for item in select(FeaturesConfig(names=["month", "hour_sine"]))] == ["month"]
    with pytest.raises(FeatureError, match="leaves no feature"):
        select(FeaturesConfig(families=["session"]))


def test_a_stocks_session_is_a_run_of_bars_without_a_gap_of_four_hours():
    got = values(hourly(400))
    bar = np.arange(400) % HOURS
    assert np.array_equal(got["bars_since_open"][96:], bar[96:])
    assert np.array_equal(got["session_first"][1:], (bar == 0)[1:])
    assert np.array_equal(got["session_last"][192:], (bar == HOURS - 1)[192:])


def test_a_coins_session_is_the_utc_date():
    got = values(hourly(400, "crypto"))
    assert np.array_equal(got["bars_since_open"][96:], (np.arange(400) % 24)[96:])
    assert np.array_equal(got["session_last"][192:], (np.arange(400) % 24 == 23)[192:])


def test_a_lunch_break_is_no_new_session_and_a_missing_bar_shifts_no_later_day():
    bars = hourly(400)
    hole = bars.filter(pl.int_range(pl.len()) != 353)
    got = values(hole)
    assert got["session_first"][353] == 0
    assert got["bars_since_open"][356] == 0


def test_a_half_day_is_not_known_before_it_ends():
    half = hourly(406).filter(~pl.int_range(pl.len()).is_between(353, 356))
    got = values(half)
    assert got["session_last"][350:353].tolist() == [0, 0, 0]
    assert got["session_last"][353:360].tolist() == [0, 0, 1, 1, 1, 1, 1]


def test_hours_turn_around_the_clock():
    got = values(hourly(48, "crypto"))
    assert got["hour_sine"][6] == pytest.approx(1)
    assert got["hour_cosine"][12] == pytest.approx(-1)


def test_return_and_gap_are_those_of_the_session():
    bars = hourly(400)
    price = {name: (bars[name] * bars["factor"]).to_numpy() for name in ("open", "close")}
    got = values(bars)
    for row in (200, 203, 398, 399):
        opened = row - row % HOURS
        assert got["session_return"][row] == pytest.approx(
            np.log(price["close"][row] / price["open"][opened]), abs=1e-6
        )
        gap = np.log(price["open"][opened] / price["close"][opened - 1])
        assert got["session_gap"][row] == pytest.approx(gap, abs=1e-6)


@pytest.mark.parametrize("asset_class", ["stock", "crypto"])
def test_on_hourly_bars_no_feature_sees_the_future_and_windows_suffice(asset_class, monkeypatch):
    """The contracts of every declaration, where the bars are hours."""
    bars = hourly(700, asset_class)
    crowd = market(700, asset_class=asset_class).with_columns(date=bars["date"])
    every = [item for item in ON_BARS if item.scale == "none"]
    monkeypatch.setattr(properties, "BARS", bars)
    monkeypatch.setattr(properties, "PANEL", crowd)
    monkeypatch.setattr(properties.columns, "__defaults__", (crowd,))
    assert properties.seeing_the_future(every) == set()
    assert properties.needing_more_than_the_window(every) == set()
    assert properties.changed_by_scale(SESSION, "price") == set()


def test_a_session_that_knows_its_end_is_caught(monkeypatch):
    def last(session_start):
        return np.r_[session_start[1:], 0.0]

    bars = hourly(700)
    monkeypatch.setattr(properties, "BARS", bars)
    monkeypatch.setattr(properties, "PANEL", market(700).with_columns(date=bars["date"]))
    planted = [Feature("planted", "session", last, None, 2, "none", 0.0, "this test", intraday=True)]
    assert properties.seeing_the_future(planted) == {"planted"}


def test_the_session_return_is_null_where_the_session_is_too_long():
    bars = lively(400, asset_class="stock").with_columns(
        date=pl.Series(np.datetime64("2020-03-06T00:00", "us") + np.arange(400) * np.timedelta64(1, "m"))
    )
    table = compute(bars, SESSION)
    assert table["bars_since_open"][-1] == 96
    assert table["session_return"].null_count() == 400
