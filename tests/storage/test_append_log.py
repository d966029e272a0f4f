"""Logs: whole records are found, whatever a kill or a power cut left behind them."""

import errno
import os
from pathlib import Path

import pytest

from src.storage.append_log import AppendLog, read


@pytest.mark.parametrize("left", [b"", b"l", b"log1", bytes(40), b"log1" + bytes(12), b"other bytes of any length"])
def test_what_is_no_whole_record_ends_the_log_and_is_cut_off_by_the_next_writer(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "pending" / "a.log"
    AppendLog(path).append(b"first")
    with path.open("ab") as stream:
        stream.write(left)
    whole = [b"first", b""] if left == b"log1" + bytes(12) else [b"first"]  # an empty record is one
    assert read(path) == whole
    log = AppendLog(path)
    log.append(b"second")
    log.append(b"")
    assert read(path) == [*whole, b"second", b""]


def test_a_changed_byte_ends_the_log_at_its_record(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = AppendLog(path)
    for record in (b"one", b"two", b"three"):
        log.append(record)
    content = path.read_bytes()
    middle = content.index(b"two")
    for place in range(middle - 16, middle + 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert read(path) == [b"one"]


def test_a_record_that_could_not_be_written_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log"
    log = AppendLog(path)
    log.append(b"one")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            log.append(b"two")
    assert read(path) == [b"one"]
    log.append(b"three")
    assert read(path) == [b"one", b"three"]


def test_an_interruption_takes_no_whole_record_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.log"
    log = AppendLog(path)

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append(b"one")
    assert read(path) == [b"one"], "a reader may have seen it"
    log.append(b"two")
    assert read(path) == [b"one", b"two"]
