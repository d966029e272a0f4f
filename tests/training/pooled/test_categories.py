"""Categories of a day and a name: each is what was known before that day's decision."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl

from src.listings.directory import ENTRY
from src.listings.history import ListingHistory
from src.training.pooled.categories import EXCHANGE_NUMBERS, categories, exchanges, listings_digest, weekdays
from tests.training.pooled import rank_case

NASDAQ, NYSE = EXCHANGE_NUMBERS["NASDAQ"], EXCHANGE_NUMBERS["NYSE"]


def keep(root: Path, day: dt.date, origin: str, listed: dict[str, str]) -> None:
    rows = [("stock", symbol, symbol, symbol, "common", "name", exchange) for symbol, exchange in listed.items()]
    ListingHistory(root).keep(origin, pl.DataFrame(rows, schema=ENTRY, orient="row"), day)


def test_the_weekday_is_that_of_the_calendar() -> None:
    found = rank_case.section(["AAA"], 30)
    assert weekdays(found).tolist() == [day.weekday() for day in found.dates.tolist()]


def test_an_exchange_is_known_from_the_day_after_a_list_on_and_a_later_list_changes_nothing_earlier(
    tmp_path: Path,
) -> None:
    found = rank_case.section(["AAA", "BBB", "CCC"], 20, "2024-01-01")
    keep(tmp_path, dt.date(2024, 1, 3), "nasdaqlisted", {"AAA": "NASDAQ"})
    keep(tmp_path, dt.date(2024, 1, 6), "otherlisted", {"BBB": "NYSE"})  # a Saturday
    first = exchanges(found, tmp_path)
    assert first[:, 0].tolist() == [0] * 3 + [NASDAQ] * 17
    assert first[:, 1].tolist() == [0] * 5 + [NYSE] * 15
    assert not first[:, 2].any()
    keep(tmp_path, dt.date(2024, 1, 12), "otherlisted", {"AAA": "NYSE", "BBB": "NYSE", "CCC": "Elsewhere"})
    second = exchanges(found, tmp_path)
    assert np.array_equal(second[:10], first[:10])
    assert second[10].tolist() == [NYSE, NYSE, 0]


def test_an_exchange_that_no_day_knows_is_no_category(tmp_path: Path) -> None:
    found = rank_case.section(["AAA"], 20, "2024-01-01")
    keep(tmp_path, dt.date(2024, 2, 1), "nasdaqlisted", {"AAA": "NASDAQ"})
    assert list(categories(found, tmp_path)) == ["weekday"]
    keep(tmp_path, dt.date(2024, 1, 3), "nasdaqlisted", {"AAA": "NASDAQ"})
    assert list(categories(found, tmp_path)) == ["weekday", "exchange"]
    assert list(categories(dataclasses.replace(found, asset_class="crypto"), tmp_path)) == ["weekday"]


def test_a_list_of_the_last_session_or_later_is_no_part_of_a_fits_key(tmp_path: Path) -> None:
    until = dt.date(2024, 1, 26)
    none = listings_digest(tmp_path, "stock", until)
    keep(tmp_path, until, "nasdaqlisted", {"AAA": "NASDAQ"})
    assert listings_digest(tmp_path, "stock", until) == none
    keep(tmp_path, dt.date(2024, 1, 25), "otherlisted", {"AAA": "NYSE"})
    assert listings_digest(tmp_path, "stock", until) != none
    assert listings_digest(tmp_path, "crypto", until) == none
