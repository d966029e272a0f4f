"""Which instruments are in a universe, and why: by name, by liquidity, or all that a source lists."""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES, KEY
from src.market import watchlist
from src.market.bars import BARS_PER_YEAR

if TYPE_CHECKING:
    from src.config.schema import SplitConfig, UniverseConfig

PEGGED = frozenset([
    "AUSD", "BUSD", "DAI", "EURC", "EUROP", "EURQ", "EURR", "EURS", "EURT", "FDUSD", "FRAX", "GUSD", "GYEN", "LUSD",
    "PAX", "PAXG", "PYUSD", "RLUSD", "SUSD", "SUSDE", "TUSD", "USD0", "USD1", "USDC", "USDD", "USDE", "USDG", "USDP",
    "USDQ", "USDR", "USDS", "USDT", "USDTB", "USDY", "USTC", "XAUT", "XSGD"
])  # fmt: skip
"""Coins with a fixed price in a currency or metal; a ranked universe leaves them out."""
WRAPPED = frozenset([
    "BBTC", "BNSOL", "BTCB", "CBADA", "CBBTC", "CBDOGE", "CBETH", "CBLTC", "CBXRP", "FBTC", "JITOSOL", "KBTC", "LBTC",
    "LSETH", "MSOL", "RENBTC", "RETH", "STETH", "TBTC", "WAVAX", "WBNB", "WBTC", "WEETH", "WETH", "WSOL", "WSTETH",
    "WTRX"
])  # fmt: skip
"""Coins that stand for another coin; a ranked universe takes that one instead."""
_YEAR = 12  # months of which liquidity is the median


def activity(bars: pl.DataFrame) -> pl.DataFrame:
    """Compute the median daily dollar volume of each month.

    Parameters
    ----------
    bars : DataFrame
        asset_class, symbol, date, close, volume. Rows without a price or volume are left out.

    Returns
    -------
    DataFrame
        asset_class, symbol, month (its first day), dollars; sorted.
    """
    dollars = (pl.col("close").cast(pl.Float64) * pl.col("volume").cast(pl.Float64)).alias("dollars")
    rows = bars.select(*KEY, pl.col("date").cast(pl.Date).dt.month_start().alias("month"), dollars)
    rows = rows.filter(pl.col("dollars").is_finite() & (pl.col("dollars") >= 0))
    return rows.group_by(*KEY, "month").agg(pl.col("dollars").median()).sort(*KEY, "month")


def first_oos(first: dt.date, asset_class: str, split: SplitConfig) -> dt.date:
    """Return the first possible out-of-sample date: no prediction is earlier.

    Parameters
    ----------
    first : date
        First bar of the asset class.
    asset_class : str
        Decides the number of bars a year.
    split : SplitConfig
        Length of the first training window, and the boundaries of folds.

    Returns
    -------
    date
        The first fold boundary after a first training window that begins at `first`.
    """
    earliest = first + dt.timedelta(days=split.first_train_bars / BARS_PER_YEAR[asset_class] * 365.25)
    anchor = dt.date.fromisoformat(split.anchor)
    months = (earliest.year - anchor.year) * 12 + earliest.month - anchor.month
    step = months // split.fold_months * split.fold_months
    while (boundary := _later(anchor, step)) < earliest:
        step += split.fold_months
    return boundary


