"""What the providers saw: the time of every request, and whether clients kept to the rate limits."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

WINDOWS = (1.0, 5.0, 20.0, 60.0)  # seconds


@dataclass
class Visits:
    """Requests to one provider, and its refusals."""

    arrivals: list[float] = field(default_factory=list)
    refused: list[tuple[float, float]] = field(default_factory=list)  # (time, seconds named; 0 without any)
    statuses: dict[int, int] = field(default_factory=lambda: defaultdict(int))


class Watch:
    """Counts requests by provider.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.visits: dict[str, Visits] = defaultdict(Visits)

    def arrived(self, provider: str) -> int:
        """Record a request; return its number at the provider, from 1."""
        self.visits[provider].arrivals.append(self._clock())
        return len(self.visits[provider].arrivals)

    def answered(self, provider: str, status: int, retry_after: str | None) -> None:
        """Record how a request was answered."""
        self.visits[provider].statuses[status] += 1
        if status == 429:
            self.visits[provider].refused.append((self._clock(), float(retry_after or 0)))

    def counts(self) -> dict[str, Any]:
        """Requests, refusals and answers by status, for each provider."""
        return {
            name: {
                "requests": len(seen.arrivals),
                "refused": len(seen.refused),
                "seconds": round(seen.arrivals[-1] - seen.arrivals[0], 3) if seen.arrivals else 0.0,
                "statuses": {str(status): n for status, n in sorted(seen.statuses.items())},
            }
            for name, seen in self.visits.items()
        }

    def verdict(self, provider: str) -> dict[str, Any]:
        """The most requests in any window, and within any Retry-After: some were under way when it was named."""
        seen = self.visits[provider]
        times = np.array(seen.arrivals)
        bans = [(when, when + named) for when, named in seen.refused if named]
        inside = [int(((times > when) & (times < until)).sum()) for when, until in bans]
        return {"windows": {f"{w:g}": most_in(times, w) for w in WINDOWS}, "inside_retry_after": max(inside, default=0)}


def most_in(times: np.ndarray, window: float) -> int:
    """The largest number of times in any half-open window of this length."""
    if not len(times):
        return 0
    return int((np.searchsorted(times, times + window, side="left") - np.arange(len(times))).max())
