"""Hydration from live providers: ask for what is due, keep what is served, publish it bucket by bucket.

What is served is kept as it came (`src.hydration.live.raw_store`), each answer before the next step, so that a kill
loses the requests in flight and no more. A bucket is published to the store of bars when its last answer is in, or at
the end. First come the candidates for the pinned panel: once it is pinned, features of the buckets that follow are
final.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import json
import logging
import threading
from collections import Counter
from typing import Any

import polars as pl

from src.core.errors import StageError
from src.core.failure import Failure
from src.core.instruments import KEY, Key
from src.fetching import network
from src.fetching.pool import FetchOutcome, FetchTask, Pool
from src.fetching.provider import EVENTS, Answer, Provider
from src.fetching.rate_gate import pauses
from src.hydration import bulk
from src.hydration.bulk import Intake
from src.hydration.live import archives, provider_chain, rebase, refresh, selection, sessions
from src.hydration.live.publish import publish
from src.hydration.live.raw_store import RawStore
from src.hydration.live.raw_view import Folded
from src.hydration.live.refresh import Held
from src.hydration.live.schedule import Instrument, Plan
from src.market import universe
from src.market.bars import BarStore
from src.runtime import disk_space
from src.runtime.progress import Progress
from src.sources import registry
from src.storage.atomic import remove_temporaries, write_parquet

log = logging.getLogger(__name__)
_RAW_BYTES = 150  # a bar kept as served and as published, with room for a year's shard written anew
_BUCKETS_AT_HAND = 4  # whose raw bars are kept in memory to compare answers with


def run(plan: Intake) -> str:
    """Bring a dataset up to date from its providers and return the counts in one sentence.

    Raises
    ------
    ConfigError
        Where the proxy or the certificates are none, a name is not listed, or the selection would drop instruments
        that the dataset holds.
    StageError
        Where a provider could not be reached for as long as patience lasts (all that came is saved), the disk is too
        small, or no instrument could be used.
    """
    config = plan.config
    network.check(config.source.live)
    chosen = selection.select(config)
    if config.only or not config.fresh:
        chosen = selection.with_held(chosen, BarStore(plan.root), config)
    store, replacing = bulk.opened(plan, chosen)
    instruments = selection.instruments(chosen, store, config)
    disk_space.require(store.root, len(instruments) * 2800 * _RAW_BYTES, f"hydrating {len(instruments):,} instruments")
    _begin(plan, store, chosen, instruments)
    unfinished = Collection(plan, store, instruments, selection.narrowed(instruments, config)).run()
    if unfinished:
        if not replacing and store.instruments().filter(state="done").height:
            bulk.summary(plan)
        raise StageError(f"{unfinished}. What came is saved: run the same command later to go on")
    if not config.only:
        store.write_manifest(dataclasses.replace(store.manifest, complete=True))
    if replacing:
        bulk.swap(store.root, plan.root)
    return f"{bulk.summary(plan)}; {freshness(BarStore(plan.root), dt.datetime.now(dt.UTC))}"


def freshness(store: BarStore, now: dt.datetime) -> str:
    """How many usable instruments have the last complete session, in words."""
    states = store.instruments().filter(pl.col("state") == "done")
    expected = {kind: sessions.last_complete(kind, "1d", now) for kind in states["asset_class"].unique()}
    have = sum(last >= expected[kind] for kind, last in states.select("asset_class", "last").iter_rows())
    return f"{have:,} of {states.height:,} have the last complete session"


def _begin(plan: Intake, store: BarStore, chosen: pl.DataFrame, instruments: list[Instrument]) -> None:
    """Put down what will be hydrated; naming a few of a dataset (``only=``) changes nothing of that."""
    config = plan.config
    store.root.mkdir(parents=True, exist_ok=True)
    remove_temporaries(store.root)
    if config.only and store.exists():
        return
    buckets = store.manifest.buckets if store.exists() else config.universe.buckets
    keys = pl.DataFrame([each.key for each in instruments], schema=dict.fromkeys(KEY, pl.String()), orient="row")
    store.write_manifest(bulk.manifest(plan, keys, buckets))
    write_parquet(chosen, store.root / "universe.parquet")


class Collection:
    """One run over a dataset: the questions due, the answers as they come, and what is published of them.

    Parameters
    ----------
    plan
        The hydration.
    store
        Where bars are published; what is served is kept in its folder ``raw``.
    instruments
        All of the dataset.
    asked
        Those of them that this run may ask for.
    """

    def __init__(self, plan: Intake, store: BarStore, instruments: list[Instrument], asked: list[Instrument]) -> None:
        config = plan.config
        self.intake, self.store, self.live = plan, store, config.source.live
        self.instruments = {each.key: each for each in asked}
        self._all = instruments
        self._keys = pl.DataFrame(
            [each.key for each in instruments], schema=dict.fromkeys(KEY, pl.String()), orient="row"
        )
        self.raw = RawStore(store.root / "raw", config.universe.interval, store.manifest.buckets)
        self.now = dt.datetime.now(dt.UTC)
        self.due = Plan(
            self.live, provider_chain.chains(config.source), config.universe.interval, self.now,
            insist=bool(config.only) or config.retry in ("all", "whole"), retry_failed=config.retry == "failed",
            whole=config.retry == "whole" or config.fresh,
        )  # fmt: skip
        self.gates = {name: registry.gate(name, self.live) for name in provider_chain.names(config.source)}
        self.known: dict[Key, dict[str, Any]] = {}  # the ledger as the run found it
        self._providers: dict[str, Provider] = {}
        self._connecting = threading.Lock()
        self._open: Counter[int] = Counter()  # questions without an answer, by bucket
        self._reached: set[str] = set()  # providers that have answered anything
        self._doubted: dict[str, list[FetchOutcome]] = {}  # what came of those that have not
        self._waiting: Counter[int] = Counter()  # answers since a bucket was last published
        self._early = 0  # and of candidates for the panel
        self._published: set[int] = set()  # buckets that nothing was kept for since they were
        self._at_hand = functools.lru_cache(maxsize=_BUCKETS_AT_HAND)(self._by_key)
        self._nothing = Held(pl.DataFrame(schema=self.raw.schema), pl.DataFrame(schema=EVENTS))

    def run(self) -> str:
        """Ask, keep, publish; whatever ends the run, what came is kept.

        Returns
        -------
        str
            Why some could not be asked to the end: a provider gave no good answer for as long as patience lasts, or
            none at all. Empty where every question has its answer.
        """
        archives.load(self.intake, self.raw, self._all)
        for b in self.raw.pending():
            self.raw.fold(b)
        found = {b: self.raw.folded(b) for b in sorted(self._buckets())}
        rows = (row for each in found.values() for row in each.entries.iter_rows(named=True))
        self.known = {(row["asset_class"], row["symbol"]): row for row in rows}
        tasks = list(self.due.tasks(list(self.instruments.values()), self.known))
        due = {self._instrument(task).bucket for task in tasks}
        for b in sorted(self._buckets() - due):
            tasks += self._publish(b, found[b])
        del found
        self._early = sum(self._instrument(task).early for task in tasks)
        if not self._early:
            tasks += self._pin_panel()
        self._open.update(self._instrument(task).bucket for task in tasks)
        with Progress("hydrate", len(self.instruments), before=len(self.instruments) - len(tasks)) as progress:
            if tasks:
                self._ask(tasks, progress)
        for b in sorted(self._buckets() - self._published):
            self._publish(b)
        self._pin_panel()
        return "; ".join(self._unreached())

    def _ask(self, tasks: list[FetchTask], progress: Progress) -> None:
        for name in sorted({task.provider for task in tasks}):
            self._provider(name)  # what is wrong with one is said now, not by the first thread
        try:
            with Pool(self.live, self.gates, self._proofs()) as pool:
                for outcome in pool.results(tasks, self._fetch, lambda: self._tell(progress)):
                    for each in self._believed(outcome):
                        more = self._take(each)
                        if more is None:
                            progress.advance(note=f"{each.task.provider} {each.task.wanted.symbol}")
                        for task in self._settle(each.task) if more is None else [more]:
                            pool.add(task)
        finally:
            for provider in self._providers.values():
                provider.close()

    def _believed(self, outcome: FetchOutcome) -> list[FetchOutcome]:
        """Outcomes that say something of their instruments, now that this one has come.

        Those of a provider that was never reached say nothing: they wait until it answers, and stay open if it never
        does. So does what patience left: neither its bucket nor the panel is complete.
        """
        name = outcome.task.provider
        if outcome.kind == "stopped":
            return []
        waiting = self._doubted.setdefault(name, [])
        waiting.append(outcome)
        if outcome.kind == "unavailable" and name not in self._reached:
            return []
        self._reached.add(name)
        self._doubted[name] = []
        return waiting

    def _tell(self, progress: Progress) -> None:
        """Say why nothing happens, where a provider is left alone for a while."""
        words = pauses(self.gates.values())
        if words:
            progress.tell(words)

    def _fetch(self, task: FetchTask) -> Answer:
        """Ask a task's provider; runs in the pool's threads."""
        return self._provider(task.provider).fetch(task.wanted)

    def _provider(self, name: str) -> Provider:
        """A provider of the chain, connected when it is first needed: ccxt takes seconds to load."""
        with self._connecting:
            if name not in self._providers:
                self._providers[name] = registry.connect(name, self.live, self.gates[name])
            return self._providers[name]

    def _proofs(self) -> list[FetchTask]:
        """One question for each provider that it has answered before: what tells an outage from a faulty instrument."""
        found: dict[str, FetchTask] = {}
        for key, entry in self.known.items():
            if (
                entry["state"] == "fetched"
                and entry["rows"]
                and entry["provider"] in self.gates
                and key in self.instruments
            ):
                found.setdefault(entry["provider"], self.due.refresh(self.instruments[key], entry, entry["provider"]))
        return list(found.values())

    def _asked_from(self, task: FetchTask) -> str:
        """The earliest date that a provider was asked for an instrument's bars."""
        known = self.known.get((task.wanted.asset_class, task.wanted.symbol))
        asked = task.wanted.start.isoformat()
        former = json.loads(known["facts"]).get("asked_from") if known and known["provider"] == task.provider else None
        return min(str(former), asked) if former else asked

    def _instrument(self, task: FetchTask) -> Instrument:
        return self.instruments[task.wanted.asset_class, task.wanted.symbol]

    def _stored(self, instrument: Instrument) -> Held:
        """What is stored of one instrument, as the run found it."""
        if instrument.key not in self.known:
            return self._nothing
        bars, events = self._at_hand(instrument.bucket)
        none = self._nothing
        return Held(bars.get(instrument.key, none.bars), events.get(instrument.key, none.events))

    def _by_key(self, b: int) -> tuple[dict[Any, pl.DataFrame], dict[Any, pl.DataFrame]]:
        """Bars and events of a bucket, as the run found it, by instrument."""
        held = self.raw.read(b)
        return held.bars.partition_by(KEY, as_dict=True), held.events.partition_by(KEY, as_dict=True)

    def _take(self, outcome: FetchOutcome) -> FetchTask | None:
        """Keep one answer, good or bad; returns the question that has to follow before the instrument is settled."""
        task, instrument = outcome.task, self._instrument(outcome.task)
        self._published.discard(instrument.bucket)
        if outcome.answer is None:
            return self._failed(outcome, instrument)
        bars = sessions.without_partial(outcome.answer.bars, instrument.asset_class, task.wanted.interval, self.now)
        answer = dataclasses.replace(outcome.answer, bars=bars)
        whole = task.wanted.start == self.due.beginning
        stored = self._stored(instrument)
        verdict = refresh.compare(stored.bars, stored.events, answer, whole, task.wanted.start)
        if verdict.words:
            log.info("%s:%s %s: %s", *instrument.key, verdict.kind, verdict.words)
        if verdict.refetch:
            return self.due.question(instrument, task.provider)
        same = task.provider in stored.bars["source"]
        if verdict.kind == "gap" and verdict.replace and same and not self.due.whole:
            remedy = f"another security under this name? fresh=true only=[{instrument.symbol}] takes it"
            unfit = Failure(f"{verdict.words}: {remedy}")
            return self._failed(dataclasses.replace(outcome, answer=None, kind="unfit", failure=unfit), instrument)
        if verdict.replace:
            answer = rebase.with_older(stored, answer)
        self.raw.keep(
            instrument.key, task.provider, "fetched", self.now,
            answer=answer, replace=verdict.replace, name=task.wanted.name, facts={"asked_from": self._asked_from(task)},
        )  # fmt: skip
        return None

    def _failed(self, outcome: FetchOutcome, instrument: Instrument) -> FetchTask | None:
        """Note a failure, or ask the next provider of the chain where this one does not know the instrument."""
        provider = outcome.task.provider
        log.info("%s:%s %s %s: %s", *instrument.key, provider, outcome.kind, outcome.reason)
        if outcome.failure and outcome.failure.traceback:
            log.error("%s:%s\n%s", *instrument.key, outcome.failure.traceback)
        known = self.known.get(instrument.key)
        following = self.due.chains[instrument.asset_class].after(provider)
        if outcome.kind == "unknown" and following and not (known and known["rows"]):
            return self.due.question(instrument, following)
        state = outcome.kind if outcome.kind in ("unknown", "unfit") else "failed"
        tries = (known["tries"] if known and known["state"] != "fetched" else 0) + outcome.tries
        again = self.due.next_attempt(tries, state != "failed")
        self.raw.keep(
            instrument.key, provider, state, self.now, name=outcome.task.wanted.name,
            tries=tries, next_attempt=again, error_class=outcome.kind, reason=outcome.reason,
        )  # fmt: skip
        return None

    def _settle(self, task: FetchTask) -> list[FetchTask]:
        """Publish a bucket after its last answer, or a batch of them; pin the panel after its last candidate's.

        Returns questions that follow from it.
        """
        instrument = self._instrument(task)
        self._open[instrument.bucket] -= 1
        more: list[FetchTask] = []
        if instrument.early and self._early:
            self._early -= 1
            if not self._early:
                more += self._pin_panel()
        self._waiting[instrument.bucket] += 1
        complete = not self._open[instrument.bucket] and instrument.bucket not in self._published
        if complete or self._waiting[instrument.bucket] >= self.live.batch_size:
            more += self._publish(instrument.bucket)
        for each in more:
            self._open[self._instrument(each).bucket] += 1
            self._early += self._instrument(each).early
        return more

    def _buckets(self) -> set[int]:
        return {each.bucket for each in self._all}

    def _publish(self, b: int, known: Folded | None = None) -> list[FetchTask]:
        """Publish a bucket; returns questions about instruments that their archive and their provider tell apart."""
        self._waiting[b] = 0
        if known is None:
            self.raw.fold(b)
        self._published.add(b)
        apart = publish(self.intake, self.raw, self.store, b, self._keys, known) & self.instruments.keys()
        again = []
        for key in sorted(apart):
            entry = self.raw.entry(key)
            if entry and entry["facts"].get("asked_from", "") > self.live.start:
                again.append(self.due.question(self.instruments[key], entry["provider"]))
        return again

    def _pin_panel(self) -> list[FetchTask]:
        """Pin the panel once all its candidates have been asked for: the most traded that could be used.

        Their buckets are published first, also those whose answers came in a run that was killed. Returns questions
        that follow from it.
        """
        if self.store.panel() or self.intake.config.only or self._early:
            return []
        early = {each.bucket for each in self._all if each.early}
        more = [task for b in sorted(early - self._published) for task in self._publish(b)]
        candidates = [each.key for each in self._all if each.early]
        keys = pl.DataFrame(candidates, schema=dict.fromkeys(KEY, pl.String()), orient="row")
        states = self.store.instruments().drop("liquidity").join(keys, on=KEY, how="semi")
        columns = [*KEY, "date", "close", "volume"]
        months = [universe.activity(self.store.read_bucket(b, columns, candidates)) for b in self.store.buckets()]
        if sum(each.height for each in months):
            traded = universe.liquidity(pl.concat(months), self.intake.config.split)
            ranked = states.join(traded, on=KEY, how="left")
            self.store.write_panel(universe.panel(ranked, self.intake.config.universe.panel))
        return more

    def _unreached(self) -> list[str]:
        """Why questions stayed open, provider by provider."""
        words = [gate.gave_up for gate in self.gates.values() if gate.gave_up]
        for name, outcomes in self._doubted.items():
            if outcomes and not self.gates[name].gave_up:
                many = f"{len(outcomes):,} instruments wait" if len(outcomes) > 1 else "1 instrument waits"
                words.append(
                    f"{name} was never reached, {many} for it ({outcomes[-1].reason}):"
                    " look at the line, and behind a proxy at HTTPS_PROXY and SSL_CERT_FILE"
                )
        return words
