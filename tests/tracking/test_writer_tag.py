"""Whether who left something half-written may still be at work."""

from __future__ import annotations

import os
import platform
import sys
import time

import pytest

from src.tracking.writer_tag import is_writer_alive, writer_tag
from tests.process_case import started


def test_another_process_is_alive_until_it_ends_and_this_one_does_not_count() -> None:
    code = "from src.tracking.writer_tag import writer_tag; print(writer_tag(), flush=True); input()"
    with started([sys.executable, "-c", code], text=True, stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        tag = other.stdout.readline().strip()
        assert tag.startswith(f"{platform.node()}:{other.pid}:")
        assert is_writer_alive(tag)
        other.communicate("\n")
    assert not is_writer_alive(tag)
    assert not is_writer_alive(writer_tag())


def test_a_reused_process_id_is_not_the_writer() -> None:
    began = int(time.time())
    assert not is_writer_alive(f"{platform.node()}:{os.getppid()}:{began + 1000}:{began}")


def test_another_machine_may_be_writing_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(platform, "node", lambda: "elsewhere:8")
        tag = writer_tag()
    assert is_writer_alive(tag)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    assert not is_writer_alive(tag)


@pytest.mark.parametrize("tag", ["", "somebody", "host:12", "host:12:later:0"])
def test_tags_not_written_by_the_project_are_ignored(tag: str) -> None:
    assert is_writer_alive(tag)
