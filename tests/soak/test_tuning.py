"""Tuning killed again and again ends as an undisturbed one: the same trials, none twice."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import psutil
import pytest

from src.config.schema import Config
from tests.pipeline_case import Project, kill
from tests.tuning.tuning_case import trials

KILLS = 12
TRIALS = 80
TUNE = ("model=lightgbm", f"tune.trials={TRIALS}", "tune.instruments=4", "tune.batch=2", "universe.buckets=2")
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


def wait_for_workers(process: subprocess.Popen[str]) -> None:
    """Until the command has started its workers, or has ended."""
    while process.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("spawn_main" in " ".join(each.cmdline()) for each in psutil.Process(process.pid).children()):
                return
        time.sleep(0.05)


def test_killed_at_random_it_ends_with_the_same_trials(project: Project, tmp_path: Path) -> None:
    calm, killed = project.copy(tmp_path / "calm"), project.copy(tmp_path / "killed")
    calm.must("tune", *settings(calm))
    chance, hit, process = random.Random(7), [], None
    for number in range(KILLS):
        process = process or killed.start("tune", *settings(killed))
        wait_for_workers(process)
        time.sleep(chance.uniform(0.0, 3.0))
        victim = "command" if number % 3 == 2 else "worker"
        if kill(process, victim, chance):
            hit.append(victim)
        if victim == "command":
            said = process.communicate(timeout=280)[1]
            assert process.returncode in {0, -signal.SIGKILL}, said
            process = None
    sys.stdout.write(f"{len(hit)} kills, {hit.count('worker')} of them of workers\n")
    assert len(hit) > KILLS // 2 and set(hit) == {"worker", "command"}
    line = killed.must("tune", *settings(killed))
    assert f"{TRIALS} trials" in line
    assert found(killed).equals(found(calm))
