"""What a unit of a hedge consists of."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from src.config.schema import LabelConfig
from src.market.bars import SCHEMA, BarStore
from src.signals.hedges import HedgeMembers
from tests.signals.netting_case import stored_bars

MEAN, OUTRIGHT = LabelConfig(kind="relative"), LabelConfig()
FUND = LabelConfig(kind="beta", params={"fund": "etf:SPY"})
MONDAY = dt.date(2025, 3, 3)


@pytest.fixture
def store(tmp_path: Path) -> BarStore:
    """Three members on Monday; one does not trade on Tuesday; one alone has a bar on Wednesday; X is no member."""
    price = dict.fromkeys(("open", "high", "low", "close", "factor"), 10.0)
    traded = {0: "ABCX", 1: "ACX", 2: "B"}
    rows = [
        price | {"asset_class": "stock", "symbol": symbol, "date": MONDAY + dt.timedelta(days=day), "volume": 5.0}
        for day, symbols in traded.items()
        for symbol in symbols
    ]
    rows.append(rows[1] | {"date": MONDAY + dt.timedelta(days=1), "volume": 0.0})  # B without a trade
    panel = [("stock", symbol) for symbol in "ABC"]
    return stored_bars(pl.DataFrame(rows, schema=SCHEMA), tmp_path / "bars", panel)


def test_the_mean_is_that_of_the_members_that_traded_on_the_last_session(store: BarStore) -> None:
    hedges = HedgeMembers(store, {"stock.A": MEAN})
    third = {("stock", symbol): pytest.approx(1 / 3) for symbol in "ABC"}
    assert hedges.on(MONDAY) == {"stock": third}
    half = {("stock", symbol): 0.5 for symbol in "AC"}
    assert hedges.on(MONDAY + dt.timedelta(days=1)) == {"stock": half}
    assert hedges.on(MONDAY + dt.timedelta(days=2)) == {"stock": half}  # one bar makes no session
    assert hedges.on(MONDAY - dt.timedelta(days=1)) == {}


def test_a_fund_is_the_hedge_of_the_champions_that_name_it(store: BarStore) -> None:
    hedges = HedgeMembers(store, {"stock.A": FUND, "stock.B": OUTRIGHT})
    assert hedges.on(MONDAY) == {"stock.A": {("etf", "SPY"): 1.0}}
    assert hedges.hedge_of("stock.A", "stock") == "stock.A"
    assert hedges.hedge_of("stock.C", "stock") == "stock"


def test_bars_are_not_read_where_nothing_is_hedged(tmp_path: Path) -> None:
    assert HedgeMembers(BarStore(tmp_path / "none"), {"stock.A": OUTRIGHT}).on(MONDAY) == {}
