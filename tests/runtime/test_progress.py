"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from src.core.project import ROOT
from src.runtime import progress
from tests import process_case
from tests.terminal_case import CODE, Session, cursor_is_shown, lines, script


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A monotonic clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    hand = Clock()
    monkeypatch.setattr(progress, "time", hand)
    return hand


def test_short_work_without_a_terminal_says_nothing(clock: Clock) -> None:
    out = io.StringIO()
    with progress.Progress("train", 10, file=out) as bar:
        for _ in range(10):
            clock.now += 1
            bar.advance()
    assert out.getvalue() == ""


def test_long_work_says_a_plain_line_each_half_minute(clock: Clock) -> None:
    out = io.StringIO()
    with progress.Progress("train", 2000, file=out) as bar:
        for _ in range(90):
            clock.now += 1
            bar.advance(10, note="41 passed")
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == "train: 300 of 2,000 instruments, 10.0 a second, about 3 min left; 41 passed"
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", out.getvalue().replace("\n", ""))


def test_the_rate_of_a_plain_line_leaves_out_what_was_finished_before(clock: Clock) -> None:
    out = io.StringIO()
    with progress.Progress("train", 1000, file=out) as bar:
        bar.reuse(880)
        clock.now += 30
        bar.advance(60)
    assert out.getvalue() == "train: 940 of 1,000 instruments, 2.0 a second, about 30 s left\n"


def test_slow_work_is_counted_by_the_minute_and_hours_are_said(clock: Clock) -> None:
    out = io.StringIO()
    with progress.Progress("hydrate", 1000, unit="symbol", file=out) as bar:
        clock.now += 300
        bar.advance(5)
    assert out.getvalue() == "hydrate: 5 of 1,000 symbols, 1.0 a minute, about 16 h 35 min left\n"


def test_a_time_left_is_said_from_a_handful_on(clock: Clock) -> None:
    out = io.StringIO()
    with progress.Progress("train", 1000, file=out, before=10) as bar:
        for _ in range(5):
            clock.now += 31
            bar.advance()
    lines = out.getvalue().splitlines()
    assert [" left" in line for line in lines] == [False] * 4 + [True]


def test_the_last_unit_leaves_no_time_left(clock: Clock) -> None:
    out = io.StringIO()
    with progress.Progress("report", 1, file=out) as bar:
        clock.now += 31
        bar.advance()
    assert out.getvalue() == "report: 1 of 1 instruments, 1.9 a minute\n"


def test_the_rate_is_of_the_last_ten_minutes(clock: Clock) -> None:
    out = io.StringIO()
    with progress.Progress("hydrate", 100_000, unit="symbol", file=out) as bar:
        for rate in (600, 6):
            for _ in range(20):
                clock.now += 60
                bar.advance(rate)
    assert out.getvalue().splitlines()[-1].startswith("hydrate: 12,120 of 100,000 symbols, 6.0 a minute, ")


def test_control_characters_of_a_note_are_escaped(clock: Clock) -> None:
    out = io.StringIO()
    with progress.Progress("quote", 9, file=out) as bar:
        clock.now += 31
        bar.advance(note="\x1b[31mSPY\r\n\x07")
    assert out.getvalue() == "quote: 1 of 9 instruments, 1.9 a minute; \\x1b[31mSPY\\r\\n\\x07\n"


# on a terminal --------------------------------------------------------------------------------------------------------


@pytest.fixture
def xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that can move its cursor, of 100 columns, whatever the tests run in."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def drawn(out: Terminal) -> list[str]:
    """Each frame of the bar, without colours."""
    frames = re.split(r"\r|\n", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()))
    return [re.sub(r" [━╸╺╾ -]+ ", " | ", frame) for frame in frames if re.search("━|╸|╺", frame)]


def test_a_terminal_gets_a_bar_and_a_plain_last_line(xterm: None, clock: Clock) -> None:
    out = Terminal()
    with progress.Progress("train", 1000, file=out) as bar:
        clock.now += 10
        bar.advance(100, note="41 passes")
    assert drawn(out)[0] == "train | 0 of 1,000 instruments"
    assert drawn(out)[-1] == "train | 100 of 1,000 instruments, 10.0 a second, about 2 min left; 41 passes"
    assert lines(out.getvalue()) == ["train: 100 of 1,000 instruments in 10 s, 10.0 a second; 41 passes", ""]
    assert cursor_is_shown(out.getvalue())


def test_a_bar_says_a_time_left_from_a_handful_on(xterm: None, clock: Clock) -> None:
    for finished in (4, 5):
        out = Terminal()
        with progress.Progress("train", 1000, file=out, before=10) as bar:
            clock.now += 10
            bar.advance(finished)
        assert (" left" in drawn(out)[-1]) == (finished == 5)


def test_a_bar_counts_what_was_finished_before_without_its_rate(xterm: None, clock: Clock) -> None:
    out = Terminal()
    with progress.Progress("train", 1000, file=out) as bar:
        bar.reuse(990)
        clock.now += 2
        bar.advance()
    assert drawn(out)[-1] == "train | 991 of 1,000 instruments, 30.0 a minute"


def test_words_beside_a_bar_that_does_not_move_are_drawn(xterm: None) -> None:
    out = Terminal()
    with progress.Progress("quote", 9, file=out) as bar:
        bar.advance(5, note="SPY")
        bar.set_note("37 requests answered")
    assert drawn(out)[-1].endswith("; 37 requests answered")


