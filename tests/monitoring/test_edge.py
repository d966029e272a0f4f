import numpy as np
import pytest
from scipy import stats

from src.evaluation.metrics import auc
from src.monitoring import edge

CHOICE = {"looks": 252, "alarms": 0.05, "draws": 400, "block": 10, "seed": 0}


def predictions(days, champions, skill, rng):
    """Champions on instruments that share a third of their variance; scores with a skill."""
    move = rng.normal(size=(days, 1)) * 0.58 + rng.normal(size=(days, champions)) * 0.82
    return (move > 0).astype(float), np.round(skill * move + rng.normal(size=(days, champions)), 1)


def shares(past, later):
    record, live = np.empty(past[0].shape), np.empty(later[0].shape)
    for i in range(record.shape[1]):
        known = edge.ScoreEdge.of(past[0][:, i], past[1][:, i])
        record[:, i] = known.days(past[0][:, i], past[1][:, i])
        live[:, i] = known.days(later[0][:, i], later[1][:, i])
    return record, live


def test_mean_share_of_the_record_is_its_auc_less_one_half():
    rng = np.random.default_rng(0)
    label, score = (each[:, 0] for each in predictions(400, 1, 0.5, rng))
    label[rng.random(400) < 0.1] = np.nan
    days = edge.ScoreEdge.of(label, score).days(label, score)
    assert (np.isnan(days) == np.isnan(label)).all()
    assert np.nanmean(days) == pytest.approx(auc(label, score) - 0.5, abs=1e-12)


def test_a_record_of_one_kind_has_no_share():
    assert edge.ScoreEdge.of(np.ones(10), np.zeros(10)) is None
    assert edge.ScoreEdge.of(np.full(10, np.nan), np.zeros(10)) is None


def test_a_day_is_the_log_likelihood_ratio_of_independent_champions():
    rng = np.random.default_rng(1)
    record, live = 0.03 + 0.5 * rng.normal(size=(300, 3)), 0.5 * rng.normal(size=(5, 3))
    live[2, 1] = np.nan
    expected = np.array([0.03, 0.02, -0.01])
    joint = edge.joint_edge(record, live, expected)
    deviation = record.std(axis=0, ddof=1)
    want = np.zeros(5)
    for day in range(5):
        for i in (0, 1):  # the third has no edge to lose
            if np.isfinite(live[day, i]):
                gone, kept = (stats.norm.logpdf(live[day, i], mean, deviation[i]) for mean in (0.0, expected[i]))
                want[day] += gone - kept
    assert joint.live == pytest.approx(want)
    assert joint.champions == 2
    information = ((expected[:2] / deviation[:2]) ** 2).sum()
    assert joint.information == pytest.approx(information)
    assert joint.record.mean() == pytest.approx(-information / 2)  # moved to what is expected


def test_errors_that_move_together_add_up_and_others_partly_cancel():
    rng = np.random.default_rng(2)
    apart = rng.normal(size=(4000, 4))
    together = np.repeat(apart[:, :1], 4, axis=1)
    found = [
        edge.joint_edge(each, each[:3], np.full(4, 0.03), np.full(4, 0.01)).uncertainty for each in (apart, together)
    ]
    one = 0.03 * 0.01  # weight of a share of variance 1, times its error
    assert found == pytest.approx([2 * one, 4 * one], rel=0.08)
    assert edge.joint_edge(apart, apart[:3], np.full(4, 0.03)).uncertainty == 0.0


def test_the_loss_of_the_edge_is_seen_and_its_presence_is_no_alarm():
    rng, gone, kept = np.random.default_rng(3), 0, 0
    for _ in range(40):
        past = predictions(1200, 20, 0.08, rng)
        for skill in (0.08, 0.0):
            record, live = shares(past, predictions(252, 20, skill, rng))
            joint = edge.joint_edge(record, live, np.full(20, record.mean()), np.full(20, 0.01))
            crossed = edge.loss_of_edge(joint, **CHOICE).crossed is not None
            gone, kept = gone + (crossed and not skill), kept + (crossed and bool(skill))
    assert kept <= stats.binom.isf(0.001, 40, 0.05)
    assert gone >= 30


def test_limits_from_champions_drawn_apart_would_condemn_the_innocent():
    """The planted fault: resampling each champion's days on its own loses that they move together."""
    rng = np.random.default_rng(4)
    common = rng.normal(size=(2000, 1)) + 0.3 * rng.normal(size=(2000, 15))
    alone = np.stack([rng.permutation(column) for column in common.T], axis=1)
    limits = [
        edge.loss_of_edge(edge.joint_edge(each + 0.05, each[:1], np.full(15, 0.05)), **CHOICE).limit[0]
        for each in (common, alone)
    ]
    assert limits[0] > 2 * limits[1]


def test_days_without_a_label_say_nothing_and_champions_without_an_edge_are_left_out():
    rng = np.random.default_rng(5)
    record, live = rng.normal(size=(100, 2)), np.full((3, 2), np.nan)
    assert edge.joint_edge(record, live, np.array([0.02, 0.03])).live.tolist() == [0.0] * 3
    assert edge.joint_edge(record, live, np.array([-0.02, np.nan])) is None
    assert edge.joint_edge(np.full((100, 2), np.nan), live, np.array([0.02, 0.03])) is None
