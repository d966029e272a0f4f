"""Sheets of a small trained dataset: two stocks and a coin, by a family of trees and a linear one."""

from __future__ import annotations

import io
import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.evaluation.fold_levels import one_fold
from src.evaluation.grade import Thresholds
from src.evaluation.shift_test import shifts
from src.features.store import FeatureStore
from src.market.bars import BarStore, bucket
from src.models import registry
from src.reporting.tear_sheets import benchmarks, reading
from src.reporting.tear_sheets.benchmarks import Benchmarks, MarketLevel, stored_markets
from src.reporting.tear_sheets.data_files import data_files
from src.reporting.tear_sheets.explained import ExplainedRuns, FittedRun
from src.reporting.tear_sheets.figures import KINDS, figure
from src.reporting.tear_sheets.instrument_sheets import SheetIdentity, TradedRun, instrument_sheet
from src.reporting.tear_sheets.reading import read_sheets, runs_with_sheets, sheet_name
from src.reporting.tear_sheets.sheet import TearSheet
from src.signals.own_decisions import GradedRun, GradedRuns
from src.storage import atomic
from tests.signals.trained_case import Trained, configured, trained

GATE = ("auc", "accuracy", "sharpe", "max_drawdown")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """All runs pass by decree, and those of one stock are champions."""
    config = configured(tmp_path_factory.mktemp("sheets"), features__families=["price", "momentum"])
    case = trained(config, "lightgbm", "ridge")
    sha256 = {each.record_id: each.model_sha256 for each in case.champions()}
    grades = pl.read_parquet(case.config.paths.grades)
    hashes = pl.col("record_id").replace_strict(sha256, return_dtype=pl.String)
    rewrite(case.config.paths, grades.with_columns(passed=pl.lit(True), model_sha256=hashes))
    crowned = grades.filter(symbol="SIM01").select("record_id", version=pl.lit(3), state=pl.lit("champion"))
    atomic.write_parquet(crowned, case.config.paths.states("promote"))
    return case


def rewrite(paths: DatasetPaths, grades: pl.DataFrame) -> None:
    atomic.write_parquet(grades, paths.grades)


@pytest.fixture(scope="module")
def sheets(case: Trained) -> dict[str, TearSheet]:
    found = read_sheets(case.config.paths, runs_with_sheets(case.config.paths)["record_id"].to_list())
    return {f"{each.symbol} {each.family}": each for each in found}


@pytest.fixture(scope="module")
def runs(case: Trained) -> list[GradedRun]:
    return [run for own in GradedRuns(case.config.paths).read(pl.read_parquet(case.config.paths.grades)) for run in own]


def test_every_pass_has_a_sheet_of_the_days_that_were_graded(case: Trained, sheets: dict[str, TearSheet]) -> None:
    grades = pl.read_parquet(case.config.paths.grades)
    assert len(sheets) == grades.height > 4
    for row in grades.iter_rows(named=True):
        sheet = sheets[f"{row['symbol']} {row['family']}"]
        assert sheet.days.height == sheet.predictions.height == sheet.folds["n_oos"].sum() == row["n_oos"]
        assert (sheet.first, sheet.last) == (row["first_oos"], row["last_oos"])
        values = {each.name: each.value for each in sheet.figures}
        assert list(values) == [name for name in KINDS if name in values]
        assert values["turnover"] == pytest.approx(row["turnover"]) and values["trades"] == sheet.trades.height
        assert figure(sheet, "sharpe").always_long == pytest.approx(row["buy_hold_sharpe"])
        assert sheet.days["equity"][-1] == pytest.approx(math.prod(1 + value for value in sheet.days["net"]))
        assert sheet.days["drawdown"].min() == pytest.approx(-row["max_drawdown"])
        assert sheet.drawdowns["depth"][0] == pytest.approx(row["max_drawdown"])
        assert sheet.trades["net"].sum() == pytest.approx(sheet.days["net"].sum(), abs=1e-12)
        assert not any(isinstance(value, float) and not math.isfinite(value) for value in values.values())
        assert not any(name in str(table.schema) for table in (sheet.days, sheet.folds) for name in ("Null", "Object"))


def test_a_coin_has_365_returns_a_year_and_trades_at_weekends(sheets: dict[str, TearSheet]) -> None:
    coin, stock = sheets["SIMC01-USD lightgbm"], sheets["SIM01 lightgbm"]
    assert coin.conventions[0].startswith("A year has 365") and stock.conventions[0].startswith("A year has 252")
    assert coin.days["rolling_sharpe"].null_count() == 364
    assert coin.days["date"].dt.weekday().max() == 7 and stock.days["date"].dt.weekday().max() == 5


