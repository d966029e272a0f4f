"""A pooled run's row of grades: each figure against a loop that we did not take it from, and what a fault would do."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import accuracy_score, roc_auc_score

from src.evaluation import metrics
from src.evaluation.assessment import SCHEMA
from src.evaluation.grade import GATE_METRICS, Outcomes, Thresholds, grade
from src.evaluation.pooled import graded_days, luck
from src.evaluation.pooled.assessment import POOLED_SCHEMA, assess_pooled
from src.evaluation.pooled.displacement import displacements
from src.evaluation.pooled.evidence import among_draws, displaced
from src.evaluation.pooled.graded_days import GradedDays
from src.evaluation.pooled.inference import newey_west, stationary_bootstrap
from src.evaluation.pooled.neutralising import neutralised
from src.evaluation.pooled.portfolio import traded
from src.evaluation.significance import p_value, z_score
from tests.evaluation.pooled.graded_case import ELIGIBILITY, GATE, HORIZON, pooled_run, portfolio

CHOICE = portfolio()


@cache
def assessed(skill=0.3, trials=66, bps=5.0):
    choice = portfolio(cost_bps={"stock": bps, "etf": 0.0, "crypto": 0.0})
    return assess_pooled(pooled_run(skill), choice, ELIGIBILITY, GATE, trials=trials, seed=5)


def rows_of(run):
    """All instrument-days as (day, name) pairs with score, rank within the day in (0, 1), and label."""
    for day, row in enumerate(range(run.days.start, run.days.stop)):
        scored = [n for n in range(run.section.shape[1]) if run.eligible[row, n] and np.isfinite(run.scores[day, n])]
        values = run.scores[day, scored]
        for name in scored:
            if np.isfinite(run.targets.up[row, name]):
                below = np.sum(values < run.scores[day, name]) + 0.5 * np.sum(values == run.scores[day, name])
                yield below / len(scored), run.targets.up[row, name]


def daily_auc(run):
    """AUC of each day by scikit-learn; NaN where no name has a label."""
    out = np.full(run.scores.shape[0], np.nan)
    for day, row in enumerate(range(run.days.start, run.days.stop)):
        known = run.eligible[row] & np.isfinite(run.targets.up[row]) & np.isfinite(run.scores[day])
        if known.any():
            out[day] = roc_auc_score(run.targets.up[row, known], run.scores[day, known])
    return out


def test_the_mean_ranks_of_a_day_give_its_auc():
    run = pooled_run(0.3)
    days = GradedDays(run, CHOICE, ELIGIBILITY.delisting_return)
    found = days.daily_excess(days.codes, days.scored)
    assert np.array_equal(np.isnan(found), np.isnan(daily_auc(run)))
    assert np.allclose(found, daily_auc(run) - 0.5, atol=0.03, equal_nan=True)  # it ranks unlabelled names too
    assert np.nanmean(found) == pytest.approx(np.nanmean(daily_auc(run)) - 0.5, rel=0.05)


def test_a_row_has_all_columns_of_grades_and_of_the_pooled_scope():
    row = assessed().row()
    assert list(row) == [*SCHEMA, *POOLED_SCHEMA]
    table = pl.DataFrame([row], schema=SCHEMA | POOLED_SCHEMA)
    assert table.select(pl.exclude("q_value", "suspicious")).null_count().sum_horizontal().item() == 0
    assert (row["asset_class"], row["symbol"]) == ("pooled", "stock.neutral")
    assert len(row["shift_passes"]) == GATE.common_shifts // 8
    assert len(row["shift_z"]) == 2 * GATE.common_shifts


def test_auc_and_accuracy_are_those_of_the_raw_scores_ranks_over_all_instrument_days():
    run, values = pooled_run(0.3), assessed().values
    rank, label = np.array(list(rows_of(run))).T
    assert values["instrument_days"] == len(label)
    assert values["auc"] == pytest.approx(roc_auc_score(label, rank), abs=2e-5)
    assert values["accuracy"] == pytest.approx(accuracy_score(label, rank > 0.5), abs=1e-12)
    assert values["n_oos"] == run.days.stop - run.days.start


def test_sharpe_and_drawdown_are_those_of_the_net_portfolio_and_the_verdict_is_the_gate_s():
    run, found = pooled_run(0.3), assessed()
    held = traded(run.scores, run.days, run.section, run.eligible, run.styles, CHOICE, ELIGIBILITY.delisting_return)
    assert np.array_equal(found.portfolio.net, held.net)
    assert found.values["sharpe"] == metrics.sharpe(held.net, 252.0)
    assert found.values["max_drawdown"] == metrics.max_drawdown(held.net)
    assert found.verdict == grade(found.values, Thresholds.of(GATE), found.values["suspicious"])
    assert found.values["passed"] == found.verdict.passed


def test_scores_of_names_that_are_not_eligible_take_no_rank():
    run = pooled_run(0.3)
    outside = ~run.eligible[run.days]
    assert outside.any()
    for score in (99.0, np.nan):
        other = GradedDays(replace(run, scores=np.where(outside, np.float32(score), run.scores)), CHOICE, -0.3)
        assert np.array_equal(other.scored, ~outside)
        assert np.array_equal(other.codes, GradedDays(run, CHOICE, -0.3).codes)


def test_scores_of_names_that_are_not_eligible_and_levels_of_days_change_nothing():
    run, values = pooled_run(0.3), assessed().values
    scores = np.where(run.eligible[run.days], run.scores, 99.0) + np.arange(run.scores.shape[0])[:, None]
    moved = assess_pooled(
        replace(run, scores=scores.astype(np.float32)), CHOICE, ELIGIBILITY, GATE, trials=66, seed=5
    ).values
    for name in ("auc", "accuracy", "sharpe", "ic", "instrument_days"):
        assert moved[name] == pytest.approx(values[name], abs=2e-4)


def test_the_information_coefficient_is_the_mean_rank_correlation_of_neutralised_scores():
    run, found = pooled_run(0.3), assessed()
    rows = range(run.days.start, run.days.stop)
    neutral = neutralised(run.scores, run.eligible[run.days], graded_days.rows_of(run.styles, run.days))
    daily = [
        spearmanr(neutral[day], run.targets.value[row], nan_policy="omit").statistic
        if np.isfinite(run.targets.value[row]).any()
        else np.nan
        for day, row in enumerate(rows)
    ]
    assert np.allclose(found.daily["ic"].fill_null(np.nan).to_numpy(), daily, atol=1e-6, equal_nan=True)
    assert found.values["ic"] == pytest.approx(np.nanmean(daily), abs=1e-7)


def test_a_draw_is_graded_as_a_run_of_its_scores_would_be():
    run = pooled_run(0.3)
    days = GradedDays(run, CHOICE, ELIGIBILITY.delisting_return)
    moves = displacements(
        3, days.styles.volatility, days.scored, horizon=HORIZON, exclude=10, bars_per_year=252.0, seed=1
    )
    drawn = luck.draws(days, moves, Thresholds.of(GATE))
    for i, each in enumerate(moves):
        scores = np.full_like(run.scores, np.nan)
        for rows, cells, found in each.sources(days.scored):
            here = found & days.eligible[rows]
            scores[rows][here] = run.scores.ravel()[cells[here]]
        own = assess_pooled(replace(run, scores=scores), CHOICE, ELIGIBILITY, GATE, trials=1, seed=0).values
        assert drawn.sharpe[i] == own["sharpe"]
        assert drawn.auc[i] == pytest.approx(own["auc"], abs=2e-3)
        assert abs(drawn.turnover[i] * 252.0 - own["turnover"]) < 1e-9


def test_the_p_values_of_luck_are_the_tails_among_the_draws():
    run = pooled_run(0.05)
    days = GradedDays(run, CHOICE, ELIGIBILITY.delisting_return)
    values = assess_pooled(run, CHOICE, ELIGIBILITY, GATE, trials=1, seed=5).values
    moves = displacements(
        GATE.common_shifts,
        days.styles.volatility,
        days.scored,
        horizon=HORIZON,
        exclude=GATE.exclude_lags,
        bars_per_year=252.0,
        seed=5,
    )
    drawn = luck.draws(days, moves, Thresholds.of(GATE))
    among = p_value(z_score(values["auc"], drawn.auc), drawn.auc)
    in_time = newey_west(days.daily_excess(days.codes, days.scored), 3 * HORIZON).p
    assert values["p_value"] == max(among, in_time)
    assert in_time == pytest.approx(newey_west(daily_auc(run) - 0.5, 3 * HORIZON).p, rel=0.2)
    held = days.trade(run.scores)
    earned = stationary_bootstrap(held.gross, HORIZON, 252.0, 5).p
    assert values["sharpe_p_value"] == max(p_value(z_score(values["sharpe"], drawn.sharpe), drawn.sharpe), earned)
    assert values["luck_rate"] == drawn.clears.mean()
    bits = np.unpackbits(np.frombuffer(values["shift_passes"], np.uint8))[: GATE.common_shifts]
    assert np.array_equal(bits.astype(bool), drawn.clears)


def test_metrics_of_a_draw_are_those_of_the_gate_s_own_objects():
    run = pooled_run(0.3)
    days = GradedDays(run, CHOICE, ELIGIBILITY.delisting_return)
    label, score = days.labels_and_scores()
    net = days.trade(run.scores).net
    counted = luck.gate_values(days.tally(days.codes, days.scored), net, 252.0)
    for metric in GATE_METRICS:
        assert counted[metric.name] == pytest.approx(metric.compute(Outcomes(label, score, net, 252.0)), abs=1e-12)


def test_skill_is_found_and_its_absence_is_not():
    skilled, none = (
        assessed(0.5).values,
        assess_pooled(pooled_run(0.0, seed=3), CHOICE, ELIGIBILITY, GATE, trials=66, seed=5).values,
    )
    assert skilled["ic"] > 0.2
    assert skilled["p_value"] < 1e-4
    assert skilled["ic_p"] < 1e-4
    assert skilled["net_p"] < 1e-3
    assert none["auc"] == pytest.approx(0.5, abs=0.02)
    assert min(none["p_value"], none["net_p"], none["ic_p"]) > 0.01
    assert none["weak"]
    assert none["adjusted_p"] == 1.0


def test_draws_that_pay_more_for_their_risk_make_no_small_p_value():
    """Bets on an industry risk more for the same costs than draws, which spread them over all names."""
    days = GradedDays(pooled_run(0.0), CHOICE, ELIGIBILITY.delisting_return)
    rng = np.random.default_rng(0)
    gross = rng.normal(0.0, 0.01, days.market.size)
    ratios = rng.normal(-1.5, 0.3, 40)
    drawn = luck.Draws(rng.normal(0.5, 0.01, 40), ratios, ratios > 0, np.zeros((40, 1)), np.zeros(40))
    figures = {"auc": 0.5, "sharpe": -0.4, "n_oos": gross.size}
    found = among_draws(figures, drawn, days, gross, GATE, 5)
    assert p_value(z_score(-0.4, ratios), ratios) < 0.01
    assert found["sharpe_p_value"] == stationary_bootstrap(gross, HORIZON, 252.0, 5).p > 0.05


def test_scores_are_moved_by_three_times_the_days_that_their_positions_last():
    days = GradedDays(pooled_run(0.0), portfolio(smoothing=20), ELIGIBILITY.delisting_return)
    moved = [each.days for each in displaced(days, replace(GATE, common_shifts=64), 5)]
    assert 60 <= min(moved) < 70 and max(moved) <= days.market.size - 60


def test_trials_make_evidence_weak():
    alone, among_many = assessed(0.5, trials=1).values, assessed(0.5, trials=10**7).values
    assert not alone["weak"]
    assert alone["adjusted_t"] > among_many["adjusted_t"]
    assert among_many["adjusted_p"] == min(1.0, 10**7 * alone["net_p"])
    little = assessed(0.05, trials=1).values
    assert little["weak"] == (little["adjusted_t"] < 3.0)


def test_below_the_bars_that_the_gate_demands_p_values_are_one():
    values = assess_pooled(pooled_run(0.5), CHOICE, ELIGIBILITY, replace(GATE, min_oos=5000), trials=1, seed=5).values
    assert [values[name] for name in ("p_value", "sharpe_p_value", "net_p", "ic_p", "adjusted_p")] == [1.0] * 5


def test_at_the_break_even_cost_nothing_is_left():
    """Costs are proportional without spreads and ticks: the portfolio is scaled by gross returns alone."""
    values = assessed(0.5).values
    at = assessed(0.5, bps=values["break_even_bps"])
    assert values["break_even_bps"] > 5.0
    assert at.portfolio.net.sum() == pytest.approx(0.0, abs=1e-6)


def test_the_low_volatility_sort_has_no_auc_of_its_own_where_labels_are_balanced_within_volatility():
    run = pooled_run(0.0)
    assert assessed().values["low_volatility_auc"] == pytest.approx(0.5, abs=0.01)
    by_volatility = replace(run, scores=-run.styles.volatility[run.days])
    values = assess_pooled(by_volatility, CHOICE, ELIGIBILITY, GATE, trials=1, seed=5).values
    assert values["auc"] == pytest.approx(assessed().values["low_volatility_auc"], abs=1e-9)


def test_tables_add_up_to_the_run():
    found = assessed()
    assert found.daily.height == found.values["n_oos"]
    assert found.by_year["days"].sum() == found.daily.height
    assert found.by_year["net"].sum() == pytest.approx(found.portfolio.net.sum())
    assert found.decay["horizon"].to_list() == [1, 5, 10, 20, 40, 60]
    at_horizon = found.decay.filter(pl.col("horizon") == HORIZON)["ic"].item()
    assert at_horizon == pytest.approx(found.values["ic"], abs=0.03)
    assert found.daily["equity"][-1] == pytest.approx(np.prod(1.0 + found.portfolio.net))


def test_scores_that_know_tomorrow_s_move_are_called_suspicious():
    run = pooled_run(0.0)
    first, last = run.days.start, run.days.stop
    ahead = run.section.open[first + 2 : last + 2] / run.section.open[first + 1 : last + 1] - 1.0
    sigma = run.styles.volatility[run.days]
    leak = run.scores + 0.5 * np.nan_to_num(ahead / sigma)
    blind = replace(GATE, suspicious_auc=0.99, suspicious_sharpe=99.0, suspicious_z=99.0)
    leaking, honest = (
        assess_pooled(replace(run, scores=scores.astype(np.float32)), CHOICE, ELIGIBILITY, blind, trials=1, seed=5)
        for scores in (leak, pooled_run(0.3).scores)
    )
    assert "one day later, a drop of" in leaking.values["suspicious"]
    assert not leaking.verdict.registrable
    assert honest.values["suspicious"] is None
    assert assessed(0.5).values["suspicious"].startswith("auc 0.7")


def test_the_same_seed_gives_the_same_row():
    again = assess_pooled(pooled_run(0.3), CHOICE, ELIGIBILITY, GATE, trials=66, seed=5)
    assert again.row() == assessed().row()


def test_rows_that_have_no_return_yet_and_scores_of_another_shape_are_refused():
    run = pooled_run()
    with pytest.raises(ValueError, match="out-of-sample days must be consecutive rows that end at 338 or before"):
        replace(run, days=slice(100, 339))
    with pytest.raises(ValueError, match="scores must have a row for each of 238 days and a column for each of 40"):
        replace(run, scores=run.scores[:-1])
    with pytest.raises(ValueError, match="no eligible name has a score"):
        assess_pooled(
            replace(run, scores=np.full_like(run.scores, np.nan)), CHOICE, ELIGIBILITY, GATE, trials=1, seed=5
        )
