"""From scores to signals."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.schema import PortfolioConfig
from src.evaluation.pooled.prepared import prepare
from src.evaluation.pooled.signals import day_signal, signals, smoothed
from tests.evaluation.pooled.portfolio_case import DAYS, SMALL, market

SCORES = np.array([3.0, -1.0, 0.5, 9.0, 2.0], dtype=np.float32)


def test_a_neutral_signal_is_the_rank_over_volatility() -> None:
    out = day_signal(SCORES, np.array([0.01, 0.02, 0.04, 0.02, 0.01]), PortfolioConfig())
    np.testing.assert_allclose(out, [40, -40, -10, 40, 0])


def test_quantiles_are_one_above_and_minus_one_below() -> None:
    volatility = np.ones(5)
    assert day_signal(SCORES, volatility, PortfolioConfig(kind="quantiles")).tolist() == [0, -1, 0, 1, 0]
    halves = day_signal(SCORES, volatility, PortfolioConfig(kind="quantiles", quantiles=2))
    assert halves.tolist() == [1, -1, -1, 1, 0]
    assert day_signal(SCORES, volatility, PortfolioConfig(kind="long_excess")).tolist() == [0, 0, 0, 1, 0]


def test_a_monotone_change_of_scores_that_are_taken_as_they_are_changes_no_signal() -> None:
    section, eligible, styles, scores = market()
    prepared = prepare(DAYS, section, eligible, styles, replace(SMALL, neutralised=False), -0.3)
    np.testing.assert_array_equal(signals(prepared, scores), signals(prepared, np.exp(scores)))


def test_what_hardly_moves_counts_with_a_share_of_the_median_volatility() -> None:
    section, eligible, styles, _ = market()
    styles.volatility[:, 0] = 1e-5
    prepared = prepare(DAYS, section, eligible, styles, SMALL, -0.3)
    for day in prepared.signal_days:
        assert day.volatility.min() >= 0.2499 * np.median(day.volatility)


def test_positions_average_the_signals_of_a_name_that_exist() -> None:
    section, eligible, styles, scores = market()
    prepared = prepare(DAYS, section, eligible, styles, SMALL, -0.3)
    assert [window.tolist() for window in prepared.windows[:5]] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4]]
    signal = signals(prepared, scores)
    with np.testing.suppress_warnings() as ignored:
        ignored.filter(RuntimeWarning)
        expected = [np.nanmean(signal[window], axis=0) for window in prepared.windows]
    np.testing.assert_allclose(smoothed(prepared, signal), expected, rtol=1e-5)


@pytest.mark.parametrize(("trade_every", "signal_every", "rows"), [(5, 1, 86), (5, 5, 18), (3, 2, 87)])
def test_signals_are_made_on_the_days_that_positions_need(trade_every: int, signal_every: int, rows: int) -> None:
    section, eligible, styles, _ = market()
    choice = replace(SMALL, smoothing=6, trade_every=trade_every, signal_every=signal_every)
    prepared = prepare(DAYS, section, eligible, styles, choice, -0.3)
    made = [day.row for day in prepared.signal_days]
    wanted = {row for trade in range(0, 90, trade_every) for row in range(trade, trade - 6, -signal_every) if row >= 0}
    assert made == sorted(wanted)
    assert len(made) == rows
    for trade, window in zip(prepared.trades, prepared.windows, strict=True):
        assert made[window[-1]] == trade