def test_the_last_fold_learned_from_the_rows_that_training_counted(case: Trained, sheets: dict[str, TearSheet]) -> None:
    stored = {row["record_id"]: row["n_train"] for row in case.runs.runs(("n_train",)).iter_rows(named=True)}
    assert all(sheet.folds["n_train"][-1] == stored[sheet.record_id] for sheet in sheets.values())


def test_luck_is_drawn_from_the_shifts_that_the_grade_counts(
    case: Trained, runs: list[GradedRun], sheets: dict[str, TearSheet]
) -> None:
    run = runs[0]
    counted = shifts(
        run.outcome, one_fold(run.probability), run.strategy, run.decisions.horizon, run.conditions,
        bars_per_year=run.decisions.bars_per_year, thresholds=Thresholds.of(run.gate),
        exclude_lags=run.gate.exclude_lags,
    )  # fmt: skip
    picture = next(sheet.luck for sheet in sheets.values() if sheet.record_id == run.record_id)
    assert picture is not None
    assert picture.auc.tolist() == counted.auc[counted.admissible].tolist()
    assert picture.sharpe.tolist() == counted.sharpe[counted.admissible].tolist()
    assert picture.graded_auc == pytest.approx(TradedRun.of(run, None).grade()["auc"], abs=1e-12)
    assert picture.graded_sharpe == pytest.approx(TradedRun.of(run, None).grade()["sharpe"], abs=1e-9)


@pytest.mark.parametrize("family", ["lightgbm", "ridge"])
def test_contributions_of_a_day_add_up_to_its_score(case: Trained, runs: list[GradedRun], family: str) -> None:
    grades = {row["record_id"]: row for row in pl.read_parquet(case.config.paths.grades).iter_rows(named=True)}
    run = next(run for run in runs if grades[run.record_id]["family"] == family)
    row = case.runs.runs(("family", "features", "importance", "parts"), [run.record_id]).to_dicts()[0]
    fitted = FittedRun.of(row, grades[run.record_id]["model_sha256"])
    explained = ExplainedRuns(case.config.paths, {run.record_id: fitted})
    explained.read(bucket(*run.key, 2), [run.key], [fitted])
    found = explained.explained(run)
    assert found is not None
    x, added = found
    model = case.runs.model_path(run.record_id)
    library = registry.family(family)
    score = library.predict(library.from_bytes(model.read_bytes()), x)
    rest = np.log(score / (1 - score)) - added.sum(axis=1)
    assert np.ptp(rest) < 1e-5  # the same constant for every day
    stored = FeatureStore(case.config.paths.features).read_bucket(bucket(*run.key, 2), fitted.features, [run.key])
    first = stored.filter(pl.col("date").cast(pl.Date) == run.decisions.dates[run.positions[0]].item())
    assert x[0] == pytest.approx(first.select(fitted.features).to_numpy()[0], nan_ok=True)


def test_contributions_are_summed_up_by_feature(sheets: dict[str, TearSheet]) -> None:
    sheet = sheets["SIM01 lightgbm"]
    table, points = sheet.contributions, sheet.contribution_points
    assert table["mean_absolute"].is_sorted(descending=True) and table["mean_absolute"][0] > 0
    mean = points.group_by("feature", maintain_order=True).agg(pl.col("contribution").abs().mean())
    head = table.head(mean.height)
    assert mean["feature"].to_list() == head["feature"].to_list()
    assert mean["contribution"].to_list() == pytest.approx(head["mean_absolute"].to_list())
    assert table["gain"].sum() == pytest.approx(1.0, abs=1e-5)
    assert "stored model" in sheet.contribution_note and points["value_rank"].is_between(0, 1).all()


def test_the_same_inputs_give_the_same_bytes(case: Trained, sheets: dict[str, TearSheet]) -> None:
    sheet = sheets["SIM01 lightgbm"]
    (again,) = read_sheets(case.config.paths, [sheet.record_id])
    assert data_files(again) == data_files(sheet) and again.figures == sheet.figures
    assert pl.read_parquet(io.BytesIO(data_files(sheet)["days.parquet"])).equals(sheet.days)


def test_a_champion_says_so_and_needs_no_pass(case: Trained, sheets: dict[str, TearSheet], tmp_path: Path) -> None:
    assert sheets["SIM01 ridge"].champion == "Version 3 of stock.SIM01, made from this run, is its champion."
    assert sheets["SIM02 ridge"].champion == ""
    own = case.copy(tmp_path)
    rewrite(own.config.paths, pl.read_parquet(own.config.paths.grades).with_columns(passed=pl.lit(False)))
    left = runs_with_sheets(own.config.paths)
    assert set(left["symbol"]) == {"SIM01"} and left["champion"].all() and not left["passed"].any()
    own.config.paths.states("promote").unlink()
    assert runs_with_sheets(own.config.paths).is_empty()
    assert list(read_sheets(own.config.paths, left["record_id"].to_list())) == []


