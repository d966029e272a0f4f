"""States of a session in work: how each instrument ended, and how many runs of each family were graded and passed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from src.core.end_state import EndState
from src.core.failure import Failure
from src.core.instruments import KEY, Key
from src.runtime.redaction import shown
from src.storage import atomic, state_counts
from src.storage.ledger import SCHEMA, WAITING


class SessionStates:
    """State of every instrument that a session has come to, and the counts of its runs."""

    def __init__(self) -> None:
        self._states: dict[Key, EndState] = {}
        self._runs: dict[str, Counter[str]] = defaultdict(Counter)

    def __contains__(self, key: Key) -> bool:
        return key in self._states

    def __len__(self) -> int:
        return len(self._states)

    @property
    def ended(self) -> Mapping[Key, EndState]:
        """The states by instrument."""
        return self._states

    def end(self, state: EndState) -> None:
        """Note how an instrument ended; a state that it had before is replaced.

        Parameters
        ----------
        state : EndState
            State and reason of an instrument without a grade.
        """
        self._states[state.key] = state

    def graded(self, key: Key, family: str, row: Mapping[str, Any]) -> None:
        """Note that one more run of an instrument is graded: the instrument is done.

        Parameters
        ----------
        key : (asset_class, symbol)
        family : str
            Model family of the run.
        row : mapping
            Row of the grades: n_oos, first_oos, last_oos and passed are read.
        """
        reason = self._states[key].reason if key in self._states else ""
        self._states[key] = EndState(*key, "done", reason, row["n_oos"], row["first_oos"], row["last_oos"])
        self._runs[family].update(runs=1, passed=int(row["passed"]))

    def take(self, grades: pl.DataFrame) -> None:
        """Note the stored grades of whole instruments, as `graded` does for one run."""
        for row in grades.select(*KEY, "family", "n_oos", "first_oos", "last_oos", "passed").iter_rows(named=True):
            self.graded((row["asset_class"], row["symbol"]), row["family"], row)

    def failed(self, key: Key, failures: Mapping[str, Failure]) -> None:
        """Note that families of an instrument failed: it is done with the others, and failed where there are no others.

        Parameters
        ----------
        key : (asset_class, symbol)
        failures : mapping
            Family to its failure.
        """
        families: dict[str, list[str]] = defaultdict(list)
        for family, failure in failures.items():
            families[failure.reason].append(family)
            self._runs[family].update(failed=1)
        state = self._states.get(key)
        if state is not None and state.state == "done":
            reason = "; ".join(f"{', '.join(names)} failed: {reason}" for reason, names in families.items())
            self._states[key] = replace(state, reason=reason)
        else:
            reasons = [f"{', '.join(names)}: {reason}" for reason, names in families.items()]
            self.end(EndState(*key, "failed", "; ".join(reasons if len(reasons) > 1 else families)))

    def count(self, state: str) -> int:
        """Return the number of instruments that ended in a state."""
        return sum(ended.state == state for ended in self._states.values())

    def failed_runs(self) -> int:
        """Return the number of runs that failed."""
        return sum(runs["failed"] for runs in self._runs.values())

    def note(self) -> str:
        """Return the number of passes so far, for the progress bar."""
        return f"{sum(runs['passed'] for runs in self._runs.values()):,} passes"

    def facts(self) -> dict[str, Any]:
        """Return the counts that the heartbeat shows.

        Returns
        -------
        dict
            ``states``: number of instruments by asset class and state, without those that wait for featurize;
            ``runs``: counts by family; ``reasons``: the commonest ones.
        """
        states: dict[str, Counter[str]] = defaultdict(Counter)
        for ended in self._states.values():
            if ended.reason != WAITING:
                states[ended.asset_class][ended.state] += 1
        explained = [
            (*ended.key, ended.state, ended.reason)
            for ended in self._states.values()
            if ended.reason and ended.reason != WAITING
        ]
        rows = pl.DataFrame(explained, schema=dict.fromkeys(state_counts.ROW, pl.String()), orient="row")
        return {"states": states, "runs": self._runs, "reasons": state_counts.reasons(rows, done=True)}

    def write(self, path: Path) -> None:
        """Write the states table: one row an instrument, sorted by key.

        Parameters
        ----------
        path : Path
            ``data/states/<dataset>/train.parquet``.
        """
        rows = [{**vars(ended), "reason": shown(ended.reason)} for ended in self._states.values()]
        rows = [{name: row[name] for name in SCHEMA} for row in rows]
        states = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        atomic.write_parquet(states.sort("asset_class", "symbol"), path)

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Return those of the instruments that have no state yet."""
        return [key for key in keys if key not in self._states]
