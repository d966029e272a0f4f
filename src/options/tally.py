"""What became of the underlyings of one run: states, counts, and the sentence that sums them up."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from src.chains.store import OptionStore
from src.config.schema import Config
from src.core.end_state import EndState
from src.core.errors import StageError
from src.core.instruments import Key
from src.storage.atomic import remove_temporaries, write_parquet
from src.storage.ledger import SCHEMA as STATES

log = logging.getLogger(__name__)
_COUNTED = ("clean", "no_bid", "crossed", "stale_quote", "placeholder_iv")


@dataclass
class Tally:
    """States and counts of a snapshot in the making."""

    states: dict[Key, EndState] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    earlier: set[Key] = field(default_factory=set)  # stored by an earlier run, which may have been killed

    def put(self, ended: EndState) -> None:
        """Note how an underlying ended; anything but a plain success goes to the log as well."""
        self.states[ended.key] = ended
        if ended.reason:
            log.info("%s:%s %s: %s", *ended.key, ended.state, ended.reason)

    def stored(self, key: Key, rows: pl.DataFrame) -> None:
        """Note a snapshot that was stored."""
        self.counts.update(snapshots=1, contracts=rows.height)
        for flag in _COUNTED:
            self.counts[flag] += int(rows[flag].sum())
        self.put(_ended(key, rows))

    def summary(self, config: Config, origin: str, earlier: int) -> str:
        """The counts in one sentence.

        Raises
        ------
        StageError
            Where every underlying failed.
        """
        by_state = Counter(ended.state for ended in self.states.values())
        counts = self.counts
        if self.states and by_state["failed"] == len(self.states):
            reason = next(iter(self.states.values())).reason
            raise StageError(f"none of {many(len(self.states), 'underlying')} could be taken: {reason}")
        if not self.states:
            return f"quote: nothing new of {config.dataset} from {origin}; {many(earlier, 'snapshot')} taken before"
        flags = (
            f"{counts['clean']:,} clean, {counts['no_bid']:,} without a bid, {counts['crossed']:,} crossed,"
            f" {counts['stale_quote']:,} stale, {counts['placeholder_iv']:,} with a placeholder for volatility"
        )
        said = [f"{by_state[state]:,} {state}" for state in ("failed", "quarantined", "skipped") if by_state[state]]
        if earlier:
            said.append(f"{many(earlier, 'snapshot')} taken before")
        return (
            f"quote: {many(counts['snapshots'], 'snapshot')} of {many(by_state['done'], 'underlying')} of"
            f" {config.dataset} from {origin}: {many(counts['contracts'], 'contract')} ({flags})"
            + "".join(f"; {each}" for each in said)
        )


@contextmanager
def published(config: Config, store: OptionStore, tally: Tally) -> Iterator[None]:
    """Write the states at the end, also where the run is interrupted; former ones stay for who was not asked now."""
    path = Path(config.data.root) / "states" / config.dataset / "quote.parquet"
    remove_temporaries(store.root)
    try:
        yield
    finally:
        frame = _states(store, _former(path) | _on_disk(store, tally.earlier) | tally.states)
        if not path.is_file() or not pl.read_parquet(path).equals(frame):
            write_parquet(frame, path)


def _states(store: OptionStore, states: dict[Key, EndState]) -> pl.DataFrame:
    """One row an underlying: its latest state, contracts in its latest snapshot, days of its first and last one."""
    days = pl.col("captured").dt.date()
    spans = store.snapshots().group_by("asset_class", "underlying").agg(first=days.min(), last=days.max())
    rows = [(*ended.key, ended.state, ended.reason, ended.rows) for ended in states.values()]
    names = ("asset_class", "symbol", "state", "reason", "rows")
    frame = pl.DataFrame(rows, schema={name: STATES[name] for name in names}, orient="row")
    frame = frame.join(spans, left_on=["asset_class", "symbol"], right_on=["asset_class", "underlying"], how="left")
    return frame.select(STATES.keys()).sort("asset_class", "symbol")


def _on_disk(store: OptionStore, keys: set[Key]) -> dict[Key, EndState]:
    """States of underlyings by their latest snapshot: a run that was killed has stored it and told nobody."""
    latest = {(kind, symbol): path for kind, symbol, _, path in store.snapshots().iter_rows() if (kind, symbol) in keys}
    found = {}
    for key, path in latest.items():
        rows = pl.read_parquet(path, columns=["clean"], hive_partitioning=False)
        found[key] = _ended(key, rows)
    return found


def _ended(key: Key, rows: pl.DataFrame) -> EndState:
    """State of an underlying whose snapshot is stored."""
    return EndState(*key, "done", "" if rows["clean"].any() else "not one clean quote", rows.height)


def _former(path: Path) -> dict[Key, EndState]:
    if not path.is_file():
        return {}
    rows = pl.read_parquet(path).select("asset_class", "symbol", "state", "reason", "rows").iter_rows()
    return {(row[0], row[1]): EndState(*row) for row in rows}


def many(number: int, thing: str) -> str:
    """A number with what it counts."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
