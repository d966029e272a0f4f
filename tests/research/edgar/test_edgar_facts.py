"""What is collected of EDGAR becomes facts: each filing once, about its company, and none before it was accepted."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from src.research.fact_coverage import coverage
from src.research.filings import filings
from src.research.insiders import insider_trades
from src.research.links import companies
from src.research.statements import statements
from tests.loopback.edgar import NEW_YORK, Edgar
from tests.research.edgar.edgar_case import Desk, universe

SYMBOLS = ("T00", "T01", "T02", "T03A", "T03B")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    """A first run, and a second one on the Monday after."""
    edgar = Edgar(companies=4)
    made = Desk(tmp_path_factory.mktemp("edgar"), edgar, universe(*SYMBOLS))
    made.run()
    edgar.now = dt.datetime(2026, 11, 30, 23, tzinfo=NEW_YORK)
    edgar.insider(edgar.companies[0], edgar.now.date(), edgar.insiders[0])
    edgar.report(edgar.companies[1], edgar.now.date(), "10-Q")
    made.run()
    return made


def true_moments(desk: Desk, insiders: bool) -> list[tuple[str, dt.datetime]]:
    """Symbol and acceptance of each filing, for each of its company's symbols."""
    return sorted(
        (symbol, each.accepted.replace(tzinfo=NEW_YORK))
        for each in desk.edgar.filings
        if bool(each.owners) == insiders
        for symbol in each.filers[0].tickers
    )


def assert_none_is_early(found: pl.DataFrame, true: list[tuple[str, dt.datetime]]) -> None:
    """The n-th fact of each symbol is known no earlier than its n-th filing was accepted."""
    known = sorted(found.select("symbol", "known").rows())
    assert [symbol for symbol, _ in known] == [symbol for symbol, _ in true]
    assert all(seen >= accepted for (_, seen), (_, accepted) in zip(known, true, strict=True))


def test_each_report_is_a_fact_of_each_of_its_symbols(desk):
    known = companies(desk.store, desk.instruments)
    assert_none_is_early(filings(desk.store, known), true_moments(desk, insiders=False))


def test_each_trade_is_a_fact_once_whether_a_set_or_its_own_form_tells_of_it(desk):
    known = companies(desk.store, desk.instruments)
    assert_none_is_early(insider_trades(desk.store, known), true_moments(desk, insiders=True))


def test_each_report_with_figures_is_a_statement_and_all_is_covered_to_the_last_run(desk):
    known = companies(desk.store, desk.instruments)
    found = statements(desk.store, known)
    reports = [each for each in desk.edgar.filings if each.form in ("10-K", "10-Q")]
    assert found.height == sum(len(each.filers[0].tickers) for each in reports)
    spans = coverage(desk.store, {"statements": found}, desk.instruments)
    assert set(spans["fact"]) >= {"filings", "insider_trades", "statements"}
    last = spans.group_by("fact").agg(pl.col("until").max())
    assert last["until"].unique().to_list() == [desk.edgar.now.astimezone(dt.UTC)]
