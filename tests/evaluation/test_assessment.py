import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from src.config.schema import GradeConfig, LabelConfig, StrategyConfig
from src.evaluation import metrics
from src.evaluation.assessment import SCHEMA, Grader, assess
from src.evaluation.labels import decisions
from src.evaluation.multiple_testing import session_evidence
from src.evaluation.strategy import returns

GATE, PLAIN = GradeConfig(), StrategyConfig()
DESIGN = {
    "asset_class",
    "symbol",
    "n_oos",
    "first_oos",
    "last_oos",
    "auc",
    "accuracy",
    "majority_accuracy",
    "sharpe",
    "max_drawdown",
    "buy_hold_sharpe",
    "turnover",
    "passed",
    "reasons",
    "luck_rate",
    "p_value",
    "q_value",
    "deflated_sharpe",
    "suspicious",
}


def instrument(n=1600, seed=0, *, asset_class="stock", symbol="X", horizon=1, drift=0.0003, sigma=0.01):
    """Make one instrument's decisions from bars of a random walk with a few zero returns."""
    rng = np.random.default_rng(seed)
    step = rng.standard_t(5, size=n) * sigma * 0.77 + drift
    step[rng.random(n) < 0.02] = 0.0
    opens = 40 * np.exp(np.cumsum(step))
    close = opens * np.exp(rng.normal(size=n) * 0.002)
    frame = pl.DataFrame(
        {
            "asset_class": [asset_class] * n,
            "symbol": [symbol] * n,
            "date": [dt.date(2012, 1, 1) + dt.timedelta(days=i) for i in range(n)],
            "open": opens,
            "high": np.maximum(opens, close) * 1.003,
            "low": np.minimum(opens, close) * 0.997,
            "close": close,
            "volume": np.full(n, 1e6),
            "factor": np.ones(n),
            "split": pl.Series([None] * n, dtype=pl.Float64),
            "repaired": [False] * n,
        }
    )
    return decisions(frame, LabelConfig(horizon=horizon))


def guesses(decided, positions, skill=0.0, seed=0):
    """Predict at random, with some knowledge of the label where `skill` is above zero."""
    rng = np.random.default_rng(seed + 1000)
    known = np.nan_to_num(decided.label[positions], nan=0.5) - 0.5
    return np.clip(0.5 + 0.05 * rng.normal(size=positions.size) + skill * known, 0.0, 1.0)


def graded(skill=0.0, *, seed=0, config=PLAIN, trials=1, gate=GATE, **kind):
    decided = instrument(seed=seed, **kind)
    positions = np.arange(506, decided.size - 2)
    probability = guesses(decided, positions, skill, seed)
    return assess(probability, positions, decided, config, gate, trials=trials), decided, positions, probability


def test_a_row_has_the_designs_columns_with_the_types_of_the_schema():
    row = graded(0.02)[0].row()
    assert set(row) == set(SCHEMA)
    assert set(SCHEMA) >= DESIGN
    frame = pl.DataFrame([row], schema=SCHEMA, strict=True)
    assert frame["n_oos"][0] == 1600 - 2 - 506
    assert frame["first_oos"][0] == dt.date(2012, 1, 1) + dt.timedelta(days=506)
    assert frame["last_oos"][0] == dt.date(2012, 1, 1) + dt.timedelta(days=1597)
    assert len(row["shift_passes"]) == 25


@pytest.mark.parametrize("asset_class", ["stock", "crypto"])
@pytest.mark.parametrize("horizon", [1, 5])
def test_the_figures_are_those_of_the_metrics_on_the_predictions(asset_class, horizon):
    result, decided, positions, probability = graded(0.02, asset_class=asset_class, horizon=horizon)
    net = returns(probability, positions, decided, PLAIN).net
    label, row = decided.label[positions], result.row()
    assert row["auc"] == metrics.auc(label, probability)
    assert row["accuracy"] == metrics.accuracy(label, probability)
    assert row["sharpe"] == metrics.sharpe(net, 365.0 if asset_class == "crypto" else 252.0)
    assert row["max_drawdown"] == metrics.max_drawdown(net)
    assert result.net.tolist() == net.tolist()
    assert result.equity.tolist() == metrics.equity(net).tolist()
    assert result.stamps[0] == decided.dates[508]
    assert row["late_auc"] is not None
    assert row["late_sharpe"] is not None


def test_skill_passes_with_little_luck_and_a_small_p_value():
    row = graded(0.015, seed=2)[0].row()
    assert row["passed"]
    assert row["reasons"] == []
    assert row["registrable"]
    assert row["luck_rate"] < 0.1
    assert row["p_value"] < 1e-5
    assert row["deflated_sharpe"] > 0.9


