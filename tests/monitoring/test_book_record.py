"""The book's returns from the journal's weights, against a loop over days."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.market.bars import BarStore
from src.monitoring.book_record import book_days, days_per_year, mean_of_champions, on_sessions
from src.monitoring.live_record import TrackRecord
from src.signals.tables import book_frame, lines_frame
from tests.monitoring.monitor_case import KEYS, Watched, watched

STOCKS = KEYS[:2]


def naive(case: Watched, rows: list[dict[str, Any]]) -> dict[dt.date, float]:
    """Net return of each day: each instrument from each of its opens to the next, cost where a book changed it."""
    out: dict[dt.date, float] = {}
    for key in case.keys:
        bars = case.bars(key)
        days, price = bars["date"].to_list(), (bars["open"] * bars["factor"]).to_list()
        own = [row for row in rows if row["symbol"] == key[1]]
        for place in range(len(days) - 1):
            due = [row for row in own if row["trade_on"] <= days[place]]
            if due:
                last = max(due, key=lambda row: row["book_date"])
                earlier = days[place - 1]
                cost = sum(row["cost"] for row in due if row["trade_on"] > earlier)
                net = last["weight"] * (price[place + 1] / price[place] - 1.0) - cost
                out[days[place + 1]] = out.get(days[place + 1], 0.0) + net
    return out


def test_the_book_earns_what_a_loop_over_days_says(tmp_path: Path) -> None:
    case = watched(tmp_path, keys=STOCKS).replayed()
    found = book_days(case.journal.books(), BarStore(case.paths.bars))
    expected = naive(case, case.journal.books().to_dicts())
    assert found["date"].to_list() == sorted(expected)
    for day, net in found.select("date", "net").iter_rows():
        assert net == pytest.approx(expected[day], abs=1e-15)
    assert not found["live"].any()
    assert days_per_year(case.journal.books()) == 252


def test_weights_stay_where_books_are_missing(tmp_path: Path) -> None:
    case = watched(tmp_path, keys=STOCKS)
    hole = [dt.date(2024, 5, 1), dt.date(2024, 6, 1)]
    case.say([line for key in STOCKS for line in case.lines(key) if not hole[0] <= line["book_date"] < hole[1]])
    books = case.journal.books()
    found = book_days(books, BarStore(case.paths.bars))
    expected = naive(case, books.to_dicts())
    assert found.height == len(expected)
    assert found["net"].sum() == pytest.approx(sum(expected.values()), abs=1e-12)
    held = found.filter(pl.col("date").is_between(dt.date(2024, 5, 6), dt.date(2024, 5, 31)))
    assert held["turnover"].sum() == 0
    assert held["gross"].abs().sum() > 0


def test_the_second_book_of_a_day_stands(tmp_path: Path) -> None:
    case = watched(tmp_path, keys=STOCKS[:1])
    day = dt.date(2024, 3, 4)
    first = {"book_date": day, "asset_class": "stock", "symbol": "AAA", "trade_on": dt.date(2024, 3, 5), "cost": 0.0}
    books = [pl.concat([book_frame([first | {"weight": weight}])]) for weight in (0.5, -0.25)]
    marked = [
        book.with_columns(
            entry=pl.lit(n), kind=pl.lit("book"), said_at=pl.lit(dt.datetime(2024, 3, 4, 22, tzinfo=dt.UTC))
        )
        for n, book in enumerate(books)
    ]
    found = book_days(pl.concat(marked), BarStore(case.paths.bars))
    bars = case.bars(STOCKS[0]).filter(pl.col("date") >= dt.date(2024, 3, 5))
    price = (bars["open"] * bars["factor"]).to_list()
    assert found["gross"][0] == pytest.approx(-0.25 * (price[1] / price[0] - 1.0), abs=1e-15)
    assert found["live"].all()


def test_coins_between_sessions_count_on_the_next_one(tmp_path: Path) -> None:
    case = watched(tmp_path).replayed()
    found = book_days(case.journal.books(), BarStore(case.paths.bars))
    expected: dict[dt.date, float] = {}
    for day, net in naive(case, case.journal.books().to_dicts()).items():
        rolled = on_sessions(pl.DataFrame({"date": [day], "net": [net]}))
        expected[rolled["date"][0]] = expected.get(rolled["date"][0], 0.0) + net
    last = found["date"].max()
    assert all(day.weekday() < 5 for day in found["date"])
    for day, net in found.select("date", "net").iter_rows():
        if day != last:
            assert net == pytest.approx(expected[day], abs=1e-15)


def test_an_empty_journal_has_no_day(tmp_path: Path) -> None:
    case = watched(tmp_path, keys=STOCKS[:1])
    case.say([])
    assert lines_frame([]).is_empty()
    assert book_days(case.journal.books(), BarStore(case.paths.bars)).is_empty()


def test_champions_are_averaged_over_days_that_half_of_them_share() -> None:
    def record(days: list[str], net: list[float]) -> TrackRecord:
        dates, values = np.array(days, dtype="datetime64[us]"), np.array(net)
        return TrackRecord(dates, values, values * 0, values, values * 0, np.ones(len(net), dtype=np.bool_), 252.0)

    records = {
        ("a", 1): record(["2024-01-02", "2024-01-03"], [0.01, 0.02]),
        ("b", 1): record(["2024-01-02", "2024-01-03", "2024-01-06"], [0.03, -0.02, 0.5]),
        ("c", 1): record(["2024-01-02"], [0.02]),
    }
    mean = mean_of_champions(records)
    assert mean is not None
    assert mean.dates.astype("datetime64[D]").astype(str).tolist() == ["2024-01-02", "2024-01-03"]
    assert mean.net.tolist() == pytest.approx([0.02, 0.0])


def test_versions_that_were_replaced_leave_the_mean_of_later_days_as_it_is() -> None:
    day, records = np.timedelta64(1, "D"), {}
    for version in range(1, 5):
        dates = np.datetime64("2025-01-01", "us") + (np.arange(60) + 60 * (version - 1)) * day
        net = np.full(60, 0.001 * version)
        for symbol in "ABC":
            found = TrackRecord(dates, net, net * 0, net, net * 0, np.ones(60, dtype=np.bool_), 252.0)
            records[f"stock.{symbol}", version] = found
    mean = mean_of_champions(records)
    assert mean is not None
    assert mean.net.tolist() == pytest.approx([0.001 * version for version in range(1, 5) for _ in range(60)])
