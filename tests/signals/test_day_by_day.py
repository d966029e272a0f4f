"""A universe hydrated day by day, with splits and dividends in between, is decided as one that is hydrated at once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.signals.daily_case import FAMILIES, grown
from tests.signals.daily_checks import check

NAMES = ("rsi_14", "ema_distance_20", "residual_return", "return_5", "volume_z_21", "macd_12_26")
"""Two that remember all bars, one of the panel, and plain ones."""


def test_days_one_after_the_other_are_decided_as_those_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    found = grown(tmp_path, 6, dt.date(2023, 3, 1), "2019-06-03", *NAMES)
    assert len(found.days) == 6
    assert set(found.said["family"]) == set(FAMILIES)
    check(found)
