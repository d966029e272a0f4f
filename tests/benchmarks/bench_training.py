"""What training costs: against bare fits, against the loop that one would write first, and beside MLflow: `make bench`.

A session of a tenth of the instruments is trained first, then one of all: what the second costs beyond the first is
what instruments cost, without the seconds in which commands and workers start. The bare fits and the loop run on the
same bars, in as many processes. CPU times are compared, which other work on the machine disturbs least.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest

from src.config.compose import compose, families
from src.config.schema import Config, EngineConfig
from src.core.failure import Failure
from src.core.project import ROOT
from src.engine import dispatch
from src.engine.cores import worker_count
from src.training.session import Session
from src.training.settings import TrainingSettings
from src.training.walk_forward import InstrumentTask
from tests.benchmarks.bare_fits import bare, bare_by_fold, folds_of
from tests.market_case import MARKET

pytestmark = pytest.mark.timeout(1800)
INSTRUMENTS, FIRST = 72, 8
TREES = {"lightgbm": 400, "xgboost": 300, "catboost": 300}  # of the trainer that this project replaces


def say(words: str) -> None:
    """A line with the load of the machine."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"
    sys.stdout.write(f"\n{words} [load {load} on {os.cpu_count()} cores]\n")


# the session ---------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """A command that ended well."""

    seconds: float
    cpu: float
    parent: float  # MiB at most
    worker: float  # of the largest
    total: float
    line: str


@dataclass
class Peaks:
    """Memory of a process and its children, in MiB."""

    parent: float = 0.0
    worker: float = 0.0
    total: float = 0.0

    def watch(self, pid: int) -> None:
        """Note it until the process ends."""
        try:
            process = psutil.Process(pid)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                own = process.memory_info().rss / 2**20
                others = [each.memory_info().rss / 2**20 for each in process.children(recursive=True)]
                self.parent, self.worker = max(self.parent, own), max([self.worker, *others])
                self.total = max(self.total, own + sum(others))
                time.sleep(0.2)
        except psutil.Error:
            return


