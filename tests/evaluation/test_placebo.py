"""Rotation of the placebo arm, the choice of its instruments, and what its passes are compared with."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pytest

from src.evaluation import placebo
from src.evaluation.multiple_testing import session_evidence
from src.evaluation.placebo import PlaceboEvidence, PlaceboPasses, placebo_evidence

SHIFTS = 200


def grades(seed: int, runs: int, rate: float = 0.1, name: str = "run") -> pl.DataFrame:
    """Grades of skill-less runs, whose passes at the common shifts come in bursts."""
    rng = np.random.default_rng(seed)
    bursts = rng.gamma(0.5, rate / 0.5, SHIFTS).clip(0, 1)
    bits = rng.uniform(size=(runs, SHIFTS)) < bursts
    return pl.DataFrame(
        {
            "asset_class": ["stock"] * runs,
            "symbol": [f"S{number:03d}" for number in range(runs)],
            "run_key": [f"{name}-{seed}-{number}" for number in range(runs)],
            "passed": bits[:, 0],
            "luck_rate": bits.mean(axis=1),
            "p_value": [0.5] * runs,
            "n_trials": [1] * runs,
            "shift_passes": [np.packbits(row).tobytes() for row in bits],
        }
    )


def counts(table: pl.DataFrame) -> np.ndarray:
    """Passes at each common shift, counted bit by bit."""
    rows = [np.unpackbits(np.frombuffer(bits, dtype=np.uint8)) for bits in table["shift_passes"]]
    return np.sum(rows, axis=0, dtype=np.int64)


@pytest.mark.parametrize(("offset", "bars"), [(757, 1514), (757, 3000), (1256, 2013), (1000, 1757)])
def test_each_row_gets_the_features_of_the_row_an_offset_before_it_and_none_near_its_own(
    offset: int, bars: int
) -> None:
    features = np.arange(2 * bars, dtype=np.float32).reshape(bars, 2)
    found = placebo.rotated(features, offset)
    for row in range(bars):
        source = row - offset if row >= offset else row - offset + bars
        assert found[row].tolist() == features[source].tolist()
        assert abs(source - row) > 756
    assert found.dtype == np.float32 and features[0, 0] == 0.0


@pytest.mark.parametrize(("offset", "bars"), [(756, 3000), (0, 3000), (757, 1513), (2300, 3000), (-757, 3000)])
def test_a_rotation_that_would_leave_features_near_their_labels_is_refused(offset: int, bars: int) -> None:
    with pytest.raises(ValueError, match="more than 756 bars on both sides"):
        placebo.rotated(np.zeros((bars, 1), dtype=np.float32), offset)


@pytest.mark.parametrize("window", [1, 377, 1200])
@pytest.mark.parametrize("horizon", [1, 20, 260])
@pytest.mark.parametrize("offset", [757, 1256])
def test_no_bar_of_a_label_is_seen_by_the_features_of_its_row(offset: int, horizon: int, window: int) -> None:
    bars = placebo.bars_needed(offset, horizon, window)
    source = placebo.rotated(np.arange(bars, dtype=np.float32)[:, None], offset)[:, 0].astype(int)
    for row in range(bars):
        label = range(row + 1, row + 1 + horizon + 1)  # enters at the open of row + 1, leaves horizon bars later
        assert min(abs(source[row] - bar) for bar in (label[0], label[-1])) > 756
        seen = range(source[row] - window + 1, source[row] + 1)
        assert seen[-1] < label[0] or seen[0] > label[-1]
    with_one_less = bars - 1 - offset  # distance of the wrapped rows where one bar is missing
    assert with_one_less - horizon - 1 < max(757, window)


def test_sessions_draw_different_offsets_from_the_whole_range() -> None:
    offsets = [placebo.offset_of(f"session {number}") for number in range(20_000)]
    assert (min(offsets), max(offsets)) == (757, 1256)
    expected = len(offsets) / 500
    spread = np.bincount(np.array(offsets) - 757, minlength=500)
    assert ((spread - expected) ** 2 / expected).sum() < 620  # chi-square, 499 degrees of freedom: p about 1e-4
    assert placebo.offset_of("session 1") == placebo.offset_of("session 1")


@pytest.mark.parametrize(("share", "number"), [(0.05, 5), (0.051, 6), (0.2, 20), (1.0, 100), (0.001, 1)])
def test_the_share_is_exact_and_does_not_depend_on_the_order(share: float, number: int) -> None:
    keys = [("stock", f"S{i}") for i in range(100)]
    found = placebo.chosen(keys, "session", share)
    assert len(found) == number
    assert found == placebo.chosen(reversed(keys), "session", share)
    assert found <= placebo.chosen(keys, "session", 1.0)


def test_other_sessions_choose_other_instruments_and_a_larger_share_keeps_those_of_a_smaller() -> None:
    keys = [("stock", f"S{i}") for i in range(200)]
    small, large = placebo.chosen(keys, "a", 0.1), placebo.chosen(keys, "a", 0.3)
    assert small < large
    assert small != placebo.chosen(keys, "b", 0.1)
    assert placebo.chosen([], "a", 0.5) == set()


def test_the_evidence_of_one_session_is_that_of_any_grades() -> None:
    table = grades(1, 60)
    found, real = placebo_evidence(table, {}), session_evidence(table)
    assert (found.session.passed, found.session.expected) == (real.passes, real.expected)
    assert (found.session.low, found.session.high) == (real.low, real.high)
    assert found.total == found.session and found.sessions == 1


@pytest.mark.parametrize("seeds", [(1, 2), (3, 4), (5, 6)])
def test_the_range_of_two_sessions_is_that_of_all_pairs_of_their_shifts(seeds: tuple[int, int]) -> None:
    first, second = (grades(seed, 40) for seed in seeds)
    sums = [a + b for a, b in itertools.product(counts(first), counts(second))]
    low, high = np.quantile(sums, (0.05, 0.95), method="inverted_cdf")
    total = placebo_evidence(first, {"second": second}).total
    assert (total.low, total.high) == (low, high)
    assert total.runs == 80
    assert total.passed == first["passed"].sum() + second["passed"].sum()
    assert total.expected == pytest.approx(first["luck_rate"].sum() + second["luck_rate"].sum())


def test_the_range_of_many_sessions_agrees_with_draws_of_one_shift_for_each() -> None:
    tables = {f"{seed}": grades(seed, 50) for seed in range(30)}
    rng = np.random.default_rng(0)
    draws = sum(rng.choice(counts(table), 200_000) for table in tables.values())
    total = placebo_evidence(tables.pop("0"), tables).total
    assert (draws <= total.low).mean() == pytest.approx(0.05, abs=0.02)
    assert (draws <= total.high).mean() == pytest.approx(0.95, abs=0.02)


def test_a_run_that_two_sessions_share_counts_once() -> None:
    table = grades(1, 40)
    found = placebo_evidence(table, {"again": table.head(25), "other": grades(2, 10)})
    assert (found.total.runs, found.sessions) == (50, 2)


def test_runs_without_shifts_or_luck_rates_count_as_seen_alone() -> None:
    table = grades(1, 5).with_columns(luck_rate=pl.lit(None, pl.Float64), shift_passes=pl.lit(None, pl.Binary))
    found = placebo_evidence(table, {})
    assert (found.session.runs, found.session.expected, found.session.low, found.session.high) == (5, 0.0, 0, 0)


def test_the_sentence_gives_the_session_and_then_all_of_them() -> None:
    one, all_of_them = PlaceboPasses(105, 3, 4.1, 1, 9), PlaceboPasses(1020, 31, 40.2, 24, 60)
    single = "3 of 105 runs passed with rotated features; luck expects 4.1 (90% range 1 to 9)."
    assert PlaceboEvidence(one, one, 1).sentence() == single
    assert PlaceboEvidence(one, all_of_them, 10).sentence() == (
        f"{single} Over 10 sessions: 31 of 1,020, 40.2 expected (90% range 24 to 60)."
    )
