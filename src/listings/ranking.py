"""The most traded instruments of each class: by bars from before any prediction, or by what providers measure today."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import polars as pl

from src.config.schema import SplitConfig
from src.core.errors import ConfigError, StageError
from src.core.instruments import KEY
from src.fetching.provider import Answer, BarRequest, ProviderError, Refusal
from src.listings.pinned import COLUMNS
from src.market.bars import BarStore
from src.market.universe import activity, follows, liquidity

RECENT_DAYS = 30  # of which a coin's volume today is the median
_TRIES = 3
_FAILED = 0.2  # share of coins without an answer beyond which nothing is ranked

log = logging.getLogger(__name__)


class Bars(Protocol):
    """What serves bars."""

    def fetch(self, wanted: BarRequest) -> Answer:
        """Ask for one instrument."""


def by_bars(store: BarStore, split: SplitConfig, limits: Mapping[str, int]) -> pl.DataFrame:
    """Rank a dataset's instruments by their median daily dollar volume before the first possible prediction.

    Nothing that came after counts, so the ranking favours no winner; see `src.market.universe.liquidity`.

    Parameters
    ----------
    store
        Daily bars.
    split
        Says when the first prediction can be.
    limits
        How many of each class.

    Returns
    -------
    DataFrame
        Columns of a pinned list.

    Raises
    ------
    ConfigError
        Where the dataset has no bars, or none of days.
    """
    if not store.exists() or not store.buckets():
        raise ConfigError(f"dataset: {store.root} holds no bars: hydrate it first, or name another dataset")
    if store.manifest.interval != "1d":
        raise ConfigError(f"dataset must be of days, got {store.manifest.interval}: name a daily dataset")
    needed = [*KEY, "date", "close", "volume"]
    months = pl.concat([activity(store.read_bucket(b, needed)) for b in store.buckets()])
    usable = store.instruments().filter(pl.col("state") == "done").select(KEY)
    found = liquidity(months, split).join(usable, on=KEY, how="semi")
    return ranked(found.select(*KEY, dollar_volume="liquidity"), limits)


def by_screener(
    most_traded: Callable[[str, int], pl.DataFrame], kinds: Iterable[str], limits: Mapping[str, int]
) -> pl.DataFrame:
    """Rank stocks and ETFs by the dollar volume that a provider's screener gives today.

    Parameters
    ----------
    most_traded
        ``most_traded(kind, count)`` of a provider: symbol, dollar_volume.
    kinds
        Of stock and etf, those wanted.
    limits
        How many of each class.

    Raises
    ------
    StageError
        Where the screener gives no good answer.
    """
    parts = []
    for kind in kinds:
        found = _asked(functools.partial(most_traded, kind, limits[kind]), f"the most traded of class {kind}")
        if found is None:
            raise StageError(f"the provider's screener gave no good answer for class {kind}: try again later")
        parts.append(found.select(pl.lit(kind).alias("asset_class"), "symbol", "dollar_volume"))
    return ranked(pl.concat(parts), limits)


def by_recent_bars(
    provider: Bars, coins: Iterable[str], limits: Mapping[str, int], today: dt.date, tick: Callable[[], Any]
) -> pl.DataFrame:
    """Rank coins by the median dollar volume of their last days at an exchange.

    Parameters
    ----------
    provider
        The exchange.
    coins
        Symbols such as BTC-USD.
    limits
        How many of each class.
    today
        UTC.
    tick
        Called after each coin.

    Raises
    ------
    StageError
        Where more than a fifth of the coins got no answer, or none has bars.
    """
    rows, failed, asked = [], 0, 0
    for symbol in coins:
        asked += 1
        wanted = BarRequest("crypto", symbol, today - dt.timedelta(days=RECENT_DAYS))
        answer = _asked(functools.partial(provider.fetch, wanted), symbol)
        failed += answer is None
        dollars = (answer.bars["close"] * answer.bars["volume"]).median() if answer is not None else None
        if isinstance(dollars, float):
            rows.append(("crypto", symbol, dollars))
        tick()
    if failed > _FAILED * asked or not rows:
        silent = f"{failed:,} of {asked:,} coins got no answer, {asked - failed - len(rows):,} have no bars of late"
        raise StageError(f"{silent}: the former list stays; try again later")
    kinds = {"asset_class": pl.String(), "symbol": pl.String(), "dollar_volume": pl.Float64()}
    return ranked(pl.DataFrame(rows, schema=kinds, orient="row"), limits)


def ranked(volumes: pl.DataFrame, limits: Mapping[str, int]) -> pl.DataFrame:
    """The first of each class by dollar volume, without coins that follow another price: columns of a pinned list."""
    rows = []
    for kind, limit in limits.items():
        part = volumes.filter(pl.col("asset_class") == kind, pl.col("dollar_volume") > 0)
        part = part.sort("dollar_volume", "symbol", descending=[True, False]).unique("symbol", maintain_order=True)
        kept = [row for row in part.select(*KEY, "dollar_volume").rows() if not follows(row[0], row[1])][:limit]
        rows += [(key, symbol, rank, dollars) for rank, (key, symbol, dollars) in enumerate(kept, 1)]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _asked(ask: Callable[[], Any], what: str) -> Any:
    """The answer, or None after some tries; a refusal is none of them, since the gate waits before the next request."""
    tries = 0
    while tries < _TRIES:
        try:
            return ask()
        except Refusal as error:
            log.info("%s: %s; asked again", what, error)
        except ProviderError as error:
            tries += 1
            log.info("%s: %s", what, error)
    return None
