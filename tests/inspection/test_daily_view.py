"""When `daily` last ran, as status and doctor say it: late runs, missed sessions, failures, damaged records."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from src.config.paths import DatasetPaths
from src.config.schema import Config
from src.inspection import daily_view
from src.inspection.daily_view import is_late, last_day, sentence
from src.storage.day_record import DayRecord, write_record

EVENING = dt.datetime(2026, 11, 20, 22, 30, tzinfo=dt.UTC)  # Friday, an hour and a half after New York's close
GOOD = DayRecord(
    started=EVENING.isoformat(), ended=EVENING.isoformat(), status=0, good=EVENING.isoformat(), book="2026-11-20",
    sessions={"stock": "2026-11-20", "etf": "2026-11-20"}, live=True, every_hours=30.0,
)  # fmt: skip


def seen(tmp_path: Path, after: dt.timedelta, **changes: Any) -> tuple[dict[str, Any], str]:
    paths = DatasetPaths(tmp_path, "quick")
    write_record(dataclasses.replace(GOOD, **changes), paths.daily)
    day = last_day(paths, EVENING + after)
    assert day is not None
    return day, sentence(day, EVENING + after)


def hours(n: float) -> dt.timedelta:
    return dt.timedelta(hours=n)


def test_a_run_of_today_is_neither_late_nor_missed(tmp_path: Path) -> None:
    day, line = seen(tmp_path, hours(2))
    assert not is_late(day)
    assert line.startswith("last ran well 120 min ago (") or line.startswith("last ran well 2 h 00 min ago (")
    assert line.endswith(" with the book of 2026-11-20")


def test_a_run_that_did_not_come_is_late_by_the_hours_that_it_was_started_with(tmp_path: Path) -> None:
    day, line = seen(tmp_path, hours(31))
    assert (day["overdue"], day["missed"]) == (True, 0)  # the weekend has no session
    assert line.endswith("; it should every 30 hours: what starts it (docs/daily.md) did not")
    assert not is_late(seen(tmp_path, hours(31), every_hours=48.0)[0])


@pytest.mark.parametrize(("after", "missed"), [(100.4, 0), (100.6, 1), (124.4, 1), (124.6, 2)])
def test_sessions_are_missed_once_they_are_final_for_as_long_as_a_run_may_be_late(
    tmp_path: Path, after: float, missed: int
) -> None:
    """Monday's close is 70.5 hours after the run of Friday; a run may be 30 hours late."""
    day, line = seen(tmp_path, hours(after))
    assert day["missed"] == missed
    assert ("missed" in line) == bool(missed)


def test_runs_that_had_nothing_to_do_count(tmp_path: Path) -> None:
    day, _ = seen(tmp_path, hours(47), good=(EVENING + hours(24)).isoformat())
    assert not is_late(day)


def test_bars_that_no_clock_brings_are_never_late(tmp_path: Path) -> None:
    day, line = seen(tmp_path, hours(24 * 90), live=False, sessions={})
    assert not is_late(day)
    assert line.startswith("last ran well 90 days ago (")


def test_a_failure_is_said_first(tmp_path: Path) -> None:
    failed = (EVENING + hours(23)).isoformat()
    step = {"step": "hydrate", "status": 1, "line": "hydrate: yahoo can't be reached"}
    day, line = seen(tmp_path, hours(24), ended=failed, status=1, steps=[step])
    assert is_late(day)
    assert line.startswith("failed 60 min ago (")
    assert "): hydrate: yahoo can't be reached; last ran well 24 h 00 min ago" in line


def test_without_a_good_run_it_says_so(tmp_path: Path) -> None:
    assert seen(tmp_path, hours(1), good=None, book=None)[1].startswith("has not ended well yet")


def test_a_damaged_record_is_shown_and_hides_nothing_else(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path, "quick")
    paths.daily.parent.mkdir(parents=True)
    paths.daily.write_text("[]", encoding="utf-8")
    day = last_day(paths, EVENING)
    assert day is not None
    assert is_late(day)
    assert "daily.json can't be read" in sentence(day, EVENING)


def test_the_doctor_says_how_to_have_it_run(tmp_path: Path) -> None:
    config = Config()
    config.data.root = str(tmp_path)
    found = daily_view.daily(config)
    assert found.state == "ok"
    assert "scripts/install_schedule.py" in found.message
    write_record(GOOD, config.paths.daily)
    assert daily_view.daily(config).state in ("ok", "note")
