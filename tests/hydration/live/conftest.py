"""Fixtures of the tests of live hydration."""

from tests.hydration.live.collect_case import market

__all__ = ["market"]
