"""When a day begins: sessions of the exchange and of coins, holidays, early closes, clock changes, late bars."""

from __future__ import annotations

import datetime as dt
import io
import sys

import polars as pl
import pytest

from src.scheduling.waiting import LONGEST, Begin, arrival, begin, pause, wait_until

DELAY = dt.timedelta(hours=1)
STOCKS, COINS, MIXED = ["etf", "stock"], ["crypto"], ["crypto", "stock"]


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}+00:00")


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def done(**sessions: str) -> dict[str, dt.date]:
    return {kind: day(text) for kind, text in sessions.items()}


def test_a_book_of_friday_leaves_nothing_to_do_on_a_weekend() -> None:
    friday = done(stock="2026-11-20", etf="2026-11-20")
    for now in ("2026-11-21T22:30", "2026-11-22T12:00"):
        found = begin(STOCKS, friday, at(now), DELAY)
        assert "the book of the last session, 2026-11-20, exists; the next one begins" in found.idle
        assert found.at is None


@pytest.mark.parametrize(
    ("now", "final"),
    [
        ("2026-11-25T22:00", "2026-11-25"),  # an hour after a close at 16:00 in New York
        ("2026-11-25T21:59", "2026-11-24"),
        ("2026-11-26T23:00", "2026-11-25"),  # Thanksgiving
        ("2026-11-27T19:00", "2026-11-27"),  # closed at 13:00
        ("2026-06-17T21:00", "2026-06-17"),  # New York's clock is an hour ahead in summer
        ("2026-06-17T20:59", "2026-06-16"),
    ],
)
def test_without_a_book_the_last_final_session_is_done_at_once(now: str, final: str) -> None:
    assert begin(STOCKS, {}, at(now), DELAY) == Begin({"stock": day(final), "etf": day(final)})


@pytest.mark.parametrize(
    ("before", "now", "begins"),
    [
        ("2026-11-24", "2026-11-25T18:00", "2026-11-25T22:00"),
        ("2026-11-25", "2026-11-27T14:00", "2026-11-27T19:00"),  # the day after Thanksgiving
        ("2026-06-16", "2026-06-17T18:00", "2026-06-17T21:00"),
    ],
)
def test_a_session_that_closes_today_is_waited_for(before: str, now: str, begins: str) -> None:
    found = begin(STOCKS, done(stock=before, etf=before), at(now), DELAY)
    assert (found.at, found.idle) == (at(begins), "")
    assert found.sessions == {"stock": at(begins).date(), "etf": at(begins).date()}


def test_a_close_that_is_far_away_is_left_to_a_later_command() -> None:
    found = begin(STOCKS, done(stock="2026-11-24", etf="2026-11-24"), at("2026-11-25T22:00") - LONGEST, DELAY)
    assert found.at == at("2026-11-25T22:00")
    earlier = at("2026-11-25T22:00") - LONGEST - dt.timedelta(minutes=1)
    assert begin(STOCKS, done(stock="2026-11-24", etf="2026-11-24"), earlier, DELAY).idle


def test_coins_alone_wait_for_midnight_in_utc() -> None:
    assert begin(COINS, done(crypto="2026-11-20"), at("2026-11-21T20:00"), DELAY).at == at("2026-11-22T01:00")
    assert begin(COINS, {}, at("2026-11-22T01:00"), DELAY) == Begin({"crypto": day("2026-11-21")})


def test_coins_beside_stocks_get_their_days_on_weekends_too() -> None:
    friday = done(stock="2026-11-20", crypto="2026-11-19")
    found = begin(MIXED, friday, at("2026-11-21T22:00"), DELAY)
    assert found == Begin({"crypto": day("2026-11-20"), "stock": day("2026-11-20")})
    assert begin(MIXED, done(stock="2026-11-20", crypto="2026-11-20"), at("2026-11-21T23:00"), DELAY).idle


def test_coins_beside_stocks_get_their_day_from_a_second_start_after_midnight() -> None:
    evening = done(stock="2026-11-24", crypto="2026-11-23")
    assert begin(MIXED, evening, at("2026-11-25T00:59"), DELAY).idle
    found = begin(MIXED, evening, at("2026-11-25T01:05"), DELAY)
    assert found == Begin({"crypto": day("2026-11-24"), "stock": day("2026-11-24")})


def test_without_waiting_there_is_always_something_to_do() -> None:
    found = begin(STOCKS, done(stock="2026-11-20", etf="2026-11-20"), at("2026-11-21T12:00"), DELAY, wait=False)
    assert (found.at, found.idle) == (None, "")


def test_the_wait_ends_by_the_clock_even_if_the_machine_slept() -> None:
    now, slept = [at("2026-11-25T21:00")], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += dt.timedelta(seconds=seconds if len(slept) < 3 else 50_000)  # asleep in the third

    wait_until(at("2026-11-25T22:00"), lambda: now[0], sleep)
    assert len(slept) == 3
    assert max(slept) <= 30


def test_a_terminal_sees_one_line_that_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    now = [at("2026-11-25T21:58")]
    wait_until(at("2026-11-25T22:00"), lambda: now[0], lambda s: now.__setitem__(0, now[0] + dt.timedelta(seconds=s)))
    drawn = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "\n" not in drawn
    assert drawn.count("\r\x1b[Kdaily: waits until") == 4
    assert drawn.endswith("\r\x1b[K")


def test_elsewhere_the_wait_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    now = [at("2026-11-25T21:00")]
    wait_until(at("2026-11-25T22:00"), lambda: now[0], lambda s: now.__setitem__(0, now[0] + dt.timedelta(seconds=s)))
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert said.count("\n") == 1
    assert ", 60 min" in said


def states(*rows: tuple[str, str, str]) -> pl.DataFrame:
    found = [(kind, state, day(last)) for kind, state, last in rows]
    return pl.DataFrame(found, schema={"asset_class": pl.String, "state": pl.String, "last": pl.Date}, orient="row")


def test_a_class_is_late_if_most_of_what_still_trades_lacks_the_session() -> None:
    sessions = {"stock": day("2026-11-20"), "crypto": day("2026-11-19"), "etf": day("2026-11-20")}
    gone = [("stock", "done", "2020-01-02")] * 10
    table = states(
        *gone,
        ("stock", "done", "2026-11-20"), ("stock", "done", "2026-11-19"),
        ("crypto", "done", "2026-11-18"), ("crypto", "done", "2026-11-19"), ("crypto", "done", "2026-11-18"),
        ("crypto", "failed", "2026-11-19"),
    )  # fmt: skip
    found = arrival(table, sessions)
    assert (found.late, found.stale) == (("crypto",), 3)
    assert arrival(table.clear(), sessions).late == ()


def test_pauses_grow_up_to_an_hour() -> None:
    assert [pause(tries) / 60 for tries in (1, 2, 3, 4, 9)] == [15, 30, 60, 60, 60]
