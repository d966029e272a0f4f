"""Days of a dataset of hours, and the histogram of returns."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from scipy.stats import norm

from src.evaluation import metrics
from src.reporting.tear_sheets.curves import BookedReturns, day_table, distribution_table, drawdowns


def test_returns_of_one_day_are_put_together() -> None:
    rng = np.random.default_rng(2)
    hours = np.datetime64("2024-01-01T05", "h") + np.arange(100)
    net, position = rng.normal(0, 0.01, 100), rng.integers(0, 2, 100).astype(np.float64)
    booked = BookedReturns(
        dt.date(2024, 1, 1), hours, net, net + 0.001, np.full(100, 0.001), position, position, 8760.0, benchmark=net
    )
    days, equity = day_table(booked), metrics.equity(net)
    assert days.height == 5
    for row in days.iter_rows(named=True):
        own = hours.astype("datetime64[D]") == np.datetime64(row["date"])
        assert row["net"] == pytest.approx(np.prod(1 + net[own]) - 1)
        assert row["equity"] == row["benchmark"] == pytest.approx(equity[own][-1])
        assert row["drawdown"] == pytest.approx(drawdowns(equity)[own].min())
        assert row["cost"] == pytest.approx(0.001 * own.sum()) and row["turnover"] == position[own].sum()
        assert row["position"] == pytest.approx(position[own].mean())


@pytest.mark.parametrize("scale", [0.01, 1e-5, 0.3])
def test_each_return_is_in_one_bin_and_zero_is_an_edge(scale: float) -> None:
    returns = np.random.default_rng(4).normal(0.1 * scale, scale, 600)
    table = distribution_table(returns)
    counts = [int(((returns >= a) & (returns < b)).sum()) for a, b in table.select("from", "to").iter_rows()]
    assert table["days"].to_list() == counts and sum(counts) == 600
    assert min(abs(edge) for edge in table["from"]) < 1e-15 and 20 <= table.height <= 45
    law = norm(returns.mean(), returns.std(ddof=1))
    expected = [600 * (law.cdf(b) - law.cdf(a)) for a, b in table.select("from", "to").iter_rows()]
    assert table["normal"].to_list() == pytest.approx(expected)
