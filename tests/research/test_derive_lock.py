"""What was read of documents is kept for all datasets: two commands that read at once would replace each other's."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.research import derive
from src.runtime import lock
from tests.research.sources.feed_case import collection


def test_one_command_reads_documents_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, steps, entered = collection(tmp_path / "data"), [], threading.Event()
    monkeypatch.setattr(lock.paths, "locks", lambda: tmp_path / "locks")

    def tables(_job: Any, _bars: Any, name: Any) -> list[tuple[str, pl.DataFrame]]:
        steps.append(f"{name} begins")
        entered.set()
        threading.Event().wait(0.2)
        steps.append(f"{name} ends")
        return []

    monkeypatch.setattr(derive, "_tables", tables)
    other = threading.Thread(target=derive._read, args=(job, None, "first"))
    other.start()
    assert entered.wait(5)
    derive._read(job, None, "second")  # type: ignore[arg-type]
    other.join()
    assert steps == ["first begins", "first ends", "second begins", "second ends"]
