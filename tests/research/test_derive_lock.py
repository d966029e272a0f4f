"""What was read of documents is kept for all datasets: two commands that read at once would replace each other's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from filelock import FileLock, Timeout

from src.research import derive
from src.runtime import lock
from tests.research.sources.feed_case import collection


def test_one_command_reads_documents_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, held = collection(tmp_path / "data"), []
    monkeypatch.setattr(lock.paths, "locks", lambda: tmp_path / "locks")

    def tables(*_: Any) -> list[tuple[str, pl.DataFrame]]:
        (path,) = (tmp_path / "locks").glob("derive-*.lock")
        with pytest.raises(Timeout):
            FileLock(path).acquire(blocking=False)
        held.append(path)
        return []

    monkeypatch.setattr(derive, "_tables", tables)
    assert derive._read(job, None, pl.DataFrame()) == {}  # type: ignore[arg-type]
    with FileLock(held[0]).acquire(blocking=False):
        assert len(held) == 1
