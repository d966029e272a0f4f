"""Features of option chains, against loops over the bars and summaries that look at one bar at a time."""

import math

import numpy as np
import pytest

from src.features.facts import Facts
from src.features.families import options

BARS = 120
FIELDS = ("volatility", "skew", "term_slope", "put_call_volume", "put_call_interest", "volume", "contracts")


def world(seed):
    """Closes on business days, and summaries at odd times: gaps, several a day, some after the close, some silent."""
    random = np.random.default_rng(seed)
    day = np.busday_offset("2024-01-02", np.arange(BARS), roll="forward").astype("datetime64[D]").astype(np.float64)
    close = day + 21 / 24
    known = np.sort(random.choice(close, 150) + random.choice([-5, -0.2, 0, 0.01, 0.3], 150))
    known = known[(known < close[30]) | (known > close[45])]
    fields = {name: random.uniform(0.1, 0.6, len(known)) for name in FIELDS}
    fields["skew"] -= 0.3
    fields["volume"] = np.floor(fields["volume"] * 1000)
    for values in fields.values():
        values[random.random(len(known)) < 0.2] = np.nan
    fields["put_call_volume"][::9] = 0.0
    fields["volume"][::11] = 0.0
    seen = np.searchsorted(known, close, side="right")
    covered = np.ones(BARS, dtype=bool)
    return Facts(seen, covered, known, fields, close, np.full(BARS, known[0])), random


def last(facts, name, bar):
    """The value by a loop over all summaries."""
    found = math.nan
    for known, value in zip(facts.known, facts.fields[name], strict=True):
        if known <= facts.close[bar] and facts.close[bar] - known <= 5 and not math.isnan(value):
            found = value
    return found


def log(value):
    return math.log(value) if value > 0 else math.nan


def each_bar(formula):
    return np.array([formula(bar) for bar in range(BARS)])


@pytest.mark.parametrize("seed", [1, 2])
def test_a_feature_is_what_the_last_summary_of_five_days_says(seed):
    facts, _ = world(seed)
    wanted = {
        options.put_call_volume: lambda bar: log(last(facts, "put_call_volume", bar)),
        options.put_call_interest: lambda bar: log(last(facts, "put_call_interest", bar)),
        options.implied_term_slope: lambda bar: last(facts, "term_slope", bar),
        options.atm_volatility: lambda bar: last(facts, "volatility", bar),
        options.smile_skew: lambda bar: last(facts, "skew", bar),
    }
    for function, formula in wanted.items():
        found = function(facts)
        np.testing.assert_allclose(found, each_bar(formula), rtol=1e-12)
        assert np.isnan(found[40]) and np.isfinite(found).sum() > 60


def test_changes_are_over_five_bars_and_missing_where_one_of_the_two_is():
    facts, _ = world(3)
    for function, base, name in (
        (options.implied_volatility_change_5, options.atm_volatility, "volatility"),
        (options.implied_skew_change_5, options.smile_skew, "skew"),
    ):
        found = function(base(facts))
        naive = each_bar(
            lambda bar, name=name: last(facts, name, bar) - (last(facts, name, bar - 5) if bar > 4 else math.nan)
        )
        np.testing.assert_allclose(found[5:], naive[5:], rtol=1e-9, atol=1e-12)


def test_volume_is_compared_with_the_twenty_bars_before_of_which_ten_have_one():
    facts, _ = world(4)

    def naive(bar):
        before = [last(facts, "volume", k) for k in range(bar - 20, bar)]
        there = [value for value in before if not math.isnan(value)]
        mean = sum(there) / len(there) if len(there) >= 10 else math.nan
        return log(last(facts, "volume", bar) / mean) if mean > 0 else math.nan

    found = options.option_volume_surprise_20(facts)
    np.testing.assert_allclose(found[20:], each_bar(lambda bar: naive(bar) if bar >= 20 else math.nan)[20:], rtol=1e-9)
    assert np.isfinite(found).sum() > 40


@pytest.mark.parametrize(("always_open", "bars"), [(0.0, 252), (1.0, 365)])
def test_realised_volatility_is_the_sample_deviation_of_21_returns_a_year(always_open, bars):
    facts, random = world(5)
    returns = 0.01 * random.standard_normal(BARS)
    returns[60:90] = 0.0
    realised = options.realised_volatility_21(returns, np.full(BARS, always_open))
    for bar in (20, 21, 59, 119):
        assert realised[bar] == pytest.approx(np.std(returns[bar - 20 : bar + 1], ddof=1) * math.sqrt(bars), rel=1e-9)
    assert np.isnan(realised[85])
    implied = options.atm_volatility(facts)
    spread, ratio = (
        function(implied, realised) for function in (options.implied_less_realised_21, options.implied_over_realised_21)
    )
    for bar in (21, 59, 119):
        volatility = last(facts, "volatility", bar)
        assert spread[bar] == pytest.approx(volatility - realised[bar], nan_ok=True)
        assert ratio[bar] == pytest.approx(log(volatility / realised[bar]), nan_ok=True)
    assert np.isnan(spread[85]) and np.isnan(ratio[85])


def test_a_summary_known_a_moment_after_the_close_belongs_to_the_next_bar():
    close = np.array([10.0, 11.0, 12.0])
    known = np.array([9.0, 11.0 + 1e-6])
    fields = {name: np.array([1.0, 2.0]) for name in FIELDS}
    seen = np.searchsorted(known, close, side="right")
    facts = Facts(seen, np.ones(3, dtype=bool), known, fields, close, np.zeros(3))
    assert options.atm_volatility(facts).tolist() == [1.0, 1.0, 2.0]


def test_without_a_summary_every_value_is_missing():
    empty = np.array([])
    facts = Facts(
        np.zeros(40, dtype=np.int64), np.zeros(40, dtype=bool), empty, dict.fromkeys(FIELDS, empty), np.arange(40.0),
        np.full(40, np.nan),
    )  # fmt: skip
    for function in (options.atm_volatility, options.put_call_interest, options.option_volume_surprise_20):
        assert np.isnan(function(facts)).all()
