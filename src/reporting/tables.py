"""Tables as values: declared columns, the text of each cell, and the numbers by which a reader may sort them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from src.reporting.formatting import known

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: its title, the text of a cell, and how it sorts.

    Attributes
    ----------
    title : str
        Its heading.
    cell : callable
        Gives the text that a row shows; a drawing is declared as markup by `rendering.drawn`.
    order : callable, optional
        Gives the number to sort by (null sorts last) and makes the column numeric; without it a column sorts by its
        text.
    hint : str
        What a pointer shows over the heading.
    mark : callable, optional
        Gives the class of a span around the text.
    """

    title: str
    cell: Callable[[Row], str]
    order: Callable[[Row], float | int | None] | None = None
    hint: str = ""
    mark: Callable[[Row], str] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, whether its column is numeric, the number that it sorts by, and the class of its mark."""

    text: str
    numeric: bool
    order: str
    mark: str


@dataclass(frozen=True)
class Table:
    """What the template's macro `table` draws; the first column heads its row."""

    columns: Sequence[Column]
    rows: list[list[Cell]]
    caption: str
    class_: str


def table(columns: Sequence[Column], rows: Iterable[Row], caption: str, class_: str = "") -> Table:
    """Compute all cells of a table."""
    return Table(columns, [[_cell(column, row) for column in columns] for row in rows], caption, class_)


def _cell(column: Column, row: Row) -> Cell:
    value = column.order(row) if column.order else None
    order = f"{value:.6g}" if value is not None and known(value) else ""
    return Cell(column.cell(row), column.order is not None, order, column.mark(row) if column.mark else "")
