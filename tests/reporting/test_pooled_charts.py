"""Charts of a pooled portfolio: what they show is what a loop over its days gives, and specifications hold no data."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import polars as pl
import pytest

from src.reporting.pooled_charts import (
    excess_by_group,
    groups_sentence,
    holdings_chart,
    information_chart,
    portfolio_charts,
    thinned,
)
from src.reporting.pooled_results import GradedPortfolio
from src.reporting.tear_sheets.pooled_curves import information
from tests.reporting.pooled_case import PASSING, tables

DAYS = 1000
FIRST = dt.date(2019, 1, 1)
BETTER = 0.0002
"""Daily return by which each score group beats the one below it."""


@pytest.fixture(scope="module")
def portfolio() -> GradedPortfolio:
    rng = np.random.default_rng(4)
    days = [FIRST + dt.timedelta(days=k) for k in range(DAYS)]
    market = rng.normal(0.0003, 0.01, DAYS)
    groups = [
        pl.DataFrame({"date": days, "group": [g] * DAYS, "return": market + BETTER * g + rng.normal(0, 1e-5, DAYS)})
        for g in range(1, 6)
    ]
    held = pl.DataFrame({"date": days, "ic": rng.normal(0.02, 0.1, DAYS), "turnover": 0.1, "gross_exposure": 1.6,
                         "names": 400})  # fmt: skip
    found = tables()
    return GradedPortfolio(
        PASSING, "stock.neutral", found["daily"], found["by_year"], found["decay"], held, information(held),
        pl.concat(groups),
    )  # fmt: skip


def test_a_groups_excess_is_its_return_less_the_mean_of_the_days_groups(portfolio: GradedPortfolio) -> None:
    wide = excess_by_group(portfolio.groups)
    assert wide.columns == ["date", "1 lowest", "2", "3", "4", "5 highest", "highest - lowest"]
    for row in wide.head(20).iter_rows(named=True):
        own = portfolio.groups.filter(pl.col("date") == row["date"]).sort("group")["return"].to_list()
        assert list(row.values())[1:6] == pytest.approx([each - sum(own) / 5 for each in own])
        assert row["highest - lowest"] == pytest.approx(own[4] - own[0])


def test_the_sentence_states_returns_order_and_spread(portfolio: GradedPortfolio) -> None:
    sentence = groups_sentence(portfolio)
    assert "(all steps up)" in sentence and f"highest less lowest {4 * BETTER * 252:.1%}" in sentence
    worse = portfolio.groups.with_columns(group=6 - pl.col("group"))
    assert "(0 of 4 steps up)" in groups_sentence(GradedPortfolio(**{**vars(portfolio), "groups": worse}))


def test_the_band_of_no_skill_ends_at_the_error_of_the_whole_sum(portfolio: GradedPortfolio) -> None:
    chart = information_chart("p-ic", portfolio)
    assert chart is not None
    last = chart.tables["information"].tail(1).to_dicts()[0]
    assert last["high"] == pytest.approx(1.96 * PASSING["ic"] / PASSING["ic_t"] * DAYS, rel=1e-3)
    assert last["low"] == pytest.approx(-last["high"])
    first = chart.tables["information"].head(1).to_dicts()[0]
    assert first["high"] == pytest.approx(last["high"] / math.sqrt(DAYS), rel=1e-2)
    no_t = GradedPortfolio(**{**vars(portfolio), "row": PASSING | {"ic_t": None}})
    bare = information_chart("p-ic", no_t)
    assert bare is not None and bare.tables["information"]["high"].null_count() == bare.tables["information"].height


def test_turnover_is_a_years(portfolio: GradedPortfolio) -> None:
    chart = holdings_chart("p-held", portfolio)
    assert chart is not None
    assert chart.tables["held"]["turnover a year"].to_list() == pytest.approx([25.2] * chart.tables["held"].height)


def test_long_tables_are_thinned_and_keep_their_last_day() -> None:
    table = pl.DataFrame({"k": range(1803)})
    kept = thinned(table)["k"].to_list()
    assert kept[0] == 0 and kept[-1] == 1802 and len(kept) <= 401
    assert thinned(table.head(7)).height == 7


def test_a_portfolio_without_days_has_no_charts(portfolio: GradedPortfolio) -> None:
    bare = GradedPortfolio(PASSING, "stock.neutral", *(pl.DataFrame() for _ in range(3)))
    assert portfolio_charts("p", bare) == []
    charts = portfolio_charts("p", portfolio)
    assert len(charts) == 3
    assert all("NaN" not in chart and json.loads(chart.split('json">')[1].split("</script>")[0]) for chart, _ in charts)
