import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from src.config.schema import GradeConfig
from src.evaluation import suspicion
from src.evaluation.metrics import auc
from src.evaluation.suspicion import OneBarLater, collapses
from tests.evaluation.skill_case import autoregressive, clears, direction, edge, later, z_of

GATE = GradeConfig()
NOTHING = OneBarLater(0.53, 0.52, 0.7, 0.5, 0.0)
GONE = OneBarLater(0.62, 0.5, 0.1, 6.4, 0.3)


@pytest.mark.parametrize("persistence", [0.0, 0.5, 0.8])
def test_of_genuine_passes_at_most_one_in_twenty_is_flagged(persistence):
    """Planted edges with an AUC of 0.53 to 0.58 on 500 to 1,700 bars that clear the gate."""
    rng = np.random.default_rng(int(100 * persistence))
    passed = flagged = 0
    for number in range(240):
        bars, strength = (500, 800, 1100, 1400, 1700)[number % 5], rng.uniform(0.05, 0.14)
        score, change = edge(bars, persistence, strength, rng)
        found, net = later(score, change)
        area = auc(direction(change), score)
        if clears(score, change, net) and 0.53 <= area <= 0.58:
            passed += 1
            z = z_of(score, change)
            flagged += collapses(found) or bool(suspicion.too_good({"auc": area, "z": z}, GATE))
    assert passed > 90
    assert flagged <= 0.05 * passed


def test_fast_skill_is_gone_one_bar_later_and_is_no_fault():
    """A quarter kept is not enough of a sign: scores without memory keep nothing."""
    rng = np.random.default_rng(8)
    gone = [later(*edge(1100, 0.0, 0.1, rng))[0] for _ in range(50)]
    assert sum(f.late_area - 0.5 < 0.25 * (f.area - 0.5) for f in gone) > 30
    assert sum(collapses(f) for f in gone) <= 2


@pytest.mark.parametrize("persistence", [0.0, 0.3, 0.7])
def test_scores_that_know_the_next_bar_are_flagged(persistence):
    """A part of the next return is known, beside noise of any pace; an AUC of about 0.63 as dated-early closes had."""
    rng = np.random.default_rng(9)
    for _ in range(20):
        change = 0.012 * rng.normal(size=1700)
        score = 0.45 * change / 0.012 + autoregressive(1700, persistence, rng)
        found = later(score, change)[0]
        z = z_of(score, change)
        assert collapses(found) or suspicion.too_good({"auc": found.area, "z": z}, GATE)


def test_a_persistent_score_whose_skill_is_gone_a_bar_later_is_flagged_earlier_than_a_fast_one():
    rng = np.random.default_rng(10)
    change = 0.012 * rng.normal(size=1200)
    slow, fast = (
        [later(0.12 * change / 0.012 + autoregressive(1200, pace, rng), change)[0] for _ in range(20)]
        for pace in (0.8, 0.0)
    )
    assert np.mean([found.area for found in slow]) < 0.58
    assert sum(collapses(found) for found in slow) >= 12
    assert sum(collapses(found) for found in fast) <= 1


def test_the_shifted_excess_is_that_of_a_loop_over_scikit_learn():
    rng = np.random.default_rng(11)
    label, score = (rng.random(80) < 0.4) * 1.0, rng.normal(size=80).round(1)
    loop = [roc_auc_score(label, np.roll(score, s)) - 0.5 for s in range(80)]
    assert suspicion.shifted_excess(label, score) == pytest.approx(loop, abs=1e-12)
    label, score = (rng.random(900) < 0.4) * 1.0, rng.normal(size=900)
    label[::9] = np.nan
    known = np.isfinite(label)
    for s in (1, 5, 77, 400):
        exact = roc_auc_score(label[known], np.roll(score, s)[known]) - 0.5
        assert suspicion.shifted_excess(label, score)[s] == pytest.approx(exact, abs=0.005)


def test_errors_of_the_drop_are_those_of_a_loop_over_shifts():
    rng = np.random.default_rng(12)
    score, change = edge(300, 0.5, 0.2, rng)
    change[change == 0.0] = 1e-4
    label = (change > 0) * 1.0
    found = later(score, change)[0]
    by_shift = [auc(label, np.roll(score, s)) for s in range(1, 300 - 75)]
    drop = found.area - found.late_area
    assert found.drop_errors == pytest.approx(drop / np.std(-np.diff(by_shift), ddof=1))
    ranks = np.argsort(np.argsort(score)) - 149.5
    pace = (ranks[1:] @ ranks[:-1]) / (ranks @ ranks)
    missing = pace * (found.area - 0.5) - (found.late_area - 0.5)
    null = pace * (np.array(by_shift[:-1]) - 0.5) - (np.array(by_shift[1:]) - 0.5)
    assert found.pace_errors == pytest.approx(missing / np.std(null, ddof=1))


