"""One snapshot of many underlyings: which, from where, checked, valued, stored, and what became of each.

An underlying is taken once in a session of the exchange: the same command goes on after an interruption, and takes the
next snapshot on the next day. What failed is asked again by the next command.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.chains.quotes import SCHEMA, marked, table
from src.chains.store import OptionStore
from src.config.schema import Config
from src.core.end_state import EndState
from src.core.errors import ConfigError, StageError
from src.fetching.provider import BarRequest, OptionChain, ProviderError
from src.market.bars import BarStore
from src.options.staleness import aged, session, unmoved
from src.options.tally import Tally, many, published
from src.options.valuation import valued
from src.runtime.progress import Progress

log = logging.getLogger(__name__)
_STATE_OF = {"unknown": "skipped", "unfit": "quarantined"}  # of a provider's refusal; any other error is a failure
Chains = Callable[[BarRequest], OptionChain]


@dataclass(frozen=True)
class Reply:
    """What became of one question: a chain, or the kind of refusal and its reason."""

    wanted: BarRequest
    chain: OptionChain | None = None
    kind: str = "ok"
    reason: str = ""


Tell = Callable[[str], None]  # shows words while no underlying is finished
Replies = Callable[[list[BarRequest], Chains, Tell], Iterator[Reply]]


def in_turn(wanted: list[BarRequest], chains: Chains, _tell: Tell) -> Iterator[Reply]:
    """Ask for one chain after the other in this thread; a provider's error is that underlying's alone."""
    for each in wanted:
        try:
            yield Reply(each, chains(each))
        except ProviderError as error:
            yield Reply(each, None, error.kind, str(error))


def snapshot(
    config: Config,
    chains: Chains,
    replies: Replies = in_turn,
    names: dict[tuple[str, str], str] | None = None,
    now: dt.datetime | None = None,
) -> str:
    """Take a snapshot of the most traded underlyings from a live provider.

    Parameters
    ----------
    config
        ``universe.options`` underlyings, ``options.*``; ``only`` narrows, ``fresh`` takes again what this session has.
    chains
        The provider's call for one underlying; raises a `ProviderError`.
    replies
        How the calls are made: one after the other, or through a pool of threads. Whatever order they come in.
    names
        What the provider calls an instrument, where that is not its symbol.
    now
        For tests; else the clock.

    Returns
    -------
    str
        One sentence with the counts.

    Raises
    ------
    StageError
        Where there is nothing to ask for, or every underlying failed.
    """
    store, tally = OptionStore(_root(config)), Tally()
    questions, tally.earlier = due(config, names, now)
    earlier = len(tally.earlier)
    total = len(questions) + earlier
    with Progress("quote", total, "underlying", before=earlier) as progress, published(config, store, tally):
        for reply in replies(questions, chains, progress.tell):
            key = (reply.wanted.asset_class, reply.wanted.symbol)
            _keep(store, tally, key, reply, config.options.risk_free)
            progress.advance(note=key[1])
    return tally.summary(config, config.source.kind, earlier)


def due(
    config: Config, names: dict[tuple[str, str], str] | None = None, now: dt.datetime | None = None
) -> tuple[list[BarRequest], set[tuple[str, str]]]:
    """Underlyings that are still to be asked for in this session, and those taken already; see `snapshot`."""
    keys = underlyings(config)
    today = dt.datetime.now(dt.UTC) if now is None else now
    taken = set() if config.fresh else _taken(OptionStore(_root(config)), session(today)[0])
    questions = [
        BarRequest(*key, start=today.date(), name=(names or {}).get(key, "")) for key in keys if key not in taken
    ]
    return questions, taken & set(keys)


def import_files(config: Config) -> str:
    """Take every snapshot of the files at ``options.path`` that is not stored yet (``fresh=true``: all of them).

    Raises
    ------
    ConfigError
        Where there is nothing at the path.
    StageError
        Where no file could be read, or every underlying failed.
    """
    from src.options import files
    from src.sources.files import located

    path = located(str(config.options.path), "options.path")
    found = files.files(path)
    if not found:
        raise ConfigError(f"options.path: no {', '.join(files.SUFFIXES)} file at {path}: name files of option chains")
    store, tally, stored, unread = OptionStore(_root(config)), Tally(), 0, []
    classes = _Classes(config)
    narrowed = set(config.only)
    with Progress("quote", len(found), "file") as progress, published(config, store, tally):
        for each in found:
            try:
                for kind, chain in files.chains(each):
                    key = (classes.of(chain.underlying, kind), chain.underlying)
                    if narrowed and not narrowed & {key[1], ":".join(key)}:
                        continue
                    if not config.fresh and store.path(*key, chain.captured).is_file():
                        stored += 1
                        tally.earlier.add(key)
                    else:
                        wanted = BarRequest(*key, start=chain.captured.date())
                        _keep(store, tally, key, Reply(wanted, chain), config.options.risk_free)
            except files.FileError as error:
                unread.append(str(error))
                log.warning("%s", error)
            progress.advance(note=each.name)
    if len(unread) == len(found):
        raise StageError(f"none of {len(found):,} files could be read: {unread[0]}")
    line = tally.summary(config, "files", stored)
    return f"{line}; {many(len(unread), 'file')} could not be read" if unread else line


def underlyings(config: Config) -> list[tuple[str, str]]:
    """Stocks and ETFs whose chains are wanted, the most traded first: at most ``universe.options`` of the dataset's.

    Traded means the liquidity that hydration recorded. With ``only`` exactly those, whether in the dataset or not.

    Raises
    ------
    StageError
        Where the dataset has none.
    """
    bars = BarStore(Path(config.data.root) / "bars" / config.dataset)
    if config.only:
        classes = _Classes(config)
        named = [(name.rpartition(":")[0], name.rpartition(":")[2]) for name in config.only]
        return list(dict.fromkeys((classes.of(symbol, kind), symbol) for kind, symbol in named))
    if config.universe.options == 0:
        raise StageError("universe.options is 0, so no chain is wanted: set universe.options=100, or name some by only")
    known = bars.instruments().filter(pl.col("state") == "done", pl.col("asset_class").is_in(["stock", "etf"]))
    if not known.height:
        raise StageError(
            f"dataset {config.dataset} has no stock or ETF yet, and the most traded of them are asked for:"
            f" {config.hydrate_command} first, or name some by only=[SPY]"
        )
    ranked = known.sort("liquidity", "symbol", descending=[True, False], nulls_last=True)
    return ranked.head(config.universe.options).select("asset_class", "symbol").rows()


def _keep(store: OptionStore, tally: Tally, key: tuple[str, str], reply: Reply, risk_free: float) -> None:
    """Check, value and store one chain; whatever is wrong with it is this underlying's state alone."""
    chain = reply.chain
    if chain is None:
        tally.put(EndState(*key, _STATE_OF.get(reply.kind, "failed"), reply.reason or reply.kind))
        return
    if not chain.contracts.height:
        tally.put(EndState(*key, "skipped", "no options are listed on it"))
        return
    try:
        rows = _checked(store, key, chain, risk_free)
        store.write(rows, chain.captured)
    except (ValueError, ArithmeticError, pl.exceptions.PolarsError) as error:
        log.exception("%s:%s", *key)
        first = (str(error).strip() or "no message").splitlines()[0]
        tally.put(EndState(*key, "failed", f"its chain could not be valued: {type(error).__name__}: {first}"))
        return
    tally.stored(key, rows)


