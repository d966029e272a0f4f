"""What status and doctor say of the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.config.paths import DatasetPaths
from src.config.schema import Config
from src.inspection import journal_view
from src.inspection.journal_view import journal, journal_sentence, last_book
from src.signals.journal import Journal
from tests.signals.journal_case import filled


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetPaths:
    monkeypatch.chdir(tmp_path)
    return Config().paths


def test_without_a_journal_there_is_nothing_to_say(paths: DatasetPaths) -> None:
    assert last_book(paths) is None
    assert journal(Config()).message == f"none of {paths.dataset} yet"


def test_the_last_book_is_shown_with_its_lines(paths: DatasetPaths) -> None:
    filled(paths.journal)
    state = last_book(paths)
    assert state == {
        "entries": 3,
        "hash": Journal(paths.journal).entries()[-1].hash,
        "last": "2025-01-03",
        "lines": 2,
        "said_at": "2025-01-03T12:00:00+00:00",
        "broken": None,
    }
    assert state is not None
    end = f"3 entries, the last {state['hash'][:12]}"
    assert journal_sentence(state) == f"book of 2025-01-03, 2 lines, said at 2025-01-03T12:00:00+00:00; {end}"
    assert journal(Config()).state == "ok"
    Journal(paths.root / "other").record_event({})
    assert journal_sentence({**state, "last": None}) == "3 entries, no book yet"


def test_a_broken_journal_is_bad_and_named(paths: DatasetPaths) -> None:
    kept = filled(paths.journal)
    file = kept.root / "000003-lines.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert last_book(paths)["broken"] is None, "status reads no file"  # type: ignore[index]
    found = journal(Config())
    assert (found.state, "entry 3 is broken, 000003-lines.parquet was changed" in found.message) == ("bad", True)
    file.unlink()
    state = last_book(paths)
    assert state is not None
    assert "000003-lines.parquet is missing" in journal_view.journal_sentence(state)
