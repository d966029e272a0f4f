"""A small simulated project on disk, driven through the real commands, for tests that need the whole pipeline."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from src.core.project import ROOT
from src.storage.atomic import stale_temporaries
from src.training.run_store import RunStore
from tests import warm_case
from tests.process_case import begin
from tests.shared_case import built_once

SMALL = (
    "universe=demo",
    "universe.buckets=2",
    "source.simulated.stock=4",
    "source.simulated.etf=2",
    "source.simulated.crypto=1",
    "source.simulated.pooled_edge=0",
    "features=technical",
    "engine.workers=2",
)
WITHOUT_WORKERS = "from tests.soak.faulted_command import work_in_this_process; work_in_this_process()"
VOLATILE = ("fit_seconds", "mlflow_run_id")
"""Columns of the grades that differ from one undisturbed session to the next."""


@dataclass(frozen=True)
class Project:
    """One project's folders; commands run in processes of their own, as a person runs them."""

    root: Path
    code: Path = ROOT  # folder of src/ and conf/

    @property
    def runs(self) -> Path:
        return self.root / "data" / "runs" / "demo"

    @property
    def database(self) -> Path:
        return self.root / "mlruns" / "mlflow.db"

    def copy(self, to: Path) -> Project:
        shutil.copytree(self.root, to)
        return Project(to, self.code)

    def arguments(self, verb: str, *overrides: str) -> list[str]:
        folders = (
            f"data.root='{self.root / 'data'}'",
            f"data.logs='{self.root / 'logs'}'",
            f"data.reports='{self.root / 'reports'}'",
            f"tracking.uri='sqlite:///{self.database.as_posix()}'",
            f"tracking.artifacts='{self.root / 'mlruns' / 'artifacts'}'",
        )
        return [sys.executable, "-m", f"src.{verb}", *SMALL, *folders, *overrides]

    def start(self, verb: str, *overrides: str) -> subprocess.Popen[str]:
        return self._started(self.arguments(verb, *overrides))

    def run(self, verb: str, *overrides: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in a process whose libraries are imported already."""
        return warm_case.run(self.arguments(verb, *overrides)[1:], self.code, self.environment)

    def alone(self, verb: str, *overrides: str) -> str:
        """Run a command that has to succeed and does the work of its workers itself; returns its last line."""
        words = self.arguments(verb, *overrides)[1:]
        return _last_line(warm_case.run(words, self.code, self.environment, before=WITHOUT_WORKERS))

    def impatient(self, verb: str, *overrides: str) -> subprocess.CompletedProcess[str]:
        """Run a command that waits for a locked MLflow database a moment only, instead of half a minute."""
        _, _, _, *rest = self.arguments(verb, *overrides)
        code = f"from src import {verb}; from src.runtime import command; from src.tracking import database; "
        code += "database.LOCK_SECONDS = 0.2; "
        words = ["-c", f"{code}command.main({verb!r}, {verb}.{verb})", *rest]
        return warm_case.run(words, self.code, self.environment, before=WITHOUT_WORKERS)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DVC_STAGE": "test", "DVC_ROOT": str(self.root)}

    def _started(self, command: list[str]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return begin(command, cwd=self.code, env=self.environment, text=True, stdout=pipe, stderr=pipe)

    def must(self, verb: str, *overrides: str) -> str:
        """Run a command that has to succeed; returns its last line."""
        return _last_line(self.run(verb, *overrides))

    def grades(self) -> pl.DataFrame:
        return pl.read_parquet(self.root / "data" / "grades" / "demo.parquet")

    def stable_grades(self) -> pl.DataFrame:
        return self.grades().drop(VOLATILE).sort("record_id")

    def registered(self) -> list[tuple[str, int, str]]:
        """Name, version and record of every registered version."""
        query = """
            SELECT model_versions.name, model_versions.version, tags.value FROM model_versions
            JOIN tags ON tags.run_uuid = model_versions.run_id AND tags.key = 'alpha.record_id' ORDER BY 1, 2
        """
        return self._asked(query)

    def tracked(self) -> list[tuple[str, str]]:
        """Record and status of every run below a session that MLflow shows."""
        query = """
            SELECT tags.value, runs.status FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
            WHERE tags.key = 'alpha.record_id' AND runs.lifecycle_stage = 'active' ORDER BY 1
        """
        return self._asked(query)

    def _asked(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            return list(database.execute(query))

    def stored(self) -> list[str]:
        """Record of every row of the run store as it stands in its files."""
        paths = [path for path in self.runs.rglob("*.runs.parquet") if ".tmp-" not in str(path)]
        return sorted(record for path in paths for record in pl.read_parquet(path, columns=["record_id"])["record_id"])

    def states(self, stage: str) -> pl.DataFrame:
        return pl.read_parquet(self.root / "data" / "states" / "demo" / f"{stage}.parquet")


def featurized(factory: pytest.TempPathFactory, to: Path) -> Project:
    """The small project with its bars and features, which one process of the tests makes for all, in a folder."""

    def build(folder: Path) -> None:
        for verb in ("hydrate", "featurize"):
            Project(folder).alone(verb)

    return Project(built_once(factory, "small", build)).copy(to)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def kill(process: subprocess.Popen[str], victim: str, moments: random.Random) -> bool:
    """``kill -9`` the command, or one of its workers, as `victim` says; whether there was one to kill."""
    if process.poll() is not None:
        return False
    if victim == "command":
        process.kill()
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        found = psutil.Process(process.pid).children(recursive=True)
        workers = [each for each in found if "spawn_main" in " ".join(each.cmdline())]
        if workers:
            moments.choice(workers).kill()
            return True
    return False


def differences(project: Project, whole: Project) -> list[str]:
    """What a training that was killed left otherwise than an undisturbed one; ids and timings aside."""
    runs = RunStore(project.runs).runs()
    checks = {
        "grades": project.stable_grades().equals(whole.stable_grades()),
        "states": project.states("train").equals(whole.states("train")),
        "run keys stored once": project.stored() == whole.stored() and not runs["run_key"].is_duplicated().any(),
        "runs in MLflow": project.tracked() == whole.tracked(),
        "registered versions": project.registered() == whole.registered(),
        "each graded run has its id": project.grades()["mlflow_run_id"].null_count() == 0,
        "nothing pending": not list((project.runs / "pending").glob("*/*")),
        "no failure kept": not list((project.runs / "failures").glob("*.json")),
        "no temporary file": not stale_temporaries(project.runs),
    }
    return [name for name, right in checks.items() if not right]
