"""What became of the underlyings of one run: recorded one by one, counted, and published as the stage's states."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import polars as pl

from src.chains.store import OptionStore
from src.core.end_state import EndState
from src.core.errors import StageError
from src.core.instruments import Key
from src.options.job import QuoteJob
from src.options.staleness import session
from src.runtime.redaction import shown
from src.storage.atomic import remove_temporaries, write_parquet
from src.storage.ledger import SCHEMA, Ledger

log = logging.getLogger(__name__)
_COUNTED = ("clean", "no_bid", "crossed", "stale_quote", "placeholder_iv")


class SnapshotResults:
    """Results of a run, durable as soon as they are noted, and their counts.

    The ledger has one record per underlying, under the session of the exchange in which it was asked for.

    Parameters
    ----------
    store : OptionStore
        Of the dataset; the ledger stands in its folder ``ledger``.
    """

    def __init__(self, store: OptionStore) -> None:
        self._store = store
        self._ledger = Ledger(store.root / "ledger")
        self.ended: dict[Key, EndState] = {}  # in this run
        self.counts: Counter[str] = Counter()

    def recorded(self, key: Key) -> bool:
        """Whether any run has noted how an underlying ended.

        Parameters
        ----------
        key : (asset_class, symbol)
            The underlying.

        Returns
        -------
        bool
            False also if a run was killed between storing its snapshot and noting it.
        """
        return self._ledger.read(_unit(key)) is not None

    def taken(self, keys: list[Key], at: dt.datetime) -> set[Key]:
        """Underlyings whose snapshot of a session is stored.

        Parameters
        ----------
        keys : list of (asset_class, symbol)
            Underlyings wanted.
        at : datetime
            A moment of the session, with a time zone.

        Returns
        -------
        set of (asset_class, symbol)
            Without those that failed or were skipped: they are asked for again.
        """
        opening = _session_key(at)
        records = ((key, self._ledger.read(_unit(key))) for key in keys)
        return {
            key
            for key, record in records
            if record is not None
            and record.key == opening
            and record.facts["snapshot"]
            and (self._store.folder(*key) / record.facts["snapshot"]).is_file()
        }

    def put(self, ended: EndState, at: dt.datetime, snapshot: str = "") -> None:
        """Note how an underlying ended; anything but a plain success is logged as well.

        Parameters
        ----------
        ended : EndState
            State and reason.
        at : datetime
            When it was asked for, with a time zone.
        snapshot : str
            Name of the stored file, if there is one.
        """
        ended = replace(ended, reason=shown(ended.reason))
        self._ledger.record(_unit(ended.key), _session_key(at), [vars(ended)], snapshot=snapshot)
        self.ended[ended.key] = ended
        if ended.reason:
            log.info("%s:%s %s: %s", *ended.key, ended.state, ended.reason)

    def stored(self, key: Key, rows: pl.DataFrame, at: dt.datetime, snapshot: str) -> None:
        """Note a snapshot that was stored.

        Parameters
        ----------
        key : (asset_class, symbol)
            The underlying.
        rows : DataFrame
            Columns of `src.chains.quotes.SCHEMA`.
        at : datetime
            When it was captured.
        snapshot : str
            Name of the stored file.
        """
        self.counts.update(snapshots=1, contracts=rows.height)
        for flag in _COUNTED:
            self.counts[flag] += int(rows[flag].sum())
        self.put(
            EndState(*key, "done", "" if rows["clean"].any() else "not one clean quote", rows.height), at, snapshot
        )

    def states(self) -> pl.DataFrame:
        """State of every underlying that any run has asked for.

        Returns
        -------
        DataFrame
            Columns of `src.storage.ledger.SCHEMA`, sorted by key; rows are the contracts of the latest snapshot, first
            and last the days of the first and the latest one.
        """
        records = [self._ledger.read(name) for name in self._ledger.names()]
        table = self._ledger.table(row for record in records if record is not None for row in record.states)
        days = pl.col("captured").dt.date()
        spans = self._store.snapshots().group_by("asset_class", "underlying").agg(first=days.min(), last=days.max())
        table = table.drop("first", "last").join(
            spans, left_on=["asset_class", "symbol"], right_on=["asset_class", "underlying"], how="left"
        )
        return table.select(SCHEMA.keys()).sort("asset_class", "symbol")

    def summary(self, dataset: str, origin: str, earlier: int) -> str:
        """The counts in one sentence.

        Parameters
        ----------
        dataset : str
            Name of the dataset.
        origin : str
            Where the chains came from.
        earlier : int
            Snapshots that were taken before this run.

        Returns
        -------
        str
            The stage's closing line.

        Raises
        ------
        StageError
            If every underlying failed.
        """
        by_state = Counter(ended.state for ended in self.ended.values())
        counts = self.counts
        if self.ended and by_state["failed"] == len(self.ended):
            reason = next(iter(self.ended.values())).reason
            raise StageError(f"none of {counted(len(self.ended), 'underlying')} could be taken: {reason}")
        if not self.ended:
            return f"quote: nothing new of {dataset} from {origin}; {counted(earlier, 'snapshot')} taken before"
        flags = (
            f"{counts['clean']:,} clean, {counts['no_bid']:,} without a bid, {counts['crossed']:,} crossed,"
            f" {counts['stale_quote']:,} stale, {counts['placeholder_iv']:,} with a placeholder for volatility"
        )
        parts = [f"{by_state[state]:,} {state}" for state in ("failed", "quarantined", "skipped") if by_state[state]]
        if earlier:
            parts.append(f"{counted(earlier, 'snapshot')} taken before")
        return (
            f"quote: {counted(counts['snapshots'], 'snapshot')} of {counted(by_state['done'], 'underlying')} of"
            f" {dataset} from {origin}: {counted(counts['contracts'], 'contract')} ({flags})"
            + "".join(f"; {part}" for part in parts)
        )


@contextmanager
def published(job: QuoteJob, store: OptionStore) -> Iterator[SnapshotResults]:
    """Results of a run, published as the stage's states at the end, also if the run is interrupted.

    Parameters
    ----------
    job : QuoteJob
        Its paths say where the states table is.
    store : OptionStore
        Of the dataset.

    Yields
    ------
    SnapshotResults
        To note what becomes of each underlying.
    """
    path, results = job.paths.states("quote"), SnapshotResults(store)
    remove_temporaries(store.root)
    try:
        yield results
    finally:
        states = results.states()
        if not path.is_file() or not pl.read_parquet(path, glob=False).equals(states):
            write_parquet(states, path)


def counted(number: int, thing: str) -> str:
    """A number with what it counts.

    Parameters
    ----------
    number : int
        How many.
    thing : str
        In the singular.

    Returns
    -------
    str
        Such as "1 snapshot" and "2 snapshots".
    """
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _unit(key: Key) -> str:
    return ".".join(key)


def _session_key(at: dt.datetime) -> str:
    return session(at)[0].isoformat()
