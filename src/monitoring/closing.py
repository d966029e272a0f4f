"""What the monitor says on screen: the worst champions, and one closing line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from src.monitoring.review import Review

SHOWN = 20
"""Lines of the table on screen."""
_LONGEST = 150


def table_lines(review: Review) -> Iterator[str]:
    """Yield the book's two lines, then the champions, the worst first, and how many are left.

    Parameters
    ----------
    review : Review
    """
    for row in review.book.filter(kind="all").iter_rows(named=True):
        yield f"{row['subject']:<24}{row['verdict']:<10}{_cut(row['reason'])}"
    present = review.champions.filter(pl.col("standing") == "champion")
    room = SHOWN - review.book.filter(kind="all").height - 1
    shown = present if present.height <= room else present.head(room)
    for row in shown.iter_rows(named=True):
        name = f"{row['name']} {row['version']}"
        yield f"{name:<24}{row['verdict']:<10}{_cut(row['reason'])}"
    if present.height > shown.height:
        left = present.tail(present.height - shown.height)
        yield f"and {left.height:,} more: {_counts(left)}"


def closing_line(review: Review) -> str:
    """Give the closing line.

    Parameters
    ----------
    review : Review
    """
    present = review.champions.filter(pl.col("standing") == "champion")
    book = review.book.filter(kind="all").rows(named=True)
    days, replayed = _days(review)
    span = f"over {_many(days, 'day')}{f' ({replayed:,} replayed)' if replayed else ''}"
    former = review.champions.height - present.height
    parts = [f"{_many(present.height, 'champion')} and 1 book {span}: {_counts(present) or 'none is judged'}"]
    parts += [f"{former:,} former"] if former else []
    gaps = {name: int(present[name].sum() or 0) for name in ("missing", "late", "refused", "restated")}
    said = [f"{count:,} {name}" for name, count in gaps.items() if count]
    parts += [f"decisions: {', '.join(said)}"] if said else []
    parts += [f"{row['subject']} {row['verdict']}: {row['reason']}" for row in book if row["verdict"] == "flagged"]
    parts += [f"book {row['reason']}" for row in book if row["subject"] == "book" and row["verdict"] != "flagged"]
    raised = [*review.champions.filter(verdict="flagged")["name"], *review.book.filter(verdict="flagged")["subject"]]
    parts += [f"acknowledge={raised[0]} why=... says that you have looked at it"] if raised else []
    return f"monitor: {'; '.join(parts)}"


def is_flagged(review: Review) -> bool:
    """Whether an alarm is raised, or a champion was taken down by this look."""
    flagged = (review.champions["verdict"] == "flagged").any() or (review.book["verdict"] == "flagged").any()
    return bool(flagged) or bool(review.demoted)


def _days(review: Review) -> tuple[int, int]:
    """Days of the book, or of the champion with most of them where there is no book; and those replayed."""
    row: dict[str, Any] = review.book.filter(kind="all", subject="book").row(0, named=True)
    if row["days"]:
        return row["days"], review.book.filter(kind="replayed", subject="book").item(0, "days")
    most = review.champions.sort("days", descending=True, nulls_last=True).head(1)
    if not most.height:
        return 0, 0
    return most.item(0, "days") or 0, most.item(0, "replayed_days") or 0


def _counts(rows: pl.DataFrame) -> str:
    causes = rows["causes"].drop_nulls().str.split(", ").explode().value_counts(sort=True).rows()
    among = f" ({', '.join(f'{cause} {count:,}' for cause, count in causes)})" if causes else ""
    phrases = {
        "expected": "as their record says",
        "flagged": f"flagged{among}",
        "young": "too young",
        "ended": "former",
    }
    found = dict(rows["verdict"].value_counts().rows())
    return ", ".join(f"{found[verdict]:,} {named}" for verdict, named in phrases.items() if found.get(verdict))


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _cut(text: str | None) -> str:
    shown = text or ""
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
