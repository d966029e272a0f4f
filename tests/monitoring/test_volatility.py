import math

import numpy as np
import pytest

from src.monitoring import volatility


def naive(record, live):
    """Day by day: a square counts at most as 16 of the mean of squares before it."""
    returns = np.concatenate([record, live])
    first = np.mean([each**2 for each in record if each])
    plain = held = first
    scaled = []
    for value in returns:
        if value == 0.0:
            scaled.append(0.0)
            continue
        square = min(value**2, 16.0 * plain)
        scaled.append(min(max(value / math.sqrt(held), -3.0), 3.0))
        plain = 0.97 * plain + 0.03 * value**2
        held = 0.97 * held + 0.03 * square
    return np.array(scaled)


def test_returns_are_divided_by_the_volatility_known_before_each_day():
    rng = np.random.default_rng(0)
    record = np.where(rng.random(300) < 0.4, 0.0, rng.standard_t(3, size=300) * 0.01)
    live = rng.standard_t(3, size=50) * 0.03
    before, after = volatility.in_deviations(record, live)
    assert np.concatenate([before, after]) == pytest.approx(naive(record, live))
    assert np.abs(before).max() == volatility.WIDEST


def test_a_later_day_changes_no_earlier_one():
    rng = np.random.default_rng(1)
    record, live = rng.normal(size=200), rng.normal(size=60)
    before, after = volatility.in_deviations(record, live)
    live[40:] = 100.0
    again, changed = volatility.in_deviations(record, live)
    assert (again == before).all() and (changed[:40] == after[:40]).all()


def test_twice_the_volatility_is_soon_no_more_than_once():
    rng = np.random.default_rng(2)
    before, after = volatility.in_deviations(rng.normal(size=1000), 5.0 * rng.normal(size=500))
    assert after[100:].std() == pytest.approx(before.std(), rel=0.15)


def test_a_record_that_never_traded_divides_by_nothing():
    before, after = volatility.in_deviations(np.zeros(5), np.array([0.01, 0.0, -0.01]))
    assert before.tolist() == [0.0] * 5
    assert after.tolist() == [3.0, 0.0, -3.0]


def test_noise_of_the_scale_grows_with_what_years_differ_by_and_falls_with_days():
    rng = np.random.default_rng(3)
    calm = rng.normal(size=2520)
    uneven = calm * np.repeat(np.exp(rng.normal(0.0, 0.4, size=10)), 252)
    assert volatility.scale_noise(calm, 252, 20) == pytest.approx(math.sqrt(20 / 5040), abs=0.04)
    assert volatility.scale_noise(uneven, 252, 20) > 0.2
    assert volatility.scale_noise(calm[:600], 252, 20) > volatility.scale_noise(calm, 252, 20)
    assert volatility.scale_noise(calm[:100], 252, 20) > 0.3  # fewer than two years: the usual noise
