"""The settings study's own formulas: rank IC, influences, blocks, pairing, and fits that stand for several settings."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from src.config.schema import GradeConfig, LabelConfig, ModelConfig, SimulatedSource, SplitConfig, StrategyConfig
from src.evaluation import metrics
from src.evaluation.labels import decisions
from src.evaluation.splits import walk_forward
from src.sources.simulated import instrument as simulated
from src.training.walk_forward import InstrumentTask, RunPlan, train_instrument
from tests.benchmarks import study_cells, study_tables
from tests.benchmarks.candidates import FAMILIES, FORMER, ORIGINAL, SHAPES, SLOW
from tests.benchmarks.paired import (
    auc_influence,
    block_sums,
    daily_rank_ic,
    interval,
    rank_correlation,
    rank_correlation_influence,
    replicates,
    sharpe_influence,
)
from tests.benchmarks.study_cells import Instrument
from tests.benchmarks.study_tables import Outcome, pair, ratio_of

RANDOM = np.random.default_rng(1)
SCORE = RANDOM.normal(size=150).round(1)  # ties
OUTCOME = 0.4 * SCORE + RANDOM.normal(size=150).round(1)
LABEL = np.where(RANDOM.uniform(size=150) < 0.1, np.nan, (OUTCOME > 0).astype(float))
RETURNS = 0.001 + 0.01 * RANDOM.standard_t(5, size=150)


def test_daily_rank_ic_is_scipys_spearman_of_each_day():
    day = RANDOM.integers(0, 3, size=150)
    outcome = np.where(RANDOM.uniform(size=150) < 0.1, np.nan, OUTCOME)
    days, ics = daily_rank_ic(day, SCORE, outcome)
    assert days.tolist() == [0, 1, 2]
    for each, ic in zip(days, ics, strict=True):
        here = (day == each) & np.isfinite(outcome)
        assert ic == pytest.approx(spearmanr(SCORE[here], outcome[here]).statistic, abs=1e-12)


def test_a_day_with_few_instruments_has_no_rank_ic():
    day = np.array([1] * 19 + [2] * 20)
    assert daily_rank_ic(day, SCORE[:39], OUTCOME[:39])[0].tolist() == [2]


@pytest.mark.parametrize(
    ("influence", "figure", "columns"),
    [
        (auc_influence, lambda y, s: roc_auc_score(y[np.isfinite(y)], s[np.isfinite(y)]), (LABEL, SCORE)),
        (lambda r: sharpe_influence(r, 252.0), lambda r: metrics.sharpe(r, 252.0), (RETURNS,)),
        (rank_correlation_influence, lambda x, y: spearmanr(x, y).statistic, (SCORE, OUTCOME)),
    ],
    ids=["auc", "sharpe", "rank correlation"],
)
def test_an_influence_is_what_the_figure_loses_without_the_row(influence, figure, columns):
    found, whole, n = influence(*columns), figure(*columns), len(columns[0])
    lost = np.array([(n - 1) * (whole - figure(*(np.delete(column, i) for column in columns))) for i in range(n)])
    assert found.mean() == pytest.approx(0.0, abs=1e-10)
    assert np.std(found) == pytest.approx(np.std(lost), rel=0.03)
    assert np.corrcoef(found, lost)[0, 1] > 0.999


def test_figures_that_do_not_vary_have_no_influence():
    flat = np.ones(150)
    assert not auc_influence(np.ones(150), SCORE).any()
    assert not rank_correlation_influence(flat, OUTCOME).any()
    assert not sharpe_influence(np.zeros(150), 252.0).any()
    assert rank_correlation(flat, OUTCOME) == 0.0


def test_block_errors_are_those_of_independent_days_where_days_are_independent():
    day = np.arange(20_000)
    value = RANDOM.normal(size=day.size)
    error = replicates(block_sums(day, (value - value.mean()) / value.size)[:, None]).std()
    assert error == pytest.approx(value.std() / np.sqrt(value.size), rel=0.15)


def test_copies_of_an_instrument_make_nothing_surer():
    day = np.arange(2_000)
    one = Outcome(np.zeros(3), np.stack([block_sums(day, RANDOM.normal(size=day.size))] * 3, axis=1), True)
    still = Outcome(np.zeros(3), np.zeros_like(one.sums), True)
    alone = pair({"a": one}, {"a": still})
    assert not pair({"a": one}, {"a": one}).errors.any()
    copies = pair({name: one for name in "abcde"}, {name: still for name in "abcde"})
    assert copies.errors == pytest.approx(alone.errors)


def test_pairs_take_the_instruments_that_both_have():
    def outcome(value, passed):
        return Outcome(np.full(3, value), np.zeros((5, 3)), passed)

    one = {"a": outcome(0.5, True), "b": outcome(0.7, True), "c": outcome(9.0, True)}
    other = {"a": outcome(0.4, False), "b": outcome(0.6, True), "d": outcome(9.0, True)}
    found = pair(one, other)
    assert (found.n, found.passes, found.more_passes) == (2, 2, 1.0)
    assert found.figures - found.reference == pytest.approx(np.full(3, 0.1))


def test_a_ratio_to_itself_is_one_without_doubt_and_to_another_has_some():
    day = np.arange(3_000)
    sums, others = (block_sums(day, RANDOM.normal(size=day.size) / 1e5) for _ in range(2))
    assert ratio_of(0.02, sums, 0.02, sums) == pytest.approx((1.0, 1.0, 1.0))
    ratio, low, high = ratio_of(0.01, sums, 0.02, others)
    assert low < ratio == 0.5 < high
    none = np.zeros_like(sums)
    assert ratio_of(0.01, none, 0.02, others)[1] < 0.499
    assert ratio_of(0.01, sums, 0.02, none)[1] < 0.499
    assert interval(np.arange(101.0)) == pytest.approx((5.0, 95.0))


def test_returns_ahead_compound_and_end_where_they_are_not_known():
    found = study_cells.ahead(np.array([0.1, -0.5, 1.0, np.nan]), 2)
    assert found[:2] == pytest.approx([1.1 * 0.5 - 1, 0.0])
    assert np.isnan(found[2:]).all()


def with_folds(bars):
    chosen = decisions(bars, LabelConfig())
    features = np.random.default_rng(2).normal(size=(bars.height, 12)).astype(np.float32)
    folds = walk_forward(chosen.dates, "stock", SplitConfig(), 1)
    return Instrument(("stock", "AAA"), chosen, folds, features, [f"f{i}" for i in range(12)])


@pytest.fixture(scope="module")
def one():
    made = simulated(SimulatedSource(), ("stock", "AAA"), "2018-12-31", 0.2)
    return made.with_columns(factor=pl.lit(1.0), repaired=pl.lit(False)).drop("adj_close")


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.name == "small"], ids=lambda s: s.family)
def test_few_rounds_are_the_beginning_of_many_and_the_walk_is_the_projects(shape, one):
    made = with_folds(one)
    found, _ = study_cells.walked(made, shape)
    model = ModelConfig(shape.family, params=shape.cut((30,)).model.params)
    plan = RunPlan("r", model, {"strategy_key": "", "session_key": ""})
    task = InstrumentTask(
        "stock", "AAA", 0, one, made.features, made.names, [plan], 1, study_cells.SEED,
        LabelConfig(), SplitConfig(), StrategyConfig(), GradeConfig(),
    )  # fmt: skip
    trained = train_instrument(task)
    run, graded = trained.runs[0], trained.grades[0]
    row = shape.rounds.index(30)
    assert found[row] == pytest.approx(run["oos_probability"], abs=1e-12)
    assert np.abs(found[row] - found[-1]).max() > 1e-3
    place = study_tables.trading_conditions(made.test, made.chosen, StrategyConfig())
    outcome = study_tables.outcome_of(made, found[row], place)
    assert outcome.figures[:2] == pytest.approx([graded["auc"], graded["sharpe"]])
    assert outcome.passed == graded["passed"]


def test_every_family_has_every_setting_and_the_slow_ones():
    names = {name: {s for shape in SHAPES if shape.family == name for s in shape.settings} for name in FAMILIES}
    assert len({frozenset(each) for each in names.values()}) == 1
    assert {*SLOW, ORIGINAL, FORMER} <= names["lightgbm"]
    assert len({(shape.id, n) for shape in SHAPES for n in shape.rounds}) == sum(map(len, names.values()))
