"""What a worker does with one instrument."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from src.config.schema import GradeConfig, LabelConfig, ModelConfig, SplitConfig, StrategyConfig
from src.evaluation.assessment import assess
from src.evaluation.labels import decisions, market_of
from src.evaluation.splits import walk_forward
from src.models.catboost import CatBoostParams
from src.models.lightgbm import LightGBMParams
from src.models.registry import family
from src.models.xgboost import XGBoostParams
from src.training import walk_forward as walk_forward_module
from src.training.walk_forward import InstrumentTask, RunPlan, bars_per_year, train_instrument
from tests.features.series import lively


def test_daily_figures_are_annualised_by_the_classs_days() -> None:
    bars = pl.DataFrame({"date": [dt.date(2024, 1, 2), dt.date(2024, 1, 3)]})
    assert bars_per_year(bars, "stock") == 252.0
    assert bars_per_year(bars, "crypto") == 365.0


def test_hourly_figures_are_annualised_by_the_bars_of_a_usual_day() -> None:
    days = [dt.datetime(2024, 1, day) for day in (2, 3, 4)]
    hours = [day + dt.timedelta(hours=14 + k) for day in days for k in range(7 if day.day < 4 else 3)]
    assert bars_per_year(pl.DataFrame({"date": hours}), "stock") == 7 * 252.0


PARAMS = {"lightgbm": LightGBMParams, "xgboost": XGBoostParams, "catboost": CatBoostParams}


def task(*names: str, rows: int = 900) -> InstrumentTask:
    """An instrument's work for some families, on features without any skill."""
    bars = lively(rows).with_row_index("k")
    still = pl.col("k").is_between(100, 120)  # no return, so no direction
    bars = bars.with_columns(open=pl.when(still).then(50.0).otherwise("open"), factor=1.0).drop("k")
    features = np.random.default_rng(5).normal(size=(rows, 6)).astype(np.float32)
    plans = [RunPlan(name, ModelConfig(name, params=PARAMS[name](rounds=5)), {}) for name in names]
    split = SplitConfig(first_train_bars=250, fold_months=6)
    columns = [f"feature_{each}" for each in range(6)]
    return InstrumentTask(
        "stock", "AAA", 0, bars, features, columns, plans, 1, 7, LabelConfig(), split, StrategyConfig(), GradeConfig()
    )


def test_a_model_learns_from_decisions_with_a_direction_in_the_training_window_alone(monkeypatch) -> None:
    seen = []
    library = family("lightgbm")
    fit_windows = library.fit_windows

    def watched(x, y, ends, *others, bins):
        assert bins == ends[0]
        seen.extend((x[:end], y[:end]) for end in ends)
        return fit_windows(x, y, ends, *others, bins=bins)

    monkeypatch.setattr(library, "fit_windows", watched)
    work = task("lightgbm")
    assert train_instrument(work).runs
    chosen = decisions(work.bars, work.label)
    folds = walk_forward(chosen.dates, "stock", work.split, work.label.horizon)
    assert len(seen) >= len(folds) > 2
    for fold, (x, y) in zip(folds, seen, strict=False):
        rows = [k for k in fold.train if chosen.label[k] in (0.0, 1.0)]
        assert len(rows) < fold.train.size
        assert np.array_equal(x, np.array([work.features[chosen.rows[k]] for k in rows]))
        assert np.array_equal(y, [chosen.label[k] for k in rows])


def test_a_family_that_raises_costs_its_run_alone(monkeypatch) -> None:
    def broken(*_, bins):
        raise ArithmeticError("no split found")

    monkeypatch.setattr(family("xgboost"), "fit_windows", broken)
    done = train_instrument(task("lightgbm", "xgboost", "catboost"))
    assert [row["record_id"] for row in done.grades] == ["lightgbm", "catboost"]
    assert len(done.runs) == 2
    assert list(done.failures) == ["xgboost"]
    assert done.failures["xgboost"].reason == "ArithmeticError: no split found"
    assert "in broken" in done.failures["xgboost"].traceback


def test_a_family_that_raises_once_is_tried_again_but_not_after_a_memory_error(monkeypatch) -> None:
    raised: list[Exception] = [ArithmeticError("a hiccup")]
    fit = walk_forward_module._out_of_sample

    def faulty(plan_model, *rest):
        if raised and plan_model.family == "xgboost":
            raise raised.pop()
        return fit(plan_model, *rest)

    monkeypatch.setattr(walk_forward_module, "_out_of_sample", faulty)
    made = task("lightgbm", "xgboost")
    done = train_instrument(made)
    assert not done.failures and len(done.grades) == 2
    raised.append(MemoryError())
    with pytest.raises(MemoryError):
        train_instrument(made)


def test_a_run_is_not_kept_where_its_grade_raises(monkeypatch) -> None:
    grade = walk_forward_module.grade_stored
    calls = []

    def all_but_the_first_break(*arguments):
        calls.append(1)
        if len(calls) > 1:
            raise ArithmeticError("no grade")
        return grade(*arguments)

    monkeypatch.setattr(walk_forward_module, "grade_stored", all_but_the_first_break)
    done = train_instrument(task("lightgbm", "xgboost"))
    assert len(done.runs) == len(done.grades) == len(done.failures) == 1


def test_where_no_family_works_each_says_why_after_two_tries(monkeypatch) -> None:
    tried = []

    def broken(model, *_):
        tried.append(model.family)
        raise ArithmeticError(f"no split found by {model.family}")

    monkeypatch.setattr(walk_forward_module, "_out_of_sample", broken)
    done = train_instrument(task("lightgbm", "xgboost"))
    assert tried == ["lightgbm", "lightgbm", "xgboost", "xgboost"]
    assert done.runs == done.grades == []
    said = {family: failure.reason for family, failure in done.failures.items()}
    assert said == {name: f"ArithmeticError: no split found by {name}" for name in ("lightgbm", "xgboost")}


def test_a_run_of_a_relative_label_has_hedged_returns_and_is_graded_again_as_it_was() -> None:
    work = task("lightgbm")
    label = LabelConfig(kind="relative")
    others = [lively(900, seed=seed).with_columns(symbol=pl.lit(f"P{seed}"), factor=pl.lit(1.0)) for seed in (11, 12)]
    market = market_of(pl.concat([work.bars, *others], how="diagonal_relaxed"), label)
    work = replace(work, label=label, panel_returns=market)
    done = train_instrument(work)
    run, row = done.runs[0], done.grades[0]
    hedged = decisions(work.bars, label, market)
    outright = decisions(work.bars, LabelConfig())
    at = hedged.positions(run["oos_date"])
    np.testing.assert_array_equal(run["oos_bar_return"], hedged.bar_return[at])
    assert not np.allclose(run["oos_bar_return"], outright.bar_return[at], atol=1e-3)
    again = assess(run["oos_probability"], at, hedged, work.strategy, work.grade).row()
    assert {name: row[name] for name in again} == again


def test_a_stored_run_is_graded_as_a_new_one() -> None:
    work = task("lightgbm")
    done = train_instrument(work)
    run, row = done.runs[0], done.grades[0]
    decided = decisions(work.bars, work.label)
    by_hand = assess(
        run["oos_probability"], decided.positions(run["oos_date"]), decided, work.strategy, work.grade
    ).row()
    assert {name: row[name] for name in by_hand} == by_hand
    stored = {name: run[name] for name in run if name.startswith("oos_")}
    again = train_instrument(replace(work, plans=[replace(work.plans[0], stored=stored)]))
    assert {name: again.grades[0][name] for name in by_hand} == by_hand
