"""A pooled training as a person meets it; `make soak` kills it twenty times."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from src.storage.atomic import stale_temporaries
from tests.process_case import HANG, until
from tests.training.pooled.session_case import Stocks, differences

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@on_posix
def test_ctrl_c_keeps_the_fits_that_are_finished_and_two_workers_end_as_one_process(
    trained: Stocks, featurized: Stocks, tmp_path: Path
) -> None:
    project = featurized.copy(tmp_path / "p")
    process = project.start("train", "engine.workers=1")
    until(project.stored_fits, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert "run the same command to continue" in error
    kept = project.stored_fits()
    assert kept
    assert not stale_temporaries(project.portfolios)
    line = project.must("train", "engine.workers=2")
    assert f"{len(trained.scores()) - len(kept)} fits, {len(kept)} fits reused" in line
    assert differences(project, trained) == []
