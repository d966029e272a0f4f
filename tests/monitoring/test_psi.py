import math

import numpy as np
import pytest

from src.monitoring import psi
from src.monitoring.resampling import drawn_days


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


def test_every_look_of_a_drawn_year_has_the_index_of_its_window():
    cells = psi.Cuts.of(rows(200)).cells(rows(200))
    window, looks, draws, block = 15, 30, 4, 40
    got = psi.drawn_years(cells, window, looks, draws, block, 7)
    held = [psi.counts(cells[days]) for days in drawn_days(200, 200, draws, block, (7, 0xD0))]
    later = drawn_days(200, looks + window - 1, draws, block, (7, 0xD1))
    for draw in range(draws):
        for look in (0, 1, 13, 29):
            want = psi.psi(held[draw], psi.counts(cells[later[draw, look : look + window]]))
            assert got[look, draw] == pytest.approx(want, abs=1e-5)


def test_mean_without_drift_of_independent_rows_is_that_of_chi_squared():
    """(cells - 1)(1/n + 1/m): Yurdakul (2018), ch. 3."""
    rng = np.random.default_rng(1)
    cells = rng.integers(0, 10, size=(4000, 20)).astype(np.uint8)
    got = psi.drawn_years(cells, 400, 1, 100, 1, 0).mean()
    assert got == pytest.approx(9 * (1 / 4000 + 1 / 400), rel=0.08)
