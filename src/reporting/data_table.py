"""Tables of any length that sort, filter and search in the browser: DataTables, as itables carries it.

DataTables sorts, pages and draws; `tables.js` puts a form above it (search, quick filters, ranges, columns, export) and
decides which rows it shows. A table travels as columns of JSON, compressed: 30,000 runs with long names and links take
2 to 3 MiB, of which 1 MiB is the random letters of their ids. A query engine such as DuckDB-Wasm is larger than the
whole page may be, and asks for a policy that lets WebAssembly be compiled. The stylesheet of DataTables stays unused:
its colours and pictures neither follow the page's dark mode nor pass its policy.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs

from src.evaluation.glossary import definition
from src.reporting.formatting import (
    DASH,
    integer,
    percent,
    printable,
    probability,
    three_decimals,
    two_decimals,
)
from src.reporting.rendering import render, trusted

HERE = Path(__file__).parent
DIGITS = 6
COUNT_DIGITS = 12
"""Significant digits with which numbers and counts travel: they sort and filter by these, and show fewer."""
ID_LETTERS = 8
NUMERIC: Mapping[str, Callable[[Any], str]] = {
    "ratio": two_decimals,
    "three": three_decimals,
    "percent": percent,
    "probability": probability,
    "count": integer,
}
KINDS = (*NUMERIC, "text", "prose", "date", "flag", "id")
_SAFE_ADDRESS = r"(?i)^(https?://|[^:]*$|[^:]*[/?#])"
_EXPORTS = re.compile(r"export\s*\{([^{}]*)\};?\s*(?=(/\*|//|$))")

MARK = 'class="data-table"'
"""What the HTML of every `data_table` contains, so that a page with one gets its script and style."""


@dataclass(frozen=True)
class DataColumn:
    """A column of a data table.

    Attributes
    ----------
    name : str
        In the table's rows.
    title : str
        Its heading.
    kind : str
        How values are written: ``text``, ``prose`` (text that wraps), ``ratio`` (two decimals), ``three`` (three
        decimals), ``percent``, ``probability``, ``count``, ``date``, ``flag`` (yes or empty), ``id`` (its first
        letters).
    hint : str
        Its definition, shown on hover; from the glossary by default.
    link : str
        Another column, with addresses; empty where a value is no link.
    choices : bool
        Whether the column can be filtered by its values, such as a family.
    shown : bool
        Whether it is shown before the reader asks for it.
    appears_with : str
        A flag column: while its filter is on, this column is shown as well; empty for none.
    """

    name: str
    title: str
    kind: str = "text"
    hint: str = ""
    link: str = ""
    choices: bool = False
    shown: bool = True
    appears_with: str = ""


@dataclass(frozen=True)
class DataTable:
    """A table of a page.

    Attributes
    ----------
    name : str
        Its id, unique on the page, and the name of the file that it exports.
    caption : str
    columns : tuple of DataColumn
        The first one heads the rows.
    rows : DataFrame
        In the order in which they first stand.
    filters : mapping of str to str
        Buttons above it: a label, and the flag column whose rows it leaves, such as ``{"passed": "passed"}``.
    page_length : int
        Rows a page.
    anchors : str
        Column with an id for each row, to which a link may lead; empty for none.
    noun : str
        What a row is, in the plural.
    """

    name: str
    caption: str
    columns: tuple[DataColumn, ...]
    rows: pl.DataFrame
    filters: Mapping[str, str] = field(default_factory=dict)
    page_length: int = 25
    anchors: str = ""
    noun: str = "rows"


def data_table(table: DataTable) -> str:
    """Write a table as HTML: its first page as plain rows, the rest as data for the script.

    Parameters
    ----------
    table : DataTable

    Returns
    -------
    str
        HTML; without the script the first page can be read.

    Raises
    ------
    ValueError
        If a column is of a kind that is not known.
    """
    if unknown := {column.kind for column in table.columns} - set(KINDS):
        raise ValueError(f"a data table's column must be one of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}")
    rows = plain_rows(table)
    first = rows.head(table.page_length)
    return render(
        "data_table", anchor=table.name, caption=table.caption, noun=table.noun, total=rows.height,
        heads=[{**_head(column), "class": cell_class(column.kind)} for column in table.columns],
        rows=[_static_row(table, row) for row in first.iter_rows(named=True)], more=rows.height > first.height,
        declared=trusted(_declared(table)), packed=trusted(_packed(rows)),
    )  # fmt: skip


def plain_rows(table: DataTable) -> pl.DataFrame:
    """Reduce a table's rows to what the page holds: the columns that it shows, links to, filters by or jumps to.

    Parameters
    ----------
    table : DataTable

    Returns
    -------
    DataFrame
        Numbers to `DIGITS` significant digits and counts to `COUNT_DIGITS`, days as ISO text, NaN and infinities as
        null, and addresses of another scheme than http and https as null.
    """
    links = {column.link for column in table.columns if column.link}
    named = [column.name for column in table.columns]
    others = [*links, *table.filters.values(), *([table.anchors] if table.anchors else [])]
    rows = table.rows.select(list(dict.fromkeys([*named, *sorted(others)])))
    counts = cs.float() & cs.by_name([c.name for c in table.columns if c.kind == "count"], require_all=False)
    return rows.with_columns(
        _rounded(counts, COUNT_DIGITS),
        _rounded(cs.float() - counts, DIGITS),
        cs.date().dt.to_string("%Y-%m-%d"),
        cs.datetime().dt.to_string("%Y-%m-%dT%H:%M"),
        *(pl.when(pl.col(link).str.contains(_SAFE_ADDRESS)).then(pl.col(link)) for link in sorted(links)),
    )


def _rounded(floats: pl.Expr, digits: int) -> pl.Expr:
    """Finite numbers to a number of significant digits, others null."""
    return pl.when(floats.is_finite()).then(floats.cast(pl.Float64).round_sig_figs(digits))


@cache
def tables_script() -> str:
    """Give the script that serves every `data_table` of a page; about 620 KB, of other people's code for the most part.

    Returns
    -------
    str
        A classic script without closing tags, for a policy that allows it by its hash.

    Raises
    ------
    RuntimeError
        If itables is not installed, or its bundle does not export what is needed.
    """
    found = find_spec("itables")  # without importing it, which would import pandas and IPython
    if found is None or found.origin is None:
        raise RuntimeError("the report's tables need itables: install requirements.lock")
    bundle = Path(found.origin).parent / "html" / "dt_bundle.js"
    return f"{_classic(bundle.read_text(encoding='utf-8'))}\n{_asset('tables.js')}"


@cache
def tables_style() -> str:
    """Give the style that goes with it, in the colours of the page."""
    return _asset("tables.css")


def _classic(module: str) -> str:
    """Turn the module into a script that leaves `window.DataTable` alone behind, and that HTML can hold."""
    found = list(_EXPORTS.finditer(module))
    named = re.search(r"([\w$]+) as default\b", found[0][1]) if len(found) == 1 else None
    if named is None:
        raise RuntimeError("the DataTables bundle of itables has no default export: install the locked itables")
    body = module[: found[0].start()] + f"window.DataTable = {named[1]};" + module[found[0].end() :]
    closed = body.replace("<!--", "<\\!--").replace("</script", "<\\/script")
    return f'(() => {{ "use strict";\n{closed}\n}})();'


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _packed(rows: pl.DataFrame) -> str:
    """The columns as JSON, compressed, in letters that HTML can hold; the same rows give the same text."""
    columns = {name: _column_values(rows[name]) for name in rows.columns}
    text = json.dumps(columns, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def _column_values(values: pl.Series) -> list[Any] | dict[str, list[Any]]:
    """A column's values; text that repeats as its distinct values and their places."""
    if values.dtype != pl.String:
        return values.to_list()
    distinct = values.unique(maintain_order=True).to_list()
    texts = [None if text is None else printable(text) for text in distinct]
    if 2 * len(texts) > len(values):
        place = dict(zip(distinct, texts, strict=True))
        return [place[text] for text in values.to_list()]
    number = {text: place for place, text in enumerate(distinct)}
    return {"of": texts, "at": [number[text] for text in values.to_list()]}


