"""Tables of the page as values: declared columns, the text of each cell, and the number by which it sorts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from src.reporting.formatting import is_finite

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: its title, the text of a cell, and how it sorts.

    Attributes
    ----------
    title : str
        Its heading.
    cell : callable
        Gives the text of a row; `rendering.trusted` declares a drawing as markup.
    order : callable, optional
        Gives the number to sort by (None sorts last) and makes the column numeric. Without it, a column sorts by text.
    hint : str
        Tooltip of the heading.
    mark : callable, optional
        Gives the class of a span around the text.
    link : callable, optional
        Gives the address that the text leads to; empty for none.
    """

    title: str
    cell: Callable[[Row], str]
    order: Callable[[Row], float | int | None] | None = None
    hint: str = ""
    mark: Callable[[Row], str] | None = None
    link: Callable[[Row], str] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes
    ----------
    text : str
        What it shows.
    numeric : bool
        Whether its column is numeric.
    order : str
        The number by which it sorts; empty if undefined.
    mark : str
        Class of a span around the text; empty for none.
    link : str
        Address that the text leads to; empty for none.
    """

    text: str
    numeric: bool
    order: str
    mark: str
    link: str = ""


@dataclass(frozen=True)
class Table:
    """What the template's macro `table` draws; the first cell of each row is its heading."""

    columns: Sequence[Column]
    rows: list[list[Cell]]
    caption: str
    class_: str


def table(columns: Sequence[Column], rows: Iterable[Row], caption: str, class_: str = "") -> Table:
    """Compute all cells of a table.

    Parameters
    ----------
    columns : sequence of Column
        The first one heads the rows.
    rows : iterable of mapping
        Passed to the columns' callables.
    caption : str
        Says what the table shows.
    class_ : str
        Class of the table element.

    Returns
    -------
    Table
    """
    return Table(columns, [[_cell(column, row) for column in columns] for row in rows], caption, class_)


def _cell(column: Column, row: Row) -> Cell:
    value = column.order(row) if column.order else None
    order = f"{value:.6g}" if is_finite(value) else ""
    mark, link = (made(row) if made else "" for made in (column.mark, column.link))
    return Cell(column.cell(row), column.order is not None, order, mark, link)
