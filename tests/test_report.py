"""The stage reads what training left and writes the same bytes each time; what is missing is named."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.schema import Config
from src.core.errors import StageError
from src.market.bars import BarStore, Manifest
from src.report import read, report, settings, train_commands
from src.reporting.loading import passes_against_luck
from src.reporting.schemas import grades_table
from src.runtime import heartbeat
from src.storage.atomic import write_parquet
from src.training.run_store import RunStore
from tests.reporting import pooled_case, synthetic

SESSION = "5e551011"
FILES = ["book.html", "index.html", "method.html", "metrics.json", "plots/accuracy.csv", "plots/auc.csv",
         "plots/max_drawdown.csv", "plots/pass_rates.csv", "plots/sharpe.csv", "quality.html",
         "sessions.html", "summary.svg"]  # fmt: skip


def graded(table: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """The table with the drawdown of each run's curve, as a real grade has it."""
    peak = pl.max_horizontal(pl.lit(1.0), pl.col("equity").cum_max().over("record_id"))
    falls = curves.select("record_id", fall=1 - pl.col("equity") / peak).group_by("record_id").agg(pl.col("fall").max())
    joined = table.join(falls, on="record_id", how="left", maintain_order="left")
    return joined.with_columns(max_drawdown=pl.coalesce("fall", "max_drawdown")).drop("fall")


