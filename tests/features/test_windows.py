"""Rolling statistics against pandas, TA-Lib and SciPy, over a grid of windows and kinds of series."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from src.features import moments, panel_lookup, windows

RANDOM = np.random.default_rng(3)
SERIES = {
    "noise": RANDOM.standard_normal(300),
    "rising": np.arange(300.0) ** 1.5 + 1,
    "falling": 5000 - 7 * np.arange(300.0),
    "offset": 1e3 + RANDOM.standard_normal(300),
    "holes": np.where(RANDOM.random(300) < 0.02, np.nan, RANDOM.standard_normal(300)),
    "wild": np.r_[RANDOM.standard_normal(100), 1e12, RANDOM.standard_normal(199)],
    "short": RANDOM.standard_normal(4),
}
OTHER = RANDOM.standard_normal(300)
BARS = (2, 3, 5, 7, 8, 21, 63, 64, 252)
PANDAS = {
    windows.total: lambda roll: roll.sum(),
    windows.mean: lambda roll: roll.mean(),
    moments.deviation: lambda roll: roll.std(),
    windows.highest: lambda roll: roll.max(),
    windows.lowest: lambda roll: roll.min(),
}
cases = pytest.mark.parametrize(("kind", "bars"), [(kind, bars) for kind in SERIES for bars in BARS])


def by_window(x, bars, statistic):
    """The statistic of each full window, one after the other."""
    rows = [statistic(x[at - bars + 1 : at + 1]) if at >= bars - 1 else np.nan for at in range(len(x))]
    return np.array(rows, dtype=float)


@cases
def test_sums_means_deviations_and_extremes_are_those_of_each_window(kind, bars):
    """To within 1e-6 of the window's own largest value: what left the window leaves no error."""
    x = SERIES[kind]
    size = by_window(x, bars, lambda part: np.abs(part).max())
    for function in PANDAS:
        name = {"total": np.sum, "mean": np.mean, "highest": np.max, "lowest": np.min}.get(function.__name__)
        expected = by_window(x, bars, name or (lambda part: np.std(part, ddof=1)))
        found = function(x, bars)
        assert np.array_equal(np.isnan(found), np.isnan(expected)), function.__name__
        assert (np.isnan(found) | (np.abs(found - expected) <= 1e-6 * size)).all(), function.__name__


@pytest.mark.parametrize("bars", BARS)
def test_they_are_those_of_pandas_on_an_ordinary_series(bars):
    x = SERIES["noise"]
    for function, of in PANDAS.items():
        expected = of(pd.Series(x).rolling(bars)).to_numpy()
        assert np.allclose(function(x, bars), expected, rtol=1e-9, atol=1e-9, equal_nan=True)


@cases
def test_correlation_covariance_and_slope_are_those_of_numpy(kind, bars):
    x, y = SERIES[kind], OTHER[: len(SERIES[kind])]
    for at in range(bars - 1, len(x), 17):
        part = slice(at - bars + 1, at + 1)
        covariance = np.cov(x[part], y[part])
        assert moments.covariance(x, y, bars)[at] == pytest.approx(covariance[0, 1], rel=1e-6, abs=1e-6, nan_ok=True)
        if kind != "wild":
            expected = np.polyfit(x[part], y[part], 1)[0] if np.isfinite(x[part]).all() else np.nan
            assert moments.beta(y, x, bars)[at] == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)
            expected = np.corrcoef(x[part], y[part])[0, 1]
            assert moments.correlation(x, y, bars)[at] == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("bars", [5, 21, 63])
def test_shape_and_regression_are_those_of_scipy(bars):
    x = SERIES["noise"]
    skew, excess = moments.shape(x, bars)
    assert np.allclose(skew, by_window(x, bars, scipy.stats.skew), equal_nan=True)
    assert np.allclose(excess, by_window(x, bars, scipy.stats.kurtosis), equal_nan=True)
    slope, r2 = moments.regression(x, bars)
    fits = [scipy.stats.linregress(range(bars), x[at - bars + 1 : at + 1]) for at in range(bars - 1, 300)]
    assert np.allclose(slope[bars - 1 :], [fit.slope for fit in fits])
    assert np.allclose(r2[bars - 1 :], [fit.rvalue**2 for fit in fits])


@pytest.mark.parametrize("bars", [21, 63, 126, 252])
def test_values_that_do_not_change_have_no_slope_at_all(bars):
    for value in np.random.default_rng(7).normal(scale=5, size=50):
        assert not windows.ramp_sums(np.full(300, value), bars).any()


@pytest.mark.parametrize("bars", [2, 7, 8, 21])
def test_rank_age_and_streak_are_counted_bar_by_bar(bars):
    x = np.round(SERIES["noise"], 1)  # with ties
    assert np.allclose(windows.rank(x, bars), by_window(x, bars, lambda p: np.mean(p[:-1] < p[-1])), equal_nan=True)
    age = by_window(x, bars, lambda part: int(np.argmax(part[::-1])))
    assert np.array_equal(windows.age_of_highest(x, bars), age, equal_nan=True)
    sign = np.sign(x)
    length = by_window(sign, bars, lambda p: p[-1] * (np.r_[p[::-1] != p[-1], True].argmax() if p[-1] else 0))
    assert np.array_equal(windows.streak(sign, bars), length, equal_nan=True)


@cases
def test_the_last_bars_alone_give_the_same_bits(kind, bars):
    x = SERIES[kind]
    y = OTHER[: len(x)]
    every = [lambda a, b: moments.correlation(a, b, bars), lambda a, _: moments.deviation(a, bars)]
    every += [lambda a, _: windows.total(a, bars), lambda a, _: windows.highest(a, bars)]
    for statistic in every:
        with np.errstate(all="ignore"):
            whole = statistic(x, y)
            for at in range(bars - 1, len(x), 13):
                part = slice(at - bars + 1, at + 1)
                assert np.array_equal(statistic(x[part], y[part])[-1], whole[at], equal_nan=True)


def test_equal_values_have_no_spread_even_after_wild_ones():
    x = np.r_[1e9, -1e9, np.full(50, 0.1)]
    assert (moments.deviation(x, 20)[21:] == 0).all()


def test_a_running_sum_would_carry_the_wild_value_along():
    """Why sums are built from blocks: the textbook way is wrong long after the value has left the window."""
    x = np.r_[1e18, np.full(50, 0.1)]
    running = np.cumsum(x)
    assert running[-1] - running[-11] == 0.0
    assert windows.total(x, 10)[-1] == pytest.approx(1.0)


def test_as_of_takes_the_last_known_value_and_none_that_is_old():
    found = panel_lookup.as_of(np.array([0.0, 1, 2, 5, 20]), np.array([1.0, 3]), np.array([10.0, 30]), oldest_days=10)
    assert np.array_equal(found, [np.nan, 10, 10, 30, np.nan], equal_nan=True)


@pytest.mark.parametrize(("fraction", "hour"), [(0.0, 0.0), (0.75, 0.0), (0.75, 0.5)])
def test_the_last_known_row_is_found_day_by_day(fraction, hour):
    known = np.sort(RANDOM.choice(np.arange(30.0, 400.0), 200, replace=False)) + hour
    one = np.arange(430.0)
    day = np.r_[one, one[20:], one[::7]] + fraction  # of three instruments, one after the other
    row = [int((known <= each).sum()) - 1 for each in day]
    expected = [at if at >= 0 and each - known[at] <= 10 else -1 for at, each in zip(row, day, strict=True)]
    assert panel_lookup.row_as_of(day, known).tolist() == expected
