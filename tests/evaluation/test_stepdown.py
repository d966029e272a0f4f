import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from src.evaluation.multiple_testing import session_evidence
from src.evaluation.stepdown import stepdown_p, with_stepdown_p


def naive(z, shifted):
    """The definition, run by run and shift by shift."""
    order = sorted(range(len(z)), key=lambda i: -z[i])
    adjusted, before = {}, 0.0
    for rank, i in enumerate(order):
        left = order[rank:]
        reached = sum(max(shifted[j][b] for j in left) >= z[i] for b in range(len(shifted[0])))
        before = max(before, (reached + 1) / (len(shifted[0]) + 1))
        adjusted[i] = before
    return [adjusted[i] for i in range(len(z))]


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=40)
    shifted = (0.6 * common + 0.8 * rng.normal(size=(25, 40))).astype(np.float16).astype(np.float32)
    z = rng.normal(0.5, 1.2, size=25).astype(np.float16).astype(np.float64)
    assert stepdown_p(z, shifted) == pytest.approx(naive(z.tolist(), shifted.tolist()), abs=0)


def test_with_independent_runs_it_is_holms_bound():
    rng = np.random.default_rng(1)
    m, shifts = 20, 20_000
    z = np.array([4.0, 3.2, 2.9, *rng.normal(size=m - 3).clip(max=1.0)])
    found = stepdown_p(z, rng.normal(size=(m, shifts)).astype(np.float32))
    sidak = [
        1.0 - norm.cdf(z[i]) ** (m - i) for i in range(3)
    ]  # Holm's step with independence: p of the largest of m - i
    assert found[:3] == pytest.approx(np.maximum.accumulate(sidak), abs=4 * np.sqrt(0.04 / shifts) + 1 / shifts)


def test_runs_that_are_copies_are_charged_once():
    rng = np.random.default_rng(2)
    one = rng.normal(size=(1, 2_000)).astype(np.float32)
    alone = stepdown_p(np.array([2.0]), one)
    copies = stepdown_p(np.full(50, 2.0), np.repeat(one, 50, axis=0))
    assert copies == pytest.approx(np.full(50, alone[0]))
    assert stepdown_p(np.full(50, 2.0), rng.normal(size=(50, 2_000)).astype(np.float32)).min() > 5 * alone[0]


def table(z, shifted, p):
    words = [None if row is None else np.asarray(row).astype("<f2").tobytes() for row in shifted]
    return pl.DataFrame(
        {"z": z, "p_value": p, "shift_z": words},
        schema={"z": pl.Float64, "p_value": pl.Float64, "shift_z": pl.Binary},
    )


def test_runs_that_are_too_short_are_left_out_and_charge_nothing():
    rng = np.random.default_rng(3)
    wild, tame = rng.normal(20.0, 1.0, size=200), rng.normal(size=200)
    grades = table([9.0, 3.5, None], [wild, tame, None], [1.0, 1e-4, None])
    found = with_stepdown_p(grades)["stepdown_p"].to_list()
    assert found == pytest.approx([1.0, 1 / 201, 1.0])


def test_grades_without_shifts_have_none():
    grades = table([1.0, 2.0], [None, None], [0.2, 0.1])
    assert with_stepdown_p(grades)["stepdown_p"].to_list() == [None, None]
    assert with_stepdown_p(grades.drop("shift_z"))["stepdown_p"].to_list() == [None, None]
    assert with_stepdown_p(grades.clear()).height == 0


def test_the_evidence_of_a_session_has_it_beside_the_q_value_and_counts_deflated_passes():
    rng = np.random.default_rng(4)
    shifts = rng.normal(size=(3, 200))
    grades = table([4.5, 0.1, -1.0], list(shifts), [1e-5, 0.4, 0.8]).with_columns(
        asset_class=pl.lit("stock"),
        symbol=pl.Series(["A", "B", "C"]),
        passed=pl.Series([True, True, False]),
        luck_rate=pl.Series([0.1, 0.2, 0.3]),
        n_trials=pl.lit(1),
        shift_passes=pl.Series([bytes(25)] * 3),
        deflated_sharpe=pl.Series([0.97, None, 0.99]),
        deflated_luck_rate=pl.Series([0.01, 0.02, None]),
    )
    found = session_evidence(grades)
    assert found.grades["stepdown_p"][0] == pytest.approx(1 / 201) and found.grades["stepdown_p"][1] > 0.5
    assert (found.deflated_passes, found.expected_deflated) == (1, pytest.approx(0.03))
    unknown = session_evidence(grades.drop("deflated_luck_rate", "deflated_sharpe"))
    assert (unknown.deflated_passes, unknown.expected_deflated) == (0, None)
