"""The books of consecutive days: what is replayed, what stands as it was said, and what is said once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.config.schema import BookConfig
from src.signals import book as books
from src.signals.book import make_books
from src.signals.dataset import SignalDataset
from src.signals.days import BookDays
from src.signals.journal import Journal
from src.signals.tables import lines_frame
from src.tracking.crowned_versions import CrownedVersion

MONDAY = dt.date(2025, 3, 3)
NOON = dt.datetime(2025, 3, 3, 12, tzinfo=dt.UTC)


def champion(name: str) -> CrownedVersion:
    return CrownedVersion(name, 1, "run", "record", "strategy")


class Deciding:
    """Champions that decide each weekday, from a price that a test may restate."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, BookDays, bool]] = []
        self.positions: dict[tuple[str, dt.date], float] = {}
        self.refused: set[tuple[str, dt.date]] = set()

    def lines(
        self, champions: list[CrownedVersion], _dataset: SignalDataset, days: BookDays, *, explain: bool
    ) -> pl.DataFrame:
        rows: list[dict[str, Any]] = []
        for each in champions:
            self.asked.append((each.name, days, explain))
            day = max(days.first, MONDAY)
            while day <= days.last:
                rows.append(self._row(each.name, day))
                day += dt.timedelta(days=1)
        return lines_frame(rows)

    def _row(self, name: str, day: dt.date) -> dict[str, Any]:
        bar = day - dt.timedelta(days=max(day.weekday() - 4, 0))  # at the weekend, Friday's
        asset_class, symbol = name.split(".", 1)
        key = {"book_date": day, "name": name, "version": 1, "scope": "instrument", "asset_class": asset_class}
        key |= {"symbol": symbol, "decided_on": dt.datetime.combine(bar, dt.time())}
        if (name, bar) in self.refused:
            return key | {"state": "refused", "reason": "its bar is missing"}
        position = self.positions.get((name, bar), 0.5)
        return key | {"state": "said", "position": position, "cost_rate": 0.001, "close": 10.0, "trade_on": day}


@pytest.fixture
def deciding(monkeypatch: pytest.MonkeyPatch) -> Deciding:
    found = Deciding()
    monkeypatch.setattr(books, "instrument_lines", found.lines)
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


DATASET = SignalDataset(DatasetPaths(Path("no-such-folder"), "demo"), "1d", 0)
ONE = [champion("stock.A")]


def said(champions: list[CrownedVersion], journal: Journal, date: dt.date) -> books.Books:
    made = make_books(champions, DATASET, BookConfig(max_weight=1.0), date, journal)
    journal.append("replay", *made.replayed, {}, NOON)
    journal.append("book", *made.today, {}, NOON)
    return made


def test_days_before_the_book_are_replayed_and_marked(deciding: Deciding, journal: Journal) -> None:
    said(ONE, journal, MONDAY + dt.timedelta(days=2))
    kinds = journal.lines().sort("book_date")["kind"].to_list()
    assert kinds == ["replay", "replay", "book"]
    assert journal.books().sort("book_date")["kind"].to_list() == kinds


def test_the_same_book_is_said_once(deciding: Deciding, journal: Journal) -> None:
    first = said(ONE, journal, MONDAY)
    again = said(ONE, journal, MONDAY)
    assert len(journal.entries()) == 1
    assert again.today[0].equals(first.today[0])
    assert again.today[1].equals(first.today[1])


def test_a_restated_bar_changes_no_decision_that_was_said(deciding: Deciding, journal: Journal) -> None:
    said(ONE, journal, MONDAY)
    deciding.positions["stock.A", MONDAY] = 0.1
    made = said(ONE, journal, MONDAY)
    assert made.today[0]["position"].to_list() == [0.5]
    assert made.today[1]["weight"].to_list() == [0.5]
    assert len(journal.entries()) == 1


