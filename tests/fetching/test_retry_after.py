"""The Retry-After header: seconds, or a date."""

import datetime as dt

import pytest

from src.fetching.retry_after import retry_after

NOW = dt.datetime(2025, 3, 10, 15, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12),
        ("-3", 0),
        ("Mon, 10 Mar 2025 15:31:00 GMT", 60),
        ("Mon, 10 Mar 2025 15:31:00 -0000", 60),
        ("Mon, 10 Mar 2025 15:00:00 GMT", 0),
    ],
)
def test_a_number_or_a_date_becomes_seconds_from_now(text: str, seconds: float) -> None:
    assert retry_after(text, NOW) == seconds


@pytest.mark.parametrize("text", [None, "", "soon", "inf", "nan"])
def test_any_other_value_is_ignored(text: str | None) -> None:
    assert retry_after(text, NOW) is None
