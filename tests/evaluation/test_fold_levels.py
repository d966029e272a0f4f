"""Levels of folds: known before the fold begins, and no help to scores that follow prices."""

from __future__ import annotations

import numpy as np

from src.evaluation.fold_levels import fold_values, one_fold, prior_levels
from src.evaluation.shifted_auc import shifted_auc
from src.evaluation.significance import z_score

BARS, FIRST, FOLD, WINDOW = 1300, 300, 250, 60


def test_a_level_is_the_share_of_up_labels_that_were_known_before_the_fold():
    label = np.array([1.0, np.nan, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    positions, fold = np.arange(4, 10), np.array([0, 0, 0, 2, 2, 2])
    # decisions before 4 less the last 2, and before 7 less the last 2: 1; 1, 0, 1, 1
    assert prior_levels(label, positions, fold, horizon=2).tolist() == [1.0, 0.75]


def test_a_level_looks_at_no_label_that_its_fold_could_not_know():
    rng = np.random.default_rng(1)
    label, positions = rng.integers(0, 2, 400) * 1.0, np.arange(100, 400)
    fold = (positions - 100) // 75
    levels = prior_levels(label, positions, fold, horizon=5)
    for f, start in enumerate(range(100, 400, 75)):
        later = label.copy()
        later[start - 5 :] = 1.0 - later[start - 5 :]
        assert prior_levels(later, positions, fold, horizon=5)[f] == levels[f]
        changed = label.copy()
        changed[: start - 5] = 1.0
        assert prior_levels(changed, positions, fold, horizon=5)[f] == 1.0


def test_the_level_is_one_half_where_no_label_was_known():
    assert prior_levels(np.full(9, np.nan), np.arange(3, 9), np.zeros(6), horizon=1).tolist() == [0.5]


def mean_z(own_levels: bool) -> float:
    """Mean z over 150 random walks of a bet against the move from the average: it has no skill."""
    found = []
    for seed in range(150):
        step = np.random.default_rng(seed).normal(size=BARS)
        price = np.cumsum(step)
        mean = np.convolve(price, np.ones(WINDOW) / WINDOW)[:BARS]
        label = np.append(step[1:] > 0.0, False) * 1.0
        positions = np.arange(FIRST, BARS - 1)
        score = (mean - price)[positions]
        areas = shifted_auc(
            label[positions], fold_values(score, (positions - FIRST) // FOLD) if own_levels else one_fold(score)
        )
        found.append(z_score(float(areas[0]), areas[np.arange(1, positions.size - 126)]) or 0.0)
    return float(np.mean(found))


def test_levels_of_the_folds_own_scores_make_scores_that_follow_prices_look_skilled():
    """In a short sample such a bet has a z of 0.3 by itself; held in place, the levels triple it."""
    assert mean_z(own_levels=False) < 0.4
    assert mean_z(own_levels=True) > 0.8
