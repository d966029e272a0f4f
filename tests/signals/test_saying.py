"""The book of a day as the command says it: its files, the journal, and what the closing line tells."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.core.errors import ConfigError, StageError
from src.signals import saying
from src.signals.book import Books, weights_of
from src.signals.journal import Journal
from src.signals.saying import BookRequest, Said, say
from src.tracking.crowned_versions import CrownedVersion
from tests.signals.trained_case import END, Trained, configured, in_folder, trained

Say = Callable[..., Said]
LAST = dt.date.fromisoformat(END)
UNTIL = "2023-11-17"  # six weeks to replay: each day of a book takes milliseconds, in each test
INVESTED = "2023-12-14"  # a day on which a stock and the coin are held


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    config = configured(tmp_path_factory.mktemp("saying"), features__names=["rsi_14", "return_5"], split__until=UNTIL)
    case = trained(config, "ridge")
    case.champions()  # stores the models of those that did not pass
    return case


@pytest.fixture
def case(once: Trained, tmp_path: Path) -> Trained:
    return once.copy(tmp_path)


@pytest.fixture
def said(case: Trained, monkeypatch: pytest.MonkeyPatch) -> Say:
    def command(date: str | None = None, champions: list[CrownedVersion] | None = None, **book: object) -> Said:
        crowned = case.champions() if champions is None else champions
        monkeypatch.setattr(saying, "crowned_versions", lambda _tracked: crowned)
        config = replace(case.config, date=date, book=replace(case.config.book, **book))
        return say(BookRequest.of(config))

    return command


def test_the_latest_day_is_said_and_the_days_since_training_are_replayed(said: Say, case: Trained) -> None:
    found = said()
    assert found.date == dt.date(2023, 12, 29)
    assert found.lines["state"].to_list() == ["said"] * 3
    journal = Journal(case.config.paths.journal)
    replayed = journal.lines().filter(kind="replay")
    assert replayed["decided_on"].min() > dt.datetime.fromisoformat(UNTIL)  # type: ignore[operator]
    assert replayed.height == found.replayed > 90
    assert journal.verify() == 2


def test_the_files_hold_what_was_said(said: Say, case: Trained) -> None:
    found, folder = said(), case.config.paths.signals
    assert pl.read_parquet(folder / f"{LAST}.parquet").equals(found.lines)
    assert pl.read_parquet(folder / f"{LAST}-book.parquet").equals(found.book)
    written = pl.read_csv(folder / f"{LAST}.csv")
    assert written["symbol"].to_list() == found.lines["symbol"].to_list()
    assert written["score"].to_list() == found.lines["score"].to_list()
    assert (folder / f"{LAST}-orders.csv").is_file()


def test_a_symbol_that_a_spreadsheet_would_calculate_is_text_in_the_files(
    said: Say, case: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = saying.make_books

    def renamed(*arguments: Any) -> Books:
        made = make(*arguments)
        symbol = pl.when(symbol="SIM01").then(pl.lit("=1+2")).otherwise("symbol").alias("symbol")
        return replace(made, lines=made.lines.with_columns(symbol), books=made.books.with_columns(symbol))

    monkeypatch.setattr(saying, "make_books", renamed)
    said(INVESTED)
    for name in (INVESTED, f"{INVESTED}-book"):
        stored = pl.read_parquet(case.config.paths.signals / f"{name}.parquet")["symbol"]
        written = pl.read_csv(case.config.paths.signals / f"{name}.csv")["symbol"]
        assert "=1+2" in stored
        assert written.to_list() == stored.str.replace("=1+2", "'=1+2", literal=True).to_list()


def test_said_again_it_is_the_same_and_the_journal_does_not_grow(said: Say, case: Trained) -> None:
    first, size = said(), len(Journal(case.config.paths.journal).entries())
    again = said()
    assert again.said_at is not None
    assert "as said at" in again.sentence()
    assert "as said at" not in first.sentence()
    assert again.lines.equals(first.lines)
    assert again.book.equals(first.book)
    assert len(Journal(case.config.paths.journal).entries()) == size


def test_the_files_of_a_day_stay_what_was_said_whatever_changed_since(said: Say, case: Trained) -> None:
    first, folder = said(INVESTED), case.config.paths.signals
    assert first.held.height == 2
    for change in ({"champions": case.champions()[1:]}, {"max_weight": 0.01}):
        again = said(INVESTED, **change)
        assert again.said_at is not None
        assert again.book.equals(first.book)
        assert pl.read_parquet(folder / f"{INVESTED}-book.parquet").equals(first.book)
        assert pl.read_parquet(folder / f"{INVESTED}.parquet").equals(first.lines)


def test_day_by_day_the_books_are_those_of_one_replay(said: Say, case: Trained, once: Trained, tmp_path: Path) -> None:
    for date in ("2023-12-26", "2023-12-27", "2023-12-28", END):
        said(date)
    one_by_one = Journal(case.config.paths.journal)
    other = replace(in_folder(once.copy(tmp_path / "other").config, tmp_path / "other"))
    say(BookRequest.of(other))
    at_once = Journal(other.paths.journal)
    columns = ["book_date", "asset_class", "symbol", "weight", "before", "cost"]
    keys = ["book_date", "symbol"]
    assert one_by_one.books().select(columns).sort(keys).equals(at_once.books().select(columns).sort(keys))
    decided = ["name", "decided_on", "score", "position", "before"]
    assert one_by_one.lines().select(decided).sort(decided).equals(at_once.lines().select(decided).sort(decided))


def test_a_past_day_is_shown_as_it_was_said(said: Say, case: Trained) -> None:
    said()
    past = said("2023-12-27")
    books = Journal(case.config.paths.journal).books().filter(pl.col("book_date") == dt.date(2023, 12, 27))
    assert weights_of(past.book) == weights_of(books)
    assert past.replayed == 0


def test_of_a_line_that_was_refused_at_first_the_decision_is_shown(said: Say, case: Trained) -> None:
    bad, *others = case.champions()
    said(INVESTED, champions=[replace(bad, model_sha256="0" * 64), *others])
    first = said(INVESTED)
    said()
    past = said(INVESTED)
    names = sorted(each.name for each in (bad, *others))
    for found in (first, past):
        assert found.lines.select("name", "state").rows() == [(name, "said") for name in names]


def test_a_day_before_any_book_is_refused(said: Say) -> None:
    said()
    with pytest.raises(ConfigError, match="date=2023-01-03 has no book"):
        said("2023-01-03")


def test_a_day_after_the_last_bar_is_refused(said: Say) -> None:
    with pytest.raises(ConfigError, match="date must not be after the last bar, 2023-12-29, got 2024-01-05"):
        said("2024-01-05")


def test_without_bars_the_command_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"no bars for universe=demo: run `python -m src\.hydrate"):
        say(BookRequest.of(configured(tmp_path)))


def test_without_champions_the_book_is_all_cash(said: Say) -> None:
    found = said(champions=[])
    assert "no champion" in found.sentence()
    assert "python -m src.promote" in found.sentence()
    assert found.lines.is_empty()


def test_a_refused_line_is_counted_and_its_reason_shown(said: Say, case: Trained) -> None:
    bad, *others = case.champions()
    found = said(champions=[replace(bad, model_sha256="0" * 64), *others])
    assert found.lines["state"].to_list().count("refused") == 1
    assert "1 refused" in found.sentence()
    assert any("1 line refused:" in line for line in found.table())


def test_a_broken_file_of_holdings_says_nothing_into_the_journal(said: Say, case: Trained, tmp_path: Path) -> None:
    (tmp_path / "holdings.csv").write_text("symbol,shares\nSIM01,many\n", encoding="utf-8")
    with pytest.raises(StageError, match="many"):
        said(holdings=str(tmp_path / "holdings.csv"))
    assert Journal(case.config.paths.journal).entries() == []
