"""MLflow's client of a sqlite file, imported when it is first needed: most looks at the registry need none."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class LateClient:
    """Has all that MLflow's client has; `src.tracking.search` asks its `searches` instead where it can.

    Parameters
    ----------
    searches : src.tracking.sqlite_searches.SqliteSearches
        Of the same file.
    connect : callable
        Opens MLflow's client and checks that its registry is gated.
    """

    def __init__(self, searches: Any, connect: Callable[[], Any]) -> None:
        self.searches = searches
        self._client = functools.cache(connect)

    def open(self) -> None:
        """Open MLflow's client now.

        Raises
        ------
        TrackingError
            If its registry is not gated.
        """
        self._client()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client(), name)
