"""The run store: nothing is lost, nothing doubled, whenever the process dies."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.core.errors import StageError
from src.storage import atomic
from src.tracking.records import Records
from src.training import run_files, run_log
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
    store.add(shard_name(0, SESSION), [row("AAA", "a")])
    assert store.runs()["record_id"].to_list() == ["a.0"]
    oos = store.oos(["a.0"])
    assert oos["date"].to_list() == [dt.date(2020, 1, d) for d in (1, 2, 3)]
    assert oos["stamp"][0] == dt.date(2020, 1, 3)
    assert oos["label"].is_nan().to_list() == [False, True, False]


def test_compaction_changes_nothing_that_a_reader_sees(store: RunStore) -> None:
    name = shard_name(0, SESSION)
    for symbol, key in (("AAA", "a"), ("BBB", "b")):
        store.add(name, [row(symbol, key)])
    before = store.runs(), store.oos(["a.0", "b.0"]).sort("record_id", "date")
    store.compact(name)
    assert not list((store.root / "pending").glob("*/*"))
    assert store.runs().equals(before[0])
    assert store.oos(["a.0", "b.0"]).sort("record_id", "date").equals(before[1])


def test_a_crash_between_writing_the_shard_and_removing_the_log_doubles_nothing(store: RunStore) -> None:
    name = shard_name(0, SESSION)
    store.add(name, [row("AAA", "a")])
    log = store.root / "pending" / f"{name}.runs.log"
    kept = log.read_bytes()
    store.compact(name)
    log.write_bytes(kept)  # as if the process had died before removing it
    assert store.runs().height == 1
    assert store.oos(["a.0"]).height == 3
    store.compact_all()
    assert store.runs().height == 1
    assert not list((store.root / "pending").iterdir())


def test_the_log_makes_the_shard_that_a_file_an_instrument_made(store: RunStore, tmp_path: Path) -> None:
    """The former way is the oracle: its files are still read and compacted, also beside a log."""
    former, mixed, name = RunStore(tmp_path / "former"), RunStore(tmp_path / "mixed"), shard_name(7, SESSION)
    for number in range(6):
        runs = [row(f"S{number}", f"{number}{family}", n=2 + number) | {"family": family} for family in "abc"]
        if number == 5:  # as in the pooled scope
            runs = [runs[0] | dict.fromkeys(("oos_probability", "oos_label"), [None] * 7)]
        store.add(name, runs)
        if number % 2:
            mixed.add(name, runs)
        for each in (former,) if number % 2 else (former, mixed):
            path = each.root / "pending" / name / f"{number}a.0.runs.parquet"
            atomic.write_parquet(run_table(runs), path)
    assert store.buckets() == former.buckets() == mixed.buckets() == [7]
    assert store.runs().equals(former.runs()) and mixed.runs().equals(former.runs())
    for each in (store, former, mixed):
        each.compact_all()
    shards = [pl.read_parquet(each.root / f"{name}.runs.parquet") for each in (store, former, mixed)]
    assert shards[0].height == 16
    assert shards[0]["oos_label"].list.eval(pl.element().is_null().all()).explode().sum() == 1
    assert shards[0].equals(shards[1]) and shards[2].equals(shards[1])
    assert not list((mixed.root / "pending").iterdir())


def test_the_identity_of_runs_in_a_log_is_read_without_their_predictions(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = shard_name(0, SESSION)
    for symbol in ("AAA", "BBB"):
        store.add(name, [row(symbol, symbol.lower(), attempt) for attempt in (0, 1)])
    (log,) = (store.root / "pending").glob("*.runs.log")
    whole = run_files.scan(log).select(run_files.IDENTITY).collect()
    monkeypatch.setattr(run_log, "decoded", lambda _records: pytest.fail("the arrays are decoded"))
    assert whole.height == 4 and run_files.identities(log).equals(whole)
    assert set(Records.at(store.root)) == set(whole["record_id"])


def test_a_kill_at_any_byte_of_a_record_costs_that_record(store: RunStore, caplog: pytest.LogCaptureFixture) -> None:
    name = shard_name(0, SESSION)
    store.add(name, [row("AAA", "a")])
    log = store.root / "pending" / f"{name}.runs.log"
    first = log.stat().st_size
    store.add(name, [row("BBB", "b", n=1) | {"parts": None, "params": None, "features": None}])
    whole = log.read_bytes()
    for size in (0, first - 1):
        log.write_bytes(whole[:size])
        assert RunStore(store.root).runs().is_empty()
    for size in range(first, len(whole)):
        log.write_bytes(whole[:size])
        assert RunStore(store.root).runs(("symbol",))["symbol"].to_list() == ["AAA"]  # another process, meanwhile
    later = RunStore(store.root)
    later.add(name, [row("CCC", "c")])  # the session goes on
    later.add(shard_name(0, "f" * 12), [row("DDD", "d")])  # and another one works on the same bucket
    assert "the last" in caplog.text and log.name in caplog.text
    later.compact(name)
    assert later.runs(("symbol",))["symbol"].to_list() == ["AAA", "CCC", "DDD"]
    later.compact_all()
    assert later.runs(("symbol",))["symbol"].to_list() == ["AAA", "CCC", "DDD"]


def test_runs_and_curves_of_one_bucket_are_read_from_its_files_alone(store: RunStore) -> None:
    for number in (3, 4):
        name = shard_name(number, SESSION)
        store.add(name, [row(f"S{number}", str(number))])
        store.compact(name)
        curve = {"stamp": [dt.datetime(2024, 1, 2)], "net": [0.1], "equity": [1.1], "always_long": [1.0]}
        store.write_grades(name, grade_table([{"record_id": f"{number}.0", "model_sha256": "aa", **curve}]))
    assert store.recorded_models() == {"3.0": {"aa"}, "4.0": {"aa"}}
    assert store.runs(("symbol",), ["3.0", "4.0"], 3)["symbol"].to_list() == ["S3", "S4"]  # it lacks one of them
    assert store.equity(["3.0", "4.0"], SESSION, 3)["record_id"].to_list() == ["3.0"]
    for kind in ("runs", "grades"):
        (store.root / f"{shard_name(4, SESSION)}.{kind}.parquet").write_bytes(b"not read")
    assert store.runs(("symbol",), ["3.0"], 3)["symbol"].to_list() == ["S3"]
    assert store.equity(["3.0"], SESSION, 3).height == 1
    assert store.recorded_models(3) == {"3.0": {"aa"}}


def test_a_later_attempt_supersedes_the_former(store: RunStore) -> None:
    for attempt in (0, 1):
        store.add(shard_name(0, SESSION), [row("AAA", "a", attempt)])
    runs = store.runs(("superseded",)).sort("attempt")
    assert runs["superseded"].to_list() == [True, False]


def test_runs_that_are_asked_for_are_those_of_the_whole_table(store: RunStore) -> None:
    for bucket, key, attempt in ((0, "a", 0), (1, "a", 1), (1, "b", 0), (2, "c", 0)):
        store.add(shard_name(bucket, SESSION), [row(key.upper(), key, attempt)])
        store.compact(shard_name(bucket, SESSION))
    for asked in (["a.0"], ["a.1", "c.0"], ["b.0", "unknown"], []):
        expected = store.runs().filter(pl.col("record_id").is_in(asked))
        assert store.runs(record_ids=asked).equals(expected)
    assert store.runs(record_ids=["a.0"])["superseded"].to_list() == [True]  # by an attempt in another shard


def test_predictions_of_a_bucket_come_as_one_row_a_run(store: RunStore) -> None:
    store.add(shard_name(3, SESSION), [row("AAA", "a")])
    store.add(shard_name(4, SESSION), [row("BBB", "b")])
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
    store.add(shard_name(0, SESSION), [row("AAA", "a")])
    (store.root / ".tmp-1-x").mkdir()
    (store.root / ".tmp-1-x" / "b000-1a2b3c4d.runs.parquet").write_bytes(b"half")
    assert store.runs().height == 1


@pytest.mark.parametrize("kind", ["runs", "grades"])
def test_a_damaged_file_is_named_with_the_remedy_and_the_rest_is_read_without_it(store: RunStore, kind: str) -> None:
    for number, session in ((0, SESSION), (1, SESSION)):
        store.add(shard_name(number, session), [row(f"S{number}", str(number))])
        store.compact(shard_name(number, session))
        store.write_grades(shard_name(number, session), grade_table([{"record_id": f"{number}.0"}]))
    broken = store.root / f"{shard_name(0, SESSION)}.{kind}.parquet"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(StageError, match=rf"{broken.name} can't be read .*move it away and run .*src.train"):
        store.runs() if kind == "runs" else store.grades(SESSION)
    broken.unlink()
    assert store.runs().height == (1 if kind == "runs" else 2)
    assert store.grades(SESSION).height == (2 if kind == "runs" else 1)
