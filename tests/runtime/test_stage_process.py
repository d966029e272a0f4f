"""A stage as a process of its own: its last line, its status, its environment and its end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from src.core.project import ROOT
from src.runtime import stage_process
from tests.process_case import begin


def test_a_stage_is_a_process_whose_last_line_comes_back() -> None:
    ended = stage_process.run_stage("doctor", ["universe=demo", "--json"])
    assert (ended.status in (0, 1), ended.line) == (True, "]")
    assert stage_process.run_stage("train", ["split.embargos=1"]).status == 2


@pytest.mark.skipif(os.name == "nt", reason="polite signals of POSIX")
def test_a_stage_that_missed_the_interruption_is_signalled_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_process, "_ENDING", 0.05)
    script = (
        "import signal, sys\nfrom tests.process_case import hang, pause\n"
        "def end(*_):\n    pause(0.3)\n    print('saved', flush=True)\n    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, end)\nprint('up', flush=True)\nhang()\n"
    )
    process = begin([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    stage_process.let_end(process)
    assert process.returncode == 130
