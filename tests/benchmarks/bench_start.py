"""What a command costs before it does anything, and a pipeline with nothing to do: ``make bench``."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import pytest

from src.core.project import ROOT
from src.core.unknown_verb import verbs


def seconds(*command: str) -> tuple[float, float]:
    """Median wall time and CPU time of three runs; on a busy machine the second says more."""
    times = []
    for _ in range(3):
        began = time.perf_counter(), _cpu()
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True)
        times.append((time.perf_counter() - began[0], _cpu() - began[1]))
    wall, cpu = zip(*times, strict=True)
    return statistics.median(wall), statistics.median(cpu)


def _cpu() -> float:
    """CPU seconds of the commands that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


def say(words: str) -> None:
    sys.stdout.write(f"\n{words}\n")


@pytest.mark.parametrize("verb", verbs())
def test_help(verb: str) -> None:
    wall, cpu = seconds(f"src.{verb}", "--help")
    say(f"python -m src.{verb} --help: {wall:.2f} s, {cpu:.2f} s of CPU (budget 1 s)")


@pytest.mark.parametrize("command", ["dvc repro", "src.train", "src.report", "src.promote dry_run=true", "src.status"])
def test_nothing_to_do(command: str) -> None:
    if not (ROOT / "dvc.lock").exists():
        pytest.skip("run `make demo` first: there must be something to find unchanged")
    wall, cpu = seconds(*command.split())
    say(f"{command} with nothing to do: {wall:.2f} s, {cpu:.2f} s of CPU")
