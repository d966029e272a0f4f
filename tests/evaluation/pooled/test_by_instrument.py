"""Pooled scores on each instrument: equal to grading each alone, on the same days as its own models."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.signal import lfilter

from src.config.schema import GradeConfig, LabelConfig, StrategyConfig
from src.evaluation.assessment import assess
from src.evaluation.label_kinds.declaration import Hedge
from src.evaluation.labels import hedged, unhedged
from src.evaluation.metrics import max_drawdown, sharpe
from src.evaluation.pooled.by_instrument import SCHEMA, FoundInstruments, OwnRun, by_instrument
from src.evaluation.pooled.day_ranks import as_probabilities, day_codes
from src.evaluation.pooled.eligibility import eligible
from src.evaluation.pooled.graded_days import PooledRun
from src.evaluation.pooled.hedged_names import HedgedNames
from src.evaluation.pooled.styles import styles
from src.evaluation.pooled.targets import targets
from tests.evaluation.pooled.universe_case import CHOICE, DELISTED, bars, label, section_of

FIRST = 90
LOOSE = GradeConfig(
    min_auc=0.48, min_accuracy=0.47, min_sharpe=-0.6, max_drawdown=0.12, min_oos=50, common_shifts=64, exclude_lags=30
)
PLAIN = StrategyConfig(volatility_window=21, spread_window=21)
SHORT = replace(PLAIN, short=True)


@cache
def universe():
    return bars()


@cache
def run(skill: float = 0.0, horizon: int = 5) -> PooledRun:
    section = section_of(universe())
    among = eligible(section, CHOICE)
    known = styles(section, among, CHOICE)
    outcome = targets(section, among, known, label(horizon=horizon, clip=0.5), CHOICE)
    days = slice(FIRST, section.shape[0] - 2)
    noise = np.random.default_rng(3).normal(size=(days.stop - FIRST, section.shape[1]))
    scores = lfilter([0.4], [1.0, -0.9], noise, axis=0) + skill * np.nan_to_num(outcome.value[days])
    return PooledRun(section, among, known, outcome, scores.astype(np.float32), days)


def own_of(chosen: PooledRun, column: int, *, skill: float = 0.0, family: str = "lightgbm", days=slice(None)) -> OwnRun:
    """A model of one instrument, with its direction over the next bar as label."""
    opens = chosen.section.open[:, column]
    ups = np.full(opens.size, np.nan)
    change = opens[2:] / opens[1:-1] - 1
    ups[:-2] = np.where(np.isfinite(change), change > 0, np.nan)
    noise = np.random.default_rng(column).random(opens.size)
    probability = np.where(np.isfinite(ups), skill * ups + (1 - skill) * noise, noise)
    rows = np.arange(FIRST, opens.size - 2)[days]
    return OwnRun(family, 1, chosen.section.dates[rows].astype("datetime64[us]"), probability[rows], ups[rows])


def table(chosen: PooledRun, own=(), strategy=PLAIN, gate=LOOSE):
    return by_instrument(chosen, own, strategy, gate, CHOICE.delisting_return)


def hedge_of(chosen: PooledRun) -> Hedge:
    """The mean of the eligible names, in loops over days and names."""
    section, n = chosen.section, chosen.section.shape[0]
    bar, close, width = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n)
    for t in range(n):
        names = np.flatnonzero(chosen.eligible[t])
        width[t] = np.nanmean(section.half_spread[t, names].astype(float)) if names.size else 0.0
        moves = [section.open[t + 2, i] / section.open[t + 1, i] - 1 for i in names] if t + 2 < n else []
        moves = [each for each in moves if np.isfinite(each)]
        bar[t] = np.mean(moves) if moves else (0.0 if t + 2 < n else np.nan)
        before = np.flatnonzero(chosen.eligible[t - 1]) if t else []
        closes = [section.close[t, i] / section.close[t - 1, i] - 1 for i in before]
        closes = [each for each in closes if np.isfinite(each)]
        close[t] = np.clip(closes, -0.5, 0.5).mean() if closes else 0.0
    return Hedge("stock", np.ones(n), bar, close, width)


def alone(chosen: PooledRun, column: int, hedge: Hedge, strategy: StrategyConfig, gate: GradeConfig):
    """One name graded by `assess`, as a run of the instrument scope with hedged returns is."""
    frame = universe()[chosen.section.symbols[column]]
    outright = unhedged(frame, LabelConfig(horizon=chosen.targets.horizon))
    scored = HedgedNames(chosen, strategy, 0.0).tradable
    share = as_probabilities(day_codes(chosen.scores, scored))[:, column]
    at = np.flatnonzero(scored[:, column])
    rows = FIRST + np.arange(at[0], at[-1] + 1)
    chosen_days = scored[rows - FIRST, column]
    ups = np.full(outright.size, np.nan)
    ups[rows[chosen_days]] = chosen.targets.up[rows[chosen_days], column]
    decided = replace(hedged(outright, hedge), label=ups)
    probability = np.where(chosen_days, share[rows - FIRST], 0.5)
    return assess(probability, rows, decided, strategy, gate)


@pytest.mark.parametrize(("strategy", "horizon"), [(PLAIN, 5), (SHORT, 5), (PLAIN, 1)])
def test_a_name_is_graded_as_assess_grades_it_alone_and_passes_at_the_same_shifts(strategy, horizon):
    chosen = run(0.3, horizon)
    found = {row["symbol"]: row for row in table(chosen, strategy=strategy).iter_rows(named=True)}
    whole = np.flatnonzero(np.isfinite(chosen.section.close).all(axis=0))
    compared, bits, hedge = 0, [], hedge_of(chosen)
    for column in whole[:6]:
        row = found.get(chosen.section.symbols[column])
        if row is None:
            continue
        expected = alone(chosen, column, hedge, strategy, LOOSE)
        for name in ("auc", "accuracy", "sharpe", "max_drawdown"):
            assert row[name] == pytest.approx(expected.values[name], abs=1e-7), (column, name)
        assert row["passed"] == expected.values["passed"]
        assert row["shift_passes"] == expected.shift_passes
        bits.append(np.unpackbits(np.frombuffer(row["shift_passes"], dtype=np.uint8)))
        assert row["luck_rate"] == pytest.approx(bits[-1].mean())
        compared += 1
    assert compared >= 4
    assert 0.02 < np.mean(bits) < 0.98


def test_equal_weights_of_all_eligible_names_earn_nothing_when_hedged():
    chosen = run()
    names = HedgedNames(chosen, PLAIN, 0.0)
    size = chosen.scores.shape[0]
    changes = np.stack([names.days(i, 0, size - 1).conditions.change for i in range(chosen.section.shape[1])], axis=1)
    rows = FIRST + np.arange(size)
    opens = chosen.section.open
    held = chosen.eligible[rows] & np.isfinite(opens[rows + 1]) & np.isfinite(opens[rows + 2])
    total = np.where(held, changes, 0.0).sum(axis=1)
    assert held.sum(axis=1).min() > 5
    assert np.abs(total).max() < 1e-12


@pytest.mark.parametrize("strategy", [PLAIN, SHORT])
def test_a_delisted_name_loses_for_its_holder_and_gives_a_short_position_nothing(strategy):
    chosen = run()
    column = chosen.section.symbols.index(DELISTED)
    at = np.flatnonzero(HedgedNames(chosen, strategy, -0.3).tradable[:, column])
    last = int(chosen.section.last[column])
    assert FIRST + at[-1] == last - 1
    days = HedgedNames(chosen, strategy, -0.3).days(column, at[0], at[-1])
    hedge = HedgedNames(chosen, strategy, -0.3).hedge_returns[at[-1]]
    left = (
        chosen.section.close[last, column] / chosen.section.open[last, column]
    )  # from the last open to the last close
    for position, expected in ((1.0, 0.7 * left - 1 - hedge), (-1.0, hedge + 1 - left)):
        held = np.full(at[-1] - at[0] + 1, position)
        gross = days.net(held)[-1] + days.conditions.cost[-1]  # the last day pays the exit
        assert gross == pytest.approx(expected)


def test_net_returns_of_many_positions_are_those_of_a_loop():
    chosen = run()
    days = HedgedNames(chosen, PLAIN, -0.3).days(3, 10, 60)
    position = np.random.default_rng(0).normal(size=(4, 51))
    expected = np.zeros((4, 51))
    for i in range(4):
        held = 0.0
        for k in range(51):
            expected[i, k] = position[i, k] * days.conditions.change[k]
            expected[i, k] -= abs(position[i, k] - held) * days.conditions.cost[k]
            held = position[i, k]
        expected[i, 50] -= abs(held) * days.conditions.cost[50]
    np.testing.assert_allclose(days.net(position), expected, atol=1e-15)


def test_later_bars_change_neither_size_nor_cost_nor_an_earlier_return():
    chosen, cut = run(), 250
    section = section_of(universe(), str(chosen.section.dates[cut - 1]))
    column = 3
    days = slice(FIRST, cut - 2)
    scores = chosen.scores[: cut - 2 - FIRST]
    part = PooledRun(section, chosen.eligible[:cut], chosen.styles, chosen.targets, scores, days)
    early = HedgedNames(part, PLAIN, -0.3).days(column, 0, cut - 3 - FIRST).conditions
    late = HedgedNames(chosen, PLAIN, -0.3).days(column, 0, cut - 3 - FIRST).conditions
    np.testing.assert_array_equal(early.size, late.size)
    np.testing.assert_array_equal(early.cost, late.cost)
    np.testing.assert_array_equal(early.change, late.change)


def test_both_are_graded_on_the_days_on_which_both_have_a_prediction():
    chosen = run(0.3)
    symbols, some = chosen.section.symbols, slice(40, 200)
    scored = HedgedNames(chosen, PLAIN, 0.0).tradable
    names = [int(i) for i in np.flatnonzero(scored.sum(axis=0) > 200)[:2]]
    never = OwnRun("lightgbm", 1, np.array(["1999-01-04"], dtype="datetime64[D]"), np.ones(1), np.ones(1))
    own = [(symbols[names[0]], [own_of(chosen, names[0], days=some)]), (symbols[names[1]], [never])]
    found = {row["symbol"]: row for row in table(chosen, own).iter_rows(named=True)}
    assert found[symbols[names[0]]]["n_days"] == scored[some, names[0]].sum()
    other = found[symbols[names[1]]]
    assert other["n_days"] == scored[:, names[1]].sum()
    assert other["own_family"] is None and other["own_passed"] is None and other["own_luck_rate"] is None
    assert other["first_day"] == chosen.section.dates[FIRST + np.flatnonzero(scored[:, names[1]])[0]].item()


def test_own_models_are_traded_hedged_and_scored_on_their_own_label():
    chosen = run()
    column = int(np.flatnonzero(np.isfinite(chosen.section.close).all(axis=0))[0])
    scored = np.flatnonzero(HedgedNames(chosen, PLAIN, 0.0).tradable[:, column])
    worse, better = own_of(chosen, column, family="xgboost"), own_of(chosen, column, skill=0.3)
    (row,) = [
        each
        for each in table(chosen, [(chosen.section.symbols[column], [worse, better])]).iter_rows(named=True)
        if each["symbol"] == chosen.section.symbols[column]
    ]
    assert row["own_family"] == "lightgbm"
    assert row["own_auc"] > 0.7
    days = HedgedNames(chosen, PLAIN, 0.0).days(column, scored[0], scored[-1])
    long = np.zeros(scored[-1] + 1 - scored[0])
    long[scored - scored[0]] = better.probability[scored] > 0.5
    net = days.net(long * days.conditions.size)
    assert row["own_sharpe"] == pytest.approx(sharpe(net, 252.0))
    assert row["own_max_drawdown"] == pytest.approx(max_drawdown(net))


def test_instruments_are_found_by_who_clears_the_gate_and_luck_is_counted_at_common_shifts():
    gate = replace(LOOSE, min_auc=0.6, min_accuracy=0.55, min_sharpe=0.3, max_drawdown=0.5)
    chosen = run(4.0)
    symbols = chosen.section.symbols
    own = [(symbols[i], [own_of(chosen, i, skill=0.6 if i % 2 else 0.0)]) for i in range(len(symbols))]
    found = table(chosen, own, gate=gate)
    assert dict(found.schema) == SCHEMA
    assert found["symbol"].is_sorted() and found["symbol"].is_unique().all()
    assert set(found["found_by"]) >= {"both", "pooled"}
    for row in found.iter_rows(named=True):
        enough = row["n_days"] >= gate.min_oos
        by = [name for name in ("passed", "own_passed") if enough and row[name]]
        assert row["found_by"] == {2: "both", 0: "neither"}.get(len(by), "pooled" if by == ["passed"] else "own")
    summary = FoundInstruments.of(found)
    assert summary.pooled.seen == summary.found.seen + summary.both.seen
    assert summary.own.seen == summary.missed.seen + summary.both.seen
    assert summary.pooled.expected == pytest.approx(found["luck_rate"].sum())
    assert summary.own.expected == pytest.approx(found["own_luck_rate"].sum())
    assert summary.pooled.expected == pytest.approx(summary.found.expected + summary.both.expected)
    assert summary.pooled.low <= summary.pooled.expected <= summary.pooled.high
    assert summary.sentence().startswith(
        f"Of {found.height} instruments the pooled scores found {summary.pooled.seen} (about "
    )


def test_with_too_few_days_a_name_is_found_by_neither():
    found = table(run(4.0), gate=replace(LOOSE, min_oos=10_000))
    assert found["passed"].any()
    assert set(found["found_by"]) == {"neither"}
    assert found["luck_rate"].max() == 0.0


def test_without_own_models_every_name_has_its_row_and_an_empty_table_is_counted():
    found = table(run())
    assert found.height == int(HedgedNames(run(), PLAIN, 0.0).tradable.any(axis=0).sum())
    assert FoundInstruments.of(found).own.expected == 0.0
    assert FoundInstruments.of(found.clear()).pooled.seen == 0