def test_both_p_values_are_one_below_the_bars_that_registration_demands():
    _, decided, positions, probability = graded(0.015, seed=2)
    for bars in (6, 20, GATE.min_oos - 1):
        row = assess(probability[:bars], positions[:bars], decided, PLAIN, GATE).row()
        assert (row["p_value"], row["sharpe_p_value"]) == (1.0, 1.0)
    bars = GATE.min_oos
    row = assess(probability[:bars], positions[:bars], decided, PLAIN, GATE).row()
    assert row["p_value"] < 0.05
    assert row["sharpe_p_value"] < 0.2
    fewer = assess(probability[:20], positions[:20], decided, PLAIN, replace(GATE, min_oos=20)).row()
    assert fewer["p_value"] < 1.0


def test_six_bars_are_never_credible():
    """Six bars were given p 3.5e-7 by the normal tail: the least that Student's t gives them is far above."""
    _, decided, positions, _ = graded()
    label = decided.label[positions]
    at = next(k for k in range(label.size) if label[k : k + 6].tolist() == [1, 1, 1, 0, 0, 0])
    perfect = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    row = assess(perfect, positions[at : at + 6], decided, PLAIN, replace(GATE, min_oos=1)).row()
    assert row["auc"] == 1.0
    assert row["p_value"] > 0.01


def test_money_has_a_p_value_of_its_own():
    row = graded(0.015, seed=2)[0].row()
    assert row["sharpe_p_value"] < 0.001
    lost = graded(-0.015, seed=2)[0].row()
    assert lost["sharpe_p_value"] > 0.9
    idle = graded(0.0, seed=2, config=replace(PLAIN, threshold=0.99))[0].row()
    assert idle["sharpe_p_value"] == 1.0


def test_the_z_scores_at_common_shifts_are_stored_in_half_precision():
    result = graded(0.0, seed=3)[0]
    z = np.frombuffer(result.row()["shift_z"], dtype="<f2")
    assert z.size == 8 * len(result.row()["shift_passes"]) == 200
    assert abs(z.mean()) < 0.3
    assert 0.7 < z.std() < 1.3
    decided = instrument()
    positions = np.arange(506, decided.size - 2)
    flat = assess(np.full(positions.size, 0.6), positions, decided, PLAIN, GATE).row()
    assert not np.frombuffer(flat["shift_z"], dtype="<f2").any()


def test_lucky_passes_that_would_look_real_are_a_part_of_all_lucky_passes():
    easy = replace(GATE, min_auc=0.5, min_accuracy=0.45, min_sharpe=0.0)
    row = graded(0.0, seed=3, gate=easy)[0].row()
    assert 0.0 < row["deflated_luck_rate"] < row["luck_rate"]
    many = graded(0.0, seed=3, gate=easy, trials=1000)[0].row()
    assert many["deflated_luck_rate"] < row["deflated_luck_rate"]
    assert many["luck_rate"] == row["luck_rate"]


def test_a_guess_fails_with_its_reasons():
    row = graded(0.0, seed=3)[0].row()
    assert not row["passed"]
    assert any("is below" in reason for reason in row["reasons"])
    assert row["p_value"] > 0.001


def test_grading_again_from_stored_predictions_gives_the_same_and_new_costs_another_sharpe():
    first, decided, positions, probability = graded(0.02)
    stored = decided.dates[positions].astype("datetime64[us]")
    again = assess(probability, decided.positions(stored), decided, PLAIN, GATE)
    assert again.row() == first.row()
    dear = replace(PLAIN, cost_bps={"stock": 50.0, "etf": 50.0, "crypto": 50.0})
    other = assess(probability, positions, decided, dear, GATE).row()
    assert other["sharpe"] < first.row()["sharpe"]
    assert other["auc"] == first.row()["auc"]


def test_runs_of_one_instrument_are_graded_together_as_each_is_alone():
    decided = instrument()
    grader, whole = Grader(decided, PLAIN, GATE), np.arange(506, decided.size - 2)
    for positions, seed in ((whole, 1), (whole, 2), (whole[:-1], 3), (whole[1:], 4), (whole, 5)):
        probability = guesses(decided, positions, seed=seed)
        together, alone = grader.assess(probability, positions), assess(probability, positions, decided, PLAIN, GATE)
        assert together.row() == alone.row()
        assert (together.net.tolist(), together.stamps.tolist()) == (alone.net.tolist(), alone.stamps.tolist())


def test_always_long_is_its_own_baseline():
    decided = instrument()
    positions = np.arange(506, decided.size - 2)
    row = assess(np.full(positions.size, 0.6), positions, decided, PLAIN, GATE).row()
    assert row["sharpe"] == row["buy_hold_sharpe"]
    assert row["active_sharpe"] in (0.0, None)
    assert row["deflated_sharpe"] is None
    assert row["auc"] == 0.5
    assert row["z"] is None
    assert row["p_value"] == 1.0
    assert row["luck_rate"] == 0.0


