"""Day, month or year first: decided by all dates of a column together."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import polars as pl

from src.sources.column_error import ColumnError

_ORDERS = {"year last": ("mdy", "dmy"), "short year": ("mdy", "dmy", "ymd")}
_SIMPLE = re.compile(r"\d{1,2}([-/.])\d{1,2}\1\d{4}")
_NEAR, _FARTHER, _ENOUGH = 4, 3, 3  # days between most neighbours; how many times farther in other orders; steps
_LONGEST = 31  # days of a column without a day beyond the 12th; a longer one has other gaps, as monthly bars have
_LEAP, _LEAPS = 20, 0.01  # days that are a leap; share of leaps that are usual between the instruments of a table


def ordered(path: Path, column: str, parts: pl.DataFrame, is_table: bool) -> pl.DataFrame:
    """Fill in year, month and day of dates such as 01/04/2021.

    Parameters
    ----------
    path : Path
        The file, for messages.
    column : str
        Its column of dates, for messages.
    parts : DataFrame
        From `taken_apart`, in the order of the file, with ``line``.
    is_table : bool
        Whether the file holds many instruments, between which dates may leap.

    Returns
    -------
    DataFrame
        The same with ``y``, ``m``, ``d`` of the forms that have three numbers.

    Raises
    ------
    ColumnError
        If the order differs within the column, or nothing decides it.
    """
    for form, orders in _ORDERS.items():
        mine = parts.filter(pl.col("form") == form)
        if not mine.height:
            continue
        order = _order(
            path, column, mine.with_columns(date_of(order).alias(order) for order in orders), orders, is_table
        )
        for letter in "ymd":
            here = f"p{order.index(letter) + 1}"
            parts = parts.with_columns(pl.when(pl.col("form") == form).then(here).otherwise(letter).alias(letter))
    return parts


def simple_days(path: Path, column: str, cells: pl.DataFrame, is_table: bool) -> pl.Series | None:
    """Dates of a column that has two numbers and a year of four digits throughout, as 01/04/2021; None for any other.

    Parameters
    ----------
    path, column
        For messages.
    cells : DataFrame
        ``cell`` and ``line``, in the order of the file.
    is_table : bool
        As for `ordered`.

    Raises
    ------
    ColumnError
        If nothing decides between day and month.
    """
    form = _SIMPLE.fullmatch(cells["cell"][0]) if cells.height else None
    if form is None:
        return None
    sep = form.group(1)
    formats = {"mdy": f"%m{sep}%d{sep}%Y", "dmy": f"%d{sep}%m{sep}%Y"}
    read = cells.with_columns(pl.lit(sep).alias("sep"), **{
        order: pl.col("cell").str.to_date(format_, strict=False) for order, format_ in formats.items()
    })  # fmt: skip
    whole = [order for order in formats if not read[order].null_count() and read[order].dt.year().min() >= 1000]  # type: ignore[operator]
    return read[_order(path, column, read, ("mdy", "dmy"), is_table)] if whole else None


def full_year(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    """Four digits of a year: one of two digits is the last year so written that is not in the future."""
    today = dt.date.today()
    late = (2000 + year) * 10_000 + month * 100 + day > today.year * 10_000 + today.month * 100 + today.day + 1
    return pl.when(year >= 100).then(year).when(late).then(year + 1900).otherwise(year + 2000)


def date_of(order: str) -> pl.Expr:
    """Date of p1, p2 and p3 in an order; null where it does not exist."""
    year, month, day = (pl.col(f"p{order.index(letter) + 1}").cast(pl.Int32) for letter in "ymd")
    return existing(full_year(year, month, day), month, day)


def existing(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    """The date, null where the calendar does not have it."""
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    last = pl.when(month == 2).then(28 + leap.cast(pl.Int32)).otherwise(30 + ((month + (month >= 8)) % 2))
    possible = month.is_between(1, 12) & (day >= 1) & (day <= last) & year.is_between(1, 9999)
    return pl.when(possible).then(
        pl.date(pl.when(possible).then(year), pl.when(possible).then(month), pl.when(possible).then(day))
    )


def _order(path: Path, column: str, read: pl.DataFrame, orders: tuple[str, ...], is_table: bool) -> str:
    if (read["sep"] == ".").all():
        orders = tuple(order for order in orders if order != "mdy")  # dots are never American
    counts = {order: read[order].count() for order in orders}
    most = max(counts.values())
    best = [order for order in orders if counts[order] == most]
    if len(best) > 1:
        best = _by_steps(read, best) or best
    if len(best) > 1:
        raise ColumnError(
            f"{path.name} line {read['line'][0]}: column {column} reads '{read['cell'][0]}': {_question(best)}"
            " Write YYYY-MM-DD",
            "quarantined",
        )
    order = best[0]
    against = read.filter(pl.col(order).is_null() & pl.any_horizontal(pl.col(o).is_not_null() for o in orders))
    if against.height:
        line, cell = against.select("line", "cell").row(0)
        other = read.filter(pl.col(order).is_not_null()).select("line", "cell").row(0)
        raise ColumnError(
            f"{path.name} line {line}: column {column} reads '{cell}' but '{other[1]}' in line {other[0]}: day or month"
            " first? Write YYYY-MM-DD",
            "quarantined",
        )
    _refuse_leaps(path, column, read, order, [other for other in orders if other != order], is_table)
    return order


def _refuse_leaps(path: Path, column: str, read: pl.DataFrame, order: str, others: list[str], is_table: bool) -> None:
    """Refuse dates that leap where in another order they would not: a part of the file may be in that order."""
    before = pl.col(order).shift(1)
    near = pl.lit(False)
    for other in others:
        for here, there in ((other, other), (other, order), (order, other)):
            near = near | ((pl.col(here) - pl.col(there).shift(1)).dt.total_days().abs() <= _NEAR).fill_null(False)
    leap = (pl.col(order) - before).dt.total_days().abs() >= _LEAP
    leaps = read.with_columns(last=pl.col("cell").shift(1)).filter(near & leap)
    if leaps.height > (_LEAPS * read.height if is_table else 0):
        line, cell, last = leaps.select("line", "cell", "last").row(0)
        raise ColumnError(
            f"{path.name} line {line}: column {column} reads '{cell}' after '{last}': {_question([order, *others])}"
            " Write YYYY-MM-DD",
            "quarantined",
        )


def _by_steps(read: pl.DataFrame, orders: list[str]) -> list[str]:
    """The order in which most neighbours are a few days apart, if they are far apart in the others."""
    steps, spans = {}, {}
    for order in orders:
        spans[order] = (read[order].max() - read[order].min()).days  # type: ignore[operator, union-attr]
        days = read[order].diff().dt.total_days().abs()
        days = days.filter(days > 0)
        if len(days) < _ENOUGH:
            return []
        steps[order] = float(str(days.median()))
    near = [order for order in orders if steps[order] <= _NEAR]
    if len(near) != 1 or any(steps[o] < _FARTHER * steps[near[0]] for o in orders if o != near[0]):
        return []
    if {"mdy", "dmy"} <= set(orders) and spans[near[0]] > _LONGEST:
        return []
    return near


def _question(orders: list[str]) -> str:
    return "which is the year?" if "ymd" in orders else "day or month first?"
