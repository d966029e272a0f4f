"""Pairs counted under every shift: by sorting, by one pass, and by that pass compiled."""

import sys

import numpy as np
import pytest

from src.core.project import ROOT
from src.evaluation import rank_sums
from src.evaluation.fold_levels import fold_values
from src.evaluation.shifted_auc import shifted_auc
from tests import process_case
from tests.evaluation.test_shift_test import one_run

CASES = [
    {"folds": folds, "ties": ties, "zeros": zeros, "n": n}
    for folds in (1, 2, 7)
    for ties in (0, 1, 2)
    for zeros in (0.0, 0.3)
    for n in (50, 131)
]


def counted_by_hand(scores, up, down):
    """Compare every up day with every down day under every shift."""
    wins = []
    for row in scores.shifted(np.arange(scores.size)):
        above, below = row[up][:, None], row[down][None, :]
        wins.append(2 * np.count_nonzero(above > below) + np.count_nonzero(above == below))
    return wins


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_way_to_count_pairs_equals_a_comparison_of_all_pairs(case):
    run = one_run(**case)
    scores, up, down = fold_values(run.score, run.fold), run.label == 1.0, run.label == 0.0
    want = counted_by_hand(scores, up, down)
    assert rank_sums.by_sorting(scores, up, down).tolist() == want
    assert rank_sums.by_passing(scores, up, down, rank_sums._pass_over).tolist() == want
    if (compiled := rank_sums.compiled_pass()) is not None:
        assert rank_sums.by_passing(scores, up, down, compiled).tolist() == want


def test_long_runs_are_sorted_in_blocks(monkeypatch):
    run = one_run(folds=3)
    scores, up, down = fold_values(run.score, run.fold), run.label == 1.0, run.label == 0.0
    whole = rank_sums.by_sorting(scores, up, down)
    monkeypatch.setattr(rank_sums, "_CELLS", 331 * 5)
    assert rank_sums.by_sorting(scores, up, down).tolist() == whole.tolist()


def test_a_long_run_is_counted_in_wider_integers(monkeypatch):
    run = one_run(folds=3)
    scores, up, down = fold_values(run.score, run.fold), run.label == 1.0, run.label == 0.0
    narrow = rank_sums.by_passing(scores, up, down, rank_sums._pass_over)
    monkeypatch.setattr(rank_sums, "_SHORT", 10)
    assert rank_sums.by_passing(scores, up, down, rank_sums._pass_over).tolist() == narrow.tolist()


def test_the_auc_is_the_same_before_and_after_the_compiled_pass_takes_over(monkeypatch):
    run = one_run(folds=5)
    scores, areas = fold_values(run.score, run.fold), []
    for patience in (10**15, 0):
        monkeypatch.setattr(rank_sums, "PATIENCE", patience)
        areas.append(shifted_auc(run.label, scores).tolist())
    assert areas[0] == areas[1]


NUMBA = """
import sys
{hide}
import numpy as np
from src.evaluation import rank_sums
from src.evaluation.fold_levels import fold_values
from src.evaluation.shifted_auc import shifted_auc
assert sys.modules.get("numba") is None
rank_sums.PATIENCE = {patience}
fold = np.arange(60) // 20
area = shifted_auc((np.arange(60) % 3 > 0) * 1.0, fold_values(np.sin(np.arange(60.0)) + fold, fold))
print("numba" in sys.modules and sys.modules["numba"] is not None, repr(area.tolist()))
"""


def area_of(hide="", patience=0):
    code = NUMBA.format(hide=hide, patience=patience)
    ended = process_case.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    loaded, area = ended.stdout.split(" ", 1)
    return loaded, area


def test_numba_is_loaded_only_after_much_work_and_is_not_needed():
    pytest.importorskip("numba")
    loaded, area = area_of()
    assert loaded == "True"
    assert area_of(hide="sys.modules['numba'] = None") == ("False", area)
    assert area_of(patience=10**9) == ("False", area)
