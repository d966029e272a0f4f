"""Codes of a day's ranks, and AUC and accuracy counted from them, equal those of sorted scores."""

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from src.evaluation import metrics
from src.evaluation.pooled.day_ranks import LEVELS, RankTally, as_probabilities, day_codes


def scores(days=7, names=23, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(days, names)).round(1).astype(np.float32)
    return values, rng.random((days, names)) < 0.8


def test_a_code_is_the_rank_among_the_names_of_the_day_and_ties_share_theirs():
    values, among = scores()
    codes = day_codes(values, among)
    for day in range(len(values)):
        share = (rankdata(values[day, among[day]]) - 0.5) / among[day].sum()
        assert np.abs(as_probabilities(codes[day, among[day]]) - share).max() <= 0.5 / LEVELS + 1e-12
    assert not codes[~among].any()


@pytest.mark.parametrize("names", [4, 5])
def test_above_one_half_are_the_names_above_the_median_of_their_day(names):
    values = np.arange(names, dtype=np.float32)[None]
    above = as_probabilities(day_codes(values, np.ones((1, names), bool)))[0] > 0.5
    assert above.tolist() == (values[0] > np.median(values)).tolist()


def test_levels_of_a_day_leave_no_trace():
    values, among = scores()
    moved = values + np.arange(len(values), dtype=np.float32)[:, None] * 100
    assert np.array_equal(day_codes(values, among), day_codes(moved.round(1), among))


def test_the_counted_auc_and_accuracy_equal_those_of_all_sorted_scores():
    values, among = scores(days=40)
    up = np.random.default_rng(1).random(values.shape) < 0.5
    codes, label = day_codes(values, among)[among], up[among]
    tally = RankTally.of(codes, label)
    assert tally.auc() == pytest.approx(roc_auc_score(label, codes), abs=1e-12)
    assert tally.auc() == pytest.approx(metrics.auc(label * 1.0, as_probabilities(codes)), abs=1e-12)
    assert tally.accuracy() == metrics.accuracy(label * 1.0, as_probabilities(codes))
    listed = tally.labels_and_scores()
    assert metrics.auc(*listed) == pytest.approx(tally.auc(), abs=1e-12)
    assert metrics.accuracy(*listed) == tally.accuracy()


def test_without_one_of_the_classes_there_is_no_auc():
    tally = RankTally.of(np.array([3, 4], np.uint16), np.array([True, True]))
    assert tally.auc() is None
    assert tally.accuracy() == 0.0
    assert RankTally.of(np.zeros(0, np.uint16), np.zeros(0, bool)).accuracy() is None
