"""A year of days, hydrated, featurized and decided one after the other, equals the same hydrated at once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.signals.daily_case import grown
from tests.signals.daily_checks import check

pytestmark = pytest.mark.timeout(0)


def test_250_days_one_after_the_other_are_decided_as_those_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    found = grown(tmp_path, 250, dt.date(2023, 3, 1), "2019-06-03")
    assert len(found.days) == 250
    check(found)
