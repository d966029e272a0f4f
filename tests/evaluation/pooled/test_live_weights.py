"""Weights up to the last bar: those of a grade where all is known, and of what was known at each close."""

from dataclasses import replace

import numpy as np
import pytest

from src.config.schema import PortfolioConfig
from src.evaluation.pooled.live_weights import live_weights
from src.evaluation.pooled.portfolio import traded
from src.market.cross_section import STILL_LISTED
from tests.evaluation.pooled.portfolio_case import DAYS, SMALL, market, until

FIRST = DAYS.start
CHOICES = {
    "neutral": SMALL,
    "raw scores, a band": replace(SMALL, neutralised=False, band=0.5, trade_every=3),
    "quantiles": replace(SMALL, kind="quantiles", quantiles=4, trade_every=1, smoothing=3, signal_every=1),
    "long_excess": replace(SMALL, kind="long_excess", quantiles=4, trade_every=2),
}


def live(case, choice):
    section, eligible, styles, scores = case
    return live_weights(scores[FIRST:], FIRST, section, eligible, styles, choice, -0.3)


def of_all(case, weights, values):
    """Weights of the traded names as those of all names of a case, by symbol: zeros are left out."""
    symbols = np.array(case[0].symbols)[weights.columns]
    return {symbol: value for symbol, value in zip(symbols, values.tolist(), strict=True) if value}


def decided(case, choice, row):
    """What is decided and held at the close of a day: names that traded on it can be ordered."""
    weights = live(case, choice)
    tradable = np.isfinite(case[0].close[row, weights.columns])
    now, then = weights.decided(row - FIRST, tradable), weights.before(row - FIRST)
    return of_all(case, weights, now), of_all(case, weights, then)


def without_leavers(case):
    """The names that trade to the end, without a halt: nothing was known later than it happened."""
    section, eligible, styles, scores = case
    kept = np.arange(section.shape[1] - 4)
    tables = ("open", "close", "dollar_volume", "traded_price", "half_spread")
    section = replace(section, **{name: getattr(section, name)[:, kept] for name in tables})
    section = replace(section, symbols=section.symbols[: kept.size], last=section.last[kept])
    styles = replace(styles, **{name: table[:, kept] for name, table in vars(styles).items()})
    return section, eligible[:, kept], styles, scores[:, kept]


def with_other_future(case, row):
    """After a row one name is delisted, one halts, all have other prices, and a name before all others is listed."""
    section, eligible, styles, scores = case
    close, opens = section.close.copy(), section.open.copy()
    for table in (close, opens):
        table[row + 1 :] *= 1.0 + 0.3 * np.sin(np.arange(close[row + 1 :].size)).reshape(close[row + 1 :].shape)
        table[row + 1 :, 3] = table[row + 3 : row + 12, 5] = np.nan
    listed = np.full((close.shape[0], 1), np.nan)
    listed[row + 1 :] = 10.0

    def wide(table, own):
        return np.concatenate((own, table), axis=1)

    close, opens = wide(close, listed), wide(opens, listed)
    last = np.array([np.flatnonzero(each)[-1] for each in np.isfinite(close).T])
    others = {name: wide(getattr(section, name), listed) for name in ("dollar_volume", "traded_price", "half_spread")}
    section = replace(section, symbols=("A", *section.symbols), open=opens, close=close, last=last, **others)
    styles = replace(styles, **{name: wide(table, listed.astype(np.float32)) for name, table in vars(styles).items()})
    return section, wide(eligible, np.isfinite(listed)), styles, wide(scores, listed.astype(np.float32))


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_the_weights_are_those_of_a_grade(choice: PortfolioConfig) -> None:
    case = without_leavers(market())
    section, eligible, styles, scores = case
    graded = traded(scores, slice(FIRST, None), section, eligible, styles, choice, -0.3)
    weights = live(case, choice)
    assert np.count_nonzero(graded.held) > 100
    assert weights.columns.tolist() == graded.columns.tolist()
    assert np.array_equal(weights.held[: len(graded.held)], graded.held)


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_what_comes_later_changes_no_decision(choice: PortfolioConfig) -> None:
    case = market()
    for row in (66, 71, 73, 77, 84):
        known = decided(until(*case, row), choice, row)
        assert known[0]
        assert decided(case, choice, row) == known
        assert decided(with_other_future(case, row), choice, row) == known


def test_a_name_stays_until_its_delisting_is_known() -> None:
    case = market()
    leaver, last = case[0].symbols[-1], 70
    choice = replace(SMALL, trade_every=1, smoothing=1, signal_every=1)
    held = [decided(until(*case, row), choice, row)[1].get(leaver) for row in range(last, last + STILL_LISTED + 4)]
    assert held[0]
    assert held[1 : STILL_LISTED + 2] == [held[1]] * (STILL_LISTED + 1)
    assert held[1] and held[STILL_LISTED + 2 :] == [None] * 2


def test_a_delisting_enters_the_volatility_when_it_is_known() -> None:
    """The scale of a trade day, by a plain loop over what each held name earned as it was known on that day."""
    case = market()
    section = case[0]
    choice = replace(SMALL, trade_every=1, smoothing=1, signal_every=1)
    weights = live(case, choice)
    for row in (71, 74, 76, 77, 79):
        day = row - FIRST
        aimed = weights.targets[day].sum(axis=0).astype(np.float64)
        scale = np.abs(aimed).sum()
        paper = [earned(section, weights, day_before, row) for day_before in range(day - 1 - 12, day - 1)]
        expected = min(0.10 / (np.std(paper, ddof=1) * np.sqrt(252.0)), 2.0)
        assert scale == pytest.approx(expected, rel=1e-5)


def earned(section, weights, day, row):
    """Return of one decision of gross exposure 1 as it is known at the close of a row."""
    aimed = weights.targets[day].sum(axis=0).astype(np.float64)
    aimed /= np.abs(aimed).sum()
    total = 0.0
    for weight, column in zip(aimed, weights.columns, strict=True):
        opens, close = section.open[: row + 1, column], section.close[: row + 1, column]
        last, bar = np.flatnonzero(np.isfinite(close))[-1], FIRST + day + 1
        if last < row - STILL_LISTED and last == bar:
            left = close[bar] / opens[bar]
            total += weight * (left - 1.0) + max(weight, 0.0) * left * -0.3
            continue
        priced = np.flatnonzero(np.isfinite(opens[FIRST + 1 : bar + 1])) + FIRST + 1
        if np.isfinite(opens[bar + 1]) and priced.size:
            total += weight * (opens[bar + 1] / opens[priced[-1]] - 1.0)
    return total


def test_orders_in_names_that_cannot_be_traded_lapse() -> None:
    case = market()
    weights = live(case, SMALL)
    day = int(weights.prepared.trades[-1])
    tradable = np.arange(weights.columns.size) % 2 == 0
    now, then = weights.decided(day, tradable), weights.before(day)
    assert np.array_equal(now[~tradable], then[~tradable])
    assert (now[tradable] != then[tradable]).any()


def test_between_trade_days_what_is_held_stays() -> None:
    weights = live(market(), SMALL)
    day = int(weights.prepared.trades[-1]) - 2
    everything = np.ones(weights.columns.size, dtype=np.bool_)
    assert not weights.is_trade_day(day)
    assert np.array_equal(weights.decided(day, everything), weights.before(day))
    assert np.array_equal(weights.before(day), weights.held[-2])


def test_before_the_first_trade_day_nothing_is_held() -> None:
    assert not live(market(), SMALL).before(0).any()
