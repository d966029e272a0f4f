"""How long the lines of 10,000 champions take for one day, and their memory: the budget is 20 seconds and 2 GiB.

``python -m pytest -s tests/benchmarks/bench_predict.py`` makes ten years of bars of 10,000 instruments, a year of 130
features, native models of three families, and a registry in sqlite; `CHAMPIONS` in the environment takes fewer.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from src.config.schema import Config
from src.core.hashing import json_digest
from src.features.catalog import code_hash
from src.features.selection import select
from src.features.store import FeatureStore
from src.market import calendar
from src.market.bars import BarStore, Manifest, bucket
from src.models.registry import PARAMS, family
from src.runtime.redaction import masked_values
from src.signals.dataset import SignalDataset
from src.signals.days import BookDays
from src.signals.instrument_lines import instrument_lines
from src.storage import atomic
from src.tracking.crowned_versions import crowned_versions
from src.tracking.settings import TrackedDataset
from src.training import run_key
from src.training.run_tables import GRADE_SCHEMA, OOS_SCHEMA, RUN_SCHEMA, grade_table
from tests.tracking.tracking_case import make_store

COUNT = int(os.environ.get("CHAMPIONS", "10000"))
BUCKETS, FAMILIES = 64, ("lightgbm", "xgboost", "catboost")
DAYS = calendar.sessions("stock", "2016-01-04", "2025-12-31")
TRAINED, LAST = dt.date(2024, 12, 31), dt.date(2025, 12, 31)
SESSION = "5" * 24
GRADE = {"auc": 0.55, "accuracy": 0.54, "sharpe": 0.9, "max_drawdown": 0.1, "n_oos": 1500, "z": 3.0, "p_value": 1e-3}
GRADE |= {"luck_rate": 0.01, "deflated_sharpe": 0.9, "passed": True, "last_oos": TRAINED - dt.timedelta(days=2)}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A dataset as the stages leave it."""
    root = tmp_path_factory.mktemp("predict")
    patch = pytest.MonkeyPatch()
    patch.setenv("DVC_ROOT", str(root))
    made = Config()
    made.data.root, made.universe.name, made.split.until = str(root / "data"), "full", str(TRAINED)
    (root / "mlruns").mkdir()
    make_store(root / "mlruns" / "mlflow.db")
    write(made)
    return made


def test_a_day_of_all_champions(config: Config) -> None:
    tracked, dataset = TrackedDataset.of(config), SignalDataset.of(config)
    champions = measured(f"{COUNT:,} champions read", lambda: crowned_versions(tracked))
    assert len(champions) == COUNT
    assert not [each for each in champions if each.objections]
    decided = functools.partial(instrument_lines, champions, dataset)
    for explain in (True, False):
        days = BookDays(LAST, LAST)
        said = measured(f"lines of a day, explain={explain}", lambda: decided(days, explain=explain))  # noqa: B023
        assert said.height == COUNT
        assert said["state"].unique().to_list() == ["said"]


