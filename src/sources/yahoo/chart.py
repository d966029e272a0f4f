"""Bars and events of Yahoo's chart: every row as served, with its value and in its order."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

import polars as pl

from src.fetching.provider import EVENTS, Answer, BarRequest, Malformed, Unfit, raw_schema
from src.sources.yahoo.payload import number, numbers

_FIELDS = ("open", "high", "low", "close", "volume")
_TYPES = {
    "stock": ("EQUITY", "ETF", "MUTUALFUND"),
    "etf": ("EQUITY", "ETF", "MUTUALFUND"),
    "crypto": ("CRYPTOCURRENCY",),
}
_DOLLARS = (None, "", "USD")  # currencies of events that are in dollars
_GRAINS = {"1h": ("1h", "60m")}
_FACTS = {"currency": "currency", "instrumentType": "type", "fullExchangeName": "exchange", "longName": "name"}
_LATEST = 100_000_000_000  # seconds since 1970; a larger number is not a time


def answer(body: dict[str, Any], request: BarRequest, asked: str, source: str = "yahoo") -> Answer:
    """Read bars and events from a chart.

    Values are kept as served: null, NaN, negative, repeated, out of order. Only rows that are not bars are left out,
    and the facts say so: the live quote that Yahoo appends to a session's bar, and hours outside regular trading.

    Parameters
    ----------
    body : dict
        The parsed JSON, which reports no error.
    request : BarRequest
        What was asked.
    asked : str
        Yahoo's name of the symbol.
    source : str
        Written in the column source.

    Returns
    -------
    Answer
        Columns of `RAW` and `EVENTS`, and Yahoo's facts about the instrument.

    Raises
    ------
    Malformed
        If a part is missing, of another type, or of another length than the timestamps.
    Unfit
        If the symbol, currency or kind of instrument is not the one requested.
    """
    result = _result(body, asked)
    meta = result["meta"]
    _check(meta, request, asked)
    zone = str(meta.get("exchangeTimezoneName") or "America/New_York")
    if not _is_zone(zone):
        raise Malformed(f"{asked}: there is no time zone {zone}, so its bars have no dates")
    bars = _bars(result, asked).with_columns(_local(pl.col("at"), zone).alias("local"))
    notes: dict[str, str] = {}
    if request.interval == "1d":
        bars = _without_live_row(bars, meta, notes).with_columns(date=pl.col("local").dt.date())
    else:
        bars = _within_hours(bars, meta, request, notes)
        bars = bars.with_columns(date=pl.from_epoch("at", "s").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    key = {"asset_class": request.asset_class, "symbol": request.symbol, "source": source}
    bars = bars.with_columns(pl.lit(value, pl.String).alias(name) for name, value in key.items())
    return Answer(
        bars.select(pl.col(name).cast(kind) for name, kind in raw_schema(request.interval).items()),
        _events(result.get("events"), zone, key, notes),
        {ours: str(meta[theirs]) for theirs, ours in _FACTS.items() if meta.get(theirs)}
        | {"zone": zone}
        | _first_trade(meta)
        | notes,
    )


def _first_trade(meta: dict[str, Any]) -> dict[str, str]:
    """Day of the first bar that Yahoo has at all, if it says so: a chart that begins later may have been cut."""
    seconds = meta.get("firstTradeDate")
    if not isinstance(seconds, int) or abs(seconds) >= _LATEST:
        return {}
    return {"first_trade": (dt.date(1970, 1, 1) + dt.timedelta(seconds=seconds)).isoformat()}


def _result(body: dict[str, Any], asked: str) -> dict[str, Any]:
    """The one result of a chart, with its meta."""
    chart = body.get("chart")
    results = chart.get("result") if isinstance(chart, dict) else None
    if not isinstance(results, list) or not results or not isinstance(results[0], dict):
        raise Malformed(f"{asked}: a chart without a result")
    result: dict[str, Any] = results[0]
    if not isinstance(result.get("meta"), dict):
        raise Malformed(f"{asked}: a chart without meta, so its currency and symbol are not known")
    return result


def _check(meta: dict[str, Any], request: BarRequest, asked: str) -> None:
    """Check that the answer is about what was requested."""
    served = str(meta.get("symbol") or "")
    if served.upper() != asked.upper():
        raise Unfit(f"asked for {asked}, answered for {served or 'no symbol'}: it may have been renamed")
    if meta.get("currency") != "USD":
        raise Unfit(f"{asked} is quoted in {meta.get('currency') or 'no named currency'}, not in USD")
    kind = meta.get("instrumentType")
    if kind and kind not in _TYPES[request.asset_class]:
        raise Unfit(f"{asked} is {kind} with Yahoo, not {request.asset_class}")
    grain = meta.get("dataGranularity")
    if grain and grain not in _GRAINS.get(request.interval, (request.interval,)):
        raise Malformed(f"{asked}: asked for bars of {request.interval}, got {grain}")


def _bars(result: dict[str, Any], asked: str) -> pl.DataFrame:
    """Timestamps (column `at`, seconds) and the served columns beside them."""
    times = _times(result.get("timestamp"), asked)
    indicators = result.get("indicators")
    parts = indicators if isinstance(indicators, dict) else {}
    quote = _first(parts.get("quote"))
    missing = [name for name in _FIELDS if name not in quote]
    if missing:
        raise Malformed(f"{asked}: a chart without {', '.join(missing)}")
    columns = [numbers(quote[name], name) for name in _FIELDS]
    adjusted = _first(parts.get("adjclose")).get("adjclose")
    columns.append(
        pl.Series("adj_close", [None] * len(times), pl.Float64) if adjusted is None else numbers(adjusted, "adj_close")
    )
    for column in columns:
        if len(column) != len(times):
            raise Malformed(f"{asked}: {len(times):,} timestamps, but {len(column):,} values of {column.name}")
    return pl.DataFrame([times, *columns])


def _times(values: Any, asked: str) -> pl.Series:
    if not isinstance(values, list) or not values:
        raise Malformed(f"{asked}: an answer without any bar")
    try:
        times = pl.Series("at", values, dtype=pl.Int64, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise Malformed(f"{asked}: timestamps must be seconds since 1970") from error
    if times.has_nulls() or not times.abs().lt(_LATEST).all():
        raise Malformed(f"{asked}: timestamps must be seconds since 1970, all of them")
    return times


def _first(values: Any) -> dict[str, Any]:
    """The first object of a list; an empty one if the list is empty."""
    if isinstance(values, list) and values and isinstance(values[0], dict):
        return values[0]
    return {}


@functools.cache
def _is_zone(name: str) -> bool:
    try:
        pl.Series([0], dtype=pl.Datetime("us")).dt.replace_time_zone(name)
    except pl.exceptions.PolarsError:
        return False
    return True


def _local(seconds: pl.Expr, zone: str) -> pl.Expr:
    """Local time at the exchange. Exactly 22:00 or 23:00 means the next midnight: Yahoo errs at clock changes."""
    local = (
        pl.from_epoch(seconds, "s").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    )
    slip = (local.dt.hour() >= 22) & (local.dt.minute() == 0)
    return pl.when(slip).then(local.dt.offset_by("2h")).otherwise(local)


def _without_live_row(bars: pl.DataFrame, meta: dict[str, Any], notes: dict[str, str]) -> pl.DataFrame:
    """Of the last session's bar and the live quote after it, keep the quote, which is newer; so does yfinance."""
    if len(bars) < 2 or bars["local"].dt.date()[-1] != bars["local"].dt.date()[-2]:
        return bars
    if bars["at"][-1] != meta.get("regularMarketTime") or bars["at"][-1] == bars["at"][-2]:
        return bars
    notes["live"] = "the last session was served twice, as a bar and as a later quote; the quote counts"
    return pl.concat([bars[:-2], bars[-1:]])


