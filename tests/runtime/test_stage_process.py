"""A stage as a process of its own: its last line, its status, its environment and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from src.core.project import ROOT
from src.runtime import stage_process
from tests.process_case import HANG, begin, until


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


TOY = """
import signal, sys
from tests.process_case import hang, pause
def end(*_):
    pause(0.2)
    open("saved", "w").close()
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, end)
open("up", "w").close()
hang()
"""
SEVERAL = """
import sys
from pathlib import Path
from src.runtime import command, stage_process
stage_process.ROOT = Path(sys.argv.pop(1))
def task(_config):
    stage_process.run_stage("toy", [])
sys.exit(command.run_verb("daily", task))
"""


@pytest.mark.skipif(os.name == "nt", reason="polite signals of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_ended_lets_its_stage_save_and_both_end(tmp_path: Path, sent: signal.Signals) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__init__.py").touch()
    (tmp_path / "src" / "toy.py").write_text(TOY, encoding="utf-8")
    environment = {**os.environ, "DVC_ROOT": str(tmp_path), "PYTHONPATH": str(ROOT)}
    words = [str(tmp_path), f"data.logs='{tmp_path}'", f"data.root='{tmp_path}'"]
    process = begin(
        [sys.executable, "-c", SEVERAL, *words], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    until((tmp_path / "up").exists, process)
    process.send_signal(sent)  # to the command alone: its stage must hear of it
    _, said = process.communicate(timeout=HANG)
    assert process.returncode == 130, said
    assert (tmp_path / "saved").exists()
    assert said.endswith("daily interrupted; finished work is saved, run the same command to continue\n")
