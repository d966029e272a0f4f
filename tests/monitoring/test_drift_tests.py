import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from src.evaluation.metrics import auc
from src.monitoring import adversarial, drift_tests, psi

CHOICE = {"looks": 60, "alarms": 0.05, "draws": 100, "seed": 0}


def slow(n, features, persistence, rng):
    """AR(1) features that share a third of their variance."""
    steps = np.sqrt(1 / 3) * rng.normal(size=(n + 200, 1)) + np.sqrt(2 / 3) * rng.normal(size=(n + 200, features))
    series = lfilter([np.sqrt(1 - persistence**2)], [1.0, -persistence], steps, axis=0)
    return series[200:].astype(np.float32)


def named(table):
    return [f"f{j}" for j in range(table.shape[1])]


def look(table, at, window=30, **choice):
    return drift_tests.feature_drift(table[:900], table[at : at + window], named(table), **CHOICE | choice)


@pytest.mark.parametrize("persistence", [0.0, 0.95])
def test_a_year_of_looks_without_drift_raises_no_more_alarms_than_stated(persistence):
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(25):
        table = slow(900 + 30 + 60, 4, persistence, rng)
        years = drift_tests.year_of_looks(table[:900], table[900:], window=30, **CHOICE)
        alarms += bool((years > 1.0).any())
    assert alarms <= stats.binom.isf(0.001, 25, 0.05)


def test_a_null_of_independent_rows_would_condemn_slow_features():
    """The planted fault: the reference in another order, which has the same deciles."""
    rng = np.random.default_rng(1)
    reference = slow(900, 4, 0.95, rng)
    limits = []
    for table in (reference, rng.permutation(reference)):
        years = psi.simulated_years(psi.Cuts.of(table).cells(table), table, 30, 60, 100, 0)
        limits.append(np.quantile(years.max(axis=0), 0.95, axis=0))
    assert (limits[0] > 2 * limits[1]).all()


def test_a_look_is_one_of_its_year():
    table = slow(900 + 40, 3, 0.9, np.random.default_rng(2))
    statistic = drift_tests.year_of_looks(table[:900], table[900:], window=30, **CHOICE)
    assert statistic.size == 11
    for at in (0, 4, 10):
        assert look(table, 900 + at).statistic == pytest.approx(statistic[at])


def test_a_feature_that_is_stuck_broken_or_missing_raises_the_alarm():
    for fault in (0.0, 1e6, np.nan):
        table = slow(930, 20, 0.5, np.random.default_rng(3))
        table[900:, 7] = fault
        found = look(table, 900)
        assert found.alarm and found.most(1) == ["f7"]
        assert found.p[7] == found.p.min() < 0.001
        assert found.q[7] < 0.02


def test_a_small_shift_of_all_features_raises_the_alarm_where_one_alone_does_not():
    table = slow(930, 30, 0.0, np.random.default_rng(4))
    assert not look(table, 900).alarm
    one, every = table.copy(), table.copy()
    one[900:, 0] += 0.5
    every[900:] += 0.7
    assert not look(one, 900).alarm
    found = look(every, 900)
    assert found.alarm and found.year_p <= 0.05
    assert found.adversarial_auc > 0.75 and found.adversarial_p < 0.03


def test_the_limits_are_passed_by_the_stated_share_of_the_drawn_years():
    highest = np.random.default_rng(5).normal(size=(200, 2))
    limits = drift_tests._limits(highest, 0.05)
    assert np.count_nonzero((highest > limits).any(axis=1)) <= 9  # one more year passes with probability 10/201
    assert np.count_nonzero((highest > limits).any(axis=1)) >= 7


def test_scores_are_one_feature():
    scores = slow(930, 1, 0.8, np.random.default_rng(6))[:, 0].astype(np.float64)
    found = drift_tests.score_drift(scores[:900], scores[900:], **CHOICE)
    assert found.names == ("score",) and not found.alarm
    assert drift_tests.score_drift(scores[:900], scores[900:] + 5.0, **CHOICE).alarm


def test_benjamini_hochberg_over_the_features():
    found = look(slow(930, 12, 0.3, np.random.default_rng(7)), 900)
    assert found.q == pytest.approx(stats.false_discovery_control(found.p))


def test_what_cannot_be_compared_is_refused():
    table = slow(100, 2, 0.0, np.random.default_rng(8))
    with pytest.raises(ValueError, match="2 recent rows and 5 times as many of the reference, got 30 and 100"):
        drift_tests.feature_drift(table, table[:30], named(table), **CHOICE)
    for recent, names in ((table[:10], ["one"]), (table[:10, :1], ["one", "two"]), (table[:10, :1], ["one"])):
        with pytest.raises(ValueError, match="the same features on both sides"):
            drift_tests.feature_drift(table, recent, names, **CHOICE)


def test_a_window_is_told_from_other_rows_by_means_that_leave_its_block_out():
    rng = np.random.default_rng(9)
    rows = rng.normal(size=(60, 3))
    sums = np.concatenate([np.zeros((1, 3)), np.cumsum(rows, axis=0)])
    inside, outside = np.arange(20, 32), np.r_[0:20, 32:60]
    labels, scores = [], []
    for near, far in zip(np.array_split(inside, 4), np.array_split(outside, 4), strict=True):
        after = rows[np.setdiff1d(inside, near)].mean(axis=0)
        before = rows[np.setdiff1d(outside, far)].mean(axis=0)
        for each, label in ((near, 1.0), (far, 0.0)):
            scores.extend((rows[each] - (after + before) / 2) @ (after - before))
            labels.extend([label] * each.size)
    want = auc(np.array(labels), np.array(scores))
    assert adversarial._window_auc(rows, sums, 20, 12) == pytest.approx(want, abs=1e-12)


def test_the_whitened_discriminant_is_fishers():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(10)
    rows = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 3))
    label = rng.random(4000) < 0.5
    rows[label, 0] += 0.1  # so little that the covariance of all rows is that within
    turned = adversarial._whitened(rows)
    direction = turned[label].mean(axis=0) - turned[~label].mean(axis=0)
    ours = turned @ direction
    covariance = np.cov(rows, rowvar=False)
    ridge = 0.1 * np.trace(covariance) / 3 * np.eye(3)
    fisher = np.linalg.solve(covariance + ridge, rows[label].mean(axis=0) - rows[~label].mean(axis=0))
    assert np.corrcoef(ours, rows @ fisher)[0, 1] == pytest.approx(1.0, abs=1e-9)
    plain = LinearDiscriminantAnalysis().fit(rows, label).decision_function(rows)
    bare = np.linalg.solve(covariance, rows[label].mean(axis=0) - rows[~label].mean(axis=0))
    assert np.corrcoef(plain, rows @ bare)[0, 1] == pytest.approx(1.0, abs=1e-3)


def test_p_of_the_adversarial_auc_is_uniform_without_drift_of_slow_features():
    rng = np.random.default_rng(11)
    p = []
    for _ in range(30):
        table = slow(330, 4, 0.95, rng)
        p.append(adversarial.separation(table[:300], table[300:])[1])
    assert np.mean(np.array(p) <= 0.2) < 0.45
    assert np.mean(p) == pytest.approx(0.5, abs=0.2)
