"""Chains from a live provider: one request per underlying, through the provider's gate and a pool of threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from src.config.schema import SourceConfig
from src.core.errors import StageError
from src.fetching.fetch_task import FetchOutcome, FetchTask
from src.fetching.network_watch import NetworkWatch, doctor_hint
from src.fetching.pool import Pool
from src.fetching.provider import BarRequest, OptionChain
from src.fetching.rate_gate import RateGate, pauses
from src.options.job import QuoteJob
from src.options.snapshot import ChainReply, Chains, Replies, ShowNote, due, snapshot
from src.sources import registry


def quoting_provider(source: SourceConfig) -> str:
    """The provider that is asked for chains.

    Parameters
    ----------
    source : SourceConfig
        Its chains of stocks and ETFs.

    Returns
    -------
    str
        The first of ``source.live.chain`` that quotes options.

    Raises
    ------
    StageError
        If the source has none.
    """
    name = _first(source)
    if name is None:
        raise StageError(
            f"source={source.kind} quotes no options: choose source=yahoo or source=auto, or read files of your"
            " own with options.path=<file or folder>"
        )
    return name


def quotes_options(source: SourceConfig) -> bool:
    """Whether a source has a provider that quotes options.

    Parameters
    ----------
    source : SourceConfig
        Its chains of stocks and ETFs.

    Returns
    -------
    bool
        If False, `quoting_provider` raises.
    """
    return _first(source) is not None


def _first(source: SourceConfig) -> str | None:
    links = [link for kind in ("stock", "etf") for link in source.live.chain.get(kind, [])]
    return next((link for link, declared in registry.providers(links) if declared.quotes_options), None)


def snapshot_live(job: QuoteJob) -> str:
    """Take a snapshot from the configured provider, with a gate and threads of its own.

    Parameters
    ----------
    job : QuoteJob
        See `snapshot`.

    Returns
    -------
    str
        One sentence with the counts.

    Raises
    ------
    StageError
        If the source quotes no options, there is nothing to ask for, or every underlying failed.
    """
    name, settings = quoting_provider(job.source), job.source.live
    if not due(job)[0]:
        return snapshot(job, _never_asked)
    gate, watch = registry.gate(name, settings), NetworkWatch()
    watch.expect(name)
    provider = registry.connect(name, settings, gate)
    try:
        pool: Pool[BarRequest, OptionChain] = Pool(settings, {name: gate})
        with pool:
            return snapshot(job, chains_of(provider, job.options.max_expiries), pooled(pool, gate, watch))
    finally:
        provider.close()


def _never_asked(wanted: BarRequest) -> OptionChain:
    raise AssertionError(f"{wanted.symbol}: nothing was due")


def chains_of(provider: Any, max_expiries: int) -> Chains:
    """The provider's call for one underlying.

    Parameters
    ----------
    provider : object
        Has ``chain(name, max_expiries)``.
    max_expiries : int
        How many expiries are wanted, the nearest first.

    Returns
    -------
    callable
        From a request to a chain.
    """
    return lambda wanted: provider.chain(wanted.name or wanted.symbol, max_expiries)


def pooled(pool: Pool[BarRequest, OptionChain], gate: RateGate, watch: NetworkWatch | None = None) -> Replies:
    """Ask through a pool of threads.

    One underlying takes many requests, so the number of answered requests is shown while no underlying is finished.

    Parameters
    ----------
    pool : Pool
        It has the gate of the provider.
    gate : RateGate
        Of the provider.
    watch : NetworkWatch or None
        Hears of every request; None makes one.

    Returns
    -------
    callable
        For `snapshot`; replies come in the order in which they arrive. It raises a `StageError` if the network was
        never there.
    """

    heard = watch or NetworkWatch()

    def ask(task: FetchTask[BarRequest], chains: Chains) -> OptionChain:
        with heard.asking(gate.name):
            return chains(task.request)

    def idle(show: ShowNote) -> None:
        if absent := heard.never_there():
            raise StageError(f"{absent}; {doctor_hint()}. What came is saved: run the same command later to go on")
        show(heard.described() or _so_far(gate))

    def replies(wanted: list[BarRequest], chains: Chains, show: ShowNote) -> Iterator[ChainReply]:
        tasks = (FetchTask(gate.name, each, order) for order, each in enumerate(wanted))
        for outcome in pool.results(tasks, lambda task: ask(task, chains), lambda: idle(show)):
            yield _reply(outcome)

    return replies


def _so_far(gate: RateGate) -> str:
    pause = pauses([gate])
    return f"{gate.counts.answered:,} requests answered" + (f"; {pause}" if pause else "")


def _reply(outcome: FetchOutcome[BarRequest, OptionChain]) -> ChainReply:
    if outcome.answer is not None:
        return ChainReply(outcome.task.request, outcome.answer)
    reason = f"not asked to the end: {outcome.reason}" if outcome.kind == "stopped" else outcome.reason
    return ChainReply(outcome.task.request, None, outcome.kind, reason)
