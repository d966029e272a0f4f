"""Contract 2 over every declaration, and each property shown to catch the fault it guards against."""

import numpy as np
import polars as pl
import pytest

from src.features.catalog import needs_panel
from src.features.compute import compute
from src.features.registry import Feature, FeatureError
from src.features.windows import lag, mean
from src.market.bars import PRICES
from tests.features import properties
from tests.features.series import lively, market, steady, with_prices
from tests.features.sets import ON_BARS

EVERY = ON_BARS
FREE = [item for item in EVERY if item.scale == "none"]


def planted(function, window: int, tolerance: float = 0.0) -> list[Feature]:
    return [Feature("planted", "price", function, None, window, "none", tolerance, "this test")]


def test_no_feature_sees_the_future():
    assert properties.seeing_the_future(EVERY) == set()


LONG, LONG_PANEL, LONG_CUTS = lively(4000, seed=8), market(4000, seed=9), (1023, 2001, 2048, 2750, 3500, 3999)


def test_no_feature_sees_the_future_on_long_bars():
    """To the bit: a matrix product over all rows rounds by their number."""
    assert properties.seeing_the_future(EVERY, LONG, LONG_PANEL, LONG_CUTS) == set()


def test_a_feature_that_looks_ahead_on_long_bars_alone_is_caught():
    def patient(close):
        return np.r_[close[1:], np.nan] / close if len(close) > 2000 else close / lag(close, 1)

    assert properties.seeing_the_future(planted(patient, 2)) == set()
    assert properties.seeing_the_future(planted(patient, 2), LONG, LONG_PANEL, LONG_CUTS) == {"planted"}


def test_a_feature_that_looks_one_bar_ahead_is_caught():
    def tomorrow(close):
        return np.r_[close[1:], np.nan] / close

    assert properties.seeing_the_future(planted(tomorrow, 1)) == {"planted"}


def test_a_feature_that_is_centred_on_the_whole_series_is_caught():
    assert properties.seeing_the_future(planted(lambda log_return: log_return - np.nanmean(log_return), 2)) == {
        "planted"
    }


def test_a_feature_that_looks_at_the_next_date_is_caught():
    def days_to_next_bar(day):
        return np.r_[np.diff(day), 1.0]

    assert properties.seeing_the_future(planted(days_to_next_bar, 1)) == {"planted"}


def test_a_feature_that_looks_at_tomorrows_panel_is_caught():
    assert properties.seeing_the_future(planted(lambda market_breadth: np.roll(market_breadth, -1), 1)) == {"planted"}


def test_the_declared_window_suffices():
    assert properties.needing_more_than_the_window(EVERY) == set()


def test_a_window_that_is_too_short_is_caught():
    assert properties.needing_more_than_the_window(planted(lambda close: close / mean(close, 21), 20)) == {"planted"}


def test_a_memory_that_does_not_fade_is_caught():
    def total_so_far(volume):
        return np.cumsum(volume)

    assert properties.needing_more_than_the_window(planted(total_so_far, 100, tolerance=0.01)) == {"planted"}


def test_the_warm_up_is_exactly_as_declared():
    assert properties.with_another_warm_up(EVERY) == set()


@pytest.mark.parametrize("window", [20, 22])
def test_a_window_off_by_one_is_caught(window):
    assert properties.with_another_warm_up(planted(lambda close: close / mean(close, 21), window)) == {"planted"}


def test_prices_times_seven_change_nothing():
    assert properties.changed_by_scale(FREE, "price") == set()


def test_a_feature_in_dollars_is_caught():
    assert properties.changed_by_scale(planted(lambda true_range: true_range, 2), "price") == {"planted"}


def test_a_feature_that_declares_a_price_scale_has_one():
    priced = [item for item in EVERY if item.scale == "price"]
    assert properties.changed_by_scale(priced, "price") == {item.name for item in priced}


def test_volumes_times_seven_change_nothing():
    assert properties.changed_by_scale(EVERY, "volume") == set()


def test_a_feature_in_shares_is_caught():
    assert properties.changed_by_scale(planted(lambda volume: volume, 1), "volume") == {"planted"}


def test_instruments_in_one_table_do_not_leak_into_each_other_whatever_their_order():
    assert properties.leaking_between_instruments(EVERY) == set()


def test_a_feature_with_state_between_instruments_is_caught():
    seen = []

    def counter(close):
        seen.append(1)
        return np.full(len(close), float(len(seen)))

    assert properties.leaking_between_instruments(planted(counter, 1)) == {"planted"}


