"""What MLflow costs: 30,000 runs written as a session writes them, twice, and what its pages then take to answer.

ALPHA_LOOP_BENCH_RUNS=3000 makes it small.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import resource
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.config.compose import compose
from src.core.hashing import json_digest
from src.storage import atomic
from src.tracking import client_runs
from src.tracking.location import StoreLocation
from src.tracking.projection import project, project_sessions
from src.tracking.promotion import carry_out
from src.tracking.repair import Findings
from src.tracking.server import server_command, store_variables
from src.tracking.store import open_store
from src.training.run_key import strategy_key
from src.training.run_store import shard_name
from src.training.run_tables import RUN_SCHEMA, grade_table
from tests.tracking.test_registry_server import free_port, running
from tests.tracking.tracking_case import Case, case, native

pytestmark = [pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"), pytest.mark.timeout(0)]

RUNS = int(os.environ.get("ALPHA_LOOP_BENCH_RUNS", "30000"))
BUCKETS = 64
FAMILIES = ("lightgbm", "xgboost", "catboost")
FIT_SECONDS = 0.25  # CPU of one family's folds and refit on ten years of daily bars, as bench_training measures it
PASSING = 0.02
FEATURES = json.dumps([f"feature_number_{number}" for number in range(110)])
PARAMS = json.dumps(
    {"rounds": 50, "learning_rate": 0.05, "num_leaves": 7, "max_depth": 4, "min_child_samples": 40, "l2": 1.0}
)


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def session(made: Case, key: str, runs: int, seed: int) -> list[pl.DataFrame]:
    """Store a session's runs, grades and models bucket by bucket; returns the grades of each bucket."""
    rng = np.random.default_rng(seed)
    strategy = strategy_key(made.config.strategy)
    parts = {"bars": "b" * 24, "panel": None, "features": "f" * 24, "code": "c" * 24, "seed": seed}
    parts |= {"label": {"horizon": 1, "tolerance": 1e-6}, "split": {"fold_months": 18, "embargo": 5}}
    stamps = [dt.datetime(2018, 1, 1) + dt.timedelta(days=day) for day in range(1500)]
    graded = []
    for bucket in range(BUCKETS):
        numbers = range(bucket * runs // BUCKETS, (bucket + 1) * runs // BUCKETS)
        rows = [row(number, key, strategy, json.dumps(parts), rng, stamps) for number in numbers]
        for each in rows:
            if each["passed"]:
                made.store.write_model(each["record_id"], "model.txt", native("lightgbm"))
        kept = pl.DataFrame([{name: each.get(name) for name in RUN_SCHEMA} for each in rows], schema=RUN_SCHEMA)
        atomic.write_parquet(kept, made.store.root / f"{shard_name(bucket, key)}.runs.parquet")
        graded.append(grade_table(rows))
        made.store.write_grades(shard_name(bucket, key), graded[-1])
    return graded


def row(number: int, key: str, strategy: str, parts: str, rng: Any, stamps: list[dt.datetime]) -> dict[str, Any]:
    """One run with its grade, with the figures that a skill-less one may have."""
    symbol, family = f"S{number // 3:05d}", FAMILIES[number % 3]
    run_key = json_digest({"symbol": symbol, "family": family, "session": key})
    passed = rng.random() < PASSING
    auc, sharpe = (0.54, 0.9) if passed else (0.5 + 0.012 * rng.normal(), 0.4 * rng.normal())
    figures = {name: float(rng.random()) for name in ("luck_rate", "p_value", "deflated_sharpe", "turnover", "z")}
    figures |= {name: float(rng.random()) for name in ("majority_accuracy", "buy_hold_sharpe", "active_sharpe")}
    days = stamps if passed else None
    curve = np.cumprod(1 + 0.001 * rng.normal(size=len(stamps))).tolist() if passed else None
    return {
        "record_id": f"{run_key}.0", "run_key": run_key, "attempt": 0, "session_key": key, "strategy_key": strategy,
        "asset_class": "stock", "symbol": symbol, "family": "lightgbm" if passed else family, "params": PARAMS,
        "features": FEATURES, "parts": parts, "library_version": "lightgbm 4.7.0", "git_commit": "c" * 40,
        "n_train": 900, "n_folds": 5, "fit_seconds": FIT_SECONDS, "planted": False, "grade_key": "g" * 24,
        "created_at": dt.datetime(2026, 1, 2, tzinfo=dt.UTC) + dt.timedelta(seconds=number / 3), "graded_by": key,
        "passed": passed, "reasons": [] if passed else [f"auc {auc:.2f} is below 0.52", "sharpe is below 0.50"],
        "auc": auc, "accuracy": 0.53 if passed else 0.5, "sharpe": sharpe, "max_drawdown": 0.12, "n_oos": 1500,
        "n_trials": 3, "stamp": days, "net": curve, "equity": curve, "always_long": curve, **figures,
    }  # fmt: skip


def written(made: Case, key: str, graded: list[pl.DataFrame]) -> None:
    """Project a session as the recorder does: each bucket as it closes, all of it at the end with the q-values."""
    said = {"key": key, "name": f"bench {key[:4]}", "config_yaml": "seed: 7\n" * 100}
    n = sum(each.height for each in graded)
    started, slowest = time.process_time(), 0.0
    for grades in graded:
        before = time.process_time()
        project(made.tracked, made.store, grades, said)
        slowest = max(slowest, time.process_time() - before)
    buckets = time.process_time() - started
    q_values = pl.Series("q_value", np.random.default_rng(1).random(n))
    project(made.tracked, made.store, pl.concat(graded).with_columns(q_values), said)
    total = time.process_time() - started
    say(
        f"{n:,} runs, {PASSING:.0%} of them with a registered model: {1000 * total / n:.2f} ms of CPU a run "
        f"({1000 * buckets / n:.2f} beside the training, slowest bucket {slowest:.1f} s; "
        f"{1000 * (total - buckets) / n:.2f} at the end), {total / n / FIT_SECONDS:.1%} of its fits' {FIT_SECONDS} s "
        f"(budget 1%); peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB"
    )


def test_thirty_thousand_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(tmp_path, monkeypatch)
    say("")
    with open_store(made.tracked):
        pass  # MLflow is imported
    for number in (1, 2):
        key = str(number) * 24
        written(made, key, session(made, key, RUNS, number))
        size = made.database.stat().st_size / 2**20
        say(f"  the database then holds {size:,.0f} MB ({1024 * size / number / RUNS:.1f} KB a run)")
        searches(made)
        if number == 1:
            nothing_to_do(made, key)
        if number == 2:
            pages(made)


def nothing_to_do(made: Case, key: str) -> None:
    """What the second of two equal projections takes, as training and as `sync` make them, and a promotion of none.

    Grades count as confirmed here; `tests.soak.full_session` measures the commands, imports and bars included.
    """
    said = {"key": key, "name": f"bench {key[:4]}", "config_yaml": "seed: 7\n" * 100}
    grades, demands = made.store.grades(key), compose([]).promotion
    acts: dict[str, Any] = {
        "train": lambda: project(made.tracked, made.store, grades, said, whole=True),
        "sync": lambda: project_sessions(made.tracked, made.store, [said], pl.DataFrame(), Findings()),
        "promote": lambda: carry_out(made.tracked, {}, lambda _line: None, demands),
    }
    took = {}
    for name, act in acts.items():
        act()
        before = time.process_time()
        act()
        took[name] = time.process_time() - before
    say("  nothing to do, CPU: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))


def searches(made: Case) -> None:
    """What MLflow's own search takes for the first page of 100."""
    client = made.client()
    experiment = client.get_experiment_by_name("alpha-loop/demo").experiment_id
    asked = {
        "ordered by sharpe": ("", ["metrics.sharpe DESC"]),
        "auc > 0.52 of one family": ("metrics.auc > 0.52 AND tags.family = 'xgboost'", ["metrics.auc DESC"]),
        "passed, by q-value": ("tags.`alpha.passed` = 'true'", ["metrics.q_value ASC"]),
        "run name": ("attributes.run_name LIKE '%S00777%'", []),
    }
    say("  first 100: " + ", ".join(
        f"{name} {timed(lambda words=words, order=order: client.search_runs([experiment], words, 1, 100, order))}"
        for name, (words, order) in asked.items()
    ))  # fmt: skip


def pages(made: Case) -> None:
    """The same through a server, as the browser asks."""
    where = StoreLocation(made.uri, made.database, (made.root / "mlruns" / "artifacts").as_uri())
    port = free_port()
    with running(server_command(where, port), port, "/health", made.root, **store_variables(where)) as url:
        experiment = made.client().get_experiment_by_name("alpha-loop/demo").experiment_id
        body = {"experiment_ids": [experiment], "max_results": 100, "order_by": ["metrics.`sharpe` DESC"]}
        for _ in range(2):
            ordered = timed(lambda: ask(f"{url}/ajax-api/2.0/mlflow/runs/search", body))
            models = timed(lambda: ask(f"{url}/ajax-api/2.0/mlflow/registered-models/search?max_results=25"))
        say(f"  through the server: runs ordered by sharpe {ordered}, registered models {models} (budget 0.5 s)")


def ask(url: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())


def timed(act: Any) -> str:
    """Wall time, and this process's own CPU, which says more on a machine that does something else as well."""
    started, before = time.perf_counter(), time.process_time()
    act()
    return f"{time.perf_counter() - started:.2f} s ({time.process_time() - before:.2f} of CPU)"


def test_the_client_beside_bulk_inserts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred runs by each route into a file."""
    say("")
    for route in ("bulk", "client"):
        made = case(tmp_path / route, monkeypatch)
        made.config.tracking.route = route
        client_runs.forget()
        grades = pl.concat(session(made, "1" * 24, 512, 1)).filter(~pl.col("passed"))
        started = time.process_time()
        project(made.tracked, made.store, grades, {"key": "1" * 24})
        took = time.process_time() - started
        say(f"{route}: {1000 * took / grades.height:.1f} ms of CPU a run ({grades.height} runs, none with a model)")


def test_the_writer_leaves_the_parent_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How late a thread that wakes every 5 ms, as the one that feeds the workers, comes while another writes."""
    made = case(tmp_path, monkeypatch)
    graded = session(made, "1" * 24, 3000, 1)
    with open_store(made.tracked):
        pass
    late: list[float] = []
    done = threading.Event()

    def feed() -> None:
        while not done.is_set():
            before = time.perf_counter()
            time.sleep(0.005)
            late.append(time.perf_counter() - before - 0.005)

    feeder = threading.Thread(target=feed)
    feeder.start()
    for grades in graded:
        project(made.tracked, made.store, grades, {"key": "1" * 24})
    done.set()
    feeder.join()
    shown = np.percentile(late, (50, 95, 100))
    say(
        "\na thread beside the writer wakes late by {:.1f} ms (median), {:.1f} (95%), {:.0f} (worst)".format(
            *1000 * shown
        )
    )
