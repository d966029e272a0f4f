"""What a day's notification says: how the steps ended, and how the book's largest positions changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.storage.day_record import DayRecord

_LARGEST = 8
_LEAST = 0.0005  # change of a weight that is worth a line


def changes(books: pl.DataFrame, date: dt.date) -> list[str]:
    """Write the largest changes of weights in the book of a day.

    Parameters
    ----------
    books : DataFrame
        Columns of `src.signals.tables.BOOK`, of one or several days.
    date : date

    Returns
    -------
    list of str
        The largest first, such as ``stock AAPL 0.0% to 4.2%``; at most 8, then a count of the others.
    """
    change = (pl.col("weight").fill_null(0.0) - pl.col("before").fill_null(0.0)).abs()
    moved = books.filter(pl.col("book_date") == date).with_columns(change=change).filter(pl.col("change") > _LEAST)
    rows = moved.sort(["change", *KEY], descending=[True, False, False]).to_dicts()
    lines = [
        f"{row['asset_class']} {row['symbol']} {_percent(row['before'])} to {_percent(row['weight'])}" for row in rows
    ]
    more = len(lines) - _LARGEST
    return [*lines[:_LARGEST], *([f"and {more:,} more changes"] if more > 0 else [])]


def title(dataset: str, status: int, book: str | None) -> str:
    """Write the title of a day's notification.

    Parameters
    ----------
    dataset : str
    status : int
        Exit status of the day; 1 with a book is a warning of the monitor.
    book : str or None
        Date of the book that the day left.
    """
    if status:
        return f"Alpha Loop {dataset}: {'the day failed' if book is None else 'look at the monitor'}"
    return f"Alpha Loop {dataset}: {f'book of {book}' if book else 'no book'}"


def body(record: DayRecord, changed: Iterable[str], trouble: str) -> str:
    """Write the text of a day's notification.

    Parameters
    ----------
    record : DayRecord
        With the steps of the day.
    changed : iterable of str
        From `changes`.
    trouble : str
        Why the day failed; empty where it did not.

    Returns
    -------
    str
        Several lines.
    """
    steps = [_step(row) for row in record.steps]
    moved = list(changed)
    return "\n".join([*([trouble] if trouble else []), *moved, *([""] if moved or trouble else []), *steps])


def is_due(choice: str, status: int, changed: Iterable[str]) -> bool:
    """Whether a day is worth a notification.

    Parameters
    ----------
    choice : {'always', 'changes', 'failures', 'never'}
    status : int
        Exit status of the day.
    changed : iterable of str
        From `changes`.
    """
    if choice in ("always", "never"):
        return choice == "always"
    return status != 0 or (choice == "changes" and bool(list(changed)))


def _step(row: Mapping[str, Any]) -> str:
    line = str(row["line"] or row["step"])
    return line if line.startswith(str(row["step"]).partition(" ")[0]) else f"{row['step']}: {line}"


def _percent(weight: float | None) -> str:
    return f"{100 * (weight or 0.0):.1f}%"
