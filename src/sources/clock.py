"""From what a file writes to the dates of bars: the exchange's day, or the moment in UTC."""

from __future__ import annotations

import polars as pl

from src.sources.numbers import is_missing

DEFAULT_ZONES = {"stock": "America/New_York", "etf": "America/New_York", "crypto": "UTC"}
"""Zone of naive times by asset class, where ``source.time_zone`` names none."""
_REPEATED = 0.2  # of an instrument's days


def zone_of(asset_class: str, time_zone: str | None) -> str:
    """Zone in which the naive times of an instrument are, and its days begin."""
    return time_zone or DEFAULT_ZONES.get(asset_class, "America/New_York")


def is_intraday(interval: str) -> bool:
    """Whether bars are shorter than a day."""
    return interval.endswith(("m", "h"))


def with_dates(frame: pl.DataFrame, interval: str, time_zone: str | None, name: str, column: str) -> pl.DataFrame:
    """Add the dates of bars.

    Parameters
    ----------
    frame : DataFrame
        ``day`` (as written), ``moment`` (naive), ``utc`` (whether it is in UTC), ``_class``, ``_symbol``, ``line`` and
        ``fault``, in the order of the file.
    interval : str
        Length of a bar.
    time_zone : str or None
        ``source.time_zone``.
    name, column : str
        The file and its column of dates, for messages.

    Returns
    -------
    DataFrame
        With ``_day``: dates, or UTC timestamps unless daily. A time that the clock of its zone did not show, or showed
        twice with nothing to say which it is, has a fault.
    """
    if not is_intraday(interval):
        day = pl.col("day")
        if frame["utc"].any():
            day = pl.when("utc").then(_by_zone(frame, time_zone, _local_day)).otherwise(day)
        return frame.with_columns(day.alias("_day") if interval == "1d" else _stamped(day).alias("_day"))
    moment = pl.col("moment").dt.replace_time_zone("UTC")
    if not frame["utc"].all():
        moment = pl.when("utc").then(moment).otherwise(_by_zone(frame, time_zone, _utc))
    frame = frame.with_columns(moment.alias("_day"))
    if frame["_day"].null_count() > frame["moment"].null_count():
        return _with_clock_changes(frame, time_zone, name, column)
    return frame


def with_repeated_days(frame: pl.DataFrame, name: str, column: str, interval: str) -> pl.DataFrame:
    """Give the rows of instruments with several bars a day a fault, where daily bars are wanted.

    Parameters
    ----------
    frame : DataFrame
        From `with_dates`.
    name, column : str
        The file and its column of dates, for the message.
    interval : str
        Length of a bar.

    Returns
    -------
    DataFrame
        The same rows.
    """
    if interval != "1d":
        return frame
    days = frame.lazy().drop_nulls("_day").group_by("_class", "_symbol", "_day", maintain_order=True).agg(
        pl.col("moment").n_unique().alias("n"), pl.col("moment").min().alias("a"), pl.col("moment").max().alias("b"),
        pl.col("line").min(),
    )  # fmt: skip
    many = days.group_by("_class", "_symbol").agg(
        (pl.col("n") > 1).mean().alias("share"), pl.col("a", "b", "line").filter(pl.col("n") > 1).first()
    )
    found = many.filter(pl.col("share") > _REPEATED).collect()
    if not found.height:
        return frame
    said = pl.format(
        f"{name} line {{}}: column {column} has several bars a day ({{}} and {{}}): universe.interval=1h?",
        "line", pl.col("a").dt.strftime("%F %T"), pl.col("b").dt.strftime("%F %T"),
    )  # fmt: skip
    found = found.select("_class", "_symbol", said.alias("_several"))
    frame = frame.join(found, on=["_class", "_symbol"], how="left", maintain_order="left")
    return frame.with_columns(fault=pl.coalesce("_several", "fault")).drop("_several")


def _stamped(day: pl.Expr) -> pl.Expr:
    return day.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _local_day(zone: str) -> pl.Expr:
    return pl.col("moment").dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()