@dataclass
class Bench:
    """A folder with bars and features, and what was measured on them."""

    root: Path
    config: Config
    tasks: list[InstrumentTask]
    runs: list[Run] = field(default_factory=list)

    def overrides(self, *more: str) -> list[str]:
        return [*_settings(self.root), *more]

    def command(self, verb: str, *more: str) -> Run:
        """Run a stage to its end."""
        environment = {**os.environ, "DVC_STAGE": "bench", "DVC_ROOT": str(self.root)}
        before, began, peaks = os.times(), time.perf_counter(), Peaks()
        process = subprocess.Popen(
            [sys.executable, "-m", f"src.{verb}", *self.overrides(*more)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
        )  # fmt: skip
        watcher = threading.Thread(target=peaks.watch, args=(process.pid,), daemon=True)
        watcher.start()
        out, _ = process.communicate(timeout=900)
        seconds, after = time.perf_counter() - began, os.times()
        watcher.join(2)
        assert process.returncode == 0, out
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Run(seconds, cpu, peaks.parent, peaks.worker, peaks.total, out.strip().splitlines()[-1])


def _settings(root: Path) -> list[str]:
    real = ["source=folder", f"source.path='{root / 'bars.parquet'}'"]
    simulated = ["source=simulated", f"source.simulated.stock={INSTRUMENTS}", "source.simulated.pooled_edge=0"]
    return [
        "universe=full", "universe.buckets=8", "universe.options=0", "model=all",
        *(real if (root / "bars.parquet").exists() else simulated),
        *(f"data.{name}='{root / name}'" for name in ("logs", "reports")), f"data.root='{root / 'data'}'",
        f"tracking.uri='sqlite:///{(root / 'mlflow.db').as_posix()}'", f"tracking.artifacts='{root / 'artifacts'}'",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("training")
    os.environ["DVC_ROOT"] = str(root)
    if (MARKET / "bars.parquet").is_file():
        bars = pl.scan_parquet(MARKET / "bars.parquet")
        keys = bars.select("asset_class", "symbol").unique().sort("asset_class", "symbol").collect()
        chosen = keys.gather_every(max(1, keys.height // INSTRUMENTS)).head(INSTRUMENTS)
        bars.join(chosen.lazy(), on=["asset_class", "symbol"], how="semi").sink_parquet(root / "bars.parquet")
    made = Bench(root, compose(_settings(root)), [])
    for verb in ("hydrate", "featurize"):
        made.command(verb)
    made.tasks.extend(Session(TrainingSettings.of(made.config, families(made.config))).tasks())
    made.runs.append(made.command("train", f"only={[task.symbol for task in made.tasks[:FIRST]]}"))
    made.runs.append(made.command("train"))
    return made


# what it is held against ----------------------------------------------------------------------------------------------


def usual(task: InstrumentTask) -> float | None:
    """CPU seconds of the loop that one writes first: scikit-learn's split, the libraries' defaults, and a refit."""
    from catboost import CatBoostClassifier
    from lightgbm import LGBMClassifier
    from sklearn.model_selection import TimeSeriesSplit
    from xgboost import XGBClassifier

    cut = folds_of(task)
    if cut is None:
        return None
    chosen = cut[0]
    known = np.flatnonzero(np.isfinite(chosen.label))
    x, y = task.features[chosen.rows[known]], chosen.label[known].astype(int)
    started = time.process_time()
    models = (
        LGBMClassifier(n_estimators=TREES["lightgbm"], n_jobs=1, verbosity=-1),
        XGBClassifier(n_estimators=TREES["xgboost"], n_jobs=1),
        CatBoostClassifier(iterations=TREES["catboost"], thread_count=1, verbose=False, allow_writing_files=False),
    )
    for model in models:
        for train, test in TimeSeriesSplit(n_splits=5).split(x):
            model.fit(x[train], y[train])
            model.predict_proba(x[test])
        model.fit(x, y)
    return time.process_time() - started


def cpu_of(work: Any, tasks: list[InstrumentTask]) -> list[float]:
    """CPU seconds of `work` for each task that is not skipped, as many at once as training has workers."""
    found = []
    for outcome in dispatch.run(work, tasks, EngineConfig()):
        assert not isinstance(outcome.result, Failure), outcome.result
        if outcome.result is not None:
            found.append(outcome.result)
    return found


# the figures ----------------------------------------------------------------------------------------------------------


def test_instruments_an_hour_and_what_they_cost(bench: Bench) -> None:
    first, whole = bench.runs
    rest = bench.tasks[FIRST:]
    fits = cpu_of(bare, rest)
    # Both commands start; the second has trained the rest where the first had trained the first ones.
    cost, seconds = whole.cpu - first.cpu, whole.seconds - first.seconds
    done = len(fits) - sum(folds_of(task) is not None for task in bench.tasks[:FIRST])
    kind = "real" if (bench.root / "bars.parquet").exists() else "simulated"
    bars = np.mean([task.bars.height for task in rest])
    say(
        f"training {len(fits)} {kind} instruments of {bars:,.0f} bars and {len(rest[0].feature_names)} features: "
        f"{3600 * done / seconds:,.0f} instruments an hour beyond the start (guide: 500 to 1,000, aim 5,000), "
        f"{3600 * len(fits) / whole.seconds:,.0f} with it; {cost / done:.2f} s of CPU an instrument; {whole.line}"
    )
    alone = cpu_of(bare_by_fold, rest)
    say(
        f"CPU of training over bare fits of the same folds: {cost / done / np.mean(fits):.2f} where folds share their "
        f"bins, {np.mean(fits):.2f} s (budget 1.05); {cost / done / np.mean(alone):.2f} where each fold bins its rows, "
        f"{np.mean(alone):.2f} s"
    )
    say(
        f"memory at most: {whole.total:,.0f} MiB in total (budget 2,048), parent {whole.parent:,.0f}, "
        f"largest worker {whole.worker:,.0f}"
    )
    spent = cpu_of(usual, [task for task in rest if folds_of(task)][: worker_count(EngineConfig())])
    say(
        f"the usual loop (TimeSeriesSplit, {TREES['xgboost']} to {TREES['lightgbm']} trees, 5 folds and a refit) on "
        f"{len(spent)} of them: {np.mean(spent):.0f} s of CPU an instrument, {np.mean(spent) * done / cost:.0f} times"
    )


def test_what_mlflow_costs_beside_the_fits(bench: Bench) -> None:
    from src.tracking.projection import project

    other = compose(bench.overrides(f"tracking.uri='sqlite:///{(bench.root / 'other.db').as_posix()}'"))
    session = Session(TrainingSettings.of(other, families(other)))
    grades = session.store.grades(session.key)
    few = grades.head(3 * FIRST)
    project(other, session.store, few, session.summary.description())  # the imports, and the database's tables
    started = time.process_time()
    project(other, session.store, grades.tail(-few.height), session.summary.description())
    spent = time.process_time() - started
    runs = grades.height - few.height
    fitted = grades["fit_seconds"].tail(-few.height).sum()
    say(
        f"MLflow: {1e3 * spent / runs:.1f} ms of CPU a run, models of {grades['passed'].sum()} passes included, "
        f"{spent / fitted:.1%} of the fits (budget 1%)"
    )
