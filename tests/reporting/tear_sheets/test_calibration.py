"""Calibration against SciPy's interval and a loop over bins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from src.reporting.tear_sheets.calibration import calibration_table


def test_bins_are_of_equal_size_with_wilsons_interval() -> None:
    rng = np.random.default_rng(8)
    score = rng.random(1003)
    label = (rng.random(1003) < score).astype(np.float64)
    label[::17] = np.nan
    table, known = calibration_table(label, score), ~np.isnan(label)
    assert table.height == 10 and table["n"].sum() == known.sum() and table["n"].max() - table["n"].min() <= 1
    order, start = np.argsort(score[known]), 0
    for row in table.iter_rows(named=True):
        own = order[start : start + row["n"]]
        interval = binomtest(int(label[known][own].sum()), row["n"]).proportion_ci(method="wilson")
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert row["predicted"] == pytest.approx(score[known][own].mean())
        assert row["observed"] == pytest.approx(label[known][own].mean())
        start += row["n"]


def test_equal_scores_are_never_divided_and_few_days_have_no_bins() -> None:
    label = np.tile([0.0, 1.0], 100)
    assert calibration_table(label, np.full(200, 0.5))["n"].to_list() == [200]
    two = calibration_table(label, np.repeat([0.4, 0.6], 100))
    assert two["n"].to_list() == [100, 100] and two["predicted"].to_list() == pytest.approx([0.4, 0.6])
    assert calibration_table(label[:19], np.linspace(0, 1, 19)).is_empty()
