"""A pooled training killed twenty times, and one on a Ray cluster, end as a session of one process: ``make soak``."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from src.featurize import featurize
from src.hydrate import hydrate
from tests.pipeline_case import kill
from tests.process_case import HANG, pause, until
from tests.training.pooled.session_case import Stocks, differences

pytestmark = [
    pytest.mark.timeout(2 * 3600),
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX's"),
]
KILLS = 20
SEED = 17


@pytest.fixture(scope="module")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> Stocks:
    project = Stocks(tmp_path_factory.mktemp("featurized") / "p")
    hydrate(project.config(verb="hydrate"))
    featurize(project.config(verb="featurize"))
    return project


@pytest.fixture(scope="module")
def whole(featurized: Stocks, tmp_path_factory: pytest.TempPathFactory) -> Stocks:
    project = featurized.copy(tmp_path_factory.mktemp("whole") / "p")
    project.train()
    return project


def test_killed_twenty_times_it_ends_as_if_undisturbed(featurized: Stocks, whole: Stocks, tmp_path: Path) -> None:
    moments = random.Random(SEED)
    killed: Counter[str] = Counter()
    rounds = 0
    while killed.total() < KILLS:
        rounds += 1
        project = featurized.copy(tmp_path / f"round-{rounds}")
        killed += _round(project, moments, KILLS - killed.total())
        assert differences(project, whole) == [], f"round {rounds}, after {dict(killed)}"


def _round(project: Stocks, moments: random.Random, most: int) -> Counter[str]:
    """Train with kills, each a moment after something was stored, until a command ends; how often each was killed."""
    killed: Counter[str] = Counter()
    ended = False
    while not ended and killed.total() < most:
        process = project.start("train")
        stored = len(_files(project))
        until(lambda process=process, stored=stored: _ended_or_stored(project, process, stored))
        pause(moments.uniform(0.0, 3.0))
        victim = moments.choice(("command", "worker"))
        killed[victim] += kill(process, victim, moments)
        out, error = process.communicate(timeout=HANG)
        ended = process.returncode == 0
        assert process.returncode in (0, -9), (out, error)
    project.must("train")
    return killed


def _ended_or_stored(project: Stocks, process: subprocess.Popen[str], stored: int) -> bool:
    return process.poll() is not None or len(_files(project)) > stored


def _files(project: Stocks) -> list[Path]:
    ranks = project.root / "data" / "ranks"
    return [path for root in (project.portfolios, ranks) for path in root.rglob("*") if path.is_file()]


def test_a_cluster_of_the_commands_own_gives_the_same_to_the_bit(
    featurized: Stocks, whole: Stocks, tmp_path: Path
) -> None:
    project = featurized.copy(tmp_path / "ray")
    project.must("train", "engine=ray", "engine.workers=2")
    assert differences(project, whole) == []
