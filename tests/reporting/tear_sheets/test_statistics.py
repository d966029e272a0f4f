"""Each figure against an independent computation, written out."""

from __future__ import annotations

import datetime as dt
import math
import statistics as plain

import numpy as np
import polars as pl
import pytest

from src.evaluation.strategy import TradingConditions, performance
from src.reporting.tear_sheets import statistics as computed
from src.reporting.tear_sheets.curves import BookedReturns, day_table, drawdown_table, month_table, year_table
from src.reporting.tear_sheets.trades import trade_table

N, YEAR = 500, 365.0
RNG = np.random.default_rng(11)
NET = RNG.normal(0.0006, 0.011, N) * (RNG.random(N) < 0.8)
MARKET = 0.4 * NET + RNG.normal(0.0002, 0.012, N)
DAYS = np.datetime64("2019-06-03") + np.arange(N)
BEGIN = dt.date(2019, 6, 1)


def booked(net: np.ndarray = NET) -> BookedReturns:
    position = np.where(net != 0, 0.5, 0.0)
    cost = np.full(net.size, 1e-5)
    return BookedReturns(BEGIN, DAYS[: net.size], net, net + cost, cost, 2e-3 + 0 * net, position, YEAR)


def fall() -> list[float]:
    capital, peak, out = 1.0, 1.0, []
    for value in NET:
        capital *= 1 + value
        peak = max(peak, capital)
        out.append(capital / peak - 1)
    return out


def test_growth_and_risk_are_those_of_a_loop() -> None:
    found = computed.growth_figures(NET, YEAR)
    total = math.prod(1 + value for value in NET) - 1
    annual = (1 + total) ** (YEAR / N) - 1
    deviation, mean, depth = plain.stdev(NET), plain.fmean(NET), -min(fall())
    downside = math.sqrt(sum(min(value, 0) ** 2 for value in NET) / N)
    logs, x = np.cumsum([math.log1p(value) for value in NET]), range(N)
    expected = {
        "total_return": total,
        "annual_return": annual,
        "annual_volatility": deviation * math.sqrt(YEAR),
        "sharpe": mean / deviation * math.sqrt(YEAR),
        "max_drawdown": depth,
        "sortino": mean * YEAR / (downside * math.sqrt(YEAR)),
        "calmar": annual / depth,
        "omega": sum(v for v in NET if v > 0) / -sum(v for v in NET if v < 0),
        "stability": plain.correlation(x, logs.tolist()) ** 2,
        "ulcer_index": math.sqrt(sum(v * v for v in fall()) / N),
        "recovery_factor": total / depth,
    }
    assert found == pytest.approx(expected, rel=1e-9)


def test_tails_and_moments_are_those_of_a_loop() -> None:
    found, mean = computed.tail_figures(NET), plain.fmean(NET)
    ordered = sorted(NET)
    place = 0.05 * (N - 1)
    low = ordered[int(place)] + (place % 1) * (ordered[int(place) + 1] - ordered[int(place)])
    place = 0.95 * (N - 1)
    high = ordered[int(place)] + (place % 1) * (ordered[int(place) + 1] - ordered[int(place)])
    moment = [sum((v - mean) ** k for v in NET) / N for k in range(5)]
    worst = ordered[: int(0.05 * (N - 1)) + 1]
    expected = {
        "skew": moment[3] / moment[2] ** 1.5,
        "kurtosis": moment[4] / moment[2] ** 2 - 3,
        "tail_ratio": abs(high) / abs(low),
        "value_at_risk": low,
        "expected_shortfall": sum(worst) / len(worst),
        "best_day": ordered[-1],
        "worst_day": ordered[0],
    }
    assert found == pytest.approx(expected, rel=1e-9)


def test_alpha_and_beta_are_those_of_a_regression() -> None:
    found = computed.benchmark_figures(NET, MARKET, YEAR)
    slope, constant = plain.linear_regression(MARKET.tolist(), NET.tolist())
    gap = [a - b for a, b in zip(NET, MARKET, strict=True)]
    expected = {
        "alpha": (1 + constant) ** YEAR - 1,
        "benchmark_beta": slope,
        "benchmark_correlation": plain.correlation(NET.tolist(), MARKET.tolist()),
        "information_ratio": plain.fmean(gap) / plain.stdev(gap) * math.sqrt(YEAR),
    }
    assert found == pytest.approx(expected, rel=1e-9)
    assert set(computed.benchmark_figures(NET, None, YEAR).values()) == {None}


def test_days_under_water_are_counted_one_by_one() -> None:
    found, falls = computed.drawdown_figures(booked()), fall()
    days, longest, peak, depths = [BEGIN, *DAYS.tolist()], 0, 0, []
    for k, depth in enumerate(falls, 1):
        if depth == 0:
            longest = max(longest, (days[k] - days[peak]).days) if peak < k - 1 else longest
            peak = k
            continue
        if k == peak + 1:
            depths.append(0.0)
        depths[-1] = min(depths[-1], depth)
    longest = max(longest, (days[-1] - days[peak]).days)
    assert found["longest_drawdown"] == longest
    assert found["mean_drawdown"] == pytest.approx(-plain.fmean(depths))
    assert found["time_under_water"] == pytest.approx(sum(v < 0 for v in falls) / N)


