"""What providers served, kept as served: bars in shards, events beside them, and a durable ledger of every instrument.

A bucket is ``b007-2023.parquet`` (bars of a year), ``e007.parquet`` (events) and ``b007.json`` (ledger). An answer is
first appended to the log (``pending/``), then merged into its bucket: intent, shards, events, ledger, in this order,
and only then it leaves the log. A merge that was killed is done again and gives the same bytes, because merging an
answer twice is merging it once. The ledger names the content of every file; an instrument whose bars are not what its
entry says counts as absent, and is requested again.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from src.core.instruments import KEY, Key
from src.fetching.provider import EVENTS, Answer, raw_schema
from src.hydration.live import answer_merge
from src.hydration.live.answer_log import AnswerLog, LoggedAnswer
from src.hydration.live.bucket_view import BucketView
from src.hydration.live.history import History
from src.hydration.live.raw_bucket import STATES, RawBucket, ledger
from src.market import bars as table
from src.sources import registry
from src.storage.atomic import remove


class RawStore:
    """Raw bars, events and ledger of one dataset; one process writes it, any may read it.

    Parameters
    ----------
    root : Path
        ``data/bars/<dataset>/raw``; it need not exist.
    interval : str
        Of the bars.
    buckets : int
        How many buckets the dataset has.
    """

    def __init__(self, root: Path, interval: str, buckets: int) -> None:
        self.root = Path(root)
        self.interval = interval
        self.buckets = buckets
        self.schema = raw_schema(interval)
        self.ledger = ledger(self.root, interval)
        self.log = AnswerLog(self.root / "pending", interval)
        self._latest: BucketView | None = None  # what the last merge wrote

    def bucket(self, key: Key) -> int:
        """Bucket of an instrument.

        Parameters
        ----------
        key : (asset_class, symbol)
            The instrument.

        Returns
        -------
        int
            0 to ``buckets - 1``.
        """
        return table.bucket(*key, self.buckets)

    def append(
        self,
        key: Key,
        provider: str,
        state: str,
        at: dt.datetime,
        *,
        answer: Answer | None = None,
        replace: bool = True,
        name: str = "",
        tries: int = 0,
        next_attempt: dt.datetime | None = None,
        error_class: str = "",
        reason: str = "",
        facts: dict[str, str] | None = None,
    ) -> None:
        """Log one answer, or the failure to get one, until `merge_logged`.

        Parameters
        ----------
        key : (asset_class, symbol)
            The instrument.
        provider : str
            The link of the chain that was asked.
        state : str
            One of `raw_bucket.STATES`. A failure leaves the stored bars, their facts and `checked` as they are.
        at : datetime
            Now, UTC: becomes `checked` if there is an answer.
        answer : Answer, optional
            Bars and events as served.
        replace : bool
            The answer takes the place of all that live providers served before (`Comparison.replace`); otherwise it is
            merged.
        name, tries, next_attempt, error_class, reason
            As in `raw_bucket.ENTRY`.
        facts : dict, optional
            Further facts, beside those of the answer.

        Raises
        ------
        ValueError
            For an unknown state.
        """
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}, got {state}")
        entry: dict[str, Any] = {
            "asset_class": key[0], "symbol": key[1], "provider": provider, "name": name, "state": state, "tries": tries,
            "next_attempt": answer_merge.iso(next_attempt), "error_class": error_class, "reason": reason,
        }  # fmt: skip
        if answer is None:
            bars, events = pl.DataFrame(schema=self.schema), pl.DataFrame(schema=EVENTS)
            self.log.append(self.bucket(key), LoggedAnswer(bars, events, entry, "failure"))
            return
        entry["checked"] = answer_merge.iso(at)
        entry["facts"] = {**answer.facts, **(facts or {})}
        how = "replace" if replace else "merge"
        self.log.append(self.bucket(key), LoggedAnswer(answer.bars, answer.events, entry, how))

    def load_archive(self, b: int, bars: pl.DataFrame, source: str, mark: str = "") -> None:
        """Make `bars` the archive's rows of a bucket: they replace its earlier rows and no live row.

        Parameters
        ----------
        b : int
            Number of the bucket.
        bars : DataFrame
            Rows of any of its instruments, as the archive has them; adj_close if it has any.
        source : str
            Name of the archive.
        mark : str
            The archive's fingerprint, for `archive_mark`.

        Raises
        ------
        ValueError
            For a source that is no archive.
        """
        if not registry.is_archive(source):
            raise ValueError(f"source must be one of {', '.join(registry.archive_names())}, got {source}")
        adjusted = pl.col("adj_close") if "adj_close" in bars.columns else pl.lit(None, pl.Float64)
        rows = bars.with_columns(adj_close=adjusted, source=pl.lit(source)).select(self.schema.keys())
        entry = {"mark": mark, "source": source}
        self.log.append(b, LoggedAnswer(rows, pl.DataFrame(schema=EVENTS), entry, "archive"))
        self.merge_logged(b)

    def archive_mark(self, b: int, source: str) -> str:
        """The fingerprint of the archive whose rows a bucket holds.

        Parameters
        ----------
        b : int
            Number of the bucket.
        source : str
            Name of the archive.

        Returns
        -------
        str
            Empty if the bucket holds no rows of the archive, or if some were lost.
        """
        return str(self._bucket(b).record().facts["archives"].get(source, ""))

    def pending(self) -> list[int]:
        """Buckets with logged answers or with an interrupted merge: merge them before anything else."""
        return sorted({*self.log.buckets(), *self.ledger.begun()})

    def merge_logged(self, b: int) -> list[Key]:
        """Merge the logged answers of a bucket into its shards, then the ledger, then delete them from the log.

        Parameters
        ----------
        b : int
            Number of the bucket.

        Returns
        -------
        list of (asset_class, symbol)
            Instruments whose entries were written, those of archives aside.
        """
        written: list[Key] = []
        intent = self._bucket(b).intent()
        if intent is not None:  # the merge was killed: the same answers again, and no others
            written += self._merge(b, [self.log.folder / name for name in intent.facts["answers"]])
        paths = self.log.paths(b)
        return [*written, *(self._merge(b, paths) if paths else [])]

    def view(self, b: int) -> BucketView:
        """A bucket with its ledger at one moment.

        Parameters
        ----------
        b : int
            Number of the bucket.

        Returns
        -------
        BucketView
            What the last `merge_logged` wrote, if it was of this bucket and is asked for the first time; otherwise it
            is read from disk.
        """
        latest, self._latest = self._latest, None
        return latest if latest is not None and latest.bucket.b == b else BucketView(self._bucket(b))

    def read(self, b: int, keys: Iterable[Key] | None = None) -> History:
        """Bars and events of a bucket.

        Parameters
        ----------
        b : int
            Number of the bucket.
        keys : iterable of (asset_class, symbol), optional
            Instruments wanted; without it, all.

        Returns
        -------
        History
            Without the instruments that count as absent.
        """
        view = BucketView(self._bucket(b))
        return view.history(view.verified if keys is None else keys)

    def entries(self, b: int | None = None) -> pl.DataFrame:
        """The ledger as a table.

        Parameters
        ----------
        b : int, optional
            Number of the bucket; without it, all.

        Returns
        -------
        DataFrame
            Columns of `raw_bucket.ENTRY`, sorted by key. An entry whose bars are not on disk as it says is left out,
            with a warning.
        """
        buckets = self.ledger.units() if b is None else [b]
        parts = [BucketView(self._bucket(each)).entries for each in buckets]
        return pl.concat([pl.DataFrame(schema=self.ledger.schema), *parts]).sort(KEY)

    def entry(self, key: Key) -> dict[str, Any] | None:
        """One instrument's entry.

        Parameters
        ----------
        key : (asset_class, symbol)
            The instrument.

        Returns
        -------
        dict or None
            Columns of `raw_bucket.ENTRY`, `facts` as a dict; None if it is absent.
        """
        rows = self.entries(self.bucket(key)).filter(asset_class=key[0], symbol=key[1]).to_dicts()
        return {**rows[0], "facts": json.loads(rows[0]["facts"])} if rows else None

    def digest(self, b: int) -> str:
        """Hash over all entries of a bucket.

        Parameters
        ----------
        b : int
            Number of the bucket.

        Returns
        -------
        str
            See `BucketView.digest`.
        """
        return BucketView(self._bucket(b)).digest()

    def _bucket(self, b: int) -> RawBucket:
        return RawBucket(self.root, b, self.interval)

    def _merge(self, b: int, paths: list[Path]) -> list[Key]:
        """Merge these files, then delete them, the oldest first, so that a kill leaves the latest of them."""
        read = [self.log.read(path) for path in paths if path.is_file()]
        answers = [answer for answer in read if answer is not None]
        bucket = self._bucket(b)
        record, history = bucket.record(), bucket.history()
        entries = bucket.verified(history)
        complete = len(entries) == len(record.states)
        archives = dict(record.facts["archives"]) if complete else {}  # an archive's rows may be lost too
        history, written = answer_merge.merged(history.of(entries), entries, answers)
        archives |= {each.entry["source"]: each.entry["mark"] for each in answers if each.how == "archive"}
        ordered = {key: entries[key] for key in sorted(entries)}
        bucket.write(history, [path.name for path in paths], archives, list(ordered.values()))
        for path in paths:
            remove(path)
        self._latest = BucketView(bucket, history, ordered)
        return written
