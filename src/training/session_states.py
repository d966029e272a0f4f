"""The accounts of a session in work: each instrument's state with its reason, runs and passes by family."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from src.engine.outcome import Failure
from src.storage import atomic, state_counts
from src.storage.ledger import WAITING

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
        reason = self._rows[key][3] if key in self._rows else ""
        self._rows[key] = (*key, "done", reason, row["n_oos"], row["first_oos"], row["last_oos"])
        self._verdicts[family].update(runs=1, passed=int(row["passed"]))

    def failed(self, key: Key, failed: Mapping[str, Failure]) -> None:
        """Say that families of an instrument failed: it is done with the others, and failed where there are none."""
        told: dict[str, list[str]] = defaultdict(list)
        for family, failure in failed.items():
            told[failure.reason].append(family)
            self._verdicts[family].update(failed=1)
        row = self._rows.get(key)
        if row is None or row[2] != "done":
            reason = "; ".join(told) if len(told) == 1 else "; ".join(f"{', '.join(f)}: {r}" for r, f in told.items())
            self.end(key, "failed", reason)
        else:
            words = "; ".join(f"{', '.join(families)} failed: {reason}" for reason, families in told.items())
            self._rows[key] = (*row[:3], words, *row[4:])

    def count(self, state: str) -> int:
        """Number of instruments that ended in a state."""
        return sum(row[2] == state for row in self._rows.values())

    def lost(self) -> int:
        """Number of runs that failed."""
        return sum(found["failed"] for found in self._verdicts.values())

    def note(self) -> str:
        """Say what has passed so far, for the progress bar."""
        return f"{sum(found['passed'] for found in self._verdicts.values()):,} passes"

    def facts(self) -> dict[str, Any]:
        """Count states by class and runs by family, with the reasons, for the heartbeat; who waits has no state."""
        states: dict[str, Counter[str]] = defaultdict(Counter)
        for asset_class, _, state, reason, *_ in self._rows.values():
            if reason != WAITING:
                states[asset_class][state] += 1
        left = [row[:4] for row in self._rows.values() if row[3] and row[3] != WAITING]
        reasons = state_counts.reasons(
            pl.DataFrame(left, schema=dict.fromkeys(state_counts.ROW, pl.String()), orient="row"), done=True
        )
        return {"states": states, "runs": self._verdicts, "reasons": reasons}

    def write(self, path: Path) -> None:
        """Write one row an instrument."""
        states = pl.DataFrame(list(self._rows.values()), schema=SCHEMA, orient="row")
        atomic.write_parquet(states.sort("asset_class", "symbol"), path)

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Those of the instruments that have no state yet."""
        return [key for key in keys if key not in self._rows]
