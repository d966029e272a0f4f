"""What a unit of each champion's hedge consists of on a day: members of the pinned panel, or a fund."""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from src.core.instruments import KEY, Key
from src.evaluation.label_kinds.portfolio import fund_of
from src.evaluation.label_kinds.registry import label_kind
from src.market.bars import BarStore, tradable

if TYPE_CHECKING:
    from src.config.schema import LabelConfig

WEEK = 5  # days: one on which fewer than half as many traded as on the most of these is no session


class HedgeMembers:
    """The hedges of a dataset, day by day.

    The mean that a relative label subtracts is over the members of the pinned panel that traded on the day of the
    decision, equally weighted and rebalanced at each open (`src.evaluation.label_kinds.portfolio`): so is what is sold.

    Parameters
    ----------
    store : BarStore
        Bars and pinned panel; read only where a label hedges.
    labels : mapping of str to LabelConfig
        By the name of the champion, as its run recorded it.
    """

    def __init__(self, store: BarStore, labels: Mapping[str, LabelConfig]) -> None:
        hedged = {name: label for name, label in labels.items() if label_kind(label.kind).hedge is not None}
        self._funds = {name: fund for name, label in hedged.items() if (fund := fund_of(label)) is not None}
        self._traded: dict[str, dict[dt.date, list[str]]] = {}
        if len(self._funds) < len(hedged):
            self._traded = _traded(store)
        self._days = {asset_class: sorted(days) for asset_class, days in self._traded.items()}

    def on(self, date: dt.date) -> dict[str, dict[Key, float]]:
        """Return the weights in a unit of each hedge, as `src.signals.netting.netted` takes them.

        Parameters
        ----------
        date : date
            Of the book.

        Returns
        -------
        dict of str to dict
            By asset class the mean of the panel, over the members with a bar on the class's last session
            up to `date`; by name of a champion the fund of its label. Weights sum to 1.
        """
        hedges: dict[str, dict[Key, float]] = {name: {fund: 1.0} for name, fund in self._funds.items()}
        for asset_class, days in self._traded.items():
            at = bisect.bisect_right(self._days[asset_class], date)
            if at:
                symbols = days[self._days[asset_class][at - 1]]
                hedges[asset_class] = {(asset_class, symbol): 1.0 / len(symbols) for symbol in symbols}
        return hedges

    def hedge_of(self, name: str, asset_class: str) -> str:
        """Return the name by which `on` has the hedge of a champion: its own where it is a fund, else the class's."""
        return name if name in self._funds else asset_class


def _traded(store: BarStore) -> dict[str, dict[dt.date, list[str]]]:
    """Members of the panel that traded on each session, by class; a date on which few did is no session."""
    panel = store.panel()
    columns = [*KEY, "date", "open", "close", "volume"]
    parts = [store.read_bucket(number, columns, panel) for number in store.buckets()] if panel else []
    out: dict[str, dict[dt.date, list[str]]] = {}
    for part in pl.concat(parts).partition_by("asset_class") if parts else []:
        traded = part.filter(tradable(part)).select("symbol", pl.col("date").cast(pl.Date)).unique()
        days = traded.group_by("date").agg(pl.col("symbol").sort())
        count = pl.col("symbol").list.len()
        before = pl.col("symbol").list.len().rolling_max(WEEK, min_samples=1)
        sessions = days.sort("date").filter(2 * count >= before)
        out[str(part["asset_class"][0])] = dict(sessions.iter_rows())
    return out
