"""The latest bar of each name as it is stored, beside a plain look-up."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from src.market.cross_section import cross_section
from src.signals.pooled_bars import LatestBars, SeenBars
from tests.evaluation.pooled.universe_case import DAYS, bars


class Buckets:
    """Two buckets of bars, as a store reads them."""

    def __init__(self) -> None:
        universe = list(bars(names=12).values())
        saturday = pl.lit(dt.date(2017, 7, 1))
        odd = universe[1].tail(1).with_columns(date=saturday)
        self._parts = [pl.concat([*universe[:5], odd]), pl.concat(universe[5:])]

    def buckets(self) -> list[int]:
        return [0, 1]

    def read_bucket(self, b: int, symbols: Any) -> pl.DataFrame:
        return self._parts[b].filter(pl.col("symbol").is_in([symbol for _, symbol in symbols])).sort("symbol", "date")


@pytest.mark.parametrize("since", [0, 320])
def test_the_latest_bar_of_each_day_is_found(since: int) -> None:
    store = Buckets()
    names = frozenset(("stock", f"N{k:03}") for k in range(12))
    seen = SeenBars(cast(Any, store), "stock", dt.date(2017, 8, 30), names, DAYS[since].item())
    section = cross_section(seen.parts(), "stock")
    found = LatestBars.of(section, seen, since)
    own = pl.concat(store._parts).filter(pl.col("volume") > 0)
    assert found.rows.shape == (len(section.dates) - since, 12)
    for row in {since, 100, 119, 120, 330, len(section.dates) - 1} - set(range(since)):
        for column, symbol in enumerate(section.symbols):
            known = own.filter(pl.col("date") <= section.dates[row].item(), symbol=symbol)
            known = known.filter(pl.col("date").is_in(DAYS.tolist())).sort("date")
            at, close, factor = (getattr(found, name)[row - since, column] for name in ("rows", "close", "factor"))
            if not known.height:
                assert at == -1 and np.isnan(close) and np.isnan(factor)
                continue
            last = known.row(-1, named=True)
            assert section.dates[at].item() == last["date"]
            assert (close, factor) == (last["close"], last["factor"])