def lay_out(table: pl.DataFrame, planted: list[list[str]], session: str = SESSION) -> None:
    """Write a dataset named demo as hydrate and train leave it, under the working folder."""
    curves = synthetic.equity(table)
    table = graded(table, curves) if curves.height else table
    table = table.with_columns(graded_by=pl.lit(session))
    write_parquet(table, Path("data/grades/demo.parquet"))
    for stage, states in synthetic.states(table).items():
        write_parquet(states, Path(f"data/states/demo/{stage}.parquet"))
    if curves.height:
        lists = curves.rename({"always_long_equity": "always_long"}).with_columns(net=pl.lit(0.0))
        lists = (
            lists.with_columns(pl.col("stamp").cast(pl.Datetime("us"))).group_by("record_id", maintain_order=True).all()
        )
        write_parquet(lists, Path(f"data/runs/demo/b000-{session}.grades.parquet"))
    manifest = Manifest(
        "demo", "1d", "simulated", "", "auto", 4, "2024-12-31", "f", "j", complete=True, planted=planted
    )
    BarStore(Path("data/bars/demo")).write_manifest(manifest)


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """MLflow's store is that of the checkout unless a variable names another place."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = synthetic.grades(40, planted=10)
    lay_out(table, [list(key) for key in table.select("asset_class", "symbol").unique(maintain_order=True).rows()[:10]])
    return tmp_path


def written(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_stage_writes_its_files_and_closes_with_the_counts(dataset):
    line = report(Config())
    assert sorted(written(dataset / "reports/demo")) == FILES
    table = grades_table(pl.read_parquet("data/grades/demo.parquet"))
    passes = table["passed"].sum()
    counts = rf"report: 49 instruments; {passes} of {table.height} runs passed \(\d+ instruments?, \d+ registrable\)\. "
    assert re.match(counts + r"If no model had any skill, about", line)
    assert line.endswith("). See reports/demo/index.html")


def test_the_same_inputs_give_the_same_bytes(dataset):
    report(Config())
    first = written(dataset / "reports/demo")
    shutil.rmtree(dataset / "reports")
    report(Config())
    assert written(dataset / "reports/demo") == first


def test_the_page_shows_curves_planted_edges_and_the_sentence(dataset):
    line = report(Config())
    page = Path("reports/demo/index.html").read_text(encoding="utf-8")
    passed = (
        pl.read_parquet("data/grades/demo.parquet").filter("passed").select("asset_class", "symbol").unique().height
    )
    assert len(re.findall(r'id="best-\d"', page)) == min(passed, 6) > 5
    assert "no equity curve stored" not in page
    assert "10 instruments of this simulated universe have a planted edge" in page
    assert "Simulated bars" in page
    sentence = line.split("; ", 1)[1].rsplit(" See", 1)[0]
    assert sentence in page


def test_metrics_agree_with_the_grades_table(dataset):
    report(Config())
    figures = json.loads(Path("reports/demo/metrics.json").read_text(encoding="utf-8"))
    table = pl.read_parquet("data/grades/demo.parquet")
    assert figures["runs"]["passed"] == table["passed"].sum()
    assert figures["expected_lucky_passes"] == pytest.approx(table["luck_rate"].sum(), rel=1e-5)
    assert figures["planted"]["planted"] == 10
    assert figures["instruments"]["train"]["total"] == 49


def test_the_range_of_luck_is_the_quantiles_of_the_common_shifts():
    table = grades_table(synthetic.grades(40))
    bits = np.array([np.unpackbits(np.frombuffer(b, np.uint8)) for b in table["shift_passes"]])
    sums = np.sort(bits.sum(axis=0))
    luck = passes_against_luck(table)
    assert luck.low == sums[int(np.ceil(0.05 * 200)) - 1]
    assert luck.high == sums[int(np.ceil(0.95 * 200)) - 1]
    keys = table.select("asset_class", "symbol").rows()
    anyone = [np.any([b for b, k in zip(bits, keys, strict=True) if k == key], axis=0) for key in set(keys)]
    expected, low, high = luck.by_instrument
    counts = np.sort(np.sum(anyone, axis=0))
    assert (expected, low, high) == (pytest.approx(counts.mean()), counts[9], counts[189])


def test_without_luck_rates_or_common_shifts_nothing_is_claimed():
    table = grades_table(synthetic.grades(4))
    bare = passes_against_luck(table.with_columns(luck_rate=pl.lit(None, dtype=pl.Float64)))
    assert (bare.expected, bare.low, bare.sentence) == (None, None, "")
    half = passes_against_luck(table.with_columns(shift_passes=pl.lit(None, dtype=pl.Binary)))
    assert half.expected == pytest.approx(table["luck_rate"].sum()) and half.low is None


def test_without_grades_the_missing_command_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match=re.escape("run `python -m src.train universe=demo` first")):
        report(Config())
    assert not (tmp_path / "reports").exists()


def test_pooled_grades_alone_still_give_a_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pooled_case.lay_out(tmp_path)
    write_parquet(pooled_case.hydrated(), Path("data/states/demo/hydrate.parquet"))
    line = report(Config())
    assert line.startswith(
        "report: 41 instruments; Pooled: 1 of 2 portfolios passed (stock.neutral: Sharpe 0.58, t 1.4"
    )
    assert "runs passed" not in line and "Survivors only" in line
    page = Path("reports/demo/index.html").read_text(encoding="utf-8")
    assert "Train a model for each instrument, too: <code>python -m src.train universe=demo</code>" in page


def test_pooled_and_own_models_stand_side_by_side(dataset):
    alone = report(Config()).partition(" See")[0]
    assert "experiment=pooled</code> trains one over" in Path("reports/demo/index.html").read_text(encoding="utf-8")
    pooled_case.lay_out(dataset)
    line = report(Config())
    assert line.startswith(alone + " Pooled: 1 of 2 portfolios passed")
    figures = json.loads(Path("reports/demo/metrics.json").read_text(encoding="utf-8"))
    assert figures["pooled"]["passed"] == 1 and figures["runs"]["passed"] > 1


def test_the_command_that_trains_one_scope_holds_no_choice_of_the_other(monkeypatch):
    monkeypatch.setattr("sys.argv", ["src.report", "universe=full", "experiment=pooled", "model=ridge", "seed=3"])
    config = Config()
    config.universe.name = "full"
    assert train_commands(config)["pooled"] == "python -m src.train universe=full seed=3 experiment=pooled"
    config.scope.kind = "pooled"
    assert train_commands(config)["instrument"] == "python -m src.train universe=full seed=3 scope=instrument"


def test_simulated_bars_lack_no_delisted_name(dataset):
    pooled_case.lay_out(dataset)
    assert "urvivors" not in report(Config())


def test_after_a_training_that_was_interrupted_its_own_command_is_named(dataset, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(Path.cwd()))
    Path("data/grades/demo.parquet").unlink()
    kept = pl.DataFrame({"record_id": ["a.0", "b.0"], "run_key": ["a", "b"], "attempt": [0, 0]})
    write_parquet(kept.cast({"attempt": pl.Int32}), Path("data/runs/demo/b000-00000000.runs.parquet"))
    runs = RunStore(Path("data/runs/demo")).runs(("record_id",)).height
    assert runs == 2
    with heartbeat.beating("train", "demo", Path("data"), "python -m src.train universe=demo seed=9") as beat:
        with pytest.raises(StageError, match=rf"training is running \({runs} runs are stored so far\)"):
            report(Config())
        beat.update(ended="interrupted")
    remedy = rf"interrupted \({runs} runs are stored\): run `python -m src.train universe=demo seed=9` to continue"
    with pytest.raises(StageError, match=remedy):
        report(Config())


def test_a_truncated_grades_table_is_named(dataset):
    path = Path("data/grades/demo.parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StageError, match=r"data/grades/demo.parquet can't be read"):
        report(Config())


def test_a_session_in_which_all_were_skipped_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(synthetic.grades(3).clear(), [])
    assert report(Config()).startswith("report: 9 instruments; 0 of 0 runs passed (0 instruments, 0 registrable).")
    assert "No run was graded" in Path("reports/demo/index.html").read_text(encoding="utf-8")


def test_a_curve_that_another_session_graded_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(synthetic.grades(10, planted=5), [], session="0ther000")
    assert read(Config()).equity.height > 0


def test_the_settings_shown_hold_no_path_and_no_address():
    config = Config()
    config.source.path = "/home/someone/secret"
    config.tracking.uri = "postgresql://user:password@host/db"
    shown = settings(config)
    assert shown["strategy.cost_bps.stock"] == 5.0 and shown["grade.min_auc"] == 0.52
    assert "secret" not in str(shown) and "password" not in str(shown)
