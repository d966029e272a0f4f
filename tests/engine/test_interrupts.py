"""Ctrl+C and SIGTERM, sent to a whole command as a terminal or a service manager does: one plain line, status 130."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.core.project import ROOT
from tests import process_case
from tests.process_case import HANG
from tests.terminal_case import Session, lines, script

pytestmark = pytest.mark.skipif(os.name == "nt", reason="process groups of POSIX")

STAGE = """
import os
from src.config.schema import EngineConfig
from src.engine.dispatch import run
from src.runtime.command import main
from tests.process_case import hang

def nap(number):
    if number > 1:
        hang()
    return number

def train(config):
    for outcome in run(nap, range(6), EngineConfig(kind=os.environ["ENGINE"], workers=2, batch_size=4)):
        print("done", outcome.item, flush=True)
    return "train: done"

if __name__ == "__main__":
    main("train", train)
"""
SAID = "train interrupted; finished work is saved, run the same command to continue"


def environment(tmp_path: Path, engine: str) -> dict[str, str]:
    return {"ENGINE": engine, "DVC_ROOT": str(tmp_path), "DVC_STAGE": "train", "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def started(tmp_path: Path, engine: str) -> Iterator[process_case.Command]:
    """The stage in a process group of its own, which ends with the test."""
    with process_case.started(
        [sys.executable, script(tmp_path, STAGE)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, **environment(tmp_path, engine)}, encoding="utf-8",
    ) as process:  # fmt: skip
        yield process


def until_done(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for _ in range(2):
        assert process.stdout.readline().startswith("done "), process.communicate(timeout=HANG)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_of_the_group_is_one_plain_line_and_no_worker_is_said_to_have_died(
    tmp_path: Path, number: signal.Signals
) -> None:
    with started(tmp_path, "local") as process:
        until_done(process)
        os.killpg(process.pid, number)
        _, error = process.communicate(timeout=HANG)
    assert (process.returncode, error) == (130, SAID + "\n")


def test_an_interrupt_of_ray_is_one_plain_line(tmp_path: Path) -> None:
    with started(tmp_path, "ray") as process:
        until_done(process)
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=HANG)
    assert (process.returncode, error) == (130, SAID + "\n")


def test_on_a_terminal_nothing_but_the_closing_line_is_said(tmp_path: Path) -> None:
    session = Session(script(tmp_path, STAGE), environment=environment(tmp_path, "local"))
    session.read_until(lambda text: "done 0\r\n" in text and "done 1\r\n" in text)
    os.killpg(session.process.pid, signal.SIGINT)
    assert session.end() == 130
    shown = lines(session.text.replace("\r\n", "\n"))
    assert [line for line in shown if line and not line.startswith("done ")] == [SAID]


STARTING = """
import os, signal
from src.engine import local

if __name__ == "__main__":
    with local._signals_held():
        worker = local._Worker(b"", 2**40)
    os.kill(worker._process.pid, signal.SIGINT)
    os.kill(worker._process.pid, signal.SIGTERM)
    try:
        worker.wait_until_ready()
    except local.StageError as error:
        print("it read its task", flush=True)
    worker.stop()
"""


def test_a_worker_that_has_just_been_started_outlives_the_signals_of_its_group(tmp_path: Path) -> None:
    """An interpreter that starts dies of SIGTERM, and of Ctrl+C with a traceback: both wait until it ignores them."""
    ended = process_case.run(
        [sys.executable, script(tmp_path, STARTING)], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert "it read its task" in ended.stdout, ended.stderr
    assert "KeyboardInterrupt" not in ended.stderr
