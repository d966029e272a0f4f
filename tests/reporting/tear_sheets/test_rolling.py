"""Rolling figures against the grade's own definitions, window by window."""

from __future__ import annotations

import numpy as np
import pytest

from src.evaluation import metrics
from src.reporting.tear_sheets.rolling import rolling_auc, rolling_sharpe


def as_numbers(values: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]


def test_the_auc_of_each_window_is_that_of_its_days_alone() -> None:
    rng = np.random.default_rng(5)
    label = rng.integers(0, 2, 700).astype(np.float64)
    label[rng.random(700) < 0.05], label[200:260] = np.nan, 1.0  # a window of one class
    score = np.round(rng.random(700), 1)  # ties
    naive = [metrics.auc(label[k - 39 : k + 1], score[k - 39 : k + 1]) for k in range(39, 700)]
    found = rolling_auc(label, score, 40)
    assert np.isnan(found[:39]).all()
    assert found[39:] == pytest.approx(as_numbers(naive), rel=1e-12, nan_ok=True)
    assert np.isnan(found).sum() > 39
    assert np.isnan(rolling_auc(label[:10], score[:10], 40)).all()


def test_the_sharpe_ratio_of_each_window_is_that_of_its_days_alone() -> None:
    rng = np.random.default_rng(6)
    net = rng.normal(0.001, 0.01, 700)
    net[100:200], net[300:400] = 0.0, 0.001  # no trade, and a constant
    ends = np.arange(0, 700, 3)
    naive = [metrics.sharpe(net[k - 39 : k + 1], 365.0) if k >= 39 else None for k in ends]
    assert rolling_sharpe(net, 40, 365.0, ends) == pytest.approx(as_numbers(naive), rel=1e-12, nan_ok=True)
