import math

import numpy as np
import pytest

from src.monitoring import power
from src.monitoring.sequential import cusum


def test_days_of_one_look_are_those_at_which_a_simulated_look_has_the_power():
    fall, days = 2.0, round(power.days_of_one_look(2.0, 252, alarms=0.05, power=0.8))
    means = np.random.default_rng(0).normal(-fall / math.sqrt(252), 1 / math.sqrt(days), size=40_000)
    assert np.mean(means < -1.644854 / math.sqrt(days)) == pytest.approx(0.8, abs=0.01)


def test_a_sharpe_ratio_of_a_half_that_vanishes_takes_thousands_of_days():
    half, most = (power.days_of_one_look(0.5, 252, alarms=0.05, power=share) for share in (0.5, 0.8))
    assert (round(half), round(most)) == (2727, 6232)


def test_crossing_probabilities_are_those_of_simulated_days():
    limit = np.repeat([6.0, 7.0], [80, 120])
    want = cusum(np.random.default_rng(1).standard_normal((20_000, 200)) + 0.05 - 0.15) > limit
    got = power.crossing_probabilities(limit, 0.15, 0.05)
    for day in (9, 79, 80, 199):
        assert got[day] == pytest.approx(want[:, : day + 1].any(axis=1).mean(), abs=0.012)


def test_two_days_by_hand():
    """From zero: crossed on the first day where x > 3; on the second where the sum is, or x alone."""
    got = power.crossing_probabilities(np.full(2, 3.0), 0.0)
    first = 0.5 * math.erfc(3.0 / math.sqrt(2))
    x = np.random.default_rng(2).standard_normal((2_000_000, 2))
    second = np.mean((x[:, 0] > 3.0) | (np.maximum(x[:, 0], 0.0) + x[:, 1] > 3.0))
    assert got.tolist() == pytest.approx([first, second], abs=6e-4)


def test_limit_is_passed_with_the_stated_probability():
    limit = power.normal_limit(0.05, 252, 0.08)
    days = np.random.default_rng(3).standard_normal((20_000, 252)) - 0.08
    assert np.mean(cusum(days).max(axis=1) > limit) == pytest.approx(0.05, abs=0.006)


def test_days_until_seen_are_those_of_simulated_champions():
    fall = 4.0
    got = power.days_until_seen(fall, 252, alarms=0.05, power=0.5)
    allowance = fall / math.sqrt(252) / 2
    limit = power.normal_limit(0.05, 252, allowance)
    days = np.random.default_rng(4).standard_normal((8000, 600)) + allowance
    crossed = cusum(days) > limit
    first = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, 600)
    assert got == pytest.approx(np.median(first), rel=0.04)


def test_larger_falls_are_seen_sooner_and_what_is_never_seen_is_none():
    days = [power.days_until_seen(fall, 252, alarms=0.05, power=0.5) for fall in (0.5, 1.0, 2.5)]
    assert days == sorted(days, reverse=True)
    assert power.days_until_seen(0.1, 252, alarms=1e-6, power=0.99, most=300) is None