def test_never_trading_has_sharpe_zero_and_fails():
    decided = instrument()
    positions = np.arange(506, decided.size - 2)
    row = assess(np.full(positions.size, 0.4), positions, decided, PLAIN, GATE).row()
    assert row["sharpe"] == 0.0
    assert row["turnover"] == 0.0
    assert row["max_drawdown"] == 0.0
    assert not row["passed"]


def test_one_class_only_has_no_auc_and_fails():
    decided = instrument()
    positions = np.arange(506, decided.size - 2)
    up = replace(decided, label=np.ones(decided.size))
    row = assess(guesses(decided, positions), positions, up, PLAIN, GATE).row()
    assert row["auc"] is None
    assert "auc is undefined" in row["reasons"]
    assert row["luck_rate"] == 0.0


def test_a_frozen_price_is_never_traded():
    decided = instrument()
    frozen = replace(decided, close_return=np.zeros(decided.size), stale=np.ones(decided.size, dtype=bool))
    positions = np.arange(506, decided.size - 2)
    row = assess(guesses(decided, positions, 0.1), positions, frozen, PLAIN, GATE).row()
    assert row["sharpe"] == 0.0
    assert row["buy_hold_sharpe"] == 0.0


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_handful_of_predictions_is_graded_and_not_registered(n):
    decided = instrument()
    positions = np.arange(506, 506 + n)
    row = assess(guesses(decided, positions), positions, decided, PLAIN, GATE).row()
    assert row["n_oos"] == n
    assert not row["registrable"]
    pl.DataFrame([row], schema=SCHEMA, strict=True)


def test_no_value_of_a_row_is_nan():
    for skill, seed in ((0.0, 1), (0.03, 2)):
        row = graded(skill, seed=seed, asset_class="crypto")[0].row()
        assert not any(isinstance(value, float) and np.isnan(value) for value in row.values())


def test_a_crypto_pass_that_is_gone_one_bar_later_is_suspicious_and_not_registrable():
    row = graded(0.015, seed=2, asset_class="crypto")[0].row()  # it knows the very next bar and nothing else
    assert row["passed"]
    assert row["suspicious"] == "passed, but the pass is gone one bar later"
    assert not row["registrable"]


def test_stale_prices_make_a_pass_suspicious_and_not_a_failure():
    _, decided, positions, probability = graded(0.015, seed=2)
    stale = replace(decided, stale=np.arange(decided.size) % 2 == 0)
    passed = assess(probability, positions, stale, PLAIN, GATE).row()
    failed = assess(1.0 - probability, positions, stale, PLAIN, GATE).row()
    assert passed["suspicious"].startswith("passed, but 50% of its out-of-sample closes are stale")
    assert failed["suspicious"] is None


def test_trials_are_charged():
    few, many = graded(0.02, trials=1)[0].row(), graded(0.02, trials=50)[0].row()
    assert many["deflated_sharpe"] < few["deflated_sharpe"]
    assert many["p_value"] == few["p_value"]
    assert many["n_trials"] == 50


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p, k: (np.where(np.arange(p.size) == 3, np.nan, p), k), "got 1 of 1092 missing or outside"),
        (lambda p, k: (p + 0.9, k), "must lie in"),
        (lambda p, k: (p[:-1], k), "one probability for each decision is needed, got 1091 for 1092"),
        (lambda p, k: (p[:0], k[:0]), "got 0 for 0"),
        (lambda p, k: (np.delete(p, 7), np.delete(k, 7)), "must be consecutive, got gaps"),
        (lambda p, k: (p, k + 1), "decision 1598 has no return yet among 1600 bars"),
    ],
)
def test_bad_input_is_refused_with_a_clear_message(spoil, words):
    decided = instrument()
    positions = np.arange(506, decided.size - 2)
    probability, positions = spoil(guesses(decided, positions), positions)
    with pytest.raises(ValueError, match=words):
        assess(probability, positions, decided, PLAIN, GATE)


def test_lucky_passes_of_skill_less_models_are_as_many_as_expected():
    """Persistent guesses on independent instruments: the sum of luck rates is the number that pass."""
    rows = []
    for seed in range(150):
        decided = instrument(n=800, seed=seed, drift=0.0006)
        positions = np.arange(298, decided.size - 2)
        noise = np.convolve(np.random.default_rng(seed).normal(size=positions.size + 9), np.ones(10) / 10, "valid")
        rows.append(assess(np.clip(0.505 + 0.05 * noise, 0, 1), positions, decided, PLAIN, GATE).row())
    seen = sum(row["passed"] for row in rows)
    found = session_evidence(pl.DataFrame([{**row, "symbol": f"S{i}"} for i, row in enumerate(rows)], schema=SCHEMA))
    assert found.passes == seen
    assert found.low <= found.expected <= found.high
    assert 5 < found.expected < 40
    assert abs(seen - found.expected) < 3 * found.expected**0.5
