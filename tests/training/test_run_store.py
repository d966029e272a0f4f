"""The run store: nothing is lost, nothing doubled, whenever the process dies."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.core.errors import StageError
from src.training.run_store import RunStore, shard_name
from src.training.run_tables import grade_table, run_table

SESSION = "1a2b3c4d5e6f"


def row(symbol: str, key: str, attempt: int = 0, n: int = 3) -> dict:
    day = np.datetime64("2020-01-01", "us")
    return {
        "record_id": f"{key}.{attempt}",
        "run_key": key,
        "attempt": attempt,
        "session_key": SESSION,
        "strategy_key": "plain",
        "asset_class": "stock",
        "symbol": symbol,
        "family": "lightgbm",
        "params": {"rounds": 50},
        "features": ["rsi_14"],
        "parts": {"bars": "x"},
        "library_version": "lightgbm 4",
        "git_commit": None,
        "tuning_trials": None,
        "n_train": 500,
        "n_folds": 1,
        "fit_seconds": 0.5,
        "created_at": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        "planted": False,
        "oos_date": day + np.arange(n).astype("timedelta64[D]"),
        "oos_stamp": day + np.arange(2, n + 2).astype("timedelta64[D]"),
        "oos_fold": np.zeros(n, dtype=np.int32),
        "oos_probability": np.linspace(0.4, 0.6, n),
        "oos_label": np.array([1.0, np.nan, 0.0])[:n],
        "oos_bar_return": np.linspace(-0.01, 0.01, n),
        "importance": np.ones(1),
    }


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def test_an_empty_store_answers_with_empty_tables(store: RunStore) -> None:
    assert store.runs().is_empty()
    assert "superseded" in store.runs().columns
    assert store.oos(["a.0"]).is_empty()
    assert store.equity(["a.0"], SESSION).is_empty()
    assert store.model_path("a.0") is None


def test_a_finished_instrument_is_there_before_its_bucket_is_closed(store: RunStore) -> None:
    store.add(shard_name(0, SESSION), run_table([row("AAA", "a")]))
    assert store.runs()["record_id"].to_list() == ["a.0"]
    oos = store.oos(["a.0"])
    assert oos["date"].to_list() == [dt.date(2020, 1, d) for d in (1, 2, 3)]
    assert oos["stamp"][0] == dt.date(2020, 1, 3)
    assert oos["label"].is_nan().to_list() == [False, True, False]


def test_compaction_changes_nothing_that_a_reader_sees(store: RunStore) -> None:
    name = shard_name(0, SESSION)
    for symbol, key in (("AAA", "a"), ("BBB", "b")):
        store.add(name, run_table([row(symbol, key)]))
    before = store.runs(), store.oos(["a.0", "b.0"]).sort("record_id", "date")
    store.compact(name)
    assert not list((store.root / "pending").glob("*/*"))
    assert store.runs().equals(before[0])
    assert store.oos(["a.0", "b.0"]).sort("record_id", "date").equals(before[1])


def test_a_crash_between_writing_the_shard_and_removing_the_pending_files_doubles_nothing(store: RunStore) -> None:
    name = shard_name(0, SESSION)
    store.add(name, run_table([row("AAA", "a")]))
    kept = (store.root / "pending" / name / "a.0.runs.parquet").read_bytes()
    store.compact(name)
    pending = store.root / "pending" / name
    pending.mkdir(parents=True, exist_ok=True)
    (pending / "a.0.runs.parquet").write_bytes(kept)  # as if the process had died before removing it
    assert store.runs().height == 1
    assert store.oos(["a.0"]).height == 3
    store.compact_all()
    assert store.runs().height == 1


def test_a_later_attempt_supersedes_the_former(store: RunStore) -> None:
    for attempt in (0, 1):
        store.add(shard_name(0, SESSION), run_table([row("AAA", "a", attempt)]))
    runs = store.runs(("superseded",)).sort("attempt")
    assert runs["superseded"].to_list() == [True, False]


def test_runs_that_are_asked_for_are_those_of_the_whole_table(store: RunStore) -> None:
    for bucket, key, attempt in ((0, "a", 0), (1, "a", 1), (1, "b", 0), (2, "c", 0)):
        store.add(shard_name(bucket, SESSION), run_table([row(key.upper(), key, attempt)]))
        store.compact(shard_name(bucket, SESSION))
    for asked in (["a.0"], ["a.1", "c.0"], ["b.0", "unknown"], []):
        expected = store.runs().filter(pl.col("record_id").is_in(asked))
        assert store.runs(record_ids=asked).equals(expected)
    assert store.runs(record_ids=["a.0"])["superseded"].to_list() == [True]  # by an attempt in another shard


def test_predictions_of_a_bucket_come_as_one_row_a_run(store: RunStore) -> None:
    store.add(shard_name(3, SESSION), run_table([row("AAA", "a")]))
    store.add(shard_name(4, SESSION), run_table([row("BBB", "b")]))
    store.compact(shard_name(4, SESSION))
    assert store.predictions(3, ["a.0", "b.0"])["record_id"].to_list() == ["a.0"]
    assert store.predictions(4, ["b.0"])["oos_probability"].to_list() == [[0.4, 0.5, 0.6]]


def test_an_undefined_figure_is_null_in_the_grades(store: RunStore) -> None:
    rows = grade_table(
        [{"record_id": "a.0", "asset_class": "stock", "symbol": "A", "family": "x", "auc": float("nan")}]
    )
    assert rows["auc"].to_list() == [None]  # NaN >= 0.52 is true in Polars
    store.write_grades(shard_name(0, SESSION), rows)
    assert store.grades(SESSION)["auc"].to_list() == [None]


def test_unchanged_grades_are_not_written_again(store: RunStore) -> None:
    rows = grade_table([{"record_id": "a.0", "asset_class": "stock", "symbol": "A", "family": "x", "auc": 0.5}])
    store.write_grades(shard_name(0, SESSION), rows)
    path = store.root / f"{shard_name(0, SESSION)}.grades.parquet"
    before = path.stat().st_mtime_ns
    store.write_grades(shard_name(0, SESSION), rows)
    assert path.stat().st_mtime_ns == before


def test_a_model_file_is_found_by_its_run(store: RunStore) -> None:
    store.write_model("a.0", "model.txt", b"tree")
    path = store.model_path("a.0")
    assert path is not None and path.read_bytes() == b"tree"


def test_temporary_files_of_a_dead_writer_are_no_runs(store: RunStore) -> None:
    store.add(shard_name(0, SESSION), run_table([row("AAA", "a")]))
    (store.root / ".tmp-1-x").mkdir()
    (store.root / ".tmp-1-x" / "b000-1a2b3c4d.runs.parquet").write_bytes(b"half")
    assert store.runs().height == 1


@pytest.mark.parametrize("kind", ["runs", "grades"])
def test_a_damaged_file_is_named_with_the_remedy_and_the_rest_is_read_without_it(store: RunStore, kind: str) -> None:
    for number, session in ((0, SESSION), (1, SESSION)):
        store.add(shard_name(number, session), run_table([row(f"S{number}", str(number))]))
        store.compact(shard_name(number, session))
        store.write_grades(shard_name(number, session), grade_table([{"record_id": f"{number}.0"}]))
    broken = store.root / f"{shard_name(0, SESSION)}.{kind}.parquet"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(StageError, match=rf"{broken.name} can't be read .*move it away and run .*src.train"):
        store.runs() if kind == "runs" else store.grades(SESSION)
    broken.unlink()
    assert store.runs().height == (1 if kind == "runs" else 2)
    assert store.grades(SESSION).height == (2 if kind == "runs" else 1)
