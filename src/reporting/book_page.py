"""The page of the book: what is held from the next open on, why, and what came of earlier books."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

import polars as pl

from src.config.commands import command
from src.core.hashing import text_digest
from src.monitoring.verdicts import outside_by_side
from src.reporting.book_data import BOOK_PAGE, BookData, read_book
from src.reporting.formatting import (
    DASH,
    Number,
    counted,
    integer,
    percent,
    probability,
    three_decimals,
    two_decimals,
)
from src.reporting.frame import Section, framed
from src.reporting.rendering import render
from src.reporting.tables import Column, Row, Table, table
from src.reporting.tear_sheets.plan import FOLDER
from src.reporting.tear_sheets.reading import sheet_name
from src.reporting.time_charts import net_and_gross
from src.reporting.vega import figure
from src.storage import atomic

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

MOST_ROWS = 1000
_VERDICTS = {"expected": "as its record says", "flagged": "flagged", "young": "too few days", "ended": "ended"}
_BANDS = (
    "An alarm takes a fault, drift, or returns that turned. A figure outside its band is no alarm: each is outside by "
    "chance in some sound champions, and often on the better side."
)


def write_book_page(paths: DatasetPaths, capital: float | None = None) -> None:
    """Write ``book.html`` beside the report.

    Parameters
    ----------
    paths : DatasetPaths
    capital : float, optional
        That a weight of 1 stands for, as configured.
    """
    atomic.write_text(book_page(read_book(paths, capital)), paths.reports / BOOK_PAGE)


def book_page(data: BookData) -> str:
    """Write the page.

    Parameters
    ----------
    data : BookData

    Returns
    -------
    str
        HTML, see `src.reporting.frame.framed`.
    """
    lead = "What the champions decide, and what came of it."
    return framed(f"Alpha Loop: book of {data.dataset}", lead, _headline(data), SECTIONS, data, data.pages)


def _headline(data: BookData) -> str:
    if data.date is None:
        hint = f"{command('promote', stored=data.dataset)}, then {command('predict', stored=data.dataset)}"
        return render("book", sentence="No book was said yet.", hint=hint, simulated=False, facts=[])
    held, weight = data.book.filter(pl.col("weight") != 0), data.book["weight"].fill_null(0.0)
    opens = data.lines["trade_on"].max()
    until = f", for the open of {opens}" if isinstance(opens, dt.date) else ""
    sentence = f"Book of {data.date}{until}: {counted(held.height, 'position')}."
    facts = [
        ("gross", percent(float(weight.abs().sum()))),
        ("net", percent(float(weight.sum()))),
        ("cash", percent(1.0 - float(weight.sum()))),
        ("turnover", percent(float((weight - data.book["before"].fill_null(0.0)).abs().sum()))),
        ("cost of the change", percent(float(data.book["cost"].fill_null(0.0).sum()))),
        ("champions", integer(data.lines["name"].n_unique())),
        ("lines refused", integer(data.lines.filter(pl.col("state") == "refused").height)),
    ]
    return render("book", sentence=sentence, hint="", simulated=data.simulated, facts=facts)


def positions_section(data: BookData) -> str:
    """Write the netted book, the largest positions first."""
    rows = data.book.filter((pl.col("weight") != 0) | (pl.col("before") != 0)).sort(
        pl.col("weight").abs(), "symbol", descending=[True, False]
    )
    if rows.is_empty():
        return ""
    sheets = _instrument_sheets(data)
    columns = [
        Column("instrument", _instrument, link=lambda r: sheets.get((r["asset_class"], r["symbol"]), "")),
        _figure("weight", "weight", percent),
        _figure("before", "before", percent),
        _figure("wanted", "wanted", percent, "before any cap"),
        Column("cut by", lambda r: r["capped_by"] or ""),
        _figure("cost", "cost", percent, "of the change"),
        _figure("close", "close", two_decimals),
        _figure("champions", "champions", integer),
    ]
    return render("book_listing", listing=_listing(columns, rows, "Weights, the largest first"), note="", hint="")


def orders_section(data: BookData) -> str:
    """Write the orders as the file has them."""
    if data.orders.is_empty():
        return ""
    columns = [Column(name.replace("_", " "), _text(name)) for name in data.orders.columns]
    caption = f"Orders, as in {data.date}-orders.csv"
    return render(
        "book_listing", listing=_listing(columns, data.orders, caption), note=_start(data), hint=_holdings(data)
    )


def _start(data: BookData) -> str:
    """Say that the orders open all positions, as they do where nothing is named as held."""
    if "reason" not in data.orders.columns or set(data.orders["reason"]) != {"open"}:
        return ""
    capital = f" with {data.capital:,.0f} of capital (book.capital)" if _fits(data) else ""
    return (
        f"These orders start from nothing held{capital}, so each of them opens a whole position, whatever the book of "
        "the day before. Name what you hold, and they lead from there:"
    )


def _holdings(data: BookData) -> str:
    return f"{command('predict', stored=data.dataset)} book.holdings=holdings.csv" if _start(data) else ""


def _fits(data: BookData) -> bool:
    """Whether the orders are those of this capital: each within one unit of its weight."""
    if data.capital is None or data.orders.is_empty():
        return False
    kept = data.book.select("asset_class", "symbol", wanted=pl.col("weight").abs() * data.capital)
    figures = data.orders.with_columns(pl.col("value", "reference_price").cast(pl.Float64))
    less = figures.join(kept, on=["asset_class", "symbol"]).with_columns(less=pl.col("wanted") - pl.col("value"))
    near = pl.col("less").is_between(-0.01, pl.col("reference_price") + 0.01)
    return less.height == figures.height and bool(less.select(near.all()).item())


def decisions_section(data: BookData) -> str:
    """Write the line of each champion."""
    rows = data.lines.filter(pl.col("state") == "said").sort(
        pl.col("position").abs(), "name", "symbol", descending=[True, False, False], nulls_last=True
    )
    if rows.is_empty():
        return ""
    columns = [
        _champion(data),
        Column("instrument", _instrument),
        Column("decided on", lambda r: f"{r['decided_on']:%Y-%m-%d}"),
        _figure("score", "score", three_decimals, "P(up), or the rank among the day's names"),
        _figure("position", "position", percent, "of the champion's capital"),
        _figure("cost", "cost", percent),
        Column("moved by", lambda r: r["moved_by"] or DASH),
        _figure("AUC", "auc", three_decimals, "out of sample"),
        _figure("Sharpe", "sharpe", two_decimals, "out of sample"),
        _figure("q", "q_value", probability),
        _figure("luck rate", "luck_rate", percent),
    ]
    return render(
        "book_listing", listing=_listing(columns, rows, "Decisions, the largest positions first"), note="", hint=""
    )


def refused_section(data: BookData) -> str:
    """Write the lines that are refused, with their reasons."""
    rows = data.lines.filter(pl.col("state") == "refused").sort("name", "symbol")
    if rows.is_empty():
        return ""
    columns = [
        _champion(data),
        Column("instrument", _instrument),
        Column("reason", lambda r: r["reason"], mark=_prose("reason")),
    ]
    return render(
        "book_listing", listing=_listing(columns, rows, counted(rows.height, "refused line")), note="", hint=""
    )


def journal_section(data: BookData) -> str:
    """Write what came of the journal's books: the equity curve, and live figures beside out-of-sample ones."""
    if data.records.is_empty():
        return ""
    days = data.days.filter(pl.col("subject") == "book").sort("date")
    chart = None
    if days.height > 1:
        curve = days.select(stamp="date", net="net", gross="gross")
        chart = figure(net_and_gross("book-chart", curve, f"the book of {data.dataset}"))
    columns = [
        Column("of", lambda r: f"{r['subject']}, {r['kind']}"),
        Column("verdict", _verdict),
        _figure("days", "days", integer),
        _figure("Sharpe", "sharpe", two_decimals),
        Column("band", lambda r: _band(r, "sharpe", two_decimals), hint="that its record gives for as many days"),
        _figure("out of sample", "oos_sharpe", two_decimals),
        _figure("drawdown", "max_drawdown", percent),
        _figure("power, 1 year", "power_1y", percent, "probability of seeing the edge gone"),
        _figure("3 years", "power_3y", percent),
        Column("reason", lambda r: r["reason"] or "", mark=_prose("reason")),
    ]
    records = data.records.filter(pl.col("days") > 0)
    live = bool(records.filter(pl.col("kind") == "live").height)
    if not live:  # all days are replayed: one row says so
        records = records.filter(pl.col("kind") == "all").with_columns(kind=pl.lit("replayed"))
    caption = f"{'Live and replayed' if live else 'Replayed; no day was live yet'}, beside out of sample"
    return render("book_journal", chart=chart, records=_listing(columns, records, caption))


