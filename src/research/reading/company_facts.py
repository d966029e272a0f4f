"""Figures of the SEC's companyfacts: those of statements, each as it was filed first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import polars as pl

CONCEPTS: dict[str, tuple[tuple[str, str], ...]] = {  # taxonomy and tag, the first that a filing has counts
    "assets": (("us-gaap", "Assets"),),
    "equity": (
        ("us-gaap", "StockholdersEquity"),
        ("us-gaap", "StockholdersEquityIncludingPortionAttributableToNoncontrollingInterest"),
    ),
    "revenue": (
        ("us-gaap", "RevenueFromContractWithCustomerExcludingAssessedTax"),
        ("us-gaap", "RevenueFromContractWithCustomerIncludingAssessedTax"),
        ("us-gaap", "Revenues"),
        ("us-gaap", "SalesRevenueNet"),
        ("us-gaap", "SalesRevenueGoodsNet"),
        ("us-gaap", "RevenuesNetOfInterestExpense"),
    ),
    "gross_profit": (("us-gaap", "GrossProfit"),),
    "cost": (
        ("us-gaap", "CostOfRevenue"),
        ("us-gaap", "CostOfGoodsAndServicesSold"),
        ("us-gaap", "CostOfGoodsSold"),
    ),
    "net_income": (("us-gaap", "NetIncomeLoss"), ("us-gaap", "ProfitLoss")),
    "operating_cash": (
        ("us-gaap", "NetCashProvidedByUsedInOperatingActivities"),
        ("us-gaap", "NetCashProvidedByUsedInOperatingActivitiesContinuingOperations"),
    ),
    "shares": (
        ("dei", "EntityCommonStockSharesOutstanding"),
        ("us-gaap", "CommonStockSharesOutstanding"),
    ),
}
FLOWS = ("revenue", "gross_profit", "cost", "net_income", "operating_cash")
UNITS = {"shares": "shares"}  # the others are USD
FIGURES: dict[str, Any] = {
    "concept": pl.Int8(),  # place in `CONCEPTS`
    "rank": pl.Int8(),  # of the tag
    "start": pl.Date(),  # null for what is stated of a moment
    "end": pl.Date(),
    "value": pl.Float64(),
    "accession": pl.String(),
    "form": pl.String(),
    "filed": pl.Date(),
    "foreign": pl.Int32(),  # figures in other units, on a row that only counts them
}
RECENT = 800  # days of filings that a later revision is read for


def figures(body: bytes) -> pl.DataFrame:
    """Read the figures of one company, each as it was filed first.

    Parameters
    ----------
    body : bytes
        JSON of data.sec.gov.

    Returns
    -------
    DataFrame
        Columns of `FIGURES`. Figures in other units than USD (or shares) are counted on a row without a concept.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
        If it is of another form.
    """
    return _first_filed(body, None)


def recent_figures(body: bytes) -> pl.DataFrame:
    """Read what was filed in the last `RECENT` days before a company's newest filing; see `figures`.

    Parameters
    ----------
    body : bytes
    """
    return _first_filed(body, RECENT)


def _first_filed(body: bytes, days: int | None) -> pl.DataFrame:
    facts = orjson.loads(body)["facts"]
    rows: list[tuple[Any, ...]] = []
    foreign = 0
    for place, (concept, tags) in enumerate(CONCEPTS.items()):
        unit = UNITS.get(concept, "USD")
        for rank, (taxonomy, tag) in enumerate(tags):
            units = facts.get(taxonomy, {}).get(tag, {}).get("units", {})
            foreign += sum(len(entries) for name, entries in units.items() if name != unit)
            rows += _of_tag(units.get(unit, []), place, rank)
    names = [name for name in FIGURES if name != "foreign"]
    dates = {name: pl.String() for name in ("start", "end", "filed")}
    table = pl.DataFrame(rows, schema={name: dates.get(name, FIGURES[name]) for name in names}, orient="row")
    table = table.with_columns(pl.col(*dates).str.to_date("%Y-%m-%d", strict=False)).drop_nulls(["end", "filed"])
    if days is not None:
        table = table.filter(pl.col("filed") >= pl.col("filed").max() - dt.timedelta(days=days))
    counts = pl.DataFrame([{"foreign": foreign}], schema={"foreign": pl.Int32()})
    return pl.concat([table, counts], how="diagonal").select(*FIGURES)


def _of_tag(entries: list[Mapping[str, Any]], place: int, rank: int) -> Iterator[tuple[Any, ...]]:
    """The first statement of each period under one tag; entries without a number, a period or a filing fall away."""
    first: dict[tuple[Any, Any], tuple[Any, ...]] = {}
    for entry in entries:
        value = entry.get("val")
        stated = entry.get("filed"), entry.get("accn")
        if not isinstance(value, int | float) or isinstance(value, bool) or not all((*stated, entry.get("end"))):
            continue
        period = entry.get("start"), entry["end"]
        if period not in first or stated < (first[period][7], first[period][5]):
            row = (place, rank, *period, float(value), entry["accn"], str(entry.get("form") or ""), entry["filed"])
            first[period] = row
    yield from first.values()