@pytest.mark.parametrize("name", ["[red]", "[/]", "a[bold]b", ":smile:", "[link=x]y[/link]"])
def test_a_name_that_looks_like_markup_is_shown_as_it_is(xterm: None, name: str) -> None:
    out = Terminal()
    with progress.Progress("quote", 9, file=out) as bar:
        bar.advance(1, note=name)
    assert drawn(out)[-1].endswith(f"; {name}")
    assert lines(out.getvalue())[0].endswith(f"; {name}")


def test_a_dumb_terminal_gets_plain_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    with progress.Progress("train", 10, file=out) as bar:
        clock.now += 31
        bar.advance(6)
    assert out.getvalue() == "train: 6 of 10 instruments, 11.6 a minute, about 21 s left\n"


def test_colours_that_are_forced_do_not_make_a_log_a_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = io.StringIO()
    with progress.Progress("train", 10, file=out) as bar:
        clock.now += 31
        bar.advance(6)
    assert "\x1b" not in out.getvalue()


STAGE = """
import logging, os, sys
from src.runtime import command
from src.runtime.progress import Progress
from tests.process_case import hang

def train(config):
    log = logging.getLogger("src.toy")
    with Progress("train", 40) as progress:
        progress.advance(1, "[red]")
        print("to standard output: [red]", flush=True)
        log.warning("yahoo answers [red] slowly")
        sys.stderr.write("no end of line [red]")
        sys.stderr.flush()
        {then}
    return "train: done"

sys.argv += ["data.logs=" + repr(os.environ["DVC_ROOT"])]
sys.exit(command.run_verb("train", train))
"""
POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")


def run_stage(tmp_path: Path, then: str) -> Session:
    environment = {"DVC_ROOT": str(tmp_path), "DVC_STAGE": "train"}
    return Session(script(tmp_path, STAGE.replace("{then}", then)), environment=environment)


@POSIX
def test_lines_of_a_log_stand_above_the_bar(tmp_path: Path) -> None:
    session = run_stage(tmp_path, "progress.advance(39)")
    assert session.end() == 0
    *said, last, closing, _ = lines(session.text)
    assert said == ["to standard output: [red]", "yahoo answers [red] slowly", "no end of line [red]"]
    assert last.startswith("train: 40 of 40 instruments in ")
    assert closing == "train: done"
    assert cursor_is_shown(session.text)


@POSIX
def test_ctrl_c_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    session = run_stage(tmp_path, "hang()")
    session.read_until(lambda text: "1 of 40" in text)
    assert session.end(signal.SIGINT) == 130
    *_, last, closing, _ = lines(session.text)
    assert last.startswith("train: 1 of 40 instruments in ")
    assert closing.startswith("train interrupted; ")
    assert cursor_is_shown(session.text)


@POSIX
def test_the_ctrl_c_that_stops_at_once_leaves_the_cursor(tmp_path: Path) -> None:
    wait = ["try:", "    hang()", "finally:", "    print('cleaning up', flush=True)", "    hang()"]
    session = run_stage(tmp_path, "\n        ".join(wait))
    for words in ("1 of 40", "cleaning up", "saving and stopping"):
        session.read_until(lambda text, words=words: words in text)
        session.process.send_signal(signal.SIGINT)
    assert session.end() == 130
    assert cursor_is_shown(session.text)


@POSIX
def test_a_killed_command_leaves_the_cursor(tmp_path: Path) -> None:
    session = run_stage(tmp_path, "hang()")
    session.read_until(lambda text: "1 of 40" in text)
    session.end(signal.SIGKILL)
    assert cursor_is_shown(session.text)


@POSIX
def test_a_narrow_terminal_cuts_the_words_and_never_wraps(tmp_path: Path) -> None:
    program = (
        "from src.runtime.progress import Progress\nwith Progress('train', 40) as p:\n    p.advance(9, 'word ' * 40)\n"
    )
    session = Session(script(tmp_path, program), columns=40)
    assert session.end() == 0
    frames = re.split(r"[\r\n]", CODE.sub("", session.text))
    assert max(len(frame) for frame in frames if frame.startswith("train ")) == 40
    assert lines(session.text)[0].startswith("train: 9 of 40 instruments in ")


@POSIX
def test_what_goes_to_a_file_stays_out_of_the_terminal(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom src.runtime.progress import Progress\nsys.stdout = open(sys.argv[1], 'w')\n"
        "with Progress('train', 40) as p:\n    print('an answer')\n"
    )
    session = Session(script(tmp_path, program), str(tmp_path / "answers"))
    assert session.end() == 0
    assert "an answer" not in session.text
    assert (tmp_path / "answers").read_text() == "an answer\n"


def test_neither_help_nor_a_log_needs_rich() -> None:
    program = (
        "import io, sys\nfrom src.runtime.progress import Progress\nimport src.runtime.command, src.status\n"
        "with Progress('train', 4, file=io.StringIO()) as p:\n    p.advance(4)\n"
        "sys.exit('rich' in sys.modules)"
    )
    assert process_case.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_nothing_to_do_draws_nothing(clock: Clock) -> None:
    for out in (Terminal(), io.StringIO()):
        with progress.Progress("hydrate", 0, file=out) as bar:
            clock.now += 60
            bar.advance(0, note="nothing")
        assert out.getvalue() == ""
