"""How long a command takes before it does anything, and how long a pipeline with nothing to do: ``make bench``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest

from src.core.project import ROOT


def seconds(*command: str) -> float:
    """Median wall time of three runs."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def say(words: str) -> None:
    sys.stdout.write(f"\n{words}\n")


def test_help() -> None:
    say(f"python -m src.train --help: {seconds('src.train', '--help'):.2f} s (budget 1.5 s)")


def test_nothing_to_do() -> None:
    if not (ROOT / "dvc.lock").exists():
        pytest.skip("run `make demo` first: there must be something to find unchanged")
    say(f"dvc repro with nothing to do: {seconds('dvc', 'repro'):.2f} s (budget 5 s)")
