"""Chains from a live provider: one question an underlying, through the provider's gate and a pool of threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.config.schema import Config
from src.core.errors import StageError
from src.fetching.pool import FetchOutcome, FetchTask, Pool
from src.fetching.provider import Answer, BarRequest, OptionChain
from src.fetching.rate_gate import RateGate, pauses
from src.options.snapshot import Chains, Replies, Reply, Tell, due, snapshot
from src.sources import registry


def quoting(config: Config) -> str:
    """The provider that is asked for chains: the first of ``source.live.chain`` that has any.

    Raises
    ------
    StageError
        Where the source has none.
    """
    found = _first(config)
    if found is None:
        raise StageError(
            f"source={config.source.kind} quotes no options: choose source=yahoo or source=auto, or read files of your"
            " own with options.path=<file or folder>"
        )
    return found


def quotes(config: Config) -> bool:
    """Whether the source has a provider that quotes options."""
    return _first(config) is not None


def _first(config: Config) -> str | None:
    links = [link for kind in ("stock", "etf") for link in config.source.live.chain.get(kind, [])]
    return next((link for link, declared in registry.providers(links) if declared.quotes_options), None)


def snapshot_live(config: Config) -> str:
    """Take a snapshot from the configured provider, with a gate and threads of its own; see `snapshot`."""
    name, settings = quoting(config), config.source.live
    if not due(config)[0]:
        return snapshot(config, _nobody)
    gate = registry.gate(name, settings)
    provider = registry.connect(name, settings, gate)
    try:
        with Pool(settings, {name: gate}) as pool:
            return snapshot(config, chains_of(provider, config), pooled(pool, gate))
    finally:
        provider.close()


def _nobody(wanted: BarRequest) -> OptionChain:
    raise AssertionError(f"{wanted.symbol}: nothing was due")


def chains_of(provider: Any, config: Config) -> Chains:
    """The provider's call for one underlying, with as many expiries as are configured."""
    return lambda wanted: provider.chain(wanted.name or wanted.symbol, config.options.max_expiries)


def pooled(pool: Pool, gate: RateGate) -> Replies:
    """Ask through a pool that has the gate of a provider; replies come in the order in which they arrive.

    One underlying is many requests, so the requests answered are told while no underlying is finished.
    """

    def replies(wanted: list[BarRequest], chains: Chains, tell: Tell) -> Iterator[Reply]:
        tasks = (FetchTask(gate.name, each, order) for order, each in enumerate(wanted))
        for outcome in pool.results(tasks, lambda task: _Quoted.of(chains(task.request)), lambda: tell(_so_far(gate))):
            yield _reply(outcome)

    return replies


def _so_far(gate: RateGate) -> str:
    pause = pauses([gate])
    return f"{gate.counts.answered:,} requests answered" + (f"; {pause}" if pause else "")


@dataclass(frozen=True)
class _Quoted(Answer):
    """A chain in the form in which the pool hands answers on."""

    chain: OptionChain | None = None

    @staticmethod
    def of(chain: OptionChain) -> _Quoted:
        return _Quoted(bars=chain.contracts, events=pl.DataFrame(), facts=chain.facts, chain=chain)


def _reply(outcome: FetchOutcome) -> Reply:
    if isinstance(outcome.answer, _Quoted):
        return Reply(outcome.task.request, outcome.answer.chain)
    reason = f"not asked to the end: {outcome.reason}" if outcome.kind == "stopped" else outcome.reason
    return Reply(outcome.task.request, None, outcome.kind, reason)
