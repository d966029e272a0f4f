import numpy as np
import pytest

from src.config.schema import GradeConfig
from src.evaluation import suspicion
from src.evaluation.strategy import TradingConditions


def test_a_bounce_of_the_last_print_is_gone_one_bar_later():
    rng = np.random.default_rng(6)
    bounce = rng.normal(size=2000)
    change = -bounce * 0.01 + rng.normal(size=2000) * 0.01
    label, score = (change > 0) * 1.0, 0.5 - 0.02 * bounce
    exposure = (score > 0.5) * 1.0
    conditions = TradingConditions(np.ones(2000), np.full(2000, 0.001), change)
    area, ratio = suspicion.one_bar_later(label, score, exposure, conditions, 365.0)
    assert area == pytest.approx(0.5, abs=0.04)
    assert ratio < 0.5


def test_a_drift_that_lasts_is_still_there_one_bar_later():
    rng = np.random.default_rng(7)
    slow = np.convolve(rng.normal(size=2100), np.ones(30) / 30, "valid")[:2000]
    change = slow * 0.05 + rng.normal(size=2000) * 0.01
    conditions = TradingConditions(np.ones(2000), np.full(2000, 0.0001), change)
    area, ratio = suspicion.one_bar_later((change > 0) * 1.0, 0.5 + slow, (slow > 0) * 1.0, conditions, 365.0)
    assert area > 0.6
    assert ratio > 1.0


class Marks:
    """The part of an instrument's decisions that a suspicion looks at."""

    bars_per_year = 365.0

    def __init__(self, repaired=0.0, stale=0.0, daily=0.03):
        self.close_return = daily * np.where(np.arange(100) % 2, 1.0, -1.0)
        self.repaired = np.arange(100) < 100 * repaired
        self.stale = np.arange(100) < 100 * stale


def doubt(marks, *, area=0.53, ratio=0.8, passed=True, collapse=False):
    return suspicion.suspicion(
        np.arange(100), marks, GradeConfig(), area=area, ratio=ratio, passed=passed, collapse=collapse
    )


def test_a_usual_pass_is_not_suspicious():
    assert doubt(Marks(repaired=0.01, stale=0.03)) is None


def test_too_good_a_figure_is_suspicious_and_names_the_cause_that_was_looked_for():
    assert doubt(Marks(repaired=0.2), area=0.71) == (
        "auc 0.71 is at or above 0.65, too good for its kind of data: 20% of its out-of-sample bars were repaired"
    )
    assert doubt(Marks(), area=0.71, ratio=4.0) == (
        "auc 0.71 is at or above 0.65 and sharpe 4.00 is at or above 3.00, too good for its kind of data:"
        " no repaired bars, stale prices, peg or one-bar-later collapse found"
    )
    assert doubt(Marks(), area=0.65, passed=False)
    pegged = doubt(Marks(daily=0.001), area=0.71)
    assert pegged is not None
    assert pegged.endswith("its price hardly moves (1.9% a year), as of a peg or cash")
    assert doubt(Marks(daily=0.001)) is None  # a quiet price alone is no doubt


def test_a_pass_on_stale_prices_or_one_that_is_gone_a_bar_later_is_suspicious():
    assert "40% of its out-of-sample closes are stale" in doubt(Marks(stale=0.4))
    assert doubt(Marks(), collapse=True) == "passed, but the pass is gone one bar later"
    assert doubt(Marks(stale=0.4), passed=False) is None


def test_an_undefined_figure_is_not_suspicious():
    assert doubt(Marks(), area=None, ratio=None, passed=False) is None
