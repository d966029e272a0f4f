"""What the tests of live hydration share."""

from tests.live.collect_case import market

__all__ = ["market"]
