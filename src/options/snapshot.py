"""One snapshot of many underlyings: asked for, checked, valued, stored, and what became of each.

An underlying is taken once in a session of the exchange: the same command goes on after an interruption, and takes the
next snapshot on the next day. What failed is asked for again by the next command.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from src.chains.quotes import SCHEMA, contract_table, with_flags
from src.chains.store import OptionStore
from src.core.end_state import EndState
from src.core.instruments import Key
from src.fetching.provider import BarRequest, OptionChain, ProviderError
from src.options.job import QuoteJob
from src.options.results import SnapshotResults, published
from src.options.staleness import age_flags, unmoved_contracts
from src.options.underlyings import underlyings
from src.options.valuation import with_values
from src.runtime.progress import Progress

log = logging.getLogger(__name__)
_STATE_OF = {"unknown": "skipped", "unfit": "quarantined"}  # of a provider's refusal; any other error is a failure
Chains = Callable[[BarRequest], OptionChain]


@dataclass(frozen=True)
class ChainReply:
    """What became of one request: a chain, or the kind of refusal and its reason."""

    request: BarRequest
    chain: OptionChain | None = None
    kind: str = "ok"
    reason: str = ""


ShowNote = Callable[[str], None]  # shows a note while no underlying is finished
Replies = Callable[[list[BarRequest], Chains, ShowNote], Iterator[ChainReply]]


def one_by_one(wanted: list[BarRequest], chains: Chains, _show: ShowNote) -> Iterator[ChainReply]:
    """Ask for one chain after the other in this thread.

    Parameters
    ----------
    wanted : list of BarRequest
        The requests.
    chains : callable
        The provider's call for one underlying.

    Yields
    ------
    ChainReply
        One per request; a provider's error concerns that underlying alone.
    """
    for request in wanted:
        try:
            yield ChainReply(request, chains(request))
        except ProviderError as error:
            yield ChainReply(request, None, error.kind, str(error))


def snapshot(
    job: QuoteJob,
    chains: Chains,
    replies: Replies = one_by_one,
    names: dict[Key, str] | None = None,
    now: dt.datetime | None = None,
) -> str:
    """Take a snapshot of the most traded underlyings from a live provider.

    Parameters
    ----------
    job : QuoteJob
        ``only`` narrows, ``fresh`` takes again what this session has.
    chains : callable
        The provider's call for one underlying; raises a `ProviderError`.
    replies : callable
        How the calls are made: one after the other, or through a pool of threads, in any order.
    names : dict, optional
        What the provider calls an instrument, where that is not its symbol.
    now : datetime, optional
        For tests; otherwise the clock.

    Returns
    -------
    str
        One sentence with the counts.

    Raises
    ------
    StageError
        If there is nothing to ask for, or every underlying failed.
    """
    now = dt.datetime.now(dt.UTC) if now is None else now
    store = OptionStore(job.paths.options)
    requests, taken = due(job, names, now)
    total = len(requests) + len(taken)
    with Progress("quote", total, "underlying", before=len(taken)) as progress, published(job, store) as results:
        for reply in replies(requests, chains, progress.set_note):
            key = (reply.request.asset_class, reply.request.symbol)
            keep(store, results, key, reply, job.options.risk_free, now)
            progress.advance(note=key[1])
    return results.summary(job.dataset, job.source.kind, len(taken))


def due(
    job: QuoteJob, names: dict[Key, str] | None = None, now: dt.datetime | None = None
) -> tuple[list[BarRequest], set[Key]]:
    """Underlyings that are still to be asked for in this session, and those taken already.

    Parameters
    ----------
    job, names, now
        As in `snapshot`.

    Returns
    -------
    requests : list of BarRequest
        The most traded first.
    taken : set of (asset_class, symbol)
        Empty with ``fresh=true``.
    """
    keys = underlyings(job)
    now = dt.datetime.now(dt.UTC) if now is None else now
    taken = set() if job.fresh else SnapshotResults(OptionStore(job.paths.options)).taken(keys, now)
    requests = [BarRequest(*key, start=now.date(), name=(names or {}).get(key, "")) for key in keys if key not in taken]
    return requests, taken


def keep(
    store: OptionStore,
    results: SnapshotResults,
    key: Key,
    reply: ChainReply,
    risk_free: float,
    now: dt.datetime,
) -> None:
    """Check, value and store one chain; whatever is wrong with it is this underlying's state alone.

    Parameters
    ----------
    store : OptionStore
        Where the snapshot goes.
    results : SnapshotResults
        Where its state is noted.
    key : (asset_class, symbol)
        The underlying.
    reply : ChainReply
        What came.
    risk_free : float
        Interest a year, continuously compounded.
    now : datetime
        When it was asked for, if no chain came.
    """
    chain = reply.chain
    if chain is None:
        results.put(EndState(*key, _STATE_OF.get(reply.kind, "failed"), reply.reason or reply.kind), now)
        return
    if not chain.contracts.height:
        results.put(EndState(*key, "skipped", "no options are listed on it"), now)
        return
    try:
        rows = _checked(store, key, chain, risk_free)
        path = store.write(rows, chain.captured)
    except (ValueError, ArithmeticError, pl.exceptions.PolarsError) as error:
        log.exception("%s:%s", *key)
        first = (str(error).strip() or "no message").splitlines()[0]
        reason = f"its chain could not be valued: {type(error).__name__}: {first}"
        results.put(EndState(*key, "failed", reason), now)
        return
    results.stored(key, rows, chain.captured, path.name)


def _checked(store: OptionStore, key: Key, chain: OptionChain, risk_free: float) -> pl.DataFrame:
    rows = contract_table(chain, key[0]).with_columns(underlying=pl.lit(key[1]))
    rows = with_values(with_flags(rows, **age_flags(rows)), risk_free)
    before = store.snapshots(*key).filter(pl.col("captured") < pl.lit(chain.captured).cast(SCHEMA["captured"]))
    if before.height:
        frozen = unmoved_contracts(rows, pl.read_parquet(before["path"][-1], hive_partitioning=False, glob=False))
        rows = with_flags(rows, stale_quote=pl.col("contract").is_in(frozen))
    return rows