def _within_hours(bars: pl.DataFrame, meta: dict[str, Any], request: BarRequest, notes: dict[str, str]) -> pl.DataFrame:
    """Intraday bars within the exchange's regular hours, without the live quote appended to them."""
    kept = bars
    sessions = _sessions(meta.get("tradingPeriods"))
    if sessions is not None and request.asset_class != "crypto":
        ends = bars.with_row_index().sort("at").join_asof(sessions, left_on="at", right_on="start", strategy="backward")
        outside = (pl.col("end") <= pl.col("at")) & (pl.col("at") < pl.col("end") + 12 * 3600)
        kept = bars[ends.sort("index").select(~outside.fill_null(False)).to_series().arg_true()]
        if len(kept) < len(bars):
            notes["outside"] = f"{len(bars) - len(kept)} rows outside regular hours left out"
    if len(kept) > 1 and kept["at"][-1] == meta.get("regularMarketTime") and 0 < kept["at"][-1] - kept["at"][-2] < 3600:
        notes["live"] = "the live quote after the last bar left out"
        kept = kept[:-1]
    return kept


def _sessions(periods: Any) -> pl.DataFrame | None:
    """Start and end (seconds) of the regular sessions that Yahoo lists; None if it lists none."""
    flat = (
        [period for day in periods for period in day]
        if isinstance(periods, list) and all(map(_is_list, periods))
        else []
    )
    rows = [(period.get("start"), period.get("end")) for period in flat if isinstance(period, dict)]
    if not rows or not all(isinstance(value, int) for row in rows for value in row):
        return None
    return pl.DataFrame(rows, schema={"start": pl.Int64, "end": pl.Int64}, orient="row").sort("start")


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _events(events: Any, zone: str, key: dict[str, str], notes: dict[str, str]) -> pl.DataFrame:
    """Dividends, capital gains and splits by ex-date (columns of EVENTS), oldest first.

    Money in another currency than the prices is left out, with a note: foreign companies pay in their own.
    """
    rows: list[dict[str, Any]] = []
    for theirs, ours in (("dividends", "dividend"), ("capitalGains", "capital_gain"), ("splits", "split")):
        entries = events.get(theirs) if isinstance(events, dict) else None
        if entries is None:
            continue
        if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
            raise Malformed(f"{key['symbol']}: {theirs} must be events by their time, got {type(entries).__name__}")
        foreign = sorted({str(e["currency"]) for e in entries.values() if e.get("currency") not in _DOLLARS})
        if foreign:
            notes[theirs] = f"those in {', '.join(foreign)} left out: the prices are in USD"
        rows += [
            {"at": entry.get("date"), "kind": ours, "value": _value(entry, ours, key["symbol"])}
            for entry in entries.values()
            if entry.get("currency") in _DOLLARS
        ]
    if not rows:
        return pl.DataFrame(schema=EVENTS)
    at = _times([row["at"] for row in rows], f"{key['symbol']}, events")
    frame = pl.DataFrame(rows, schema_overrides={"value": pl.Float64}).with_columns(at)
    frame = frame.with_columns(_local(pl.col("at"), zone).dt.date().alias("date"))
    frame = frame.with_columns(pl.lit(value, pl.String).alias(name) for name, value in key.items())
    return frame.select(pl.col(name).cast(kind) for name, kind in EVENTS.items()).sort(
        "date", "kind", maintain_order=True
    )


def _value(entry: dict[str, Any], kind: str, symbol: str) -> float | None:
    """Money for each share, or new shares for each old one; null for a split without two numbers."""
    if kind != "split":
        return number(entry.get("amount"), f"{symbol}: the amount of a {kind}")
    new, old = (number(entry.get(name), f"{symbol}: the {name} of a split") for name in ("numerator", "denominator"))
    return new / old if new and old else None
