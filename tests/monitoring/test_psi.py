import math

import numpy as np
import pytest
from scipy.signal import lfilter

from src.monitoring import psi


def rows(n, seed=0, features=3):
    """An ordinary feature, one of a few values, and one that is often missing."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(n, features)).astype(np.float32)
    table[:, 1] = np.round(table[:, 1])
    table[rng.random(n) < 0.3, 2] = np.nan
    return table


def test_the_index_by_hand():
    """Two cells of 50 and 50 rows against 25 and 75: 0.25 ln 2 + ... with one more row spread over the cells."""
    reference, recent = np.zeros(psi.CELLS, dtype=np.int64), np.zeros(psi.CELLS, dtype=np.int64)
    reference[:2], recent[:2] = (50, 50), (25, 75)
    want = 0.0
    for held, now in zip(reference, recent, strict=True):
        q, p = (held + 1 / 13) / 101, (now + 1 / 13) / 101
        want += (p - q) * math.log(p / q)
    assert float(psi.psi(reference, recent)) == pytest.approx(want)
    assert want == pytest.approx(-0.25 * math.log(0.5) + 0.25 * math.log(1.5), abs=0.01)
    assert float(psi.psi(reference, reference)) == 0.0


def test_cells_are_deciles_and_what_is_missing_or_far_outside_has_its_own():
    table = rows(1000)
    cuts = psi.Cuts.of(table)
    counts = psi.counts(cuts.cells(table))
    assert counts[0].tolist() == [100] * 10 + [0, 0, 0]
    assert counts[2][10] == np.isnan(table[:, 2]).sum()
    strange = np.array([[-1e6, np.inf, np.nan], [1e6, -np.inf, 50.0]], dtype=np.float32)
    assert cuts.cells(strange).tolist() == [[11, 12, 10], [12, 11, 12]]
    near = np.array([[table[:, 0].max() + 0.1] * 3], dtype=np.float32)  # a little beyond is no fault
    assert cuts.cells(near)[0, 0] == 9


def test_a_feature_of_one_value_or_none_is_cut_without_an_error():
    table = np.full((100, 2), np.nan, dtype=np.float32)
    table[:, 0] = 4.0
    cuts = psi.Cuts.of(table)
    assert psi.counts(cuts.cells(table)).sum(axis=1).tolist() == [100, 100]
    other = np.array([[5.0, 1.0]], dtype=np.float32)
    assert cuts.cells(other)[0, 0] != cuts.cells(table)[0, 0]
    assert cuts.cells(other)[0, 1] != 10


def test_every_look_of_a_year_has_the_index_of_its_window():
    table = rows(200)
    cells = psi.Cuts.of(table).cells(table)
    held = psi.counts(cells)
    later = np.random.default_rng(1).integers(0, psi.DECILES, size=(4, 44, 3)).astype(np.uint8)
    got = psi._sliding(later, held, 15)
    for year in range(4):
        for look in (0, 1, 13, 29):
            want = psi.psi(held, psi.counts(later[year, look : look + 15]))
            assert got[look, year] == pytest.approx(want, abs=1e-5)


def test_simulated_rows_are_cut_where_the_rows_before_them_hold_as_many():
    """Fourteen rows missing, 40 of one value and 46 of another: cells of 14, 40 and 46."""
    table = np.full((100, 1), np.nan, dtype=np.float32)
    table[14:54], table[54:] = 1.0, 2.0
    held = psi.counts(psi.Cuts.of(table).cells(table))
    assert sorted(held[0][held[0] > 0].tolist()) == [14, 40, 46]
    before = np.random.default_rng(2).permutation(100).astype(np.float32)[:, None]
    placed = psi._placed(before, before, held)
    assert psi.counts(placed).tolist() == held.tolist()


def test_surrogates_have_the_covariances_of_the_table():
    rng = np.random.default_rng(3)
    common = lfilter([1.0], [1.0, -0.8], rng.normal(size=(1500, 1)), axis=0)
    table = psi.normal_scores((common + rng.normal(size=(1500, 2))).astype(np.float32))
    surrogate = psi._Surrogate.of(table, 5000, 0)
    paths = [surrogate.draw() for _ in range(60)]
    for lag in (0, 1, 5):
        want = table[: 1500 - lag].T @ table[lag:] / 1500
        got = np.mean([path[: 5000 - lag].T @ path[lag:] / (5000 - lag) for path in paths], axis=0)
        assert got / table.var() / 1500 == pytest.approx(want / table.var(), abs=0.03)


def test_mean_without_drift_of_independent_rows_is_that_of_chi_squared():
    """(cells - 1)(1/n + 1/m): Yurdakul (2018), ch. 3."""
    table = np.random.default_rng(4).normal(size=(2000, 10)).astype(np.float32)
    cells = psi.Cuts.of(table).cells(table)
    got = psi.simulated_years(cells, table, 400, 1, 60, 0).mean()
    assert got == pytest.approx(9 * (1 / 2000 + 1 / 400), rel=0.08)


def test_the_seed_decides_the_years():
    table = rows(300)
    cells = psi.Cuts.of(table).cells(table)
    one, two, other = (psi.simulated_years(cells, table, 20, 10, 8, seed) for seed in (0, 0, 1))
    assert (one == two).all() and (one != other).any()


def test_correlation_time_of_an_autoregression_is_one_plus_a_over_one_minus_a():
    steps = np.random.default_rng(5).normal(size=(20_000, 2))
    table = np.stack([steps[:, 0], lfilter([1.0], [1.0, -0.8], steps[:, 1])], axis=1).astype(np.float32)
    got = psi.correlation_times(table - table.mean(axis=0))
    assert got[0] == pytest.approx(1.0, abs=0.1)
    assert got[1] == pytest.approx(9.0, rel=0.15)
