"""What the tests of live hydration share."""

from tests.hydration.live.collect_case import market

__all__ = ["market"]
