"""Tables of a tear sheet: the worst drawdowns, folds, and trades, of which long lists fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from src.reporting.formatting import DASH, Number, counted, integer, iso_date, percent, three_decimals, two_decimals
from src.reporting.glossary import definition
from src.reporting.rendering import render, trusted
from src.reporting.tables import Column, Row, table
from src.reporting.tear_sheets.sheet import TearSheet
from src.reporting.vega import embedded, packed

SHOWN_TRADES = 12  # rows in sight; the others are drawn when they are asked for
_BASIS = 6  # decimal places of returns and costs of trades


def drawdown_listing(sheet: TearSheet) -> str:
    """Write the worst drawdowns.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    str
        HTML.
    """
    columns = [
        Column("depth", lambda r: percent(r["depth"]), lambda r: r["depth"]),
        _day("from", "start"), _day("lowest", "bottom"),
        Column("made good", lambda r: iso_date(r["end"]) if r["end"] else "not yet"),
        _number("days", "days", integer),
    ]  # fmt: skip
    return _listing(columns, sheet.drawdowns, "The worst drawdowns")


def fold_listing(sheet: TearSheet) -> str:
    """Write the figures of each fold.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    str
        HTML.
    """
    columns = [
        Column("fold", lambda r: str(r["fold"] + 1), hint=definition("fold")),
        _day("from", "first"), _day("to", "last"),
        _number(*_trained(sheet)), _number("bars", "n_oos", integer, definition("n_oos")),
        _number("AUC", "auc", three_decimals, definition("auc")),
        _number("accuracy", "accuracy", percent, definition("accuracy")),
        _number("Sharpe", "sharpe", two_decimals, definition("sharpe")),
        _number("drawdown", "max_drawdown", percent, definition("max_drawdown")),
        _number("net return", "net", percent, definition("net")),
    ]  # fmt: skip
    return _listing(columns, sheet.folds, "Each fold, out of sample")


def _trained(sheet: TearSheet) -> tuple[str, str, Callable[[Number], str], str]:
    """The column of what a fold was trained on: bars of an instrument, rows of a panel of names."""
    if "entry" in sheet.trades.columns:
        return "trained on", "n_train", integer, "bars"
    return "trained on rows", "n_train", integer, "one for each name and day that it decides on"


def trades_section(sheet: TearSheet) -> str:
    """Write the trades, or a portfolio's names by what they contributed.

    Parameters
    ----------
    sheet : TearSheet

    Returns
    -------
    str
        HTML: the first rows, and all others as data that the page's script lists when they are asked for.
    """
    trades = sheet.trades
    if trades.is_empty():
        return ""
    instrument = "entry" in trades.columns
    columns = _trade_columns() if instrument else _name_columns()
    if instrument:
        trades = trades.sort("entry", descending=True, maintain_order=True)
        won = (trades["net"] > 0).mean()
        caption = f"{counted(trades.height, 'trade')}, the latest first; {percent(won)} earned something after costs"  # type: ignore[arg-type]
    else:
        caption = f"{counted(trades.height, 'name')}, by contribution before costs"
    listing = table(columns, trades.head(SHOWN_TRADES).iter_rows(named=True), caption, "trades")
    return render("sheet_trades", listing=listing, total=trades.height, shown=min(SHOWN_TRADES, trades.height),
                  content=trusted(embedded(_all_rows(trades))))  # fmt: skip


def _all_rows(trades: pl.DataFrame) -> dict[str, Any]:
    if trades.height <= SHOWN_TRADES:
        return {}
    forms = {"bars": "count", "days": "count", "exposure": "percent", "weight": "percent", "net": "percent",
             "gross": "percent", "cost": "fine"}  # fmt: skip
    columns = packed(trades, _BASIS)
    for name, column in columns.items():
        column["form"] = forms.get(name, "text")
    return columns


def _trade_columns() -> list[Column]:
    return [
        _day("entry", "entry"),
        Column("exit", lambda r: iso_date(r["exit"]) if r["exit"] else "open"),
        Column("side", lambda r: r["side"]),
        _number("bars", "bars", integer),
        _number("exposure", "exposure", percent, "mean position as a share of equity"),
        _number("net", "net", percent, "of equity, after costs"),
        _number("cost", "cost", _fine, "of equity"),
    ]


def _name_columns() -> list[Column]:
    return [
        Column("name", lambda r: r["symbol"]),
        _number("days held", "days", integer),
        _number("mean weight", "weight", _fine, "of the days held; short ones are negative"),
        _number("contribution", "gross", percent, "to the portfolio's return, before costs"),
    ]


def _fine(value: Number) -> str:
    return DASH if value is None else f"{100 * value:.3f}%".replace("-", "\u2212")


def _number(title: str, name: str, form: Callable[[Number], str], hint: str = "") -> Column:
    return Column(title, lambda r: form(r[name]), lambda r: r[name], hint)


def _day(title: str, name: str) -> Column:
    return Column(title, lambda r: iso_date(r[name]))


def _listing(columns: list[Column], rows: pl.DataFrame, caption: str) -> str:
    listing: list[Row] = list(rows.iter_rows(named=True))
    return render("sheet_listing", listing=table(columns, listing, caption))
