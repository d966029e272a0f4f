"""Figures of a portfolio by year, and of its scores by horizon."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from src.reporting.formatting import Number, integer, percent, three_decimals, two_decimals
from src.reporting.tables import Column, Table, table

Formatted = Callable[[Number], str]
_YEAR: Mapping[str, tuple[str, Formatted]] = {
    "days": ("days", integer),
    "ic": ("IC", three_decimals),
    "auc": ("AUC", three_decimals),
    "gross": ("before costs", percent),
    "net": ("net", percent),
    "sharpe": ("Sharpe", two_decimals),
    "turnover": ("turnover", integer),
}
_DECAY: Mapping[str, tuple[str, Formatted]] = {
    "ic": ("IC", three_decimals),
    "ic_t": ("t", two_decimals),
    "days": ("days", integer),
}


def year_table(years: pl.DataFrame) -> Table | None:
    """Tabulate a portfolio by year.

    Parameters
    ----------
    years : DataFrame
        A row a year: year and the columns of the assessment.

    Returns
    -------
    Table or None
        None without years.
    """
    return _table(years, "year", _YEAR, "By year", lambda year: f"{year}")


def decay_table(decay: pl.DataFrame) -> Table | None:
    """Tabulate the rank correlation of the scores with the outcomes over several horizons.

    Parameters
    ----------
    decay : DataFrame
        A row a horizon: horizon (days), ic, ic_t, days.

    Returns
    -------
    Table or None
        None without horizons.
    """
    return _table(decay, "horizon", _DECAY, "How long the scores hold: IC by horizon", lambda days: f"{days} days")


def _table(
    rows: pl.DataFrame,
    head: str,
    formats: Mapping[str, tuple[str, Formatted]],
    caption: str,
    named: Callable[[int], str],
) -> Table | None:
    if rows.is_empty():
        return None
    columns = [Column(head, lambda r: named(r[head]), lambda r: r[head])]
    columns += [_column(name, *formats[name]) for name in formats if name in rows.columns]
    return table(columns, rows.sort(head).iter_rows(named=True), caption)


def _column(name: str, title: str, formatted: Formatted) -> Column:
    return Column(title, lambda r: formatted(r[name]), lambda r: r[name])
