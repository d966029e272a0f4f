"""When buckets are published while answers come in, and when the panel is pinned.

A bucket is published when its last answer is in, after each batch of answers, and at the end. The candidates for the
pinned panel are asked for first: once it is pinned, features of the buckets that follow are final.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

from src.core.instruments import KEY, Key
from src.fetching.fetch_task import BarTask
from src.hydration.job import HydrationJob
from src.hydration.live.bucket_view import BucketView
from src.hydration.live.publish import publish
from src.hydration.live.raw_store import RawStore
from src.hydration.live.schedule import Schedule, SelectedInstrument
from src.market import universe
from src.market.bars import BarStore


class Publisher:
    """Publishes the buckets of one run and counts the questions that are still open.

    Parameters
    ----------
    job : HydrationJob
        The hydration.
    raw : RawStore
        What was served.
    store : BarStore
        Where bars are published.
    instruments : list of SelectedInstrument
        All of the dataset.
    asked : dict
        Those that this run may ask for, by key.
    schedule : Schedule
        Makes the questions that follow from publishing.
    """

    def __init__(
        self,
        job: HydrationJob,
        raw: RawStore,
        store: BarStore,
        instruments: list[SelectedInstrument],
        asked: dict[Key, SelectedInstrument],
        schedule: Schedule,
    ) -> None:
        self._job, self._raw, self._store, self._schedule = job, raw, store, schedule
        self._instruments, self._asked = instruments, asked
        self._keys = _key_table(each.key for each in instruments)
        self.buckets = {each.bucket for each in instruments}
        self._open: Counter[int] = Counter()  # questions without an answer, by bucket
        self._waiting: Counter[int] = Counter()  # answers since a bucket was last published
        self._open_candidates = 0  # questions about candidates for the panel without an answer
        self._published: set[int] = set()  # buckets without an answer since they were published

    def begin(self, tasks: list[BarTask], views: dict[int, BucketView]) -> list[BarTask]:
        """Publish the buckets about which nothing is asked, and count the open questions.

        Parameters
        ----------
        tasks : list of BarTask
            The questions that are due.
        views : dict
            Every bucket as it was read just now.

        Returns
        -------
        list of BarTask
            The questions, with those that follow from publishing.
        """
        due = {self._instrument(task).bucket for task in tasks}
        tasks = list(tasks)
        for b in sorted(self.buckets - due):
            tasks += self._publish(b, views[b])
        self._open_candidates = sum(self._instrument(task).early for task in tasks)
        if not self._open_candidates:
            tasks += self._pin_panel()
        self._open.update(self._instrument(task).bucket for task in tasks)
        return tasks

    def answered(self, instrument: SelectedInstrument) -> None:
        """Note that an answer was logged, so that its bucket has to be published again.

        Parameters
        ----------
        instrument : SelectedInstrument
            The one that was asked about.
        """
        self._published.discard(instrument.bucket)

    def settle(self, instrument: SelectedInstrument) -> list[BarTask]:
        """Count a question as answered, and publish what is complete with it.

        Parameters
        ----------
        instrument : SelectedInstrument
            The one that was asked about.

        Returns
        -------
        list of BarTask
            Questions that follow from publishing.
        """
        self._open[instrument.bucket] -= 1
        more: list[BarTask] = []
        if instrument.early and self._open_candidates:
            self._open_candidates -= 1
            if not self._open_candidates:
                more += self._pin_panel()
        self._waiting[instrument.bucket] += 1
        complete = not self._open[instrument.bucket] and instrument.bucket not in self._published
        if complete or self._waiting[instrument.bucket] >= self._job.source.live.batch_size:
            more += self._publish(instrument.bucket)
        for task in more:
            self._open[self._instrument(task).bucket] += 1
            self._open_candidates += self._instrument(task).early
        return more

    def finish(self) -> None:
        """Publish every bucket that has unpublished answers, and pin the panel if its candidates are in."""
        for b in sorted(self.buckets - self._published):
            self._publish(b)
        self._pin_panel()

    def _instrument(self, task: BarTask) -> SelectedInstrument:
        return self._asked[task.request.asset_class, task.request.symbol]

    def _publish(self, b: int, view: BucketView | None = None) -> list[BarTask]:
        """Publish a bucket; returns questions about instruments whose archive and provider don't fit."""
        self._waiting[b] = 0
        if view is None:
            self._raw.merge_logged(b)
        self._published.add(b)
        apart = publish(self._job, view or self._raw.view(b), self._store, self._keys) & self._asked.keys()
        again = []
        for key in sorted(apart):
            entry = self._raw.entry(key)
            if entry and entry["facts"].get("asked_from", "") > self._job.source.live.start:
                again.append(self._schedule.question(self._asked[key], entry["provider"]))
        return again

    def _pin_panel(self) -> list[BarTask]:
        """Pin the panel once all its candidates have been asked for: the most traded that could be used.

        Their buckets are published first, also those whose answers came in a run that was killed. Returns questions
        that follow from it.
        """
        if self._store.panel() or self._job.only or self._open_candidates:
            return []
        candidates = [each for each in self._instruments if each.early]
        buckets = {each.bucket for each in candidates}
        more = [task for b in sorted(buckets - self._published) for task in self._publish(b)]
        keys = [each.key for each in candidates]
        states = self._store.instruments().drop("liquidity").join(_key_table(keys), on=KEY, how="semi")
        columns = [*KEY, "date", "close", "volume"]
        months = [universe.activity(self._store.read_bucket(b, columns, keys)) for b in self._store.buckets()]
        if sum(each.height for each in months):
            traded = universe.liquidity(pl.concat(months), self._job.split)
            ranked = states.join(traded, on=KEY, how="left")
            self._store.write_panel(universe.panel(ranked, self._job.universe.panel))
        return more


def _key_table(keys: Iterable[Key]) -> pl.DataFrame:
    return pl.DataFrame(list(keys), schema=dict.fromkeys(KEY, pl.String()), orient="row")
