"""Older bars in a newer basis: what a provider no longer serves is not lost when a split moves its prices."""

from __future__ import annotations

import dataclasses
import datetime as dt

import polars as pl

from src.fetching.provider import Answer
from src.hydration.live.history import History
from src.hydration.live.refresh import MONEY
from src.market.bars import PRICES

ONE_RATIO = 1e-4  # relative: old and new prices were each rounded
AGREE = 5  # earliest common bars that must have it


def with_older(stored: History, answer: Answer) -> Answer:
    """Extend a whole answer by the stored bars from before its first one, put into its basis.

    A provider may serve only the last 730 days. What it served before then stays: if a split has moved the basis, older
    prices and dividends are multiplied by the ratio of the earliest bars in common, and volumes are divided by it.

    Parameters
    ----------
    stored : History
        Of one instrument.
    answer : Answer
        All that the provider serves of it now.

    Returns
    -------
    Answer
        Unchanged if there are no older bars, or if the earliest bars in common have no single ratio: then older bars
        can't be distinguished from errors.
    """
    live = stored.bars.filter(pl.col("source").is_in(answer.bars["source"].unique().to_list()))
    if not live.height or not answer.bars.height:
        return answer
    first = answer.bars["date"].min()
    older = live.filter(pl.col("date") < first)
    both = _dated(live).join(_dated(answer.bars), on="date", suffix="_new").sort("date")
    ratio = (both["close_new"] / both["close"]).head(AGREE)
    middle = ratio.median()
    if not older.height or not isinstance(middle, float) or len(ratio) < AGREE or not middle > 0:
        return answer
    if not bool(((ratio / middle - 1).abs() <= ONE_RATIO).all()):
        return answer
    prices = [(pl.col(name) * middle).alias(name) for name in (*PRICES, "adj_close")]
    bars = older.with_columns(*prices, volume=pl.col("volume") / middle)
    day = first.date() if isinstance(first, dt.datetime) else first
    money = pl.when(pl.col("kind").is_in(MONEY)).then(pl.col("value") * middle).otherwise("value")
    events = stored.events.filter(pl.col("date") < day).with_columns(value=money)
    return dataclasses.replace(
        answer,
        bars=pl.concat([bars.select(answer.bars.columns), answer.bars]),
        events=pl.concat([events.select(answer.events.columns), answer.events]).unique(maintain_order=True),
    )


def _dated(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop_nulls("date").unique("date", keep="last", maintain_order=True).sort("date")
