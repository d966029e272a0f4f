"""What followed a text: the return of its instrument from the next open on, less that of the market."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from src.core.instruments import KEY
from src.market.bars import BarStore, tradable
from src.market.bars import bucket as bucket_of
from src.market.calendar import NEW_YORK, session_closes, sessions

_COLUMNS = [*KEY, "date", "open", "close", "volume", "factor"]
_LIMIT = 0.5  # of a member's return in the market's mean
_LEAST_MEMBERS = 5  # below them there is no market to compare with
_LONGEST_WAIT = "7d"  # from a text to the close after it: later, the instrument did not trade on it
_LONGEST_GAP = 5  # sessions without a bar between entry and exit
OUTCOMES: dict[str, Any] = {
    "text": pl.UInt32(),
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "outcome": pl.Float64(),  # total return less the market's
    "complete": pl.Datetime("us", "UTC"),  # when the last price of it was known
}


def outcomes(links: pl.DataFrame, bars: BarStore, horizon: int) -> pl.DataFrame:
    """Look up what followed texts about instruments.

    The decision day of a text is the first tradable bar whose session closes at or after the text's known time. Its
    return runs from the open of the next tradable bar over `horizon` tradable bars, in total-return prices, and is
    complete when the session of its last price has closed. The mean return of the pinned panel over the same sessions
    is taken from it where at least five members have one; without a panel, all instruments of the store are.

    Parameters
    ----------
    links : DataFrame
        text (UInt32), asset_class, symbol, known (Datetime in UTC).
    bars : BarStore
    horizon : int
        Tradable bars from entry to exit.

    Returns
    -------
    DataFrame
        Columns of `OUTCOMES`; links without such a return are left out.
    """
    if not bars.exists() or not links.height:
        return pl.DataFrame(schema=OUTCOMES)
    keys = links.select(KEY).unique()
    panel = pl.DataFrame(bars.panel(), schema=dict.fromkeys(KEY, pl.String()), orient="row")
    members = panel if panel.height else bars.instruments().select(KEY)
    found, market = [], []
    for b, wanted in _by_bucket(pl.concat([keys, members]).unique(), bars):
        after = returns_after(bars.read_bucket(b, _COLUMNS, wanted.rows()), horizon)
        market.append(
            _regular(after, horizon).join(members, on=KEY, how="semi").select("asset_class", "date", "return")
        )
        found.append(_joined(links, after.join(keys, on=KEY, how="semi")))
    rows = pl.concat(found).join(_means(pl.concat(market)), on=["asset_class", "date"], how="left")
    rows = rows.with_columns(outcome=pl.col("return") - pl.col("market").fill_null(0.0))
    return rows.select(OUTCOMES.keys()).cast(pl.Schema(OUTCOMES)).sort("text", *KEY)


def returns_after(bars: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Compute the open-to-open return after each tradable bar of each instrument.

    Parameters
    ----------
    bars : DataFrame
        asset_class, symbol, date, open, close, volume, factor; shorter bars than a day are joined to days.
    horizon : int

    Returns
    -------
    DataFrame
        asset_class, symbol, date, close (of the session, UTC), return ``O[k+1+horizon] / O[k+1] - 1``, complete, and
        gap: sessions from the decision to the exit.
    """
    days = _daily(bars)
    parts = [_after(part, str(kind), horizon) for (kind,), part in days.group_by("asset_class", maintain_order=True)]
    empty = {"date": pl.Date(), "close": OUTCOMES["complete"], "return": pl.Float64(), "complete": OUTCOMES["complete"]}
    schema = dict.fromkeys(KEY, pl.String()) | empty | {"gap": pl.Int64()}
    return pl.concat([pl.DataFrame(schema=schema), *parts]).filter(pl.col("gap") <= 1 + horizon + _LONGEST_GAP)


def _daily(bars: pl.DataFrame) -> pl.DataFrame:
    """Tradable days with the total-return price of the open."""
    traded = bars.filter(tradable()).with_columns(price=pl.col("open") * pl.col("factor")).sort(*KEY, "date")
    if traded.schema["date"] != pl.Date():
        local = pl.col("date").dt.convert_time_zone(str(NEW_YORK)).dt.date()
        day = pl.when(pl.col("asset_class") == "crypto").then(pl.col("date").dt.date()).otherwise(local)
        traded = traded.with_columns(date=day).unique([*KEY, "date"], keep="first", maintain_order=True)
    return traded.select(*KEY, "date", "price")


def _after(days: pl.DataFrame, asset_class: str, horizon: int) -> pl.DataFrame:
    """Returns of one asset class; bars on days without a session don't count."""
    first, last = days["date"].min(), days["date"].max()
    open_days = sessions(asset_class, str(first), str(last))
    dates = pl.Series("date", open_days).cast(pl.Date)
    calendar = pl.DataFrame({"date": dates, "close": session_closes(asset_class, dates)})
    calendar = calendar.with_columns(session=pl.int_range(pl.len(), dtype=pl.Int64))
    exit_at = -(1 + horizon)
    return (
        days.join(calendar, on="date", how="inner", maintain_order="left")
        .with_columns(
            (pl.col("price").shift(exit_at) / pl.col("price").shift(-1) - 1).over(KEY).alias("return"),
            pl.col("close").shift(exit_at).over(KEY).alias("complete"),
            (pl.col("session").shift(exit_at) - pl.col("session")).over(KEY).alias("gap"),
        )
        .filter(pl.col("return").is_finite())
        .select(*KEY, "date", pl.col("close").cast(OUTCOMES["complete"]), "return", "complete", "gap")
    )


def _regular(after: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Returns over exactly the next sessions: the market of a day never waits for a member that did not trade."""
    return after.filter(pl.col("gap") == 1 + horizon)


def _means(market: pl.DataFrame) -> pl.DataFrame:
    """Mean return of the market after each date, added up in an order that other instruments don't change."""
    means = []
    for (kind, date), rows in market.sort("asset_class", "date", "return").group_by("asset_class", "date"):
        if rows.height >= _LEAST_MEMBERS:
            means.append((kind, date, float(np.mean(rows["return"].clip(-_LIMIT, _LIMIT).to_numpy()))))
    schema = {"asset_class": pl.String(), "date": pl.Date(), "market": pl.Float64()}
    return pl.DataFrame(means, schema=schema, orient="row")


def _joined(links: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Each link with the return after its decision day."""
    closes = after.with_columns(decided=pl.col("close")).sort("decided")
    return (
        links.select("text", *KEY, "known")
        .join(after.select(KEY).unique(), on=KEY, how="semi")
        .sort("known")
        .join_asof(
            closes,
            left_on="known",
            right_on="decided",
            by=KEY,
            strategy="forward",
            tolerance=_LONGEST_WAIT,
            check_sortedness=False,  # both are sorted above
        )
        .filter(pl.col("return").is_not_null())
        .select("text", *KEY, "date", "return", "complete")
    )


def _by_bucket(keys: pl.DataFrame, bars: BarStore) -> list[tuple[int, pl.DataFrame]]:
    buckets, complete = bars.manifest.buckets, set(bars.buckets())
    places = [bucket_of(kind, symbol, buckets) for kind, symbol in keys.rows()]
    parts = keys.with_columns(bucket=pl.Series(places, dtype=pl.Int64)).partition_by("bucket", as_dict=True)
    return [(int(b), part.select(KEY).sort(KEY)) for (b,), part in sorted(parts.items()) if b in complete]
