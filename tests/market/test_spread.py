import math

import numpy as np
import pytest

from src.market.spread import spread, two_day_spread


def naive_estimate(h0, l0, c0, h1, l1):
    """Corwin and Schultz (2012), equations 14 and 18 and the overnight rule of p. 726, one pair of days."""
    if l1 > c0:
        h1, l1 = h1 - (l1 - c0), c0
    elif h1 < c0:
        h1, l1 = c0, l1 + (c0 - h1)
    beta = math.log(h0 / l0) ** 2 + math.log(h1 / l1) ** 2
    gamma = math.log(max(h0, h1) / min(l0, l1)) ** 2
    k = 3 - 2 * math.sqrt(2)
    alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
    return 2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha))


def walk(n=300, half=0.0, seed=0, steps=300, sigma=0.01):
    """Days of a random walk seen through a bid and an ask `half` away."""
    rng = np.random.default_rng(seed)
    path = np.exp(np.cumsum(rng.normal(size=(n, steps)) * sigma / math.sqrt(steps), axis=None)).reshape(n, steps)
    side = np.where(rng.random((n, steps)) < 0.5, 1 + half, 1 - half)
    seen = path * side
    return seen.max(axis=1), seen.min(axis=1), seen[:, -1]


def test_every_estimate_is_that_of_the_papers_formula():
    high, low, close = walk(n=60, half=0.002)
    high[30], low[30], close[30] = high[30] * 1.2, low[30] * 1.2, close[30] * 1.2  # a gap up and a gap down
    got = two_day_spread(high, low, close)
    want = [naive_estimate(high[k - 1], low[k - 1], close[k - 1], high[k], low[k]) for k in range(1, 60)]
    assert np.isnan(got[0])
    np.testing.assert_allclose(got[1:], want, rtol=1e-12)


def test_the_trailing_mean_keeps_negative_estimates_and_ends_at_zero():
    high, low, close = walk(n=90)
    single = two_day_spread(high, low, close)
    got = spread(high, low, close, 21)
    assert (got[:21] == 0).all()
    for k in range(21, 90):
        assert got[k] == pytest.approx(max(single[k - 20 : k + 1].mean(), 0.0), abs=1e-12)


def test_a_planted_spread_of_two_percent_is_found_and_none_is_not():
    wide, none = spread(*walk(n=600, half=0.01), 252), spread(*walk(n=600), 252)
    assert wide[-1] == pytest.approx(0.02, rel=0.15)
    assert none[-1] < 0.001


def test_later_bars_change_no_earlier_spread():
    high, low, close = walk(n=100)
    assert spread(high[:70], low[:70], close[:70], 21).tolist() == spread(high, low, close, 21)[:70].tolist()


def test_prices_times_seven_have_the_same_spread():
    high, low, close = walk(n=100)
    np.testing.assert_allclose(spread(7 * high, 7 * low, 7 * close, 21), spread(high, low, close, 21), atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 21])
def test_too_few_bars_have_no_spread(n):
    high, low, close = walk(n=30)
    assert (spread(high[:n], low[:n], close[:n], 21) == 0).all()


def test_flat_bars_have_no_spread():
    flat = np.full(40, 12.5)
    assert (spread(flat, flat, flat, 21) == 0).all()
