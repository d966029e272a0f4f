"""The lag of history is decided with a source's first document, whatever is chosen later."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
from pathlib import Path

import pytest

from src.documents.document import Document
from src.documents.document_store import DocumentStore

DAY = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)


def document(id: str) -> Document:
    return Document("news", id, "article", DAY + dt.timedelta(days=99), id.encode(), "feed", published=DAY)


def test_settings_of_a_later_run_move_no_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    DocumentStore(tmp_path, {"default": 24.0, "news": 0.0}).append([document("a")])
    later = DocumentStore(tmp_path, {"default": 24.0})
    assert later.lag("news") == dt.timedelta(0) and later.lag("edgar") == dt.timedelta(hours=24)
    with caplog.at_level(logging.WARNING):
        other = DocumentStore(tmp_path, {"news": 48.0})
        other.append([document("b")])
    assert other.documents("news")["known"].to_list() == [DAY, DAY]
    assert "a lag of 48 hours for news has no effect: what is stored of it is dated by 0 hours" in caplog.text


def test_of_two_machines_the_longer_lag_counts(tmp_path: Path) -> None:
    for name, hours in (("one", 6.5), ("two", 24.0)):
        DocumentStore(tmp_path / name, {"default": hours}).append([document(name)])
    shutil.copytree(tmp_path / "one" / "news", tmp_path / "two" / "news", dirs_exist_ok=True)
    assert DocumentStore(tmp_path / "two").lag("news") == dt.timedelta(hours=24)
    assert DocumentStore(tmp_path / "one").lag("news") == dt.timedelta(hours=6.5)