ODD = {
    "constant": steady(),
    "zero volume": steady(volume=0.0),
    "one row": lively(1),
    "two rows": lively(2),
    "jump x5000": with_prices(lively(400), 1.0).with_columns(
        pl.when(pl.int_range(pl.len()) > 300).then(pl.col("close", "high") * 5000).otherwise(pl.col("close", "high"))
    ),
    "volume unknown": lively(300).with_columns(volume=pl.lit(None, pl.Float64)),
    "micro price": with_prices(lively(300), 1e-9),
    "huge volume": lively(300).with_columns(pl.col("volume") * 1e12),
    "mostly still": lively(400).with_columns(
        pl.when(pl.int_range(pl.len()) % 40 > 0).then(17.25).otherwise(pl.col(*PRICES)).name.keep()
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_values_are_finite_or_null_on_odd_series(kind):
    table = compute(ODD[kind], EVERY, market(len(ODD[kind])))
    values = table.select(item.name for item in EVERY)
    assert table.height == ODD[kind].height
    assert set(values.dtypes) == {pl.Float32}
    for column in values:
        assert column.drop_nulls().is_finite().all(), column.name


def test_an_infinite_value_is_stored_as_null():
    table = compute(lively(50), planted(lambda close: close / np.zeros(len(close)), 1), None)
    assert table["planted"].null_count() == 50


def test_a_constant_series_gives_zero_or_null_and_no_dust():
    """Rounding must not turn a spread of nothing into a score: 1e-17 over 1e-17 is any number."""
    assert dusty([item for item in EVERY if item.family not in ("calendar", "crowd")]) == []


def dusty(features: list[Feature]) -> list[str]:
    """Features whose last value on a constant series is neither null nor a quarter of a whole number."""
    names = [item.name for item in features]
    last = compute(steady(), features, market(400)).select(names).row(-1, named=True)
    quarters = {name: 4 * value for name, value in last.items() if value is not None}
    return [name for name, value in quarters.items() if abs(value - round(value)) > 1e-9]


def test_a_score_made_of_rounding_is_caught():
    def score(close):
        total = np.cumsum(close)  # a running total drifts by its rounding, and the score is of that drift
        spread = total - close[0] * np.arange(1, len(close) + 1) + 1e-13
        return spread / (np.abs(spread) + 2e-13)

    assert dusty(planted(score, 1)) == ["planted"]


def test_a_feature_that_needs_a_second_row_is_caught():
    def needs_two(close):
        return np.gradient(close)

    with pytest.raises(FeatureError, match="planted failed"):
        compute(ODD["one row"], planted(needs_two, 1), None)


def test_a_feature_that_fails_without_volume_is_caught():
    def busiest(volume):
        return np.full(len(volume), float(np.flatnonzero(volume > 0)[0]))

    with pytest.raises(FeatureError, match="planted failed"):
        compute(ODD["zero volume"], planted(busiest, 1), None)


def test_micro_prices_give_the_same_columns_as_ordinary_ones():
    plain, micro = (properties.columns(with_prices(lively(400), by), FREE) for by in (1.0, 1e-9))
    assert properties.differing(plain, micro, rtol=1e-4, atol=1e-5) == set()


def test_without_a_panel_market_relative_features_are_null_and_the_others_unchanged():
    bars = lively(400)
    alone, among = compute(bars, EVERY, None), compute(bars, EVERY, market(400))
    for item in EVERY:
        if needs_panel(item):
            assert alone[item.name].null_count() == alone.height, item.name
        else:
            assert alone[item.name].equals(among[item.name]), item.name


def test_a_day_that_the_panel_lacks_takes_the_last_known_market_and_ten_days_later_none():
    bars, panel = lively(400), market(400)
    gap = compute(bars, EVERY, panel.with_columns(
        pl.when(pl.int_range(pl.len()) == 300).then(None).otherwise(pl.col("dispersion")).alias("dispersion"),
        pl.when(pl.int_range(pl.len()) == 300).then(None).otherwise(pl.col("market_return")).alias("market_return"),
    ))  # fmt: skip
    assert gap["beta_63"][300:].null_count() == 0
    ended = compute(bars, EVERY, panel[:300])
    assert ended["breadth_5"][:305].null_count() == 4
    assert ended["breadth_5"][310:].null_count() == 90


def test_hourly_bars_have_the_same_columns():
    hours = pl.datetime_range(pl.datetime(2020, 1, 1), pl.datetime(2020, 2, 1), "1h", time_zone="UTC", eager=True)[:400]
    bars, panel = lively(400).with_columns(date=hours), market(400).with_columns(date=hours)
    hourly, daily = (compute(rows, EVERY, crowd) for rows, crowd in ((bars, panel), (lively(400), market(400))))
    assert hourly["days_since_last_bar"][5] == pytest.approx(1 / 24)
    for item in EVERY:
        if item.family not in ("calendar", "session"):
            assert hourly[item.name].equals(daily[item.name]), item.name


def test_lag_shows_what_was_and_never_what_will_be():
    assert np.array_equal(lag(np.array([1.0, 2.0, 3.0]), 1), [np.nan, 1.0, 2.0], equal_nan=True)