def test_standard_errors_of_the_drop_are_its_spread_over_worlds():
    rng = np.random.default_rng(13)
    worlds = [later(autoregressive(700, 0.6, rng), 0.01 * rng.normal(size=700))[0] for _ in range(300)]
    assert np.std([found.drop_errors for found in worlds]) == pytest.approx(1.0, abs=0.12)
    assert sum(collapses(found) for found in worlds) <= 2


@pytest.mark.parametrize("n", [1, 2, 3, 20, 99])
def test_a_handful_of_bars_has_no_standard_errors(n):
    rng = np.random.default_rng(14)
    change = 0.01 * rng.normal(size=n)
    found = later(change, change)[0]
    assert found.drop_errors is None
    assert not collapses(found)


def test_constant_scores_and_one_sided_returns_are_not_flagged():
    rng = np.random.default_rng(15)
    change = 0.01 * rng.normal(size=400)
    assert later(np.full(400, 0.6), change)[0].drop_errors is None
    assert later(rng.normal(size=400), np.abs(change))[0] == OneBarLater(
        None, None, pytest.approx(0, abs=99), None, None
    )


def test_a_move_of_a_millionth_has_no_direction():
    rng = np.random.default_rng(16)
    score, change = edge(400, 0.5, 0.2, rng)
    still = np.where(np.arange(400) % 7 == 0, 1e-6 * np.sign(score), change)
    known = np.arange(400) % 7 != 0
    assert later(score, still)[0].area == pytest.approx(roc_auc_score(change[known] > 0, score[known]), abs=0.01)


def test_a_bounce_of_the_last_print_is_gone_one_bar_later():
    rng = np.random.default_rng(6)
    bounce = rng.normal(size=2000)
    change = -bounce * 0.01 + rng.normal(size=2000) * 0.01
    found = later(-bounce, change)[0]
    assert found.late_area == pytest.approx(0.5, abs=0.04)
    assert found.late_ratio < 0.5


def test_a_drift_that_lasts_is_still_there_one_bar_later():
    rng = np.random.default_rng(7)
    slow = np.convolve(rng.normal(size=2100), np.ones(30) / 30, "valid")[:2000]
    found = later(slow, slow * 0.05 + rng.normal(size=2000) * 0.01)[0]
    assert found.late_area > 0.6
    assert found.late_ratio > 1.0


class Marks:
    """The part of an instrument's decisions that a suspicion looks at."""

    bars_per_year = 365.0

    def __init__(self, repaired=0.0, stale=0.0, daily=0.03, asset_class="stock"):
        self.asset_class = asset_class
        self.close_return = daily * np.where(np.arange(100) % 2, 1.0, -1.0)
        self.repaired = np.arange(100) < 100 * repaired
        self.stale = np.arange(100) < 100 * stale


def doubt(marks, *, area=0.53, ratio=0.8, z=2.0, later=NOTHING, passed=True, kept=True):
    figures = {"auc": area, "sharpe": ratio, "z": z}
    return suspicion.suspicion(np.arange(100), marks, GATE, figures=figures, later=later, passed=passed, kept=kept)


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
    coin = Marks(asset_class="crypto")
    assert doubt(coin, kept=False) == "passed, but the pass is gone one bar later"
    assert doubt(coin, kept=False, passed=False) is None
    assert doubt(Marks(), kept=False) is None  # a stock's open is not the last close
    assert doubt(Marks(stale=0.4), passed=False) is None


def test_a_collapse_one_bar_later_is_suspicious_in_every_class_where_the_auc_looks_good():
    words = (
        "its auc of 0.62 is 0.50 one bar later, a drop of 6.4 standard errors, as of prices, dates or features that"
        " look one bar ahead"
    )
    for kind in ("stock", "etf", "crypto"):
        assert doubt(Marks(asset_class=kind), z=3.0, later=GONE) == f"passed, but {words}"
        assert doubt(Marks(asset_class=kind), z=2.9, later=GONE) is None
        assert doubt(Marks(asset_class=kind), z=3.0, later=GONE, passed=False) == f"not passed, but {words}"
        assert doubt(Marks(asset_class=kind), z=2.9, later=GONE, passed=False) is None  # it does not look good
    assert doubt(Marks(), area=0.7, z=7.0, later=GONE).endswith(f"too good for its kind of data: {words}")


def test_a_high_z_with_a_high_auc_is_suspicious():
    assert doubt(Marks(), area=0.58, z=6.0).startswith(
        "z 6.0 is at or above 6.0 with auc 0.58 at or above 0.58, too good"
    )
    assert doubt(Marks(), area=0.579, z=9.0) is None
    assert doubt(Marks(), area=0.6, z=5.9) is None
    assert doubt(Marks(), area=0.6, z=None) is None


def test_an_undefined_figure_is_not_suspicious():
    assert doubt(Marks(), area=None, ratio=None, passed=False) is None
