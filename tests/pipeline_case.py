"""A small simulated project on disk, driven through the real commands, for tests that need the whole pipeline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.config import ROOT

SMALL = (
    "universe=demo",
    "universe.buckets=2",
    "source.simulated.stock=4",
    "source.simulated.etf=2",
    "source.simulated.crypto=1",
    "features=technical",
    "engine.workers=2",
)
VOLATILE = ("fit_seconds", "mlflow_run_id")
"""Columns of the grades that differ from one undisturbed session to the next."""


@dataclass(frozen=True)
class Project:
    """One project's folders; commands run in processes of their own, as a person runs them."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "data" / "runs" / "demo"

    @property
    def database(self) -> Path:
        return self.root / "mlruns" / "mlflow.db"

    def copy(self, to: Path) -> Project:
        shutil.copytree(self.root, to)
        return Project(to)

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
        environment = {**os.environ, "DVC_STAGE": "test", "DVC_ROOT": str(self.root)}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.arguments(verb, *overrides), cwd=ROOT, env=environment, text=True, stdout=pipe, stderr=pipe
        )

    def run(self, verb: str, *overrides: str) -> subprocess.CompletedProcess[str]:
        process = self.start(verb, *overrides)
        out, error = process.communicate(timeout=280)
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)

    def must(self, verb: str, *overrides: str) -> str:
        """Run a command that has to succeed; returns its last line."""
        done = self.run(verb, *overrides)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    def grades(self) -> pl.DataFrame:
        return pl.read_parquet(self.root / "data" / "grades" / "demo.parquet")

    def stable_grades(self) -> pl.DataFrame:
        return self.grades().drop(VOLATILE).sort("record_id")

    def states(self, stage: str) -> pl.DataFrame:
        return pl.read_parquet(self.root / "data" / "states" / "demo" / f"{stage}.parquet")
