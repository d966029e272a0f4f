"""A bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re

import pytest

from src.runtime import progress


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


def test_a_terminal_gets_a_bar_that_counts_to_the_end() -> None:
    out = Terminal()
    with progress.Progress("train", 4, file=out) as bar:
        bar.advance(4, note="AAPL")
    assert "train" in out.getvalue()
    assert "4/4" in out.getvalue()


def test_a_bar_counts_what_was_finished_before_without_its_rate(clock: Clock) -> None:
    out = Terminal()
    with progress.Progress("train", 1000, file=out) as bar:
        bar.reuse(990)
        bar.advance()
        assert (bar._bar.n, bar._bar.initial, bar.done) == (991, 990, 991)
    assert "991/1000" in out.getvalue()


def test_words_beside_a_bar_that_does_not_move_are_drawn() -> None:
    out = Terminal()
    with progress.Progress("quote", 9, file=out) as bar:
        bar.advance(5, note="SPY")
        bar.tell("37 requests answered")
        assert "37 requests answered" in out.getvalue()


def test_nothing_to_do_draws_nothing(clock: Clock) -> None:
    for out in (Terminal(), io.StringIO()):
        with progress.Progress("hydrate", 0, file=out) as bar:
            clock.now += 60
            bar.advance(0, note="nothing")
        assert out.getvalue() == ""
