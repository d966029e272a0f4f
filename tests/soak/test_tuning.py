"""Tuning killed again and again ends as an undisturbed one: the same trials, none twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import psutil
import pytest

from src.config import Config
from tests.pipeline_case import Project
from tests.tuning_case import trials

KILLS = 12
TUNE = ("model=lightgbm", "tune.trials=14", "tune.instruments=4", "tune.batch=2", "universe.buckets=2")
MANY = ("source.simulated.stock=30", "source.simulated.edge=0.7")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("tuning") / "p")
    for verb in ("hydrate", "featurize"):
        made.must(verb, *MANY)
    return made


def found(project: Project) -> pl.DataFrame:
    config = Config()
    config.universe.name, config.data.root = "demo", str(project.root / "data")
    return trials(config)


def settings(project: Project) -> tuple[str, ...]:
    return (*TUNE, *MANY, f"tune.folder='{(project.root / 'model').as_posix()}'")


def kill(process: subprocess.Popen[str], worker: bool) -> None:
    """Kill the command or one of its workers, as the system does when memory is short."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    victim = children[-1].pid if worker and children else process.pid
    if psutil.pid_exists(victim):
        os.kill(victim, signal.SIGKILL)


def test_killed_at_random_it_ends_with_the_same_trials(project: Project, tmp_path: Path) -> None:
    calm, killed = project.copy(tmp_path / "calm"), project.copy(tmp_path / "killed")
    calm.must("tune", *settings(calm))
    chance = random.Random(7)
    for number in range(KILLS):
        process = killed.start("tune", *settings(killed))
        time.sleep(chance.uniform(2.0, 14.0))
        worker = number % 3 == 2
        kill(process, worker)
        process.communicate(timeout=280)
        assert process.returncode in ({0} if worker else {0, -signal.SIGKILL})
    line = killed.must("tune", *settings(killed))
    assert "14 trials" in line
    assert found(killed).equals(found(calm))
