"""Machines that share a journal through a folder: one chain, and nothing lost where the folder is away."""

from __future__ import annotations

import datetime as dt
import errno
import os
import shutil
from pathlib import Path

import pytest

from src.config.schema import Config
from src.core.errors import StageError
from src.signals.journal import Journal
from src.signals.journal_chain import CHAIN
from src.storage import atomic
from tests.signals.journal_case import FRIDAY, content, line, said, say, weight

MONDAY, TUESDAY = FRIDAY + dt.timedelta(3), FRIDAY + dt.timedelta(4)


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    return folder


def test_the_setting_reaches_the_journal_of_every_command(share: Path) -> None:
    config = Config()
    assert Journal.of(config.paths).shared is None
    config.book.shared_journal = str(share)
    assert Journal.of(config.paths).shared == share


def machine(share: Path, name: str) -> Journal:
    return Journal(share.parent / name / "quick", share)


def test_a_second_machine_goes_on_where_the_first_stopped(share: Path) -> None:
    here, there = machine(share, "here"), machine(share, "there")
    say(here, line(), books=(weight(),))
    here.record_event({"demoted": "stock.MSFT"})
    assert say(there, line(score=0.9)) is None, "it was said by the other machine"
    assert say(there, line(day=MONDAY)).number == 3
    here.bring_up_to_date()
    assert content(here.root) == content(there.root) == content(share / "quick")
    assert here.verify() == there.verify() == 3


def test_without_the_folder_the_journal_goes_on_and_says_so(share: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = machine(share, "here")
    say(here, line())
    away = share.rename(share.with_name("away"))
    assert say(here, line(day=MONDAY)).number == 2
    assert f"{share.as_posix()} is no folder: mount or create it" in caplog.text
    assert not share.exists(), "a mount point is not made"
    away.rename(share)
    here.bring_up_to_date()
    assert Journal(share / "quick").verify() == 2


def test_an_empty_mount_point_is_not_taken_for_the_folder(share: Path, caplog: pytest.LogCaptureFixture) -> None:
    here = machine(share, "here")
    say(here, line())
    shutil.rmtree(share / "quick")
    (share / "quick.head.json").unlink()
    assert say(here, line(day=MONDAY)).number == 2
    assert "it has 0 entries and had 1" in caplog.text
    assert not (share / "quick" / CHAIN).exists()
    Path(caplog.text.partition("delete ")[2].partition(")")[0]).unlink()  # as the message says
    here.bring_up_to_date()
    assert Journal(share / "quick").verify() == 2


def test_a_fork_is_refused_and_nothing_is_changed(share: Path) -> None:
    here, there = machine(share, "here"), machine(share, "there")
    say(here, line())
    there.bring_up_to_date()
    Journal(there.root).record_event({"without": "the folder"})
    say(here, line(day=MONDAY))
    states = [content(here.root), content(there.root), content(share)]
    for use in (there.bring_up_to_date, lambda: say(there, line(day=TUESDAY))):
        with pytest.raises(StageError, match="differ from entry 2 on") as caught:
            use()
        for journal in (there, Journal(share / "quick")):
            assert journal.entries()[-1].hash[:12] in str(caught.value)
    assert [content(here.root), content(there.root), content(share)] == states
    for left in there.root.parent.glob("quick*"):  # as the message says
        left.rename(left.with_name(f"old-{left.name}"))
    assert say(there, line(day=TUESDAY)).number == 3


def test_a_broken_shared_copy_is_an_error(share: Path) -> None:
    here, there = machine(share, "here"), machine(share, "there")
    say(here, line())
    path = share / "quick" / "000001-lines.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StageError, match="000001-lines.parquet was changed"):
        there.bring_up_to_date()
    assert there.entries() == []


@pytest.mark.parametrize("step", range(1, 8))
def test_a_copy_that_breaks_off_is_completed_the_next_time(
    share: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    alone = Journal(share.parent / "here" / "quick")
    for day in (FRIDAY, MONDAY):
        say(alone, line(day=day), books=(weight(day=day),))
    count = iter(range(1, 1000))
    real = atomic._replace

    def breaks(temporary: Path, path: Path) -> None:
        if share in path.parents and next(count) == step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(temporary, path)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_replace", breaks)
        machine(share, "here").bring_up_to_date()
    Journal(share / "quick").verify()
    other = machine(share, "there")
    other.bring_up_to_date()
    here = machine(share, "here")
    here.bring_up_to_date()
    other.bring_up_to_date()
    assert said(other).equals(said(here))
    assert other.verify() == 2