def test_at_the_weekend_fridays_decision_is_in_the_book_and_not_in_the_journal_again(
    deciding: Deciding, journal: Journal
) -> None:
    saturday = MONDAY + dt.timedelta(days=5)
    said(ONE, journal, saturday - dt.timedelta(days=1))
    deciding.positions["stock.A", saturday - dt.timedelta(days=1)] = 0.1
    made = said(ONE, journal, saturday)
    assert made.today[0]["position"].to_list() == [0.5]
    assert made.today[1]["weight"].to_list() == [0.5]
    assert journal.lines().filter(pl.col("book_date") == saturday).is_empty()


def test_a_line_that_was_refused_is_said_later_and_amends_the_book(deciding: Deciding, journal: Journal) -> None:
    both = [champion("stock.A"), champion("stock.B")]
    deciding.refused.add(("stock.B", MONDAY))
    said(both, journal, MONDAY)
    assert journal.books()["symbol"].to_list() == ["A"]
    deciding.refused.clear()
    said(both, journal, MONDAY)
    assert sorted(journal.books()["symbol"]) == ["A", "B"]
    assert said(both, journal, MONDAY).books["before"].to_list() == [0.0, 0.0]
    assert len(journal.entries()) == 2


def test_a_new_champion_is_replayed_and_leaves_earlier_books_as_they_were(deciding: Deciding, journal: Journal) -> None:
    said(ONE, journal, MONDAY + dt.timedelta(days=1))
    made = said([*ONE, champion("stock.B")], journal, MONDAY + dt.timedelta(days=2))
    lines = journal.lines().filter(name="stock.B").sort("book_date")
    assert lines["kind"].to_list() == ["replay", "replay", "book"]
    earlier = journal.books().filter(pl.col("book_date") < made.date)
    assert set(earlier["symbol"]) == {"A"}
    assert made.today[1].select("symbol", "weight", "before").rows() == [("A", 0.25, 0.5), ("B", 0.25, 0.0)]


def test_what_moved_a_score_is_looked_for_on_the_last_day_alone(deciding: Deciding, journal: Journal) -> None:
    said(ONE, journal, MONDAY + dt.timedelta(days=2))
    assert {(days.first == days.last, explain) for _, days, explain in deciding.asked} == {(True, True), (False, False)}
    deciding.asked.clear()
    said(ONE, journal, MONDAY + dt.timedelta(days=3))
    assert [(days.first, explain) for _, days, explain in deciding.asked] == [(MONDAY + dt.timedelta(days=3), True)]


def test_a_withdrawn_champions_position_is_closed(deciding: Deciding, journal: Journal) -> None:
    said(ONE, journal, MONDAY)
    made = said([], journal, MONDAY + dt.timedelta(days=1))
    assert made.today[1].select("symbol", "weight", "before").rows() == [("A", 0.0, 0.5)]


def test_without_champions_there_is_an_empty_book(deciding: Deciding, journal: Journal) -> None:
    made = said([], journal, MONDAY)
    assert made.lines.is_empty()
    assert made.books.is_empty()
    assert journal.entries() == []


def test_a_weight_that_stays_keeps_its_hedge(
    deciding: Deciding, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hedges:
        def __init__(self, *_arguments: Any) -> None: ...

        def on(self, _date: dt.date) -> dict[str, dict[tuple[str, str], float]]:
            return {"stock": {("etf", "SPY"): 1.0}}

    own = deciding._row

    def row(name: str, day: dt.date) -> dict[str, Any]:
        found = own(name, day)
        return found | ({"hedge": 0.5} if found["state"] == "said" else {"holds": True})

    monkeypatch.setattr(books, "HedgeMembers", Hedges)
    monkeypatch.setattr(deciding, "_row", row)
    days = [MONDAY + dt.timedelta(days=n) for n in range(5)]
    deciding.refused |= {("stock.A", day) for day in days[1:4]}
    for day in (days[0], days[1], days[3], days[4]):
        said(ONE, journal, day)
    for day in days:
        book = journal.books().filter(book_date=day)
        assert dict(book.select("symbol", "weight").iter_rows()) == {"A": 0.5, "SPY": -0.25}
