"""The accounts of a session in work: each instrument's state with its reason, runs and passes by family."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from src import files
from src.ledger import WAITING

Key = tuple[str, str]
SCHEMA = {
    "asset_class": pl.String,
    "symbol": pl.String,
    "state": pl.String,
    "reason": pl.String,
    "rows": pl.Int64,
    "first": pl.Date,
    "last": pl.Date,
}


class SessionStates:
    """State of every instrument that a session has come to, and what its runs were judged to be."""

    def __init__(self) -> None:
        self._rows: dict[Key, tuple[Any, ...]] = {}
        self._verdicts: dict[str, Counter[str]] = defaultdict(Counter)

    def __contains__(self, key: Key) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def end(self, key: Key, state: str, reason: str) -> None:
        """Say how an instrument ended that has no grade."""
        self._rows[key] = (*key, state, reason, 0, None, None)

    def graded(self, key: Key, family: str, row: dict[str, Any]) -> None:
        """Say that one more run of an instrument is graded; the instrument is done."""
        self._rows[key] = (*key, "done", "", row["n_oos"], row["first_oos"], row["last_oos"])
        self._verdicts[family].update(runs=1, passed=int(row["passed"]))

    def count(self, state: str) -> int:
        """Number of instruments that ended in a state."""
        return sum(row[2] == state for row in self._rows.values())

    def note(self) -> str:
        """Say what has passed so far, for the progress bar."""
        return f"{sum(found['passed'] for found in self._verdicts.values()):,} passes"

    def facts(self) -> dict[str, Any]:
        """Count states by asset class and runs by family, for the heartbeat; who waits for features has no state."""
        states: dict[str, Counter[str]] = defaultdict(Counter)
        for asset_class, _, state, reason, *_ in self._rows.values():
            if reason != WAITING:
                states[asset_class][state] += 1
        return {"states": states, "runs": self._verdicts}

    def write(self, path: Path) -> None:
        """Write one row an instrument."""
        states = pl.DataFrame(list(self._rows.values()), schema=SCHEMA, orient="row")
        files.write_parquet(states.sort("asset_class", "symbol"), path)

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Those of the instruments that have no state yet."""
        return [key for key in keys if key not in self._rows]
