"""A stage that runs as a command of its own, as if it were typed by hand, started by a command that runs several."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from src.core.project import ROOT
from src.runtime.redaction import PRIVATE_ADDRESSES

INTERRUPTED, MISUSED = 130, 2
"""Exit statuses of a stage that was interrupted with its work saved, and of one whose settings were refused."""
_ENDING = 2.0  # seconds that a stage has to end by itself after Ctrl+C, before it is terminated


@dataclass(frozen=True)
class StageEnd:
    """End of a stage's command.

    Attributes
    ----------
    status : int
        Exit status; negative where a signal ended it.
    line : str
        Last line that it printed.
    """

    status: int
    line: str


def run_stage(stage: str, arguments: Sequence[str]) -> StageEnd:
    """Run a stage as a command; its progress goes to the terminal, its closing line comes back.

    Parameters
    ----------
    stage : str
        Name of the verb.
    arguments : sequence of str
        Settings, as typed.

    Returns
    -------
    StageEnd

    Raises
    ------
    KeyboardInterrupt
        On Ctrl+C or SIGTERM, after the stage has saved its work and ended.
    """
    # DVC_STAGE keeps the stages from hinting at a commit, which would come too early after each of them.
    environment = {key: value for key, value in os.environ.items() if key not in PRIVATE_ADDRESSES}
    environment |= {"PYTHONIOENCODING": "utf-8", "DVC_STAGE": stage}
    process = subprocess.Popen(
        [sys.executable, "-m", f"src.{stage}", *arguments], cwd=ROOT, env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    try:
        out, _ = process.communicate()
    except BaseException:
        let_end(process)
        raise
    lines = out.strip().splitlines()
    return StageEnd(process.returncode, lines[-1] if lines else "")


def let_end(process: subprocess.Popen[str]) -> None:
    """Wait until a stage has saved and stopped. Ctrl+C reaches it as well as us; SIGTERM to us alone does not.

    Parameters
    ----------
    process : subprocess.Popen
        The stage, whose output is piped.
    """
    try:
        process.communicate(timeout=_ENDING)
    except subprocess.TimeoutExpired:
        if os.name != "nt":  # there, to terminate is to kill
            process.terminate()
        process.communicate()