def _declared(table: DataTable) -> str:
    """What the script is to know of a table, as JSON that HTML can hold."""
    declared = {
        "name": table.name, "noun": table.noun, "rows": table.rows.height, "length": table.page_length,
        "anchors": table.anchors, "filters": dict(table.filters), "columns": [_head(c) for c in table.columns],
    }  # fmt: skip
    return json.dumps(declared, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def _head(column: DataColumn) -> dict[str, Any]:
    return {
        "name": column.name, "title": column.title, "kind": column.kind, "link": column.link,
        "choices": column.choices, "shown": column.shown, "appears": column.appears_with,
        "hint": column.hint or definition(column.name),
    }  # fmt: skip


def _static_row(table: DataTable, row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the first page as the template writes it."""
    cells = [
        {
            "text": written(row[column.name], column.kind),
            "class": cell_class(column.kind),
            "link": row[column.link] if column.link else None,
        }
        for column in table.columns
    ]
    return {"anchor": row[table.anchors] if table.anchors else "", "cells": cells}


def cell_class(kind: str) -> str:
    """Class of a kind's cells; empty for none."""
    return "number" if kind in NUMERIC else kind if kind == "prose" else ""


def written(value: Any, kind: str) -> str:
    """Write a value as its cell shows it.

    Parameters
    ----------
    value : object
        None where it is undefined.
    kind : str
        Of its column.

    Returns
    -------
    str
        A dash for an undefined number or day, nothing for an absent text or flag.
    """
    if kind in NUMERIC:
        return NUMERIC[kind](value)
    if kind == "flag":
        return "yes" if value else ""
    if kind == "id":
        return str(value or "")[:ID_LETTERS]
    if value is None:
        return DASH if kind == "date" else ""
    return str(value)
