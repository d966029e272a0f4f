"""Facts of kind `chain_summaries`: what a snapshot of an option chain says of its underlying.

Volatilities rest on quotes that are clean, not wide and have a volatility and a delta; volumes and open interest on
every contract of the underlying's own kind, quoted or not. What is left out is counted and logged.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from src.chains.quotes import SPOILING
from src.chains.store import OptionStore
from src.core.errors import StageError
from src.documents.facts import schema
from src.research.smiles import AT, at_days, expiry_volatilities
from src.storage.atomic import read_errors

log = logging.getLogger(__name__)

_SHORT, _LONG = 30, 90  # days
_AT_ONCE = 32  # snapshots in memory
_NOT_COUNTED = ("malformed", "duplicate", "adjusted", "foreign", "expired")  # contracts without a volume of their own
_COLUMNS = [
    "asset_class", "underlying", "captured", "expiry", "type", "strike", "volume", "open_interest", "forward", "years",
    "iv", "delta", "wide", "clean", "stale_trade", *SPOILING,
]  # fmt: skip


def chain_summaries(store: OptionStore) -> pl.DataFrame:
    """Summarise every stored snapshot.

    Parameters
    ----------
    store : OptionStore

    Returns
    -------
    DataFrame
        Columns of `src.documents.facts.schema("chain_summaries")`; known when the snapshot was captured, whether the
        market was open then or not. A snapshot has one row, with null for what its quotes don't tell.
    """
    parts, reasons, unreadable = [], dict[str, int](), 0
    for rows, missing in _batches(store):
        unreadable += missing
        if rows.height:
            parts.append(summaries(rows))
            for reason, count in left_out(rows).items():
                reasons[reason] = reasons.get(reason, 0) + count
    found = pl.concat(parts) if parts else pl.DataFrame(schema=schema("chain_summaries"))
    _log_counts(found, reasons, unreadable)
    return found.sort("asset_class", "symbol", "known")


def summaries(rows: pl.DataFrame) -> pl.DataFrame:
    """Summarise snapshots.

    - volatility: `at_days` of the volatility at the forward, 30 days ahead;
    - skew: that of the 25-delta put less that of the 25-delta call, from the expiries that have both (the risk reversal
      of Mixon 2011, What does implied volatility skew measure?, Journal of Derivatives 18:9; Xing, Zhang and Zhao 2010,
      JFQA 45:641, take the put whose strike over spot is nearest to 0.95 less the call at the money);
    - term_slope: the volatility at the forward 90 days ahead less that 30 days ahead;
    - put_call_volume, put_call_interest: null without calls. They are of all trades: the ratio that Pan and Poteshman
      2006, RFS 19:871, find to foretell returns is of buyers who open positions, which no public chain tells;
    - volume: contracts traded in the session of the capture up to then; a volume of an earlier session counts as 0;
    - contracts: quotes that the volatilities can rest on.

    Parameters
    ----------
    rows : DataFrame
        Columns of `src.chains.quotes.SCHEMA` and ``snapshot``, a string that is unique for each.

    Returns
    -------
    DataFrame
        Columns of `src.documents.facts.schema("chain_summaries")`, one row a snapshot.
    """
    usable = rows.filter(_usable(rows))
    volatilities = expiry_volatilities(usable)
    both = volatilities.filter(pl.col("put").is_not_null() & pl.col("call").is_not_null())
    found = _traded(rows).join(usable.group_by(AT).agg(pl.len().alias("contracts")), on=AT, how="left")
    for part in (
        at_days(volatilities, "at_money", _SHORT).rename({"at_money": "volatility"}),
        at_days(volatilities, "at_money", _LONG).rename({"at_money": "long"}),
        at_days(both, "put", _SHORT),
        at_days(both, "call", _SHORT),
    ):
        found = found.join(part, on=AT, how="left")
    found = found.with_columns(
        skew=pl.col("put") - pl.col("call"),
        term_slope=pl.col("long") - pl.col("volatility"),
        contracts=pl.col("contracts").fill_null(0),
        document=pl.format("options:{}:0", AT),
        backfilled=pl.lit(False),
    )
    columns = schema("chain_summaries")
    return found.select(columns.keys()).cast(pl.Schema(columns))


def left_out(rows: pl.DataFrame) -> dict[str, int]:
    """Quotes that no volatility rests on, by reason; a quote with several counts under the first of them.

    Parameters
    ----------
    rows : DataFrame
        Columns of `src.chains.quotes.SCHEMA`.

    Returns
    -------
    dict of str to int
        By flag in the order of `SPOILING`, then wide and ``no_volatility``; ``used`` is the rest. They add up to the
        number of rows.
    """
    reason = pl.coalesce(*(pl.when(flag).then(pl.lit(flag)) for flag in (*SPOILING, "wide")), pl.lit("no_volatility"))
    reasons = rows.select(reason=pl.when(_usable(rows)).then(pl.lit("used")).otherwise(reason))["reason"]
    counts = dict(reasons.value_counts().iter_rows())
    order = [*SPOILING, "wide", "no_volatility", "used"]
    return {name: int(counts[name]) for name in order if name in counts}


def _usable(rows: pl.DataFrame) -> pl.Series:
    known = pl.all_horizontal(pl.col("iv", "delta", "forward", "years").is_not_null())
    fit = pl.col("clean") & ~pl.col("wide") & known & (pl.col("years") > 0) & (pl.col("forward") > 0)
    return rows.select(fit.fill_null(False).alias("fit"))["fit"]


def _traded(rows: pl.DataFrame) -> pl.DataFrame:
    """Volume and open interest of each snapshot, by which instrument and when."""
    counted = ~pl.any_horizontal(_NOT_COUNTED)
    fresh = pl.when(pl.col("stale_trade")).then(0.0).otherwise(pl.col("volume"))
    sums: list[pl.Expr] = []
    for name, values in (("volume", fresh), ("interest", pl.col("open_interest"))):
        for kind in ("put", "call"):
            taken = values.filter(counted & (pl.col("type") == kind)).drop_nulls()
            sums.append(pl.when(taken.len() > 0).then(taken.sum()).alias(f"{kind}_{name}"))
    found = rows.group_by(AT).agg(
        pl.col("asset_class", "underlying").first(), pl.col("captured").max().alias("known"), *sums
    )
    ratio: dict[str, Any] = {
        f"put_call_{name}": pl.when(pl.col(f"call_{name}") > 0).then(pl.col(f"put_{name}") / pl.col(f"call_{name}"))
        for name in ("volume", "interest")
    }
    volume = pl.col("put_volume").fill_null(0) + pl.col("call_volume").fill_null(0)
    any_volume = pl.col("put_volume").is_not_null() | pl.col("call_volume").is_not_null()
    found = found.with_columns(**ratio, volume=pl.when(any_volume).then(volume))
    return found.rename({"underlying": "symbol"})


def _batches(store: OptionStore) -> Iterator[tuple[pl.DataFrame, int]]:
    """Quotes of some snapshots at a time, and how many could not be read."""
    listing = store.snapshots()
    for piece in listing.iter_slices(_AT_ONCE):
        read = [_read(*row) for row in piece.select("asset_class", "underlying", "captured", "path").iter_rows()]
        tables = [table for table in read if table is not None]
        yield pl.concat(tables) if tables else pl.DataFrame(), len(read) - len(tables)


def _read(asset_class: str, underlying: str, captured: dt.datetime, path: str) -> pl.DataFrame | None:
    """Quotes of a snapshot; None, and a warning, if its file is damaged."""
    name = f"{asset_class}.{underlying}/{captured:%Y-%m-%dT%H%M%SZ}"
    try:
        with read_errors(Path(path), "remove the file, or restore it from a copy"):
            rows = pl.read_parquet(path, columns=_COLUMNS, glob=False)
    except (StageError, FileNotFoundError) as error:
        log.warning("chain summaries: %s", error)
        return None
    stamp = pl.lit(captured).cast(rows.schema["captured"])
    return rows.with_columns(pl.col("captured").fill_null(stamp), pl.lit(name).alias(AT))


def _log_counts(found: pl.DataFrame, reasons: dict[str, int], unreadable: int) -> None:
    if not found.height and not unreadable:
        return
    silent = found["volatility"].null_count()
    log.info(
        "chain summaries: %s snapshots, %s of them without a volatility at the money, %s files unreadable; quotes: %s",
        f"{found.height:,}", f"{silent:,}", f"{unreadable:,}", _listed(reasons.items()),
    )  # fmt: skip


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts) or "none"
