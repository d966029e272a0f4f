"""A new MLflow store is complete or absent, whichever process creates it and whenever that is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from src.core.project import ROOT
from tests import warm_case
from tests.process_case import begin

MAKE = """
import sys
from pathlib import Path
from src.config.schema import GradeConfig
from src.evaluation.grade import Thresholds
from src.tracking.database import create_database
folder = Path(sys.argv[1])
print("making", flush=True)
create_database(folder / "mlflow.db", (folder / "artifacts").as_uri(), Thresholds.of(GradeConfig()))
"""


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    return begin(
        [sys.executable, "-c", MAKE, str(folder)],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def tables(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from tests.process_case import until

def watch():
    until(lambda: any(path.stat().st_size > 20_000 for path in Path(sys.argv[1]).glob(".tmp-*/mlflow.db")))
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=watch, daemon=True).start()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_database_whose_creation_was_killed_is_created_again(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    assert warm_case.run(["-c", KILLED + MAKE, str(tmp_path)], ROOT).returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".tmp-*/mlflow.db"))
    assert not database.exists()
    warm_case.run(["-c", MAKE, str(tmp_path)], ROOT)
    assert {"model_versions", "runs", "logged_models"} <= tables(database)
    assert not list(tmp_path.glob(".tmp-*"))  # what the killed process left is swept
