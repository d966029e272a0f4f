"""The most traded instruments of today, as the providers of a chain measure them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import cast

import polars as pl

from src.config.schema import LiveSource, UniverseConfig
from src.core.errors import ConfigError, StageError
from src.core.instruments import ASSET_CLASSES
from src.fetching.provider import RankingProvider, Stopped
from src.listings import current, ranking
from src.runtime.progress import Progress
from src.sources import registry

_PLURALS = {"stock": "stocks", "etf": "ETFs", "crypto": "coins"}
_BIASED = "who is traded much today has done well, so a universe of these is biased upward"


def traded(
    universe: UniverseConfig, live: LiveSource, data_root: str, limits: Mapping[str, int]
) -> tuple[pl.DataFrame, str]:
    """Rank each class by the first provider of its chain that can: one with a ranking of its own, or a coin exchange.

    Parameters
    ----------
    universe : UniverseConfig
        Its settings for listings; its limits and names don't count.
    live : LiveSource
        Chains, rates and network settings.
    data_root : str
        Folder of the data, for the kept listings.
    limits : mapping of str to int
        Number of instruments by class; 0 leaves a class out.

    Returns
    -------
    DataFrame
        Columns of a pinned list.
    str
        How it was measured, in a sentence.

    Raises
    ------
    ConfigError
        If no provider of the chains can rank any class.
    StageError
        If a provider gives no good answer.
    """
    chains = {kind: registry.providers(live.chain.get(kind, ())) for kind in ASSET_CLASSES if limits[kind]}
    screened: dict[str, list[str]] = {}
    for kind, links in chains.items():
        name = next((name for name, declared in links if kind in declared.ranks), None)
        if name is not None:
            screened.setdefault(name, []).append(kind)
    exchange = next((name for name, declared in chains.get("crypto", ()) if declared.lists_coins), None)
    parts, measures = [], []
    try:
        for name, kinds in screened.items():
            parts.append(_by_screener(name, live, kinds, limits))
            classes = " and ".join(_PLURALS[kind] for kind in kinds)
            measures.append(f"{classes} by {registry.provider(name).ranked_by}")
        if exchange and not any("crypto" in kinds for kinds in screened.values()):
            parts.append(_by_exchange(exchange, universe, live, data_root, limits))
            measures.append(f"coins by median dollar volume of {ranking.RECENT_DAYS} days at {exchange}")
    except Stopped as error:
        raise StageError(f"the provider refuses for too long ({error}): the former list stays") from error
    if not parts:
        raise ConfigError(
            "source.live.chain names no provider that ranks instruments: choose source=auto, or rank the bars of a"
            " dataset with dataset=<name>"
        )
    return pl.concat(parts), f"{', '.join(measures)}; {_BIASED}"


def _by_screener(name: str, live: LiveSource, kinds: Iterable[str], limits: Mapping[str, int]) -> pl.DataFrame:
    provider = cast(RankingProvider, registry.connect(name, live, registry.gate(name, live)))
    try:
        return ranking.by_screener(provider.most_traded, kinds, limits)
    finally:
        provider.close()


def _by_exchange(
    name: str, universe: UniverseConfig, live: LiveSource, data_root: str, limits: Mapping[str, int]
) -> pl.DataFrame:
    everything = dataclasses.replace(
        universe, stock=0, etf=0, crypto=None, symbols=[], file=None, pinned=None, as_of=None
    )
    alone = dataclasses.replace(live, chain={"crypto": [name]})
    coins = current.current(everything, alone, data_root).filter(pl.col("listed_until").is_null())["symbol"]
    provider = registry.connect(name, live, registry.gate(name, live))
    try:
        with Progress("enlist", len(coins)) as progress:
            today = dt.datetime.now(dt.UTC).date()
            return ranking.by_recent_bars(provider, coins, limits, today, lambda: progress.advance(1))
    finally:
        provider.close()
