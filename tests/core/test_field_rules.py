"""Constraints of settings that are no plain range or choice."""

from src.core.field_rules import TIME_ZONE


def test_a_time_zone_is_a_name_of_the_database():
    assert all(name in TIME_ZONE for name in ("Europe/Paris", "America/New_York", "UTC"))
    assert not any(name in TIME_ZONE for name in ("EST", "Foo/Bar", "../etc", "+01:00", ""))
