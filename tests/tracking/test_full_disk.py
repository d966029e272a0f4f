"""A database on a disk that is full or fails: the message names the disk, and no other program."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from src.config.schema import Config
from src.evaluation.grade import Thresholds
from src.tracking import database
from src.tracking.errors import TrackingError


@pytest.mark.parametrize("cause", ["database or disk is full", "disk I/O error"])
def test_an_error_of_the_disk_is_not_called_a_lock(cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_arguments: object, **_settings: object) -> None:
        raise sqlite3.OperationalError(cause)

    monkeypatch.setattr(database.sqlite3, "connect", fails)
    with pytest.raises(sqlite3.OperationalError, match=cause):
        database.mark_database(tmp_path / "x.db", Thresholds.of(Config().grade))


def test_a_lock_is_called_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="locked by another program"):
            database.wait_for_database(path)