def test_a_digest_changes_with_what_a_sheet_shows_and_with_nothing_else(
    case: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = case.copy(tmp_path)
    paths = own.config.paths
    before = runs_with_sheets(paths)
    assert before.equals(runs_with_sheets(paths)) and before["sheet"].n_unique() == before.height
    grades = pl.read_parquet(paths.grades)
    first = pl.col("record_id") == before["record_id"][0]
    rewrite(paths, grades.with_columns(q_value=pl.when(first).then(0.123).otherwise("q_value"), fit_seconds=9.0))
    after = runs_with_sheets(paths)
    assert (after["digest"] != before["digest"]).to_list() == (before["record_id"] == before["record_id"][0]).to_list()
    model = own.runs.model_path(before["record_id"][1])
    model.unlink()
    lost = runs_with_sheets(paths)
    assert (lost["digest"] != after["digest"]).arg_true().to_list() == [1]
    with monkeypatch.context() as patched:
        patched.setattr(reading, "code_digest", lambda *_: "other code")
        assert (runs_with_sheets(paths)["digest"] != lost["digest"]).all()
    monkeypatch.setitem(benchmarks.MARKETS, "stock", (("stock", "SIM01"), ("stock", "GONE")))
    assert stored_markets(BarStore(paths.bars)) == [("stock", "SIM01")]
    assert (runs_with_sheets(paths)["digest"] != lost["digest"]).all()


def test_a_run_that_was_trained_again_has_no_sheet(case: Trained, tmp_path: Path) -> None:
    own = case.copy(tmp_path)
    gone = runs_with_sheets(own.config.paths)["record_id"][0]
    shard = next(path for path in own.runs.root.glob("*.runs.parquet") if gone in pl.read_parquet(path)["record_id"])
    rows = pl.read_parquet(shard)
    later = rows.filter(record_id=gone).with_columns(record_id=pl.lit(gone[:-1] + "1"), attempt=pl.lit(1, pl.Int32))
    atomic.write_parquet(pl.concat([rows, later]), shard)
    assert gone not in runs_with_sheets(own.config.paths)["record_id"]


@pytest.mark.parametrize("metric", GATE)
def test_a_run_whose_grade_is_not_that_of_its_predictions_is_left_out(
    case: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture, metric: str
) -> None:
    own = case.copy(tmp_path)
    wrong, right = runs_with_sheets(own.config.paths)["record_id"].head(2)
    grades = pl.read_parquet(own.config.paths.grades)
    edited = pl.when(pl.col("record_id") == wrong).then(pl.col(metric) + 1e-8).otherwise(metric)
    rewrite(own.config.paths, grades.with_columns(edited.alias(metric)))
    with caplog.at_level(logging.WARNING):
        assert [sheet.record_id for sheet in read_sheets(own.config.paths, [wrong, right])] == [right]
    assert wrong in caplog.text and f"another grade than is stored: {metric}" in caplog.text


def test_without_bars_there_is_no_sheet_but_a_warning(
    case: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = case.copy(tmp_path)
    ids = runs_with_sheets(own.config.paths)["record_id"].to_list()
    for path in own.config.paths.bars.rglob("*"):
        if path.is_file():
            path.unlink()
    with caplog.at_level(logging.WARNING):
        assert list(read_sheets(own.config.paths, ids)) == []
    assert caplog.text.count("its bars are gone") == len(ids)


@pytest.mark.parametrize("lost", ["model", "changed model", "features"])
def test_without_its_model_or_features_a_run_has_gains_alone(case: Trained, tmp_path: Path, lost: str) -> None:
    own = case.copy(tmp_path)
    record_id = runs_with_sheets(own.config.paths).filter(family="lightgbm")["record_id"][0]
    path = own.runs.model_path(record_id)
    if lost == "features":
        for ledger in own.config.paths.features.glob("b*.json"):
            noted = json.loads(ledger.read_text(encoding="utf-8"))
            noted["columns"] = dict.fromkeys(noted["columns"], "other code")
            ledger.write_text(json.dumps(noted), encoding="utf-8")
    elif lost == "model":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b"\n")
    (sheet,) = read_sheets(own.config.paths, [record_id])
    assert sheet.contributions["mean_absolute"].null_count() == sheet.contributions.height > 0
    assert sheet.contributions["gain"].is_sorted(descending=True)
    assert sheet.contribution_points.is_empty() and sheet.contribution_note == ""


def sheet_of(run: GradedRun, row: dict[str, object]) -> TearSheet:
    fitted = FittedRun("lightgbm", "key", ["a"], np.ones(1), {"split": {"embargo": 5}}, None)
    return instrument_sheet(TradedRun.of(run, None), SheetIdentity(row, "stock.SIM01", None), fitted, "", None)


@pytest.mark.parametrize(("days", "trades"), [([], 0), ([5], 1), ([5, 6, 7], 1), ([5, 9], 2)])
def test_runs_that_hardly_trade_have_whole_sheets(
    case: Trained, runs: list[GradedRun], days: list[int], trades: int
) -> None:
    probability = np.zeros(runs[0].positions.size)
    probability[days] = 0.9  # flat from then on
    run = replace(runs[0], probability=probability)
    row = pl.read_parquet(case.config.paths.grades).filter(record_id=run.record_id).to_dicts()[0]
    sheet = sheet_of(run, row)
    assert sheet.trades.height == trades and sheet.days["position"].to_numpy().nonzero()[0].tolist() == days
    assert sheet.distribution.is_empty() == (trades == 0)
    assert figure(sheet, "trade_win_rate").value in ((None,) if trades == 0 else (0.0, 0.5, 1.0))
    assert figure(sheet, "calmar").value is None or trades
    assert sheet.benchmark_name == "" and sheet.days["benchmark"].null_count() == sheet.days.height
    assert sheet.calibration.height in (1, 2)  # equal scores are in one bin


def test_a_market_is_held_from_open_to_open_where_the_dataset_has_it(
    case: Trained, runs: list[GradedRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = BarStore(case.config.paths.bars)
    run = next(run for run in runs if run.key == ("stock", "SIM02"))
    name, own = Benchmarks(store).of(run)
    assert name == "stock.SIM02 bought and held"
    assert own.tolist() == run.outright.bar_return[run.positions].tolist()
    monkeypatch.setitem(benchmarks.MARKETS, "stock", (("etf", "GONE"), ("stock", "SIM01")))
    name, found = Benchmarks(store).of(run)
    assert name == "stock.SIM01 bought and held"
    bars = store.read_bucket(bucket("stock", "SIM01", 2), symbols=[("stock", "SIM01")])
    bars = bars.filter(pl.col("volume") > 0)
    prices = dict(zip(bars["date"].cast(pl.Date), bars["open"].cast(pl.Float64) * bars["factor"], strict=True))

    def price(day: np.datetime64) -> float:
        return prices[max(known for known in prices if known <= day.astype("datetime64[D]").item())]

    dates = run.decisions.dates
    naive = [price(dates[k + 2]) / price(dates[k + 1]) - 1 for k in run.positions[:40]]
    assert found[:40].tolist() == pytest.approx(naive, abs=1e-6)


@pytest.mark.parametrize("name", ["BTC-USD", "BTC-USDT", "BTC"])
def test_a_coin_is_compared_with_bitcoin_by_the_names_that_files_give_it(
    case: Trained, runs: list[GradedRun], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run = next(run for run in runs if run.key[0] == "crypto")
    dates = run.decisions.dates
    level = MarketLevel(("crypto", name), dates, np.exp(0.01 * np.arange(dates.size)))
    monkeypatch.setattr(Benchmarks, "_level", lambda _, key: level if key == level.key else None)
    named, found = Benchmarks(BarStore(case.config.paths.bars)).of(run)
    assert named == f"crypto.{name} bought and held"
    assert found.tolist() == pytest.approx([math.expm1(0.01)] * run.positions.size)


def test_a_market_that_ends_before_the_run_is_no_benchmark() -> None:
    days = np.datetime64("2020-01-01") + np.arange(40)
    level = MarketLevel(("etf", "SPY"), days[:20], np.linspace(1, 2, 20))
    assert level.returns(days[:29], days[1:30]) is not None
    assert level.returns(days[:35], days[1:36]) is None
    assert level.returns(days[:5] - np.timedelta64(1, "D"), days[1:6]) is None


def test_sheet_names_are_safe_and_differ_where_letter_case_is_ignored() -> None:
    assert sheet_name("stock.AAPL", "lightgbm") == "stock.AAPL.lightgbm.html"
    assert sheet_name("crypto.BTC-USD-1h", "ridge") == "crypto.BTC-USD-1h.ridge.html"
    assert sheet_name("pooled.stock.neutral", "ensemble") == "pooled.stock.neutral.ensemble.html"
    names = [
        "stock.CON", "stock.con", "stock.Con", "stock.BRK%2FB", "stock.BRK_2FB", "stock.BRK.B", "stock.brk.b",
        "etf.CON", "stock.A-1h", "stock.A-1H", "stock.A~B", "stock." + "X" * 300, "stock." + "X" * 301, "stock.ÄÖ<b>",
        "pooled.stock.neutral", "pooled.stock.Neutral",
    ]  # fmt: skip
    found = [sheet_name(name, "lightgbm") for name in names]
    assert len({name.casefold() for name in found}) == len(names) - 1  # A-1h and A-1H are never of one dataset
    assert all(name.isascii() and len(name) < 130 and not set(name) & set('<>:"/\\|?*% ') for name in found)
