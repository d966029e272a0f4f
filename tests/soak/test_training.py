"""Training killed fifty times at random moments ends as if undisturbed: ``make soak``, about a quarter of an hour."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.pipeline_case import Project, differences, kill

pytestmark = [
    pytest.mark.timeout(2 * 3600),
    pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX's"),
]
KILLS = 50
SEED = 11
FORTY = ("source.simulated.stock=26", "source.simulated.etf=10", "source.simulated.crypto=4", "universe.buckets=4")


def say(words: str) -> None:
    sys.stdout.write(f"\n{words}\n")


class Forty(Project):
    """The small project with forty instruments in four buckets."""

    def arguments(self, verb: str, *overrides: str) -> list[str]:
        return super().arguments(verb, *FORTY, *overrides)

    def copy(self, to: Path) -> Forty:
        return Forty(super().copy(to).root)


@pytest.fixture(scope="module")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> Forty:
    project = Forty(tmp_path_factory.mktemp("featurized") / "p")
    project.must("hydrate")
    project.must("featurize")
    return project


def test_killed_fifty_times_it_ends_as_if_undisturbed(featurized: Forty, tmp_path: Path) -> None:
    whole = featurized.copy(tmp_path / "whole")
    begun = time.monotonic()
    whole.must("train")
    took = time.monotonic() - begun
    say(f"undisturbed: {whole.grades().height} runs in {took:.0f} s, {len(whole.registered())} versions registered")
    assert whole.registered(), "no run passes: the soak would not see the registry"
    moments = random.Random(SEED)
    killed: Counter[str] = Counter()
    rounds = 0
    while killed.total() < KILLS:
        rounds += 1
        project = featurized.copy(tmp_path / f"round-{rounds}")
        killed += _round(project, moments, took, KILLS - killed.total())
        assert differences(project, whole) == [], f"round {rounds}, after {dict(killed)}"
        say(f"round {rounds}: the same as undisturbed, after {dict(killed)}; {time.monotonic() - begun:,.0f} s")


def _round(project: Forty, moments: random.Random, took: float, most: int) -> Counter[str]:
    """Train with kills until one command comes to its end, then once more; how often each kind of process was killed.

    A kill comes at any moment from the start of a command to a little after the time that a whole training takes.
    """
    killed: Counter[str] = Counter()
    ended = False
    while not ended and killed.total() < most:
        process = project.start("train")
        while process.poll() is None and killed.total() < most:
            victim = moments.choice(("command", "worker"))
            if _ends(process, moments.uniform(0.0, 0.7 * took)) or not kill(process, victim, moments):
                continue
            killed[victim] += 1
        out, error = process.communicate()
        ended = process.returncode == 0
        assert process.returncode in (0, -9), (out, error)
    project.must("train")
    return killed


def _ends(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
