"""Ranks of one day against a naive loop over its names, and what ties, gaps and other names do to them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from src.models.pooled_columns import MIDDLE, MISSING
from src.training.pooled.day_ranks import _levels, codes, day_ranks, mixed

DAY = np.datetime64("2020-03-02", "D")
SEED = 7


def ranks(values: np.ndarray, symbols: list[str], day: np.datetime64 = DAY, seed: int = SEED) -> np.ndarray:
    features = [f"feature_{j}" for j in range(len(values))]
    return day_ranks(values.astype(np.float32), codes(symbols), day, codes(features), seed)


def splitmix(state: int) -> int:
    """One output of SplitMix64's finalizer, in Python's integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def by_a_loop(values: np.ndarray, symbols: list[str], feature: str, day: int, seed: int) -> list[int]:
    """The rule as it is documented, name by name."""
    known = [n for n in range(len(symbols)) if not np.isnan(values[n])]
    if len({float(values[n]) for n in known}) <= 1:
        return [MIDDLE if n in known else MISSING for n in range(len(symbols))]
    (column,) = codes([feature])
    hashes = [int(code) for code in codes(symbols)]
    at = splitmix(seed) ^ int(column)
    key = {n: (float(values[n]), splitmix((splitmix((hashes[n] + splitmix(day)) % 2**64) + at) % 2**64)) for n in known}
    below = {n: sum(key[other] < key[n] for other in known) for n in known}
    rounded = {n: int(Fraction(254 * below[n], len(known) - 1) + Fraction(1, 2)) for n in known}
    return [rounded.get(n, MISSING) for n in range(len(symbols))]


@pytest.mark.parametrize("names", [1, 2, 3, 200, 700])
def test_ranks_are_those_of_a_loop_over_the_names(names: int) -> None:
    random = np.random.default_rng(names)
    symbols = [f"S{n}" for n in range(names)]
    values = random.normal(size=(5, names)).astype(np.float32)
    values[1] = np.round(values[1])  # ties
    values[2, random.random(names) < 0.3] = np.nan
    values[3] = 4.0
    values[4] = np.where(random.random(names) < 0.9, 0.0, -0.0) * np.sign(values[4])
    found = ranks(values, symbols)
    day = int(DAY.astype(int))
    for j in range(5):
        assert found[j].tolist() == by_a_loop(values[j], symbols, f"feature_{j}", day, SEED)


def test_extremes_are_0_and_254_and_infinities_rank_at_the_ends() -> None:
    found = ranks(np.array([[-np.inf, 3.0, -2.0, np.inf, np.nan]]), list("ABCDE"))
    assert found.tolist() == [[0, 169, 85, 254, 255]]


def test_the_order_of_the_names_changes_nothing() -> None:
    symbols = [f"S{n}" for n in range(400)]
    values = np.random.default_rng(1).integers(0, 5, size=(3, 400)).astype(np.float32)
    order = np.random.default_rng(2).permutation(400)
    assert np.array_equal(ranks(values[:, order], [symbols[n] for n in order]), ranks(values, symbols)[:, order])


def test_ties_go_another_way_for_another_seed_day_and_feature_and_favour_no_name() -> None:
    symbols = [f"S{n}" for n in range(500)]
    values = np.zeros((2, 500))
    values[:, 0] = 1.0
    first = ranks(values, symbols)
    others = [ranks(values, symbols, seed=8)[0], ranks(values, symbols, DAY + 1)[0], first[1]]
    for other in others:
        assert abs(np.corrcoef(first[0, 1:], other[1:])[0, 1]) < 0.15
    means = np.mean([ranks(values, symbols, DAY + day)[0] for day in range(300)], axis=0)[1:]
    assert means.std() == pytest.approx(73.3 / np.sqrt(300), rel=0.15)  # of a uniform rank, a day


def test_the_mixing_is_that_of_the_reference() -> None:
    """First outputs of SplitMix64 for seed 1234567, as published with Vigna's splitmix64.c."""
    step = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + k * step) % 2**64 for k in (1, 2, 3)], dtype=np.uint64)
    assert mixed(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_names_whose_hashes_are_equal_too_share_the_lower_rank() -> None:
    keys = np.array([[3, 5, 5, 5, 9], [1, 2, 3, 4, 4]], dtype=np.uint64) << np.uint64(32)
    assert _levels(keys, np.array([5, 4])).tolist() == [[0, 64, 64, 64, 254], [0, 85, 169, 254, 254]]
