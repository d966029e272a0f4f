"""Caps over many days equal caps day after day."""

from __future__ import annotations

import numpy as np
import pytest

from src.signals.caps import Caps, cap_days, capped

CODES = np.array([0, 0, 1, 1, 1, 2])
CAPS = [
    Caps(1.0, np.array([np.inf, np.inf, np.inf]), 20.0, 40.0),
    Caps(0.2, np.array([0.3, 0.4, np.inf]), 0.6, 40.0),
    Caps(0.2, np.array([0.3, 0.4, np.inf]), 0.6, 0.15),
]


@pytest.mark.parametrize("caps", CAPS)
def test_many_days_are_cut_as_one_after_the_other(caps: Caps) -> None:
    rng = np.random.default_rng(1)
    wanted = rng.normal(0.0, 0.2, (150, 6)) * (rng.random((150, 1)) < 0.6)
    before, nothing = np.zeros(6), np.zeros(6, dtype=np.bool_)
    found = np.asfortranarray(wanted)
    cap_days(found, CODES, caps)
    for day in range(150):
        before, _ = capped(wanted[day], before, CODES, nothing, caps)
        np.testing.assert_allclose(found[day], before, rtol=0.0, atol=1e-15)


def test_weights_that_no_cap_cuts_are_left_alone_to_the_bit() -> None:
    wanted = np.random.default_rng(2).normal(0.0, 0.1, (30, 6))
    found = wanted.copy()
    cap_days(found, CODES, CAPS[0])
    assert np.array_equal(found, wanted)
