"""Relative direction: did the instrument do better than the median of its class's pinned panel?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray
from src.core.instruments import KEY
from src.evaluation.label_kinds.declaration import LabelKind, TradedBars, forward_return, later_dates
from src.market.bars import tradable

if TYPE_CHECKING:
    from src.config.schema import LabelConfig


def outcome(bars: TradedBars, label: LabelConfig, market: pl.DataFrame | None) -> FloatArray:
    """Return of the instrument over the horizon less the panel's median return over the same bars.

    Parameters
    ----------
    bars : TradedBars
    label : LabelConfig
    market : DataFrame
        From `panel_returns` with the same label.

    Returns
    -------
    float64, shape (n,)
        NaN for the last h+1 decisions, where the panel has no return, and where the instrument's own entry or exit
        falls on another date than the panel's.
    """
    assert market is not None
    return forward_return(bars.open, label.horizon) - _panel_at(market, bars.asset_class, bars.dates, label.horizon)


def panel_returns(bars: pl.DataFrame, label: LabelConfig) -> pl.DataFrame:
    """Median return of the pinned panel over the label's horizon, for each class and decision date.

    On each date only the members whose entry and exit fall on the most common entry and exit dates are counted, so
    that a member that did not trade for weeks brings nothing from beyond the horizon.

    Parameters
    ----------
    bars : DataFrame with the columns of ``bars.SCHEMA``
        The panel's instruments; asset classes are kept apart.
    label : LabelConfig

    Returns
    -------
    DataFrame
        asset_class, date (of the decision), entry, exit, market_return; unique by (asset_class, date).
    """
    ahead = label.horizon + 1
    opens = pl.col("open").cast(pl.Float64) * pl.col("factor").cast(pl.Float64)
    returns = (
        bars.filter(tradable(bars))
        .sort(*KEY, "date")
        .select(
            "asset_class",
            "date",
            entry=pl.col("date").shift(-1).over(KEY),
            exit=pl.col("date").shift(-ahead).over(KEY),
            change=(opens.shift(-ahead) / opens.shift(-1) - 1.0).over(KEY),
        )
        .drop_nulls()
    )
    by_dates = returns.group_by("asset_class", "date", "entry", "exit").agg(
        pl.len().alias("members"), pl.col("change").median().alias("market_return")
    )
    common = by_dates.sort("members", "exit", descending=[True, False]).unique(["asset_class", "date"], keep="first")
    return common.drop("members").sort("asset_class", "date")


def _panel_at(panel: pl.DataFrame, asset_class: str, dates: DateArray, horizon: int) -> FloatArray:
    """Panel's return for each decision, NaN where the instrument's own entry or exit is on another date."""
    rows = pl.DataFrame({"date": dates, "entry": later_dates(dates, 1), "exit": later_dates(dates, 1 + horizon)})
    keys = ["date", "entry", "exit"]
    panel_rows = panel.filter(pl.col("asset_class") == asset_class).select(*keys, "market_return")
    rows = rows.cast({key: panel_rows.schema[key] for key in keys})
    joined = rows.join(panel_rows, on=keys, how="left", maintain_order="left")
    return joined["market_return"].cast(pl.Float64).fill_null(np.nan).to_numpy()


LABEL = LabelKind("relative", outcome, panel_returns)