def test_a_quarter_replayed(config: Config) -> None:
    champions = crowned_versions(TrackedDataset.of(config))[: COUNT // 10]
    days = BookDays(dt.date(2025, 10, 1), LAST)
    said = measured(
        f"lines of a quarter of {len(champions):,} champions",
        lambda: instrument_lines(champions, SignalDataset.of(config), days),
    )
    assert said.height == len(champions) * calendar.session_count("stock", days.first, days.last)


def measured(what: str, work: Callable[[], Any]) -> Any:
    """Do it and print seconds, CPU seconds, and the most memory of the process so far."""
    began = time.perf_counter(), time.process_time()
    found = work()
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sys.stdout.write(f"\npredict: {what}: {wall:.1f} s, {cpu:.1f} s of CPU, at most {peak:.2f} GiB\n")
    return found


def write(config: Config) -> None:
    """Bars, features, runs, grades, models and registry."""
    names = [f"S{number:05d}" for number in range(COUNT)]
    parts: dict[int, list[str]] = {}
    for name in names:
        parts.setdefault(bucket("stock", name, BUCKETS), []).append(name)
    hashes = {item.name: code_hash(item) for item in select(config.features)}
    bars, features = BarStore(config.paths.bars), FeatureStore(config.paths.features)
    bars.write_manifest(Manifest("full", "1d", "simulated", "", "auto", BUCKETS, None, "f", "j", True))
    atomic.write_parquet(pl.DataFrame({"asset_class": ["stock"], "date": [LAST]}), features.root / "panel.parquet")
    atomic.write_json({"made_from": "", "hash": "p"}, features.root / "panel.json")
    for number, symbols in sorted(parts.items()):
        write_bars(bars, number, symbols)
        write_features(features, bars, number, symbols, hashes)
    write_runs(config, names, hashes)
    write_registry(config, names)


def write_bars(store: BarStore, number: int, symbols: list[str]) -> None:
    random, n = np.random.default_rng(number), len(DAYS)
    close = 50 * np.exp(np.cumsum(0.015 * random.standard_normal((len(symbols), n)), axis=1))
    opens = close * np.exp(0.004 * random.standard_normal(close.shape))
    rows = {"asset_class": ["stock"] * close.size, "symbol": np.repeat(symbols, n), "date": np.tile(DAYS, len(symbols))}
    prices = {"open": opens, "high": np.maximum(opens, close) * 1.005, "low": np.minimum(opens, close) * 0.995}
    prices |= {"close": close, "volume": np.round(1e5 * random.random(close.shape)) + 1, "factor": np.ones(close.shape)}
    frame = pl.DataFrame(rows | {name: values.ravel() for name, values in prices.items()})
    frame = frame.with_columns(split=pl.lit(1.0), repaired=pl.lit(False))
    digest = store.write_bucket(number, frame)
    states = [
        {"asset_class": "stock", "symbol": name, "state": "done", "reason": "", "rows": n, "first": DAYS[0].item()}
        | {"last": LAST, "liquidity": 1e6, "dollar_volume": 1e6, "repaired": 0, "basis": "total_return", "origin": ""}
        for name in symbols
    ]
    store.record(number, "", pl.DataFrame(states, schema=store.ledger.schema), digest)


def write_features(
    store: FeatureStore, bars: BarStore, number: int, symbols: list[str], hashes: dict[str, str]
) -> None:
    days, random = DAYS[np.datetime64("2025-01-01") <= DAYS], np.random.default_rng(number)
    values = random.standard_normal((len(hashes), len(days) * len(symbols))).astype(np.float32)
    keys = {"asset_class": ["stock"] * values.shape[1], "symbol": np.repeat(symbols, len(days))}
    rows = pl.DataFrame(keys | {"date": np.tile(days, len(symbols))})
    store.write_bucket(number, list(hashes), rows, values)
    states = bars.ledger.states(number).select(list(store.ledger.schema))
    store.ledger.record(number, "", states, bars=bars.digest(number), panel="p", columns=hashes, checked={})


def write_runs(config: Config, names: list[str], hashes: dict[str, str]) -> None:
    """A run of each instrument, whose model is a copy of one of three."""
    strategy = run_key.strategy_key(config.strategy)
    label = {key: value for key, value in asdict(config.label).items() if key != "name"}
    same = {"label": label, "seed": 7, "features": json_digest(hashes)}
    random = np.random.default_rng(1)
    x = random.standard_normal((1500, len(hashes))).astype(np.float32)
    y = (x[:, 0] + random.standard_normal(1500) > 0).astype(float)
    native = {}
    for name in FAMILIES:
        library = family(name)
        native[name] = library.to_bytes(library.fit(x, y, PARAMS[name](), 7, list(hashes)))
    runs, grades = [], []
    for index, symbol in enumerate(names):
        kind, record = FAMILIES[index % len(FAMILIES)], record_of(index)
        about = {"record_id": record, "run_key": record[:-2], "session_key": SESSION, "strategy_key": strategy}
        about |= {"asset_class": "stock", "symbol": symbol, "family": kind, "planted": False}
        parts = json.dumps(same | {"library": family(kind).LIBRARY.version})
        runs.append(about | {"attempt": 0, "parts": parts, "features": json.dumps(list(hashes))})
        sha256 = hashlib.sha256(native[kind]).hexdigest()
        grades.append(about | GRADE | {"graded_by": SESSION, "model_sha256": sha256, "n_trials": 3})
        path = config.paths.runs / "models" / record / family(kind).FILE
        path.parent.mkdir(parents=True)
        path.write_bytes(native[kind])
    schema = {**RUN_SCHEMA, **OOS_SCHEMA}
    table = pl.DataFrame([{name: row.get(name) for name in schema} for row in runs], schema=schema)
    atomic.write_parquet(table, config.paths.runs / f"b000-{SESSION[:8]}.runs.parquet")
    assert set(GRADE) <= set(GRADE_SCHEMA)
    atomic.write_parquet(grade_table(grades), config.paths.runs / f"b000-{SESSION[:8]}.grades.parquet")
    written = yaml.safe_dump(masked_values(config), sort_keys=False)
    atomic.write_json({"key": SESSION, "config_yaml": written}, config.paths.runs / f"session-{SESSION[:8]}.json")


def record_of(index: int) -> str:
    return f"{index:024x}.0"


def write_registry(config: Config, names: list[str]) -> None:
    """MLflow's tables as a session and a promotion leave them; the triggers of the gate would take minutes."""
    grades = pl.read_parquet(config.paths.runs / f"b000-{SESSION[:8]}.grades.parquet").rows(named=True)
    database = Path(os.environ["DVC_ROOT"]) / "mlruns" / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")

        def put(table: str, **row: Any) -> None:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))

        put("experiments", experiment_id=7, name="alpha-loop/full", lifecycle_stage="active")
        for index, (symbol, row) in enumerate(zip(names, grades, strict=True)):
            run, model, name = f"{index:032x}", f"m-{index:032x}", f"stock.{symbol}"
            put("runs", run_uuid=run, experiment_id=7, status="FINISHED", lifecycle_stage="active")
            put(
                "logged_models", model_id=model, experiment_id=7, name=name, artifact_location=f"file:///m/{model}",
                creation_timestamp_ms=0, last_updated_timestamp_ms=0, status=2, lifecycle_stage="active",
                source_run_id=run,
            )  # fmt: skip
            params = {"model_id": model, "model_digest": "d", "registered_name": name, "family": row["family"]}
            params |= {"model_sha256": row["model_sha256"]} | {f"param_{number}": "1" for number in range(10)}
            for key, value in params.items():
                put("params", run_uuid=run, key=key, value=value)
            tags = {"alpha.record_id": row["record_id"], "alpha.strategy_key": row["strategy_key"]}
            for key, value in (tags | {"alpha.dataset": "full", "alpha.session": SESSION}).items():
                put("tags", run_uuid=run, key=key, value=value)
            for key in ("auc", "accuracy", "sharpe", "max_drawdown", "n_oos", "z", "p_value"):
                put("metrics", run_uuid=run, key=key, value=row[key], timestamp=0, step=0, is_nan=False)
            put("registered_models", name=name, workspace="default")
            put(
                "model_versions", name=name, version=1, run_id=run, current_stage="None", source=f"models:/{model}",
                storage_location=f"file:///m/{model}", status="READY",
            )  # fmt: skip
            put("registered_model_aliases", name=name, alias="champion", version=1, workspace="default")