def champions_section(data: BookData) -> str:
    """Write each champion's live figures beside those it was graded on."""
    order = pl.col("verdict").replace_strict({"flagged": 0, "expected": 1, "young": 2, "ended": 3}, default=4)
    rows = data.champions.sort(order, "name", "version")
    if rows.is_empty():
        return ""
    columns = [
        _champion(data),
        Column("verdict", _verdict),
        _figure("days", "days", integer),
        _figure("AUC", "auc", three_decimals),
        _figure("out of sample", "oos_auc", three_decimals),
        Column("band", lambda r: _band(r, "auc", three_decimals)),
        _figure("Sharpe", "sharpe", two_decimals),
        _figure("out of sample", "oos_sharpe", two_decimals),
        Column("band", lambda r: _band(r, "sharpe", two_decimals)),
        Column(
            "outside its band", outside_by_side, hint="by figure: better or worse than the band", mark=_prose("outside")
        ),
        _figure("power", "power", percent, "probability that a year of looks would find the edge gone"),
        Column("reason", lambda r: r["reason"] or "", mark=_prose("reason")),
    ]
    live = rows["live_days"].fill_null(0).sum() > 0
    caption = f"Champions, {'live and replayed' if live else 'replayed'}, beside out of sample"
    return render(
        "book_listing", listing=_listing(columns, rows, caption), note=_BANDS if _any_outside(rows) else "", hint=""
    )