def _later(day: dt.date, months: int) -> dt.date:
    month = day.year * 12 + day.month - 1 + months
    return day.replace(year=month // 12, month=month % 12 + 1)


def liquidity(months: pl.DataFrame, split: SplitConfig) -> pl.DataFrame:
    """Compute the median daily dollar volume of the year before the class's first possible out-of-sample date.

    Later bars would favour winners. For an instrument without bars before that date, its own first year counts.

    Parameters
    ----------
    months : DataFrame
        From `activity`.
    split : SplitConfig
        Decides the first out-of-sample date.

    Returns
    -------
    DataFrame
        asset_class, symbol, liquidity (dollars a day), period (text that names the period).
    """
    starts = {kind: first for kind, first in months.group_by("asset_class").agg(pl.col("month").min()).iter_rows()}
    limits = {kind: first_oos(first, kind, split) for kind, first in starts.items()}
    limit = pl.col("asset_class").replace_strict(limits, return_dtype=pl.Date)
    before = months.filter(pl.col("month") < limit).sort("month").group_by(KEY).tail(_YEAR)
    late = months.join(before, on=KEY, how="anti").sort("month").group_by(KEY).head(_YEAR)
    period = pl.format("before {}", limit.first().dt.to_string("%Y-%m-%d"))
    return pl.concat(
        [
            before.group_by(KEY).agg(pl.col("dollars").median().alias("liquidity"), period.alias("period")),
            late.group_by(KEY).agg(
                pl.col("dollars").median().alias("liquidity"), pl.lit("its first year").alias("period")
            ),
        ]
    ).sort(KEY)


def ranked(universe: UniverseConfig) -> bool:
    """Return whether instruments are chosen by liquidity, for which the source's bars must be read first.

    Parameters
    ----------
    universe : UniverseConfig
        Its names and limits.

    Returns
    -------
    bool
        True if there are limits and no names.
    """
    named = universe.symbols or universe.file
    return not named and any(getattr(universe, kind) is not None for kind in ASSET_CLASSES)


def select(listing: pl.DataFrame, universe: UniverseConfig) -> pl.DataFrame:
    """Decide for every listed instrument whether it is in the universe.

    Parameters
    ----------
    listing : DataFrame
        asset_class, symbol; for a ranked universe also liquidity and period (see `liquidity`), null if unknown.
    universe : UniverseConfig
        Names win over limits; a limit of null takes all of its class.

    Returns
    -------
    DataFrame
        asset_class, symbol, included, reason: one row for each of `listing`, sorted by key.

    Raises
    ------
    ConfigError
        If a name is not listed, with close matches, or the file of names can't be read.
    """
    if universe.symbols or universe.file:
        return _named(listing, universe)
    parts = [_limited(part, kind, getattr(universe, kind)) for (kind,), part in listing.group_by("asset_class")]
    return pl.concat(parts).sort(KEY) if parts else _table([])


def _limited(part: pl.DataFrame, kind: object, limit: int | None) -> pl.DataFrame:
    if limit is None:
        return part.select(KEY).with_columns(included=True, reason=pl.lit(f"every {kind} of the source"))
    rows = []
    if "liquidity" not in part.columns:
        part = part.with_columns(liquidity=pl.lit(None, pl.Float64), period=pl.lit(None, pl.String))
    order = part.sort("liquidity", "symbol", descending=[True, False], nulls_last=True)
    rank = 0
    for row in order.iter_rows(named=True):
        follower = follows(row["asset_class"], row["symbol"])
        if follower:
            rows.append((row["asset_class"], row["symbol"], False, f"{follower}: a ranked universe leaves these out"))
            continue
        rank += 1
        by = f"by median daily dollar volume, {row['period']}" if row["period"] else "which has no usable bars"
        rows.append((row["asset_class"], row["symbol"], rank <= limit, f"rank {rank:,} of {limit:,} taken, {by}"))
    return _table(rows)


def follows(asset_class: str, symbol: str) -> str:
    """Classify a coin that follows the price of something else.

    Parameters
    ----------
    asset_class, symbol : str
        The instrument.

    Returns
    -------
    str
        ``stablecoin`` or ``wrapped coin``; empty for other instruments.
    """
    coin = symbol.upper().split("-")[0].split("/")[0]
    if asset_class != "crypto":
        return ""
    return "stablecoin" if coin in PEGGED else "wrapped coin" if coin in WRAPPED else ""


def _named(listing: pl.DataFrame, universe: UniverseConfig) -> pl.DataFrame:
    keys_by_setting = {"universe.symbols": matches(listing, universe.symbols, "universe.symbols")}
    if universe.file:
        lines = watchlist.names(universe.file)
        places = {name: f"line {number}" for name, number in lines.items()}
        keys_by_setting[universe.file] = matches(listing, list(lines), f"universe.file={universe.file}", places)
    taken: dict[tuple[str, str], str] = {}
    for setting, hits in reversed(keys_by_setting.items()):
        for name, keys in hits.items():
            also = f"; {name} is listed in {len(keys)} classes, all taken" if len(keys) > 1 else ""
            taken |= {key: f"named in {setting}{also}" for key in keys}
    rows = listing.select(KEY).sort(KEY).rows()
    return _table([(*key, key in taken, taken.get(key, "not named")) for key in rows])


def matches(
    listing: pl.DataFrame, names: list[str], setting: str, places: Mapping[str, str] | None = None
) -> dict[str, list[tuple[str, str]]]:
    """Find the listed instruments that names mean.

    Parameters
    ----------
    listing : DataFrame
        asset_class, symbol.
    names : list of str
        "AAPL", in any class, or "stock:AAPL". The exact case is tried first, then any case.
    setting : str
        Where the names come from, for the message.
    places : mapping of str to str, or None
        Line of each name, for the message.

    Returns
    -------
    dict of str to list of (asset_class, symbol)
        By name.

    Raises
    ------
    ConfigError
        If a name is not listed, with close matches.
    """
    keys: list[tuple[str, str]] = [(kind, symbol) for kind, symbol in listing.select(KEY).sort(KEY).rows()]
    exact: dict[str, list[tuple[str, str]]] = {}
    folded: dict[str, list[tuple[str, str]]] = {}
    for key in keys:
        for name in (key[1], f"{key[0]}:{key[1]}"):
            exact.setdefault(name, []).append(key)
            folded.setdefault(name.upper(), []).append(key)
    matched = {name: exact.get(name) or folded.get(name.upper(), []) for name in names}
    spelt = {name.upper(): name for name in exact}
    missing = [name for name, hits in matched.items() if not hits]
    if missing:
        unlisted = []
        for name in missing[:5]:
            place = f" on {places[name]}" if places else ""
            close = difflib.get_close_matches(name.upper(), list(folded), n=3, cutoff=0.5)
            hint = f" (close: {', '.join(spelt[hit] for hit in close)})" if close else ""
            unlisted.append(f"{name}{place}{hint}")
        more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        raise ConfigError(f"{setting}: among {len(keys):,} instruments there is no {'; '.join(unlisted)}{more}")
    return matched


def panel(states: pl.DataFrame, size: int) -> list[tuple[str, str]]:
    """Choose the panel of market-relative features: the most liquid instruments of each class.

    Parameters
    ----------
    states : DataFrame
        asset_class, symbol, state, liquidity. Only instruments that are done and have a liquidity count.
    size : int
        Number of instruments of each class.

    Returns
    -------
    list of (asset_class, symbol)
        The most liquid first within a class; without coins that follow another price.
    """
    keys: list[tuple[str, str]] = []
    usable = states.filter((pl.col("state") == "done") & (pl.col("liquidity") > 0))
    for kind in ASSET_CLASSES:
        rows = usable.filter(pl.col("asset_class") == kind).sort("liquidity", "symbol", descending=[True, False])
        keys += [(kind, symbol) for symbol in rows["symbol"] if not follows(kind, symbol)][:size]
    return keys


def _table(rows: list[tuple[str, str, bool, str]]) -> pl.DataFrame:
    kinds = {"asset_class": pl.String(), "symbol": pl.String(), "included": pl.Boolean(), "reason": pl.String()}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def named(universe: UniverseConfig) -> list[str]:
    """Return the names that a universe has, in its settings or in a file.

    Parameters
    ----------
    universe : UniverseConfig
        Its symbols and file.

    Returns
    -------
    list of str
        Sorted, unique; empty without names.

    Raises
    ------
    ConfigError
        If the file can't be read, or a line of it is malformed.
    """
    return sorted({*universe.symbols, *(watchlist.names(universe.file) if universe.file else [])})


def content(universe: UniverseConfig) -> dict[str, object]:
    """Return the settings that decide which instruments a universe has, for a key.

    Parameters
    ----------
    universe : UniverseConfig
        Its limits, symbols, and the lines of its file.

    Returns
    -------
    dict
        Can be written as JSON.
    """
    return {
        "names": named(universe),
        "interval": universe.interval,
        **{kind: getattr(universe, kind) for kind in ASSET_CLASSES},
    }
