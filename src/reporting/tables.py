"""HTML tables: declared columns, escaped cells, and the values by which a reader may sort them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from src.reporting.formatting import escaped, known

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: its title, the text of a cell, and how it sorts.

    `order` gives the number to sort by (null sorts last) and makes the column numeric; without it a column sorts by
    its text. `markup` says that `cell` returns finished HTML; otherwise it is escaped here.
    """

    title: str
    cell: Callable[[Row], str]
    order: Callable[[Row], float | int | None] | None = None
    hint: str = ""
    markup: bool = False


def table(columns: Sequence[Column], rows: Iterable[Row], caption: str, class_: str = "") -> str:
    """Write a table in a scrolling frame that the keyboard can reach; the first column heads its row."""
    head = "".join(_heading(column) for column in columns)
    body = "".join(f"<tr>{_cells(columns, row)}</tr>\n" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(caption)}">'
        f'<table class="{escaped(class_)}"><caption>{escaped(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def definitions(pairs: Iterable[tuple[str, str]], class_: str = "") -> str:
    """Write terms with their meaning as a definition list; both are escaped."""
    items = "".join(f"<div><dt>{escaped(term)}</dt><dd>{escaped(meaning)}</dd></div>\n" for term, meaning in pairs)
    return f'<dl class="{escaped(class_)}">\n{items}</dl>\n'


def bullets(items: Iterable[str]) -> str:
    """Write sentences as a list, escaped; nothing for none."""
    lines = "".join(f"<li>{escaped(item)}</li>\n" for item in items)
    return f"<ul>\n{lines}</ul>\n" if lines else ""


def _heading(column: Column) -> str:
    kind = ' class="number"' if column.order else ""
    hint = f' title="{escaped(column.hint)}"' if column.hint else ""
    return f'<th scope="col"{kind}{hint}>{escaped(column.title)}</th>'


def _cells(columns: Sequence[Column], row: Row) -> str:
    return "".join(_cell(column, row, head=not k) for k, column in enumerate(columns))


def _cell(column: Column, row: Row, head: bool) -> str:
    shown = column.cell(row) if column.markup else escaped(column.cell(row))
    name, attributes = ("th", ' scope="row"') if head else ("td", "")
    if column.order:
        value = column.order(row)
        attributes += ' class="number"' + (f' data-v="{value:.6g}"' if value is not None and known(value) else "")
    return f"<{name}{attributes}>{shown}</{name}>"
