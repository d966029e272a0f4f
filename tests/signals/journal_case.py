"""Lines and books for tests of the journal."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl

from src.signals.journal import Journal
from src.signals.tables import book_frame, lines_frame

FRIDAY = dt.date(2025, 1, 3)
NOON = dt.datetime(2025, 1, 3, 12, tzinfo=dt.UTC)


def line(symbol: str = "AAPL", day: dt.date = FRIDAY, **changes: Any) -> dict[str, Any]:
    """A line said of the day's book, decided on the day's bar."""
    return {
        "book_date": day,
        "name": f"stock.{symbol}",
        "version": 3,
        "asset_class": "stock",
        "symbol": symbol,
        "state": "said",
        "decided_on": dt.datetime.combine(day, dt.time()),
        "score": 0.55,
        "position": 0.25,
        **changes,
    }


def refused(symbol: str = "AAPL", day: dt.date = FRIDAY, **changes: Any) -> dict[str, Any]:
    """A line refused in the day's book."""
    return line(symbol, day, **{"state": "refused", "reason": "its bar is old", "score": None, **changes})


def weight(symbol: str = "AAPL", day: dt.date = FRIDAY, **changes: Any) -> dict[str, Any]:
    """A netted weight of the day's book."""
    return {"book_date": day, "asset_class": "stock", "symbol": symbol, "weight": 0.1, **changes}


def say(journal: Journal, *lines: dict[str, Any], books: tuple[dict[str, Any], ...] = (), kind: str = "book") -> Any:
    """Append lines and weights."""
    return journal.append(kind, lines_frame(list(lines)), book_frame(list(books)), {"bars": "abc"}, NOON)


def filled(root: Path) -> Journal:
    """A journal of three entries: a book of two lines, an event, a replay of two days."""
    journal = Journal(root)
    say(journal, line("AAPL"), line("MSFT"), books=(weight("AAPL"), weight("MSFT")))
    journal.record_event({"demoted": "stock.MSFT", "reason": "drift"}, NOON)
    days = [dt.date(2024, 12, day) for day in (30, 31)]
    say(journal, *(line("AAPL", day) for day in days), books=tuple(weight("AAPL", day) for day in days), kind="replay")
    return journal


def content(root: Path) -> dict[str, bytes]:
    """Bytes of every file of a folder, by name."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def said(journal: Journal) -> pl.DataFrame:
    """What the journal holds of each line, without entry and time."""
    return journal.lines().drop("entry", "said_at")