def _utc(zone: str) -> pl.Expr:
    local = pl.col("moment").dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    return local.dt.convert_time_zone("UTC")


def _by_zone(frame: pl.DataFrame, time_zone: str | None, made: object) -> pl.Expr:
    """An expression for each zone that the asset classes of the rows have."""
    classes = frame["_class"].unique().to_list()
    zones = {str(kind): zone_of(str(kind), time_zone) for kind in classes}
    chosen: pl.Expr = made(next(iter(zones.values()), "UTC"))  # type: ignore[operator]
    for kind, zone in zones.items():
        if len(set(zones.values())) > 1:
            chosen = pl.when(pl.col("_class") == kind).then(made(zone)).otherwise(chosen)  # type: ignore[operator]
    return chosen


def _with_clock_changes(frame: pl.DataFrame, time_zone: str | None, name: str, column: str) -> pl.DataFrame:
    """Read times that a clock shows twice by their order, and say which it never shows."""

    def side(which: str) -> object:
        def made(zone: str) -> pl.Expr:
            local = pl.col("moment").dt.replace_time_zone(zone, ambiguous=which, non_existent="null")  # type: ignore[arg-type]
            return local.dt.convert_time_zone("UTC")

        return made

    unread = pl.col("_day").is_null() & pl.col("moment").is_not_null()
    frame = frame.with_columns(
        _by_zone(frame, time_zone, side("earliest")).alias("_a"),
        _by_zone(frame, time_zone, side("latest")).alias("_b"),
        unread.alias("_twice"),
    )
    group = ["_class", "_symbol", "moment"]
    ascending = pl.col("moment").last().over("_symbol") >= pl.col("moment").first().over("_symbol")
    first = pl.int_range(pl.len()).over(group) == 0
    pair = pl.when(first == ascending).then("_a").otherwise("_b")
    frame = frame.with_columns(
        _day=pl.when(pl.col("_twice") & (pl.len().over(group) == 2)).then(pair).otherwise("_day"),
    )
    said = pl.when(pl.col("_a").is_null()).then(pl.lit("does not exist")).otherwise(pl.lit("comes twice"))
    where = pl.format(
        f"{name} line {{}}, column {column}: the local time {{}} {{}} when clocks change: write times in UTC, or set"
        " source.time_zone=UTC if they are",
        "line", pl.col("moment").dt.strftime("%F %T"), said,
    )  # fmt: skip
    fault = pl.when(pl.col("_twice") & pl.col("_day").is_null()).then(where)
    return frame.with_columns(fault=pl.coalesce("fault", fault)).drop("_a", "_b", "_twice")


def with_time(date: pl.Expr, kind: pl.DataType, name: str, time_kind: pl.DataType) -> pl.Expr:
    """Dates with the time of day of another column, which is HH:MM, HH:MM:SS, HHMM or HHMMSS.

    Parameters
    ----------
    date : Expr
        Cells of dates.
    kind : DataType
        Of their column.
    name : str
        The column of times.
    time_kind : DataType
        Of that column.

    Returns
    -------
    Expr
        Text; dates with a time of their own as they are.
    """
    if isinstance(kind, pl.Datetime):
        return date
    text = pl.col(name).dt.strftime("%H:%M:%S") if time_kind == pl.Time else pl.col(name).cast(pl.String)
    text = text.str.strip_chars()
    digits = text.str.contains(r"^\d{1,6}$")
    long = (text.str.len_chars() > 4).filter(digits).any()
    padded = pl.when(long).then(text.str.pad_start(6, "0")).otherwise(text.str.pad_start(4, "0") + "00")
    padded = padded.str.replace(r"^(\d\d)(\d\d)(\d\d)$", "$1:$2:$3")
    text = pl.when(digits).then(padded).otherwise(text)
    whole = date.cast(pl.String)
    alone = is_missing(text) | whole.str.contains(":", literal=True) | text.str.contains(r"^\d{9,}(\.\d*)?$")
    return pl.when(alone.fill_null(True)).then(whole).otherwise(whole + " " + text)
