"""Two programs that make a new MLflow store at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.process_case import HANG
from tests.tracking.test_new_database import start


def test_two_at_once_make_it_once_and_gated(tmp_path: Path) -> None:
    pair = [start(tmp_path) for _ in range(2)]
    for process in pair:
        process.communicate(timeout=HANG)
        assert process.returncode == 0
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        triggers = connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'trigger'").fetchone()[0]
        assert triggers > 0
        assert connection.execute("SELECT count(*) FROM experiments").fetchone()[0] == 1
