"""The page of the book: what it shows of the day, of refusals and of the journal, and what it says without any."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.core.errors import StageError
from src.monitoring import tables as monitored
from src.reporting.book_data import BookData, read_book
from src.reporting.book_page import MOST_ROWS, book_page, write_book_page
from src.signals.own_record import OwnRecord
from src.signals.tables import book_frame, lines_frame

DAY = dt.date(2025, 12, 31)
LINE: dict[str, Any] = {
    "book_date": DAY, "name": "stock.AAA", "version": 3, "asset_class": "stock", "symbol": "AAA", "state": "said",
    "decided_on": dt.datetime(2025, 12, 31), "trade_on": dt.date(2026, 1, 2), "score": 0.613, "position": 0.42,
    "moved_by": "rsi_14 +0.31; gap_1 -0.12; return_5 +0.05", "auc": 0.561, "q_value": 0.004,
}  # fmt: skip
WEIGHT: dict[str, Any] = {"book_date": DAY, "asset_class": "stock", "symbol": "AAA", "weight": 0.21, "before": 0.11}


def data(**parts: Any) -> BookData:
    empty = {
        "lines": lines_frame([]), "book": book_frame([]), "orders": pl.DataFrame(),
        "champions": pl.DataFrame(schema=monitored.CHAMPIONS), "records": pl.DataFrame(schema=monitored.BOOK),
        "days": pl.DataFrame(schema=monitored.BOOK_DAYS),
    }  # fmt: skip
    return BookData(**{"dataset": "quick", "date": DAY, "simulated": False, **empty, **parts})


def test_the_page_opens_with_the_day_its_open_and_its_weights() -> None:
    html = book_page(data(lines=lines_frame([LINE]), book=book_frame([WEIGHT])))
    assert "Book of 2025-12-31, for the open of 2026-01-02: 1 position." in html
    assert "21.0%" in html
    assert "AAA · stock" in html


def test_a_decision_is_shown_with_what_moved_it_and_its_champion() -> None:
    html = book_page(data(lines=lines_frame([LINE])))
    assert "rsi_14 +0.31; gap_1 -0.12; return_5 +0.05" in html
    assert "stock.AAA v3" in html


def test_a_refused_line_is_shown_with_its_reason_and_no_markup_of_it() -> None:
    refused = LINE | {"state": "refused", "reason": "its bar is <b>missing</b>", "position": None, "score": None}
    html = book_page(data(lines=lines_frame([refused])))
    assert "its bar is &lt;b&gt;missing&lt;/b&gt;" in html
    assert "1 refused line" in html


def test_the_record_of_the_book_is_shown_beside_what_it_owes_to_the_choice_of_its_champions() -> None:
    figures = {"n_oos": 2918, "champions": 25, "sharpe": 2.47, "max_drawdown": 0.03, "passed": True, "null_books": 100}
    figures |= {"null_sharpe": 1.31, "null_sharpe_high": 1.77, "luck_rate": 0.97, "held_out_sharpe": 2.16}
    figures |= {"always_long_sharpe": 0.45, "benchmark_sharpe": None}
    own = OwnRecord(pl.DataFrame(), pl.DataFrame(), figures, "")
    html = book_page(data(own=own))
    assert "97% of them clear the thresholds; chosen on one half and traded on the other, 2.16" in html
    assert "one in twenty is above" in html
    assert "What the book would have earned" not in book_page(data())


def test_a_flag_of_the_monitor_is_shown_before_the_others() -> None:
    rows = [
        {"name": "stock.AAA", "version": 1, "verdict": "expected", "reason": "inside its band"},
        {"name": "stock.ZZZ", "version": 1, "verdict": "flagged", "reason": "its features have drifted"},
    ]
    html = book_page(data(champions=monitored.frame(rows, monitored.CHAMPIONS)))
    assert html.index("its features have drifted") < html.index("inside its band")


def test_the_journals_days_are_drawn() -> None:
    days = [
        {"subject": "book", "date": DAY - dt.timedelta(days=i), "gross": 0.01, "net": 0.009, "kind": "live"}
        for i in range(3)
    ]
    record = {"subject": "book", "kind": "all", "verdict": "expected", "days": 3, "sharpe": 1.25, "reason": "in band"}
    shown = data(
        days=monitored.frame(days, monitored.BOOK_DAYS), records=monitored.frame([record], monitored.BOOK)
    )  # fmt: skip
    assert 'id="book-chart"' in book_page(shown)
    assert "1.25" in book_page(shown)


def test_invented_bars_are_named_so() -> None:
    assert "Simulated bars" in book_page(data(simulated=True, lines=lines_frame([LINE])))
    assert "Simulated bars" not in book_page(data(lines=lines_frame([LINE])))


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = [WEIGHT | {"symbol": f"S{i:05d}"} for i in range(MOST_ROWS + 1)]
    html = book_page(data(book=book_frame(rows)))
    assert f"the first {MOST_ROWS:,} of {MOST_ROWS + 1:,}" in html
    assert f"S{MOST_ROWS:05d}" not in html


def test_without_a_book_the_page_says_what_to_type(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path / "data", "quick", tmp_path / "reports")
    write_book_page(paths)
    html = (tmp_path / "reports" / "quick" / "book.html").read_text(encoding="utf-8")
    assert "No book was said yet." in html
    assert "python -m src.predict universe=quick" in html


def test_a_broken_file_is_named_with_the_command_that_writes_it(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path / "data", "quick", tmp_path / "reports")
    paths.signals.mkdir(parents=True)
    (paths.signals / "2025-12-31-book.parquet").write_bytes(b"no table")
    with pytest.raises(StageError, match=r"python -m src\.predict universe=quick"):
        read_book(paths)


def test_orders_from_nothing_say_so_with_the_capital_they_fit_and_what_names_the_holdings() -> None:
    order = {"symbol": "AAA", "asset_class": "stock", "side": "BUY", "quantity": "20.0", "reference_price": "1000.0",
             "value": "20000.0", "reason": "open"}  # fmt: skip
    shown = {"book": book_frame([WEIGHT]), "orders": pl.DataFrame([order]), "capital": 100_000.0}
    html = book_page(data(**shown))
    assert "start from nothing held with 100,000 of capital" in html
    assert "python -m src.predict universe=quick book.holdings=holdings.csv" in html
    assert "of capital" not in book_page(data(**shown | {"capital": 50_000.0}))  # the orders are of another one
    held = pl.DataFrame([order | {"reason": "increase"}])
    assert "start from nothing" not in book_page(data(**shown | {"orders": held}))


def test_a_champion_outside_its_band_is_no_alarm_and_leads_to_its_sheet() -> None:
    row = {"name": "stock.AAA", "version": 1, "family": "xgboost", "verdict": "expected", "auc": 0.66, "auc_low": 0.5,
           "auc_high": 0.6, "max_drawdown": 0.3, "max_drawdown_low": 0.1, "max_drawdown_high": 0.2,
           "outside": "auc, max_drawdown"}  # fmt: skip
    shown = data(champions=monitored.frame([row], monitored.CHAMPIONS), sheets=frozenset({"stock.AAA.xgboost.html"}))
    html = book_page(shown)
    assert "better: AUC; worse: drawdown" in html
    assert "no alarm" in html
    assert '<a href="sheets/stock.AAA.xgboost.html">stock.AAA v1</a>' in html


def test_days_that_are_all_replayed_have_one_row_that_says_so() -> None:
    figures = {"subject": "book", "verdict": "expected", "reason": "in band", "sharpe": 1.25}
    counts = {"all": 3, "live": 0, "replayed": 3}
    rows = [figures | {"kind": kind, "days": days} for kind, days in counts.items()]
    html = book_page(data(records=monitored.frame(rows, monitored.BOOK)))
    assert "book, replayed" in html
    assert "book, all" not in html
    assert "Replayed; no day was live yet" in html
    rows[1]["days"] = 1
    assert "book, all" in book_page(data(records=monitored.frame(rows, monitored.BOOK)))