def test_months_and_years_compound_their_days() -> None:
    days = day_table(booked())
    months, years = month_table(days), year_table(days)
    found = computed.period_figures(days, months, years)
    grown: dict[tuple[int, int], float] = {}
    for day, value in zip(DAYS.tolist(), NET, strict=True):
        grown[day.year, day.month] = grown.get((day.year, day.month), 1.0) * (1 + value)
    assert months.rows() == [(*key, pytest.approx(value - 1)) for key, value in grown.items()]
    assert found["best_month"] == pytest.approx(max(grown.values()) - 1)
    assert found["winning_months"] == pytest.approx(sum(v > 1 for v in grown.values()) / len(grown))
    assert math.prod(1 + v for v in years["net"]) == pytest.approx(days["equity"][-1])
    assert years["days"].sum() == N and years["benchmark"].to_list() == [None, None]
    assert found["worst_day_date"] == DAYS[int(np.argmin(NET))].item().isoformat()


def test_the_kelly_share_is_that_of_a_bet_with_the_same_odds() -> None:
    found = computed.day_figures(np.array([0.02, -0.01, 0.02, 0.0, 0.0]), np.array([1.0, 1.0, -1.0, 0.5, 0.0]))
    assert found["hit_rate"] == 0.5 and found["time_in_market"] == 0.8
    assert found["kelly"] == pytest.approx(0.5 - 0.5 / 2.0)
    assert found["exposure"] == pytest.approx(0.7) and found["mean_position"] == pytest.approx(0.3)


def test_costs_are_those_of_a_mean_year() -> None:
    found = computed.cost_figures(booked())
    assert found["cost_a_year"] == pytest.approx(1e-5 * YEAR) and found["turnover"] == pytest.approx(2e-3 * YEAR)
    gross = math.prod(1 + v + 1e-5 for v in NET) ** (YEAR / N) - 1
    assert found["gross_annual_return"] == pytest.approx(gross)
    assert found["cost_drag"] == pytest.approx(gross - (math.prod(1 + v for v in NET) ** (YEAR / N) - 1))


@pytest.mark.parametrize("net", [np.zeros(60), np.zeros(1), np.full(60, 0.001)], ids=["flat", "one day", "constant"])
def test_what_is_undefined_is_none_and_never_nan(net: np.ndarray) -> None:
    values = computed.growth_figures(net, YEAR) | computed.tail_figures(net)
    values |= computed.benchmark_figures(net, MARKET[: net.size], YEAR) | computed.drawdown_figures(booked(net))
    values |= computed.day_figures(net, np.zeros(net.size)) | computed.cost_figures(booked(net))
    assert all(value is None or math.isfinite(value) for value in values.values())
    assert values["calmar"] is values["omega"] is values["kelly"] is values["hit_rate"] is None
    assert values["tail_ratio"] is None and values["sortino"] is None


def test_a_loss_of_everything_stays_at_zero() -> None:
    values = computed.growth_figures(np.array([0.1, -1.2, 0.5]), 252.0)
    assert values["total_return"] == values["annual_return"] == -1.0 and values["max_drawdown"] == 1.0
    assert values["stability"] is None


def traded(exposure: list[float]) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Trades of a series of exposures under uneven costs and sizes, with net returns and costs of each day."""
    rng, n = np.random.default_rng(7), len(exposure)
    conditions = TradingConditions(rng.uniform(0.2, 1, n), rng.uniform(1e-4, 2e-3, n), rng.normal(0, 0.01, n))
    earned = performance(np.array(exposure), conditions)
    entries = DAYS[:n]
    return trade_table(earned, entries, entries + 1), earned.net, earned.cost


@pytest.mark.parametrize(
    ("exposure", "count"),
    [
        ([0, 1, 1, 0, 0, -1, -1, 1, 0.5, 0, 1], 4),
        ([1, 1, 1], 1),
        ([0, 0, 0], 0),
        ([1, -1, 1, -1], 4),
        ([0, 1, 0, 0, 0], 1),
    ],
    ids=["flips", "held throughout", "none", "flips every day", "one, then flat"],
)
def test_trades_add_up_to_the_days(exposure: list[float], count: int) -> None:
    trades, net, cost = traded(exposure)
    assert trades.height == count
    assert trades["net"].sum() == pytest.approx(net.sum(), abs=1e-15)
    assert trades["cost"].sum() == pytest.approx(cost.sum(), abs=1e-15)
    assert trades["bars"].sum() == np.count_nonzero(exposure)
    assert (trades["exit"].is_null().sum() == 1) == (exposure[-1] != 0)


def test_a_flip_pays_its_exit_and_the_next_its_entry() -> None:
    ones = np.ones(4)
    earned = performance(np.array([1.0, -1.0, -1.0, 0.0]), TradingConditions(ones, 0.001 * ones, np.zeros(4)))
    trades = trade_table(earned, DAYS[:4], DAYS[1:5])
    assert trades["cost"].to_list() == pytest.approx([0.002, 0.002])
    assert trades["side"].to_list() == ["long", "short"]
    assert trades.select("entry", "exit").row(1) == (DAYS[1].item(), DAYS[3].item())
    figures = computed.trade_figures(trades)
    assert figures["trades"] == 2 and figures["trade_win_rate"] == 0.0 and figures["longest_loss_streak"] == 2
    assert figures["profit_factor"] == 0.0 and figures["payoff_ratio"] is None


def test_a_drawdown_begins_on_the_day_of_its_peak_and_may_have_no_end() -> None:
    net = np.array([-0.1, 0.2, 0.1, -0.05, 0.01])
    table = drawdown_table(booked(net))
    first, second = table.sort("start").rows(named=True)
    assert first["start"] == BEGIN and first["depth"] == pytest.approx(0.1) and first["end"] == DAYS[1].item()
    assert second["start"] == DAYS[2].item() and second["bottom"] == DAYS[3].item()
    assert second["end"] is None and second["days"] == 2
