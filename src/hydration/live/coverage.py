"""What a provider did not serve of a history: its beginning, sessions in the middle, its end.

Read from what is stored, not from one answer, so that it stays true after every refresh. A short history differs from
one that was cut: a stock that was listed in 2021 has no earlier bars, but an exchange that serves its latest 720 bars
has cut what came before.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

import polars as pl

from src.core.finding import BarFinding
from src.core.instruments import KEY, Key
from src.hydration.live import sessions
from src.market import calendar

BEGINNING = "no_beginning"
"""Rule of a history whose beginning the provider does not serve."""
_LATE = dt.timedelta(days=7)  # after the first date asked for, from which on a beginning is missing
_BEHIND = 3  # sessions that a provider may be late


def remarks(entries: pl.DataFrame, bars: pl.DataFrame, interval: str) -> dict[Key, list[BarFinding]]:
    """Say of each instrument what is missing.

    Parameters
    ----------
    entries : DataFrame
        Rows of the ledger (`raw_bucket.ENTRY`, facts as JSON text).
    bars : DataFrame
        asset_class, symbol, date of all bars that are stored of these instruments.
    interval : str
        Of the bars; sessions are counted of daily ones alone.

    Returns
    -------
    dict of (asset_class, symbol) to list of BarFinding
        Instruments of which nothing is missing are left out.
    """
    found = edges(entries, interval)
    for key, finding in holes(bars).items() if interval == "1d" else ():
        found.setdefault(key, []).append(finding)
    return found


def edges(entries: pl.DataFrame, interval: str) -> dict[Key, list[BarFinding]]:
    """Say of each instrument whether its history begins later, or ends earlier, than it was asked for.

    Parameters
    ----------
    entries, interval
        As for `remarks`.

    Returns
    -------
    dict of (asset_class, symbol) to list of BarFinding
        The text changes only when a bar comes or a limit is met, not from day to day.
    """
    found: dict[Key, list[BarFinding]] = {}
    for row in entries.filter((pl.col("rows") > 0) & (pl.col("state") == "fetched")).iter_rows(named=True):
        each = [one for one in (_beginning(row), _end(row, interval), _ahead(row)) if one is not None]
        if each:
            found[row["asset_class"], row["symbol"]] = each
    return found


def holes(bars: pl.DataFrame) -> dict[Key, BarFinding]:
    """Sessions without a bar between the first bar and the last one.

    Parameters
    ----------
    bars : DataFrame
        asset_class, symbol, date of daily bars, in any order; dates may repeat or be null.

    Returns
    -------
    dict of (asset_class, symbol) to BarFinding
        Of the instruments that lack any.
    """
    found = {}
    for kind, part in bars.drop_nulls("date").partition_by("asset_class", as_dict=True).items():
        days = calendar.sessions(str(kind[0]), part["date"].min(), part["date"].max())  # type: ignore[arg-type]
        table = pl.DataFrame({"date": pl.Series(days).cast(pl.Date)}).with_row_index("session")
        placed = part.select(*KEY, "date").unique().join(table, on="date").sort(*KEY, "date")
        steps = placed.with_columns(
            gap=pl.col("session").cast(pl.Int64).diff().over(KEY) - 1, after=pl.col("date").shift(1).over(KEY)
        ).filter(pl.col("gap") > 0)
        for key, rows in steps.partition_by(KEY, as_dict=True).items():
            found[str(key[0]), str(key[1])] = _hole(rows)
    return found


def closing(rules: Iterable[str]) -> str:
    """Count instruments without their beginning, for the closing line.

    Parameters
    ----------
    rules : iterable of str
        The rules of all findings of a dataset.

    Returns
    -------
    str
        The end of a sentence; empty if there are none.
    """
    count = sum(rule == BEGINNING for rule in rules)
    return f"; {count:,} without their beginning, which the provider does not serve" if count else ""


def _beginning(row: dict[str, Any]) -> BarFinding | None:
    facts, first, kind = json.loads(row["facts"]), _day(row["first"]), row["asset_class"]
    days = {name: dt.date.fromisoformat(facts[name]) for name in ("asked_from", "first_trade") if name in facts}
    asked, traded = days.get("asked_from"), days.get("first_trade")
    if asked is None or first <= asked + _LATE:
        return None
    why = f"{row['provider']} serves {facts['serves']}" if facts.get("serves") else ""
    if not why and traded is not None and first > max(traded, asked) + _LATE:
        why = f"{row['provider']} says that it has traded since {traded}, and serves no earlier bar"
    if why:
        remedy = f"a longer history needs another provider, or an archive as the first of source.live.chain.{kind}"
        text = f"bars from {first} on: {why}; {remedy}"
        return BarFinding(BEGINNING, "noted", text, first=first, source=row["provider"])
    if kind == "crypto":
        text = f"bars from {first} on, where its history at {row['provider']} begins"
        return BarFinding("listed_later", "noted", text, first=first, source=row["provider"])
    return None


def _end(row: dict[str, Any], interval: str) -> BarFinding | None:
    """Bars that end sessions before the day on which the provider was last asked."""
    if row["checked"] is None or row["last"] is None:
        return None
    kind, last = row["asset_class"], _day(row["last"])
    due = _day(sessions.last_complete(kind, interval, row["checked"]))
    if last >= due or len(calendar.sessions(kind, last, due)) - 1 < _BEHIND:
        return None
    text = f"bars end {last}: {row['provider']} answers, and serves none of the sessions since"
    return BarFinding("ends_early", "noted", text, first=last, source=row["provider"])


def _ahead(row: dict[str, Any]) -> BarFinding | None:
    """Bars dated in the future, of the latest answer."""
    text = json.loads(row["facts"]).get("ahead")
    return BarFinding("future_dates", "noted", text, source=row["provider"]) if text else None


def _hole(rows: pl.DataFrame) -> BarFinding:
    longest = rows.sort("gap", "date", descending=[True, False]).row(0, named=True)
    n, first, last = int(rows["gap"].sum()), longest["after"], longest["date"]
    places = f" in {rows.height:,} places, the longest of {longest['gap']:,}" if rows.height > 1 else ""
    text = f"{n:,} session{'' if n == 1 else 's'} without a bar{places} between {first} and {last}"
    return BarFinding("missing_sessions", "noted", text, n=n, first=first, last=last)


def _day(moment: dt.date | dt.datetime) -> dt.date:
    return moment.date() if isinstance(moment, dt.datetime) else moment
