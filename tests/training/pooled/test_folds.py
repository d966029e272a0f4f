"""Folds of the pooled scope on a class's calendar."""

from __future__ import annotations

import numpy as np
import pytest

from src.config.schema import SplitConfig
from src.evaluation.splits import InsufficientData
from src.market.calendar import sessions
from src.training.pooled.folds import pooled_folds, spaced

DATES = sessions("stock", "2014-01-02", "2024-12-31")
SPLIT = SplitConfig()
HORIZON = 20


def folds(dates=DATES, horizon: int = HORIZON, every: int = 10):
    return pooled_folds(dates, "stock", SPLIT, horizon, every)


def test_no_training_label_is_known_later_than_the_embargo_allows():
    for fold in folds():
        exits = fold.train + 1 + HORIZON
        assert exits.max() <= fold.score.start - SPLIT.embargo


def test_without_an_embargo_outcomes_are_still_known_when_a_fold_begins():
    """That a name has stopped trading is known five sessions after an exit on which it did not."""
    for fold in pooled_folds(DATES, "stock", SplitConfig(embargo=0), HORIZON, 10):
        assert fold.train.max() + 1 + HORIZON + 5 <= fold.score.start


def test_the_last_possible_day_is_among_the_training_days():
    for fold in folds():
        assert fold.train[-1] == fold.score.start - SPLIT.embargo - HORIZON - 1
        assert set(np.diff(fold.train)) == {10}


def test_scored_days_follow_each_other_to_the_end_of_the_calendar():
    found = folds()
    assert [fold.score.stop for fold in found[:-1]] == [fold.score.start for fold in found[1:]]
    assert found[-1].score.stop == len(DATES)


def test_graded_days_end_where_the_return_of_a_day_is_known():
    found = folds()
    assert [fold.graded for fold in found[:-1]] == [fold.score.stop - fold.score.start for fold in found[:-1]]
    assert found[-1].score.start + found[-1].graded == len(DATES) - 2


def test_later_days_change_no_earlier_fold():
    shorter, longer = folds(DATES[:-200]), folds()
    for before, after in zip(shorter[:-1], longer, strict=False):
        assert before.first == after.first
        assert (before.train == after.train).all()
        assert before.score == after.score


def test_boundaries_are_those_of_the_instruments():
    assert [fold.first.isoformat() for fold in folds()][:2] == ["2017-01-01", "2018-07-01"]


def test_a_short_calendar_has_no_fold():
    with pytest.raises(InsufficientData, match="520 tradable bars"):
        folds(DATES[:520])


@pytest.mark.parametrize(
    ("days", "every", "kept"), [(7, 3, [0, 3, 6]), (5, 3, [1, 4]), (4, 1, [0, 1, 2, 3]), (2, 9, [1])]
)
def test_days_are_counted_back_from_the_last(days: int, every: int, kept: list[int]):
    assert spaced(np.arange(days), every).tolist() == kept
