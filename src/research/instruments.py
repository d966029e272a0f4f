"""Which instruments a collection is for: those of the bars where there are any, else those that the universe names."""

from __future__ import annotations

import polars as pl

from src.config.schema import ResearchConfig, UniverseConfig
from src.core.errors import ConfigError
from src.core.instruments import KEY, Key
from src.listings import pinned
from src.market import universe
from src.market.bars import BarStore
from src.research.job import ResearchJob

_SCHEMA = dict.fromkeys(KEY, pl.String())


def wanted(job: ResearchJob) -> pl.DataFrame:
    """Instruments of the dataset.

    A machine that only collects has no bars: there the universe's own list counts, and an empty table means all.

    Parameters
    ----------
    job : ResearchJob

    Returns
    -------
    DataFrame
        asset_class, symbol, sorted.
    """
    bars = BarStore(job.paths.bars)
    if bars.exists() and bars.buckets():
        states = [bars.ledger.states(b).select(KEY) for b in bars.buckets()]
        return pl.concat(states).sort(KEY)
    return _named(job.universe)


def watched(settings: ResearchConfig, instruments: pl.DataFrame) -> pl.DataFrame:
    """Instruments of ``research.watch``.

    Parameters
    ----------
    settings : ResearchConfig
    instruments : DataFrame
        asset_class, symbol of the universe; empty if it is not known.

    Returns
    -------
    DataFrame
        asset_class, symbol; a name without a class counts as a stock where the universe does not say.

    Raises
    ------
    ConfigError
        If the list is longer than ``watch_limit``, or names what the universe lacks.
    """
    if len(settings.watch) > settings.watch_limit:
        raise ConfigError(
            f"research.watch must be at most research.watch_limit={settings.watch_limit} symbols, got "
            f"{len(settings.watch)}: these are asked for one by one"
        )
    if instruments.height and settings.watch:
        found = universe.matches(instruments, settings.watch, "research.watch")
        rows = [key for keys in found.values() for key in keys]
    else:
        rows = [_key(name) for name in settings.watch]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row").unique(maintain_order=True)


def _key(name: str) -> Key:
    """Asset class and symbol of ``stock:AAPL``; a bare AAPL counts as a stock."""
    kind, _, symbol = name.partition(":")
    return (kind, symbol) if symbol else ("stock", kind)


def _named(settings: UniverseConfig) -> pl.DataFrame:
    """Instruments that the universe lists by itself: its symbols, its file or its pinned list."""
    names = universe.named(settings)
    rows = [_key(name) for name in names]
    if rows or not settings.pinned:
        return pl.DataFrame(rows, schema=_SCHEMA, orient="row").sort(KEY)
    return pinned.read(settings.pinned).rows.select(KEY).sort(KEY)
