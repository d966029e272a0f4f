"""The portfolio of a cross-section, against a loop over days and names, and by its properties."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression

from src.config.schema import PortfolioConfig
from src.core.errors import StageError
from src.evaluation.pooled.portfolio import earned, filled, trade, traded
from src.evaluation.pooled.prepared import prepare
from src.evaluation.pooled.signals import signals, smoothed
from src.evaluation.pooled.styles import Styles
from src.evaluation.pooled.weights import target_weights
from src.market.cross_section import CrossSection
from tests.evaluation.pooled.portfolio_case import DAYS, SMALL, market, until

KINDS = {
    "neutral": SMALL,
    "unhedged": replace(SMALL, beta_hedged=False, neutralised=False),
    "banded": replace(SMALL, band=0.6),
    "daily": replace(SMALL, trade_every=1, signal_every=1, smoothing=3),
    "quantiles": replace(SMALL, kind="quantiles"),
    "long_excess": replace(SMALL, kind="long_excess", beta_hedged=False),
}


def naive_signal(section, eligible, styles, scores, day, choice):
    """Signals of a day by name, from scikit-learn's regression and scipy's ranks."""
    tables = (styles.beta, styles.volatility, styles.dollar_volume)
    names = [n for n in range(len(section.symbols)) if eligible[day, n] and all(np.isfinite(t[day, n]) for t in tables)]
    floor = choice.volatility_floor * np.median([styles.volatility[day, n] for n in names])
    shares = [rankdata([table[day, n] for n in names]) / len(names) for table in tables]
    known = [each for each, n in enumerate(names) if np.isfinite(scores[day, n])]
    value = np.array([scores[day, names[each]] for each in known], dtype=float)
    if choice.neutralised:
        columns = np.array([[f(share[each]) for share in shares for f in (float, np.square)] for each in known])
        value = value - LinearRegression().fit(columns, value).predict(columns)
    rank = (2 * rankdata(value) - 1) / len(value) - 1
    out = {}
    for each, r in zip(known, rank, strict=True):
        n = names[each]
        if choice.kind == "neutral":
            out[n] = r / max(float(styles.volatility[day, n]), floor)
        else:
            high, low = r > 1 - 2 / choice.quantiles, r < -(1 - 2 / choice.quantiles)
            out[n] = float(high) - (float(low) if choice.kind == "quantiles" else 0.0)
    return names, out, floor


def naive_targets(tables, first, day, choice):
    """Legs of unscaled weights, by name."""
    section, eligible, styles, scores = tables
    per_day = [
        naive_signal(section, eligible, styles, scores, each, choice)[1]
        for each in range(day, max(day - choice.smoothing, first - 1), -choice.signal_every)
    ]
    names, _, floor = naive_signal(section, eligible, styles, scores, day, choice)
    mean = {n: np.mean([s[n] for s in per_day if n in s]) for n in names if any(n in s for s in per_day)}
    if choice.kind == "long_excess":
        total = sum(mean.values())
        return [{n: 0.5 * w / total for n, w in mean.items()}, dict.fromkeys(names, -0.5 / len(names))]
    held = [n for n in mean if choice.kind == "neutral" or mean[n] != 0]
    room = np.array([1 / max(float(styles.volatility[day, n]), floor) ** 2 for n in held])
    if choice.kind == "quantiles":
        room = np.ones(len(held))
    constraints = [np.ones(len(held))]
    if choice.beta_hedged:
        constraints.append(np.array([float(styles.beta[day, n]) for n in held]))
    c = np.array(constraints).T
    # The nearest weights under linear constraints, by the Karush-Kuhn-Tucker system.
    size = len(held)
    system = np.block([[np.diag(1 / room), c], [c.T, np.zeros((c.shape[1], c.shape[1]))]])
    wanted = np.array([mean[n] for n in held])
    weight = np.linalg.solve(system, np.r_[wanted / room, np.zeros(c.shape[1])])[:size]
    return [dict(zip(held, weight / np.abs(weight).sum(), strict=True))]


def open_return(section, day, n):
    """Return of a decision: the price of the last trade is carried."""

    def price(row):
        while row >= 0 and not np.isfinite(section.open[row, n]):
            row -= 1
        return section.open[row, n]

    return price(day + 2) / price(day + 1) - 1


def is_delisted(section, n):
    return len(section.dates) - 1 - section.last[n] > 5


def naive_gross(section, day, weights, delisting_return):
    total = 0.0
    for n, w in weights.items():
        if is_delisted(section, n) and day + 1 == section.last[n]:
            left = section.close[day + 1, n] / section.open[day + 1, n]
            total += w * (left - 1) + (w * left * delisting_return if w > 0 else 0.0)
        elif not (is_delisted(section, n) and day + 1 > section.last[n]):
            total += w * open_return(section, day, n)
    return total


def naive_rate(section, day, n, choice):
    while not np.isfinite(section.traded_price[day, n]):
        day -= 1
    least = choice.cost_bps[section.asset_class] / 1e4
    return max(least, choice.half_cent / section.traded_price[day, n], section.half_spread[day, n])


def naive_fill(section, day, before, wanted, choice):
    """Weights of a leg after the orders of a trade day."""
    sizes = [abs(w) for w in wanted.values() if w != 0]
    mean = np.mean(sizes) if sizes else 0.0
    after = {}
    for n in set(before) | set(wanted):
        was, will = before.get(n, 0.0), wanted.get(n, 0.0)
        if is_delisted(section, n) and section.last[n] <= day:
            continue
        trades = np.isfinite(section.open[day + 1, n])
        small = choice.band > 0 and abs(will - was) <= choice.band * mean and will != 0
        after[n] = was if small or not trades else will
    return after


def net_of(legs):
    return {n: sum(leg.get(n, 0.0) for leg in legs) for n in set().union(*legs)}


def naive(tables, days, choice, delisting_return):
    """Trade by the words of the documentation, one day and one name after another."""
    section, paper, rows, legs, unscaled = tables[0], [], [], None, None
    for each, day in enumerate(range(days.start, days.stop)):
        turnover = cost = 0.0
        if each % choice.trade_every == 0:
            unscaled = naive_targets(tables, days.start, day, choice)
            known = paper[: max(each - 1, 0)][-choice.volatility_window :]
            volatility = np.std(known, ddof=1) * np.sqrt(252) if len(known) >= choice.volatility_window // 3 else None
            scale = min(choice.target_volatility / volatility, choice.max_gross) if volatility else 0.0
            before = legs or [{} for _ in unscaled]
            wanted = [{n: w * scale for n, w in leg.items()} for leg in unscaled]
            legs = [naive_fill(section, day, b, w, choice) for b, w in zip(before, wanted, strict=True)]
            for was, now in zip(before, legs, strict=True):
                for n in set(was) | set(now):
                    change = abs(now.get(n, 0.0) - was.get(n, 0.0))
                    turnover += change
                    cost += change * naive_rate(section, day, n, choice) if change else 0.0
        paper.append(naive_gross(section, day, net_of(unscaled), delisting_return))
        if day == days.stop - 1:
            turnover += sum(abs(w) for leg in legs for w in leg.values())
            cost += sum(abs(w) * naive_rate(section, day, n, choice) for leg in legs for n, w in leg.items() if w)
        borrow = sum(max(-w, 0.0) for leg in legs for w in leg.values()) * choice.borrow_bps / 1e4 / 252
        rows.append((naive_gross(section, day, net_of(legs), delisting_return), cost, borrow, turnover))
    return np.array(rows), net_of(legs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_portfolio_equals_a_loop_over_days_and_names(kind: str) -> None:
    choice = KINDS[kind]
    section, eligible, styles, scores = market()
    expected, weights = naive((section, eligible, styles, scores), DAYS, choice, -0.3)
    out = traded(scores, DAYS, section, eligible, styles, choice, -0.3)
    got = np.column_stack([out.gross, out.cost, out.borrow, out.turnover])
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-7)
    np.testing.assert_allclose(out.net, out.gross - out.cost - out.borrow)
    last = np.zeros(len(section.symbols))
    last[list(weights)] = list(weights.values())
    np.testing.assert_allclose(out.weights[-1], last, atol=1e-6)
    assert np.abs(expected[:, 0]).max() > 1e-3, "the case trades"


def three_names():
    """Opens of A, B and C over eight days; the price of B never moves."""
    opens = np.array(
        [[100, 101, 100, 101, 100, 110, 110, 99], [20] * 8, [50, 50, 50, 50, 50, 50, 55, 55]], dtype=float
    ).T
    spread = np.tile([0.0, 0.0, 0.002], (8, 1)).astype(np.float32)
    tables = [np.full((8, 3), value, dtype=np.float32) for value in (1e6, 100.0)]
    dates = np.datetime64("2024-01-01") + np.arange(8)
    last = np.full(3, 7)
    section = CrossSection("stock", dates, ("A", "B", "C"), 252.0, opens, opens, *tables, spread, last)
    styles = Styles(*(np.full((8, 3), value, dtype=np.float32) for value in (1.0, 0.02, 1e6)))
    return section, np.ones((8, 3), dtype=bool), styles, np.tile([3.0, 2.0, 1.0], (8, 1)).astype(np.float32)


def test_three_names_by_hand() -> None:
    section, eligible, styles, scores = three_names()
    choice = PortfolioConfig(
        kind="quantiles", quantiles=3, neutralised=False, beta_hedged=False, smoothing=1, signal_every=1, trade_every=1,
        volatility_window=5, target_volatility=2.0, max_gross=1.0, borrow_bps=252.0,
    )  # fmt: skip
    out = traded(scores, slice(0, 8), section, eligible, styles, choice, -0.3)
    # Long half A, short half C. Two returns of A (-1/101 and 1/100, decisions 0 and 1) are known at the close of day 3:
    # it is bought at the open of day 4. A earns 10%, nothing, and -10%; C 10% in the second of these days.
    assert out.days == slice(0, 6)
    assert out.stamps[3] == section.dates[5]
    np.testing.assert_allclose(out.weights[3:], np.tile([0.5, 0.0, -0.5], (3, 1)))
    np.testing.assert_allclose(out.gross, [0, 0, 0, 0.05, -0.05, -0.05], atol=1e-8)
    assert out.turnover.tolist() == [0, 0, 0, 1, 0, 1]
    # A costs 5 bp, more than half a cent over 100; C half its spread, 20 bp. The loan: half of 252 bp, over 252 days.
    np.testing.assert_allclose(out.cost, [0, 0, 0, 0.00125, 0, 0.00125], rtol=1e-6)
    np.testing.assert_allclose(out.borrow, [0, 0, 0, 0.00005, 0.00005, 0.00005], rtol=1e-6)
    assert out.names.tolist() == [0, 0, 0, 2, 2, 2]
    assert out.beta.tolist() == [0.0] * 6


def test_a_delisting_takes_from_the_long_and_gives_the_short_nothing() -> None:
    section, eligible, styles, scores = market()
    last, name = int(section.last[-1]), len(section.symbols) - 1
    row = last - 1 - DAYS.start
    for sign in (5.0, -5.0):
        scores[:, name] = sign
        out, without = (traded(scores, DAYS, section, eligible, styles, SMALL, each) for each in (-0.3, 0.0))
        weight = out.weights[row, name]
        assert np.sign(weight) == np.sign(sign)
        lost = (out.gross - without.gross)[row]
        left = section.close[last, name] / section.open[last, name]
        assert abs(left - 1.0) > 1e-4
        assert lost == pytest.approx(-0.3 * left * max(weight, 0.0))
        assert out.weights[-1, name] == 0.0


def test_prices_from_the_next_open_on_change_no_weight() -> None:
    section, eligible, styles, scores = market()
    first = traded(scores, DAYS, section, eligible, styles, SMALL, -0.3)
    for row in DAYS.start + first.trades[6:]:
        opens = section.open.copy()
        opens[row + 1 :] *= np.random.default_rng(row).uniform(0.8, 1.2, opens[row + 1 :].shape)
        second = traded(scores, DAYS, replace(section, open=opens), eligible, styles, SMALL, -0.3)
        known = row + 1 - DAYS.start
        assert (first.weights[:known] == second.weights[:known]).all()


def test_weights_sum_to_zero_and_have_no_beta() -> None:
    section, eligible, styles, scores = market()
    opens = np.where(np.isfinite(section.open), section.open, 40.0)
    everything_trades = replace(section, open=opens, last=np.full_like(section.last, len(opens) - 1))
    for kind in ("neutral", "daily"):
        out = traded(scores, DAYS, everything_trades, eligible, styles, KINDS[kind], -0.3)
        assert np.abs(out.net_exposure).max() < 1e-6
        assert np.abs(out.beta[out.trades]).max() < 1e-6
        assert out.gross_exposure.max() > 0.5


def test_later_bars_change_no_earlier_return() -> None:
    tables = market()
    whole = traded(tables[3], DAYS, *tables[:3], SMALL, -0.3)
    for row in (60, 68, 93):
        cut = until(*tables, row)
        section = replace(cut[0], last=np.minimum(tables[0].last, row))  # a halt is not yet a delisting
        part = traded(cut[3], DAYS, section, *cut[1:3], SMALL, -0.3)
        assert part.days.stop == row - 1
        size = len(part.dates) - 1  # the last day pays its exit
        assert (part.gross[:size] == whole.gross[:size]).all()
        assert (part.net[:size] == whole.net[:size]).all()
        assert (part.weights[:size] == whole.weights[:size]).all()


def test_scores_of_later_days_change_no_earlier_weight() -> None:
    section, eligible, styles, scores = market()
    later = scores.copy()
    later[71:] = np.random.default_rng(9).normal(size=later[71:].shape)
    first, second = (traded(each, DAYS, section, eligible, styles, SMALL, -0.3) for each in (scores, later))
    assert (first.weights[:51] == second.weights[:51]).all()
    assert not (first.weights[55] == second.weights[55]).all(), "row 75 is a trade day"


def test_the_scale_of_prices_changes_nothing() -> None:
    section, eligible, styles, scores = market()
    times_eight = replace(section, open=section.open * 8, close=section.close * 8)
    first, second = (traded(scores, DAYS, each, eligible, styles, SMALL, -0.3) for each in (section, times_eight))
    assert (first.net == second.net).all()


def test_equal_weights_against_the_mean_of_all_earn_nothing_before_costs() -> None:
    section, eligible, styles, scores = market()
    scores = np.where(np.isfinite(scores), scores, 0).astype(np.float32)
    choice = replace(KINDS["long_excess"], quantiles=1, smoothing=1)
    prepared = prepare(DAYS, section, eligible, styles, choice, -0.3)
    targets = target_weights(prepared, smoothed(prepared, signals(prepared, scores)))
    long, mean = (earned(prepared, filled(prepared, targets)[:, leg]) for leg in (0, 1))
    assert np.abs(long).max() > 0.001
    # A delisting takes from the long leg alone; the two together hold nothing of it.
    assert np.abs(earned(prepared, filled(prepared, targets).sum(axis=1))).max() < 1e-9
    quiet = np.setdiff1d(np.arange(len(long)), prepared.ending_days)
    np.testing.assert_allclose(long[quiet], -mean[quiet], atol=1e-9)
    assert trade(prepared, scores).gross_exposure.max() == 0.0, "what has no volatility is not scaled up"


def test_costs_are_never_negative_and_begin_with_the_entry() -> None:
    section, eligible, styles, scores = market()
    out = traded(scores, DAYS, section, eligible, styles, SMALL, -0.3)
    assert (out.cost >= 0).all()
    assert (out.borrow >= 0).all()
    entry = int(np.flatnonzero(out.gross_exposure)[0])
    assert out.turnover[entry] == pytest.approx(out.gross_exposure[entry])
    assert out.turnover[-1] >= out.gross_exposure[-1] * 0.999
    idle = np.setdiff1d(np.arange(len(out.dates) - 1), out.trades)
    assert (out.turnover[idle] == 0).all()


def test_days_of_the_scores_alone_give_the_same_portfolio() -> None:
    section, eligible, styles, scores = market()
    first = traded(scores, DAYS, section, eligible, styles, SMALL, -0.3)
    second = traded(scores[DAYS], DAYS, section, eligible, styles, SMALL, -0.3)
    assert (first.net == second.net).all()
    with pytest.raises(ValueError, match="scores must have the days"):
        traded(scores[:50], DAYS, section, eligible, styles, SMALL, -0.3)


def test_without_an_eligible_name_there_is_nothing_to_trade() -> None:
    section, eligible, styles, scores = market()
    with pytest.raises(StageError, match="stock: a portfolio needs eligible instruments, got none on 90 days: lower"):
        traded(scores, DAYS, section, eligible & False, styles, SMALL, -0.3)


def test_constant_scores_or_styles_as_scores_hold_nothing() -> None:
    section, eligible, styles, scores = market()
    ranks = rankdata(np.where(eligible, styles.beta, np.nan), axis=1, nan_policy="omit")
    for flat in (np.ones_like(scores), np.full_like(scores, np.nan), ranks.astype(np.float32)):
        out = traded(flat, DAYS, section, eligible, styles, SMALL, -0.3)
        assert out.gross_exposure.max() == 0.0
        assert (out.net == 0).all()
