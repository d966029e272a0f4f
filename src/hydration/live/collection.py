"""Hydration from live providers: ask for what is due, keep what is served, publish it bucket by bucket.

What is served is kept as it came (`src.hydration.live.raw_store`), each answer before the next step, so that a kill
loses the requests in flight and no more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import json
import logging
from typing import Any

import polars as pl

from src.config.commands import setting, shell_word
from src.config.paths import raw_folder
from src.core.errors import StageError
from src.core.failure import Failure
from src.core.instruments import KEY, Key
from src.fetching import network
from src.fetching.fetch_task import BarOutcome, BarTask
from src.fetching.pool import Pool
from src.fetching.provider import EVENTS, Answer, BarRequest
from src.hydration import dataset, replacement
from src.hydration.job import HydrationJob
from src.hydration.live import archives, coverage, provider_chain, rebase, refresh, selection, sessions
from src.hydration.live.history import History
from src.hydration.live.providers import Offline, Providers
from src.hydration.live.publisher import Publisher
from src.hydration.live.raw_store import RawStore
from src.hydration.live.schedule import Schedule, SelectedInstrument
from src.hydration.live.second_look import SecondLook
from src.hydration.quality import quality
from src.market.bars import BarStore
from src.runtime import disk_space
from src.runtime.progress import Progress
from src.storage.atomic import remove_temporaries, write_parquet

log = logging.getLogger(__name__)
_RAW_BYTES = 150  # a bar kept as served and as published, with room for a second copy of a year's shard
_CACHED_BUCKETS = 4  # whose raw bars are kept in memory to compare answers with


def run(job: HydrationJob) -> str:
    """Bring a dataset up to date from its providers.

    Parameters
    ----------
    job : HydrationJob
        The hydration.

    Returns
    -------
    str
        The counts in one sentence.

    Raises
    ------
    ConfigError
        If the proxy or the certificates are invalid, a name is not listed, or the selection would drop instruments
        that the dataset holds.
    StageError
        If a provider could not be reached for as long as patience lasts (all that came is saved), the disk is too
        small, or no instrument could be used.
    """
    network.check(job.source.live)
    chosen = selection.select(job.universe, job.source, job.paths.root)
    if job.only or not job.fresh:
        chosen = selection.with_held(chosen, BarStore(job.paths.bars), job.universe)
    store, replacing = dataset.opened(job, chosen)
    instruments = selection.instruments(chosen, store, job.universe)
    disk_space.require(store.root, len(instruments) * 2800 * _RAW_BYTES, f"hydrating {len(instruments):,} instruments")
    _begin(job, store, chosen, instruments)
    unfinished = Collection(job, store, instruments, selection.narrowed(instruments, job.only)).run()
    if unfinished:
        if not replacing and store.instruments().filter(state="done").height:
            dataset.summary(job)
        raise StageError(f"{unfinished}. What came is saved: run the same command later to go on")
    if not job.only:
        store.write_manifest(dataclasses.replace(store.manifest, complete=True))
    if replacing:
        replacement.replace(job.paths.bars)
    published = BarStore(job.paths.bars)
    cut = coverage.closing(quality(published).findings["rule"])
    return f"{dataset.summary(job)}; {freshness(published, dt.datetime.now(dt.UTC))}{cut}"


def freshness(store: BarStore, now: dt.datetime) -> str:
    """How many usable instruments have the last complete session.

    Parameters
    ----------
    store : BarStore
        Of the dataset.
    now : datetime
        With a time zone.

    Returns
    -------
    str
        The end of a sentence.
    """
    states = store.instruments().filter(pl.col("state") == "done")
    expected = {kind: sessions.last_complete(kind, "1d", now) for kind in states["asset_class"].unique()}
    current = sum(last >= expected[kind] for kind, last in states.select("asset_class", "last").iter_rows())
    return f"{current:,} of {states.height:,} have the last complete session"


def _begin(job: HydrationJob, store: BarStore, chosen: pl.DataFrame, instruments: list[SelectedInstrument]) -> None:
    """Write down what will be hydrated; naming a few of a dataset (``only=``) changes nothing of that."""
    store.root.mkdir(parents=True, exist_ok=True)
    remove_temporaries(store.root)
    if job.only and store.exists():
        return
    buckets = store.manifest.buckets if store.exists() else job.universe.buckets
    keys = pl.DataFrame([each.key for each in instruments], schema=dict.fromkeys(KEY, pl.String()), orient="row")
    store.write_manifest(dataset.manifest(job, keys, buckets))
    write_parquet(chosen, store.root / "universe.parquet")


class Collection:
    """One run over a dataset: the questions that are due, and what is done with each answer.

    Parameters
    ----------
    job : HydrationJob
        The hydration.
    store : BarStore
        Where bars are published; what is served is kept in its folder ``raw``.
    instruments : list of SelectedInstrument
        All of the dataset.
    asked : list of SelectedInstrument
        Those that this run may ask for.
    """

    def __init__(
        self,
        job: HydrationJob,
        store: BarStore,
        instruments: list[SelectedInstrument],
        asked: list[SelectedInstrument],
    ) -> None:
        self.job = job
        self.asked = {each.key: each for each in asked}
        self.raw = RawStore(raw_folder(store.root), job.universe.interval, store.manifest.buckets)
        self.now = dt.datetime.now(dt.UTC)
        self.schedule = Schedule(
            job.source.live, provider_chain.chains(job.source), job.universe.interval, self.now,
            insist=bool(job.only) or job.retry in ("all", "whole"), retry_failed=job.retry == "failed",
            whole=job.retry == "whole" or job.fresh,
        )  # fmt: skip
        self.providers = Providers(job.source)
        self.publisher = Publisher(job, self.raw, store, instruments, self.asked, self.schedule)
        self._second = SecondLook(self.schedule)
        self.entries: dict[Key, dict[str, Any]] = {}  # the ledger as the run found it
        self._all = instruments
        self._cached = functools.lru_cache(maxsize=_CACHED_BUCKETS)(self._by_key)
        self._nothing = History(pl.DataFrame(schema=self.raw.schema), pl.DataFrame(schema=EVENTS))

    def run(self) -> str:
        """Ask, keep, publish; whatever ends the run, what came is kept.

        Returns
        -------
        str
            Why some questions have no answer: a provider gave no good answer for as long as patience lasts, or none at
            all. Empty if every question has its answer.
        """
        archives.load(self.job, self.raw, self._all)
        for b in self.raw.pending():
            self.raw.merge_logged(b)
        views = {b: self.raw.view(b) for b in sorted(self.publisher.buckets)}
        rows = (row for view in views.values() for row in view.entries.iter_rows(named=True))
        self.entries = {(row["asset_class"], row["symbol"]): row for row in rows}
        tasks = self.publisher.begin(list(self.schedule.tasks(list(self.asked.values()), self.entries)), views)
        del views
        with Progress("hydrate", len(self.asked), before=len(self.asked) - len(tasks)) as progress:
            if tasks:
                self._ask(tasks, progress)
        self.publisher.finish()
        return "; ".join(self.providers.unreached())

    def _ask(self, tasks: list[BarTask], progress: Progress) -> None:
        providers = self.providers

        def tell() -> None:
            reason = providers.look()
            if reason:
                progress.set_note(reason)

        pool: Pool[BarRequest, Answer] = Pool(self.job.source.live, providers.gates, self._proofs())
        with contextlib.suppress(Offline), providers.connected(tasks), pool:
            for outcome in pool.results(tasks, providers.fetch, tell):
                for believed in providers.believed(outcome):
                    following = self._take(believed)
                    if following is not None:
                        pool.add(following)
                        continue
                    progress.advance(note=f"{believed.task.provider} {believed.task.request.symbol}")
                    for task in self.publisher.settle(self._instrument(believed.task)):
                        pool.add(task)

    def _proofs(self) -> list[BarTask]:
        """One question per provider that it has answered before: it tells an outage from a faulty instrument."""
        proofs: dict[str, BarTask] = {}
        for key, entry in self.entries.items():
            provider = entry["provider"]
            answered = entry["state"] == "fetched" and entry["rows"] and provider in self.providers.gates
            if answered and key in self.asked:
                proofs.setdefault(provider, self.schedule.refresh(self.asked[key], entry, provider))
        return list(proofs.values())

    def _asked_from(self, task: BarTask) -> str:
        """The earliest date that a provider was asked for an instrument's bars."""
        entry = self.entries.get((task.request.asset_class, task.request.symbol))
        start = task.request.start.isoformat()
        former = json.loads(entry["facts"]).get("asked_from") if entry and entry["provider"] == task.provider else None
        return min(str(former), start) if former else start

    def _instrument(self, task: BarTask) -> SelectedInstrument:
        return self.asked[task.request.asset_class, task.request.symbol]

    def _stored(self, instrument: SelectedInstrument) -> History:
        """What is stored of one instrument, as the run found it."""
        if instrument.key not in self.entries:
            return self._nothing
        bars, events = self._cached(instrument.bucket)
        nothing = self._nothing
        return History(bars.get(instrument.key, nothing.bars), events.get(instrument.key, nothing.events))

    def _by_key(self, b: int) -> tuple[dict[Any, pl.DataFrame], dict[Any, pl.DataFrame]]:
        """Bars and events of a bucket, as the run found it, by instrument."""
        history = self.raw.read(b)
        return history.bars.partition_by(KEY, as_dict=True), history.events.partition_by(KEY, as_dict=True)

    def _take(self, outcome: BarOutcome) -> BarTask | None:
        """Keep one answer, good or bad; returns the question that has to follow before the instrument is settled."""
        task, instrument = outcome.task, self._instrument(outcome.task)
        if not self._second.better(outcome):
            return None
        self.publisher.answered(instrument)
        if outcome.answer is None:
            return self._failed(outcome, instrument)
        bars = sessions.without_partial(outcome.answer.bars, instrument.asset_class, task.request.interval, self.now)
        answer = dataclasses.replace(outcome.answer, bars=bars)
        whole = task.request.start == self.schedule.beginning
        stored = self._stored(instrument)
        comparison = refresh.compare(stored.bars, stored.events, answer, whole, task.request.start)
        if comparison.message:
            log.info("%s:%s %s: %s", *instrument.key, comparison.kind, comparison.message)
        if comparison.refetch:
            return self.schedule.question(instrument, task.provider)
        same = task.provider in stored.bars["source"]
        if comparison.kind == "gap" and comparison.replace and same and not self.schedule.whole:
            remedy = f"fresh=true {shell_word(setting('only', [instrument.symbol]))} takes it"
            unfit = Failure(f"{comparison.message}: another security under this name? {remedy}")
            return self._failed(dataclasses.replace(outcome, answer=None, kind="unfit", failure=unfit), instrument)
        if comparison.replace:
            answer = rebase.with_older(stored, answer)
        facts = {"asked_from": self._asked_from(task), **sessions.ahead(outcome.answer.bars, self.now)}
        self.raw.append(
            instrument.key, task.provider, "fetched", self.now,
            answer=answer, replace=comparison.replace, name=task.request.name, facts=facts,
        )  # fmt: skip
        return self._second.question(outcome, instrument, stored.bars.height > 0)

    def _failed(self, outcome: BarOutcome, instrument: SelectedInstrument) -> BarTask | None:
        """Note a failure, or ask the next provider of the chain if this one does not know the instrument."""
        provider = outcome.task.provider
        log.info("%s:%s %s %s: %s", *instrument.key, provider, outcome.kind, outcome.reason)
        if outcome.failure and outcome.failure.traceback:
            traceback = {"traceback": outcome.failure.traceback}
            log.error("%s:%s: %s", *instrument.key, outcome.reason, extra=traceback)
        entry = self.entries.get(instrument.key)
        following = self.schedule.chains[instrument.asset_class].after(provider)
        if outcome.kind == "unknown" and following and not (entry and entry["rows"]):
            return self.schedule.question(instrument, following)
        state = outcome.kind if outcome.kind in ("unknown", "unfit") else "failed"
        tries = (entry["tries"] if entry and entry["state"] != "fetched" else 0) + outcome.tries
        again = self.schedule.next_attempt(tries, state != "failed")
        self.raw.append(
            instrument.key, provider, state, self.now, name=outcome.task.request.name,
            tries=tries, next_attempt=again, error_class=outcome.kind, reason=outcome.reason,
        )  # fmt: skip
        return None
