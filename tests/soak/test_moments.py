"""Hydration at moments at which a bar has just ended, is not final yet, or is missing: ``make soak``, a minute each."""

import dataclasses
import datetime as dt

import pytest

from tests.hydration.live import hydration_checks as checks
from tests.hydration.live.hydration_case import SMALL, hydration

SIZE = dataclasses.replace(SMALL, symbols=100)
MOMENTS = {  # UTC
    "a coin's day has ended": "2026-03-13 00:00:05",
    "a coin's day ends meanwhile": "2026-03-12 23:59:55",
    "a coin's day has become final": "2026-03-13 00:10:05",
    "the exchange has closed": "2026-03-12 20:00:05",
    "a session has become final": "2026-03-12 20:30:05",
    "the exchange is opening": "2026-03-12 13:30:05",
    "Saturday in New York": "2026-03-14 17:00:00",
    "Sunday in New York, Monday in UTC": "2026-03-16 00:05:00",
    "the clocks have gone forward": "2026-03-08 07:30:00",
    "the clocks go back": "2026-11-01 05:30:00",
    "the last day of a year": "2026-12-31 23:59:55",
    "a leap day": "2024-02-29 18:00:00",
}
pytestmark = pytest.mark.timeout(3600)


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_every_bar_is_stored_when_it_is_final_and_not_before(tmp_path, moment):
    with hydration(SIZE, tmp_path, dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)) as case:
        done = case.run("whole")
        assert done.code == 0, done.error
        assert checks.every_symbol_ended_right(case, "whole") == []
        assert checks.every_bar_is_published_right(case, "whole") == []
        before, asked = checks.content(case.bars("whole")), case.requests()
        done = case.run("whole")
        assert (done.code, case.requests()) == (0, asked)
        assert checks.content(case.bars("whole")) == before
