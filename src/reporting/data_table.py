"""Tables of any length that sort, filter and search in the browser: DataTables, as itables carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

MARK = "data-grid"
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
        How values are written: ``text``, ``ratio`` (two decimals), ``three`` (three decimals), ``percent``,
        ``probability``, ``count``, ``date``, ``flag`` (yes or empty).
    hint : str
        Its definition, shown on hover; from the glossary by default.
    link : str
        Another column, with addresses; empty where a value is no link.
    choices : bool
        Whether the column can be filtered by its values, such as a family.
    """

    name: str
    title: str
    kind: str = "text"
    hint: str = ""
    link: str = ""
    choices: bool = False


@dataclass(frozen=True)
class DataTable:
    """A table of a page.

    Attributes
    ----------
    name : str
        Its id, unique on the page.
    caption : str
    columns : tuple of DataColumn
    rows : DataFrame
        In the order in which they first stand.
    filters : mapping of str to str
        Buttons above it: a label, and the flag column whose rows it leaves, such as ``{"passed": "passed"}``.
    page_length : int
        Rows a page.
    """

    name: str
    caption: str
    columns: tuple[DataColumn, ...]
    rows: pl.DataFrame
    filters: Mapping[str, str]
    page_length: int = 25


def data_table(table: DataTable) -> str:
    """Write a table as HTML: its first page as plain rows, the rest as data for the script.

    Parameters
    ----------
    table : DataTable

    Returns
    -------
    str
        HTML; without the script the first page can be read.
    """
    raise NotImplementedError


def tables_script() -> str:
    """Give the script that serves every `data_table` of a page."""
    raise NotImplementedError


def tables_style() -> str:
    """Give the style that goes with it."""
    raise NotImplementedError
