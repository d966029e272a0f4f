import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from src.evaluation import metrics
from src.monitoring import bands
from src.monitoring.resampling import drawn_days

CHOICE = {"level": 0.9, "draws": 400, "block": 10, "seed": 1}


def a_record(n=600, seed=0, skill=0.3):
    """Coarse scores, so that many are equal; some days without a label; days without a position."""
    rng = np.random.default_rng(seed)
    move = rng.standard_t(5, size=n)
    score = np.round(1 / (1 + np.exp(-skill * move - rng.normal(size=n))), 1)
    label = np.where(rng.random(n) < 0.05, np.nan, (move > 0).astype(float))
    net = np.where(score > 0.5, move * 0.005, 0.0)
    return bands.DailyRecord(net, np.abs(rng.normal(size=n)) * 1e-4, 252.0, label, score)


def taken(record, days):
    return replace(
        record, net=record.net[days], cost=record.cost[days], label=record.label[days], score=record.score[days]
    )


def test_figures_are_those_of_the_grade():
    record = a_record()
    found = bands.figures(record)
    assert found["auc"] == pytest.approx(metrics.auc(record.label, record.score), abs=1e-12)
    assert found["accuracy"] == pytest.approx(metrics.accuracy(record.label, record.score), abs=1e-12)
    assert found["sharpe"] == pytest.approx(metrics.sharpe(record.net, 252.0), abs=1e-12)
    assert found["max_drawdown"] == pytest.approx(metrics.max_drawdown(record.net), abs=1e-12)
    assert found["mean_cost"] == pytest.approx(record.cost.mean())
    assert found["hit_rate"] == pytest.approx((record.net > 0).sum() / (record.net != 0).sum())


def test_bands_are_quantiles_of_the_figures_of_each_draw():
    record, days = a_record(), 60
    drawn = drawn_days(record.net.size, days, CHOICE["draws"], CHOICE["block"], (CHOICE["seed"], 0xBA))
    each = [bands.figures(taken(record, row)) for row in drawn]
    found = bands.bands(record, days, **CHOICE)
    for name in bands.FIGURES:
        values = np.array([math.nan if one[name] is None else one[name] for one in each])
        low, high = np.quantile(values[np.isfinite(values)], (0.05, 0.95))
        assert (found[name].low, found[name].high) == pytest.approx((low, high), abs=1e-12)
    assert bands.band(record, days, "auc", **CHOICE) == found["auc"]


def test_a_days_label_score_and_return_are_drawn_together():
    """Drawn apart, the label knows nothing of the score and the AUC is one half."""
    found = bands.bands(a_record(2000, skill=1.5), 250, **CHOICE)
    assert found["auc"].low > 0.6


def test_band_of_a_mean_is_that_of_the_normal_distribution():
    rng = np.random.default_rng(3)
    net = rng.normal(0.0004, 0.01, size=4000)
    record = bands.DailyRecord(net, np.zeros(4000), 252.0)
    found = bands.bands(record, 252, level=0.9, draws=4000, block=1, seed=0)["sharpe"]
    ratio = metrics.sharpe(net, 252.0)
    half = stats.norm.ppf(0.95) * math.sqrt(1 + ratio**2 / 252 / 2)
    assert (found.low, found.high) == pytest.approx((ratio - half, ratio + half), abs=0.1)


def test_bands_are_centred_on_what_is_expected():
    record = a_record(2000, skill=0.5)
    own = bands.figures(record)
    found = bands.bands(record, 250, **CHOICE, centre={"sharpe": 0.2, "auc": 0.51})
    assert found["sharpe"].mean == pytest.approx(0.2, abs=0.2)
    assert found["auc"].mean == pytest.approx(0.51, abs=0.01)
    free = bands.bands(record, 250, **CHOICE)
    assert free["sharpe"].mean == pytest.approx(own["sharpe"], abs=0.25)
    assert free["accuracy"].mean > found["accuracy"].mean > 0.5
    assert free["max_drawdown"].mean < found["max_drawdown"].mean


def test_recentring_gives_the_ratio_and_leaves_days_without_a_position_alone():
    record = a_record()
    moved = bands.recentred(record, 0.3)
    assert (moved.net[record.net == 0] == 0).all()
    assert moved.net.mean() / record.net.std(ddof=1) * math.sqrt(252) == pytest.approx(0.3)
    assert bands.recentred(record, None) is record


def test_a_band_holds_its_share_of_later_years_if_it_knows_how_sure_the_record_is():
    rng, inside = np.random.default_rng(5), {True: 0, False: 0}
    for _ in range(200):
        net = np.convolve(rng.standard_t(6, size=756), [0.6, 0.4], mode="valid") * 0.01
        later = bands.figures(bands.DailyRecord(net[500:750], np.zeros(250), 252.0))["sharpe"]
        own = metrics.sharpe(net[:500], 252.0)
        spread = math.sqrt(252 / 500) * 1.38  # the sum of two days that overlap: (0.6 + 0.4) / sqrt(0.6^2 + 0.4^2)
        for sure in (True, False):
            errors = {"sharpe": spread} if sure else None
            record = bands.DailyRecord(net[:500], np.zeros(500), 252.0)
            found = bands.bands(record, 250, **CHOICE, centre={"sharpe": own}, errors=errors)["sharpe"]
            inside[sure] += bool(found.holds(later))
    low, high = stats.binom.interval(0.99, 200, 0.9)
    assert low <= inside[True] <= high
    assert inside[False] < low


def test_errors_of_the_auc_widen_its_band_and_that_of_the_accuracy():
    record = a_record(2000, skill=0.5)
    narrow = bands.bands(record, 1000, **CHOICE, centre={"auc": 0.53})
    wide = bands.bands(record, 1000, **CHOICE, centre={"auc": 0.53}, errors={"auc": 0.03})
    for name in ("auc", "accuracy"):
        assert wide[name].high - wide[name].low > narrow[name].high - narrow[name].low
    assert wide["sharpe"] == narrow["sharpe"]


def test_a_book_without_labels_has_no_band_of_its_scores():
    record = bands.DailyRecord(np.full(100, 0.01), np.zeros(100), 252.0)
    found = bands.bands(record, 20, **CHOICE)
    assert found["auc"] is None and found["accuracy"] is None
    assert found["sharpe"] is None  # of a constant return
    assert found["max_drawdown"] == bands.Band(0.0, 0.0, 0.0)
    flat = bands.figures(bands.DailyRecord(np.zeros(100), np.zeros(100), 252.0))
    assert (flat["sharpe"], flat["hit_rate"]) == (0.0, None)


def test_a_record_with_a_hole_or_of_unequal_sizes_is_refused():
    with pytest.raises(ValueError, match="net of a record must be finite on every day, got 1"):
        bands.DailyRecord(np.array([0.1, math.nan]), np.zeros(2), 252.0)
    with pytest.raises(ValueError, match="one value of each kind a day"):
        bands.DailyRecord(np.zeros(3), np.zeros(2), 252.0)
    with pytest.raises(ValueError, match="two days of record and two live, got 3 and 1"):
        bands.bands(bands.DailyRecord(np.zeros(3), np.zeros(3), 252.0), 1, **CHOICE)