def _any_outside(rows: pl.DataFrame) -> bool:
    return rows["outside"].is_not_null().any()


def own_section(data: BookData) -> str:
    """Write what the book would have earned out of sample, and what of it is the choice of its champions."""
    if data.own is None or not data.own.figures["n_oos"]:
        return ""
    own, beside = data.own.figures, data.own.benchmark
    rows = [
        {"what": "the book, net", "sharpe": own["sharpe"]},
        {"what": "chosen on one half of the days, traded on the other", "sharpe": own["held_out_sharpe"]},
        {"what": "books chosen alike without skill: the median", "sharpe": own["null_sharpe"]},
        {"what": "the same: one in twenty is above", "sharpe": own["null_sharpe_high"]},
        {"what": "its instruments, always long, without costs", "sharpe": own["always_long_sharpe"]},
        {"what": beside, "sharpe": own["benchmark_sharpe"]},
    ]
    known = pl.DataFrame(
        [row for row in rows if row["sharpe"] is not None], schema={"what": pl.String, "sharpe": pl.Float64}
    )
    columns = [Column("", _text("what")), _figure("Sharpe", "sharpe", two_decimals)]
    return render("book_listing", listing=_listing(columns, known, data.own.sentence()), note="", hint="")


SECTIONS = (
    Section("positions", "Positions", "What is held from the next open on", positions_section),
    Section("orders", "Orders", "Orders that lead there", orders_section),
    Section("decisions", "Decisions", "What each champion says", decisions_section),
    Section("refused", "Refused", "Lines that can't be vouched for", refused_section),
    Section("record", "Record", "What the book would have earned out of sample", own_section),
    Section("journal", "Journal", "What came of the books", journal_section),
    Section("champions", "Champions", "Champions beside their records", champions_section),
)


def _listing(columns: list[Column], rows: pl.DataFrame, caption: str) -> Table:
    """A table of the first `MOST_ROWS` rows, sortable; the caption says how many there are."""
    if rows.height > MOST_ROWS:
        caption = f"{caption}: the first {MOST_ROWS:,} of {rows.height:,}"
    return table(columns, rows.head(MOST_ROWS).iter_rows(named=True), caption, "sortable book")


def _figure(title: str, name: str, formatted: Callable[[Number], str], hint: str = "") -> Column:
    return Column(title, lambda r: formatted(r[name]), lambda r: r[name], hint)


def _text(name: str) -> Callable[[Row], str]:
    return lambda r: r[name] or ""


def _instrument(row: Row) -> str:
    return f"{row['symbol']} · {row['asset_class']}" if row["symbol"] else DASH


def _champion(data: BookData) -> Column:
    """A champion's name and version, which lead to its tear sheet where there is one."""
    return Column("champion", lambda r: f"{r['name']} v{r['version']}", link=lambda r: _sheet(data, r))


def _sheet(data: BookData, row: Row) -> str:
    """Address of a champion's tear sheet; empty without one."""
    if not row["family"]:
        return ""
    name = sheet_name(row["name"], row["family"])
    several = f"{name.removesuffix('.html')}~{text_digest(row['record_id'] or '')[:8]}.html"
    return next((f"{FOLDER}/{quote(each)}" for each in (several, name) if each in data.sheets), "")


def _instrument_sheets(data: BookData) -> dict[tuple[str, str], str]:
    """Addresses of the tear sheets of the instruments' own champions."""
    own = data.lines.filter(pl.col("scope") == "instrument")
    return {(row["asset_class"], row["symbol"]): _sheet(data, row) for row in own.iter_rows(named=True)}


def _prose(name: str) -> Callable[[Row], str]:
    """Mark running text, which needs a width of its own."""
    return lambda r: "prose" if r[name] else ""


def _verdict(row: Row) -> str:
    if row["verdict"] == "expected" and row["outside"]:
        return "no alarm"
    return _VERDICTS.get(row["verdict"], row["verdict"] or DASH)


def _band(row: Row, figure: str, formatted: Callable[[Number], str]) -> str:
    low, high = row[f"{figure}_low"], row[f"{figure}_high"]
    return DASH if low is None or high is None else f"{formatted(low)} to {formatted(high)}"