def _checked(store: OptionStore, key: tuple[str, str], chain: OptionChain, risk_free: float) -> pl.DataFrame:
    rows = table(chain, key[0]).with_columns(underlying=pl.lit(key[1]))
    rows = valued(marked(rows, **aged(rows)), risk_free)
    before = store.snapshots(*key).filter(pl.col("captured") < pl.lit(chain.captured).cast(SCHEMA["captured"]))
    if before.height:
        frozen = unmoved(rows, pl.read_parquet(before["path"][-1], hive_partitioning=False))
        rows = marked(rows, stale_quote=pl.col("contract").is_in(frozen))
    return rows


def _taken(store: OptionStore, opening: dt.datetime) -> set[tuple[str, str]]:
    """Underlyings of which this session has a snapshot."""
    listing = store.snapshots()
    return {(kind, symbol) for kind, symbol, at, _ in listing.iter_rows() if session(at)[0] == opening}


class _Classes:
    """The asset class of a symbol for which nobody tells it: the dataset's, else ``source.asset_class``, else stock."""

    def __init__(self, config: Config) -> None:
        states = BarStore(Path(config.data.root) / "bars" / config.dataset).instruments()
        known = states.filter(pl.col("asset_class") != "crypto").sort("asset_class", descending=True)
        self._known: dict[str, str] = dict(known.select("symbol", "asset_class").iter_rows())
        self._default = config.source.asset_class or "stock"

    def of(self, symbol: str, told: str | None) -> str:
        from src.sources.files import CLASS_SPELLINGS

        return CLASS_SPELLINGS.get(str(told).lower()) or self._known.get(symbol) or self._default


def _root(config: Config) -> Path:
    return Path(config.data.root) / "options" / config.dataset
