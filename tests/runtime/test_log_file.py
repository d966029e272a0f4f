"""The log file: one line a record, whatever a message holds; tracebacks indented; a full disk stops no work."""

from __future__ import annotations

import errno
import io
import logging
import re
from pathlib import Path

import pytest

from src.runtime import log_file, redaction, terminal

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: ")
FORGED = "2026-01-01 00:00:00,000 INFO src.train: 9 of 9 runs passed"
FORGERIES = [
    f"AAPL{end}{FORGED}"
    for end in ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
]
HIDDEN = [
    "\x1b[2K\x1b[1A",
    "\x9b2K",
    "\x08" * 9,
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\u061c",
    "\ud800",
    "\x00",
    "\x7f",
]
log = logging.getLogger("src.test_log_file")


def written(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("forgery", [*FORGERIES, *(f"AAPL{mark}{FORGED}" for mark in HIDDEN)], ids=ascii)
def test_a_message_from_outside_forges_no_line(
    forgery: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with log_file.log_file(tmp_path / "x.log"):
        log.warning("symbol %s", forgery)
        log.info(forgery)
    lines = written(tmp_path / "x.log")
    assert len(lines) == 2 and all(RECORD.match(line) and line.isprintable() for line in lines)
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and shown.strip("\n").isprintable()


@pytest.mark.parametrize("forgery", FORGERIES, ids=ascii)
def test_lines_of_a_traceback_are_indented(forgery: str, tmp_path: Path) -> None:
    with log_file.log_file(tmp_path / "x.log"):
        try:
            raise ValueError(forgery)
        except ValueError:
            log.info("failed", exc_info=True)
        log.info("a worker failed", extra={"traceback": f"Traceback\n{forgery}"})
        log.info("whence", stack_info=True)
    lines = written(tmp_path / "x.log")
    assert [line.endswith(("failed", "whence")) for line in lines if RECORD.match(line)] == [True] * 3
    assert all(RECORD.match(line) or line.startswith("    ") for line in lines)
    assert sum("runs passed" in line for line in lines) >= 2


def test_warnings_of_libraries_are_one_line(tmp_path: Path) -> None:
    import warnings

    with log_file.log_file(tmp_path / "x.log"), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"odd\n{FORGED}", stacklevel=1)
    assert len(written(tmp_path / "x.log")) == 1


@pytest.mark.parametrize("forgery", FORGERIES, ids=ascii)
def test_a_notice_is_one_line_and_an_answer_keeps_its_own_line_ends(
    forgery: str, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.notice(forgery)
    terminal.answer("one\ntwo\x1b[31m token=abc")
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1 and shown.err.strip("\n").isprintable()
    assert shown.out == "one\ntwo\\x1b[31m token=***\n"


class Full(io.StringIO):
    """A file on a full disk."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_on_a_full_disk_stops_no_work_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.FileHandler, "_open", lambda _self: Full())
    with log_file.log_file(tmp_path / "x.log"):
        for number in range(5):
            log.info("%d", number)
    assert capsys.readouterr().err == f"the log {tmp_path / 'x.log'} can't be written (No space left on device)\n"


def test_secrets_reach_no_part_of_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    redaction.remember(["open-sesame"])
    try:
        with log_file.log_file(tmp_path / "x.log"):
            try:
                raise ConnectionError("https://h/a?token=hunter22 refused") from ValueError("open-sesame")
            except ConnectionError:
                log.warning("no answer from bob:hunter22@10.0.0.1:80 (%s)", "open-sesame", exc_info=True)
    finally:
        redaction.forget()
    text = (tmp_path / "x.log").read_text(encoding="utf-8") + capsys.readouterr().err
    assert "hunter22" not in text and "open-sesame" not in text and text.count("***") >= 6
