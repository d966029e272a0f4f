import numpy as np
import pytest
from scipy.signal import lfilter

from src.monitoring.resampling import block_length, drawn_days


def naive_days(n, begins, starts):
    """The stationary bootstrap as its paper states it: go on to the next day, or begin a block anywhere."""
    drawn = []
    for place, start in enumerate(starts):
        drawn.append(int(start) if begins[place] or place == 0 else (drawn[-1] + 1) % n)
    return drawn


def test_days_follow_each_other_until_a_block_begins():
    n, days, draws, block, seed = 50, 40, 30, 5, (3, 1)
    drawn = drawn_days(n, days, draws, block, seed)
    rng = np.random.default_rng(seed)
    begins = rng.random((draws, days), dtype=np.float32) < 1.0 / block
    starts = rng.integers(0, n, size=(draws, days), dtype=np.int32)
    assert drawn.tolist() == [naive_days(n, begins[i], starts[i]) for i in range(draws)]


def test_blocks_have_the_mean_length_and_every_day_is_as_likely():
    drawn = drawn_days(100, 500, 400, 20, (1,))
    follows = (np.diff(drawn, axis=1) % 100 == 1).mean()
    assert follows == pytest.approx(1 - 1 / 20 + 1 / 2000, abs=0.003)
    times = np.bincount(drawn.ravel(), minlength=100)
    assert times.std() / times.mean() < 0.1


def test_the_draws_are_the_same_for_the_same_seed_and_cannot_be_changed():
    first = drawn_days(30, 10, 5, 3, (0, 7))
    assert (first == drawn_days(30, 10, 5, 3, (0, 7))).all()
    assert (first != drawn_days(30, 10, 5, 3, (1, 7))).any()
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1


def test_bootstrap_variance_of_a_mean_is_the_closed_form():
    """Politis and Romano (1994), p. 1305: autocovariances round the end, times the chance to stay in a block."""
    values = lfilter([1.0], [1.0, -0.6], np.random.default_rng(0).normal(size=200))
    n, block, keep = values.size, 10, 1 - 1 / 10
    centred = values - values.mean()
    around = np.array([centred @ np.roll(centred, -k) for k in range(n)]) / n
    lag = np.arange(1, n)
    want = (around[0] + 2 * (((1 - lag / n) * keep**lag) * around[1:]).sum()) / n
    got = values[drawn_days(n, n, 20_000, block, (5,))].mean(axis=1).var()
    assert got == pytest.approx(want, rel=0.04)


def test_automatic_blocks_grow_with_dependence_and_with_days():
    rng = np.random.default_rng(2)
    noise = rng.normal(size=4000)
    independent, slow = noise, lfilter([1.0], [1.0, -0.9], noise)
    assert block_length(independent) <= 5
    assert 20 <= block_length(slow) <= 120
    assert block_length(slow[:500]) < block_length(slow)


def test_automatic_block_of_an_autoregression_is_near_its_theoretical_best():
    """Politis and White (2004), section 3.2, with the autocorrelations a**k that an estimate would have to find."""
    a, n = 0.5, 5_000
    lag = np.arange(1, 200)
    g, spectrum = 2 * (lag * a**lag).sum(), 1 + 2 * (a**lag).sum()
    want = (2 * g**2 / (2 * spectrum**2) * n) ** (1 / 3)
    rng = np.random.default_rng(3)
    got = [block_length(lfilter([1.0], [1.0, -a], rng.normal(size=n))) for _ in range(9)]
    assert np.median(got) == pytest.approx(want, rel=0.3)


def test_a_block_is_no_shorter_than_asked_and_values_that_do_not_vary_have_none():
    assert block_length(np.random.default_rng(4).normal(size=1000), least=20) == 20
    assert block_length(np.full(100, 3.0), least=2) == 2
    assert block_length(np.empty(0)) == 1
