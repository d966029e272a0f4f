import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, roc_auc_score

from src.evaluation import metrics

SCORES = hnp.arrays(np.float64, st.integers(2, 60), elements=st.integers(0, 8).map(lambda i: i / 8))


@given(SCORES, st.randoms(use_true_random=False))
def test_auc_with_ties_is_that_of_scikit_learn(score, random):
    label = np.array([float(random.random() < 0.5) for _ in score])
    label[:2] = 0.0, 1.0
    assert metrics.auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


@given(SCORES)
def test_midranks_are_those_of_scipy(score):
    assert metrics.midranks(score).tolist() == rankdata(score).tolist()


def test_zero_return_days_leave_auc_accuracy_and_majority():
    label, score = np.array([0.0, np.nan, 1.0, 1.0]), np.array([0.4, 0.9, 0.6, 0.3])
    kept = np.array([0, 2, 3])
    assert metrics.auc(label, score) == metrics.auc(label[kept], score[kept]) == 0.5
    assert metrics.accuracy(label, score) == pytest.approx(2 / 3)
    assert metrics.majority_accuracy(label) == pytest.approx(2 / 3)


@given(SCORES)
def test_accuracy_at_one_half_is_that_of_scikit_learn(score):
    label = (np.arange(score.size) % 2).astype(float)
    assert metrics.accuracy(label, score) == pytest.approx(accuracy_score(label, score > 0.5))


@pytest.mark.parametrize("label", [[], [np.nan, np.nan], [1.0, 1.0], [0.0, np.nan]])
def test_auc_of_fewer_than_two_classes_is_undefined(label):
    assert metrics.auc(np.array(label), np.linspace(0, 1, len(label))) is None


def test_accuracy_without_a_labelled_day_is_undefined():
    assert metrics.accuracy(np.array([np.nan]), np.array([0.7])) is None
    assert metrics.majority_accuracy(np.array([np.nan])) is None


def test_a_missing_score_is_refused_with_a_clear_message():
    with pytest.raises(ValueError, match="got 1 NaN of 2: predict them all"):
        metrics.auc(np.array([0.0, 1.0]), np.array([0.3, np.nan]))
    with pytest.raises(ValueError, match="must be a number"):
        metrics.accuracy(np.array([0.0, 1.0]), np.array([0.3, np.nan]))


def test_sharpe_worked_by_hand():
    """Mean 0.005, squares about it 0.0005, variance 0.0005/3, ratio 0.3873, times sqrt(252)."""
    returns = np.array([0.01, -0.01, 0.02, 0.0])
    assert metrics.sharpe(returns, 252.0) == pytest.approx(0.005 / (0.0005 / 3) ** 0.5 * 252**0.5)


def test_flat_days_count_in_sharpe():
    busy, half = np.array([0.01, 0.02, -0.005]), np.array([0.01, 0.0, 0.02, 0.0, -0.005, 0.0])
    assert metrics.sharpe(half, 252.0) < metrics.sharpe(busy, 252.0)


def test_sharpe_without_a_trade_is_zero_and_of_a_constant_gain_undefined():
    assert metrics.sharpe(np.zeros(10), 252.0) == 0.0
    assert metrics.sharpe(np.full(10, 0.001), 252.0) is None
    assert metrics.sharpe(np.array([0.1]), 252.0) is None


def test_drawdown_of_a_halved_price_is_half():
    assert metrics.max_drawdown(np.array([0.0, -0.5, 0.4])) == pytest.approx(0.5)


def test_a_loss_on_the_first_day_is_a_drawdown_from_the_starting_capital():
    assert metrics.max_drawdown(np.array([-0.1, 0.05])) == pytest.approx(0.1)


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-1.5, 2.0)))
def test_drawdown_is_that_of_a_naive_loop(returns):
    capital = peak = 1.0
    worst = 0.0
    for r in returns:
        capital *= max(1.0 + r, 0.0)
        peak = max(peak, capital)
        worst = max(worst, (peak - capital) / peak)
    assert metrics.max_drawdown(returns) == pytest.approx(worst, abs=1e-12)
    assert 0.0 <= worst <= 1.0


def test_a_loss_beyond_all_capital_ends_at_nothing_for_good():
    assert metrics.equity(np.array([-1.2, 5.0])).tolist() == [0.0, 0.0]
    assert metrics.max_drawdown(np.array([-1.2, 5.0])) == 1.0
    assert metrics.max_drawdown(np.array([])) is None
