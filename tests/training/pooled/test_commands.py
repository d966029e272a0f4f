"""A pooled training as a person meets it: killed, interrupted, and with other numbers of workers."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import pytest

from src.storage.atomic import stale_temporaries
from tests.pipeline_case import kill
from tests.process_case import HANG, pause, until
from tests.training.pooled.session_case import Stocks, differences

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@on_posix
def test_killed_at_a_random_moment_it_ends_as_a_session_of_one_process(
    trained: Stocks, featurized: Stocks, tmp_path: Path
) -> None:
    project = featurized.copy(tmp_path / "p")
    moments = random.Random(3)
    process = project.start("train", "engine.workers=2")
    until(project.stored_fits, process)
    pause(moments.uniform(0.0, 0.3))
    assert kill(process, "command", moments)
    process.communicate()
    kept = project.stored_fits()
    line = project.must("train", "engine.workers=2")
    assert f"{len(trained.scores()) - len(kept)} fits, {len(kept)} fits reused" in line
    assert differences(project, trained) == []


@on_posix
def test_ctrl_c_keeps_the_fits_that_are_finished_and_exits_with_130(featurized: Stocks, tmp_path: Path) -> None:
    project = featurized.copy(tmp_path / "p")
    process = project.start("train", "engine.workers=1")
    until(project.stored_fits, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert "run the same command to continue" in error
    assert project.stored_fits()
    assert not stale_temporaries(project.portfolios)
