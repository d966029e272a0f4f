"""Faults that condemn a whole instrument: repairing a bar would need later bars, or too much is wrong.

Quarantine may look at the whole series: it changes no bar, it sets the instrument aside with the reason.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from src.core.finding import BarFinding, as_finding
from src.core.instruments import KEY, Key
from src.hydration.lookahead import look_ahead, look_ahead_figures

JUMP = 3.0  # one-day moves beyond this factor are looked into
SCALE = 20.0  # beyond this they are no market moves: the bar is held at the last close
HELD = 5  # bars in a row that may be held; more, and the price scale has changed
JUMPS = 3  # moves beyond JUMP that condemn
SURGE = 3.0  # volume over its average of the 63 bars before: what news brings
FROZEN = 250  # bars without any change of the close
REPAIRS = 0.10  # share of bars
BOUNCE = -0.32  # correlation of neighbouring moves of two interleaved series (real ones stay above -0.27 ...
BOUNCE_MOVE, BOUNCE_BARS = 0.005, 100  # ... where moves are not mere rounding), from this deviation and length on
CONFLICTS, CONFLICT_SHARE = 5, 0.01  # dates that come twice with other values
WEEKENDS = 0.10  # share of rows
APART_BARS = 10  # bars from which their distance is judged: the median, in lengths of a bar ...
CLOSE_TO, APART = 0.75, {"1d": 5.0, "1h": 3.0}  # ... that is at least the first and less than the second
GAP_DAYS = 30  # noted, not condemned
TAIL = 20  # bars without trade at the end: noted
_BEFORE = 63  # bars of the trailing averages
Row = dict[str, Any]


def held_bars(group: pl.Series, move: pl.Series) -> pl.Series:
    """Whether each bar is beyond x20 of the last bar that is not held itself, from the past alone.

    Parameters
    ----------
    group : int, shape (n,)
        Instrument of each bar, in runs.
    move : float, shape (n,)
        Log total return from the bar before; 0 at an instrument's first bar.
    """
    held = np.zeros(len(group), dtype=bool)
    if not len(group):
        return pl.Series(held)
    groups, level = group.to_numpy(), np.cumsum(move.to_numpy())
    limit = math.log(SCALE)
    suspects = np.unique(groups[np.abs(move.to_numpy()) > limit])
    for start, end in zip(
        np.searchsorted(groups, suspects), np.searchsorted(groups, suspects, side="right"), strict=True
    ):
        good = level[start]
        for k in range(start + 1, end):
            held[k] = abs(level[k] - good) > limit
            if not held[k]:
                good = level[k]
    return pl.Series(held)


def bars_apart(interval: str) -> pl.Expr:
    """Median distance of an instrument's bars, columns g and date, in lengths of a bar; null if it has few."""
    length = 86_400 if interval == "1d" else 3_600
    seconds = (pl.col("date") - pl.col("date").shift(1).over("g")).dt.total_seconds()
    return pl.when(pl.len().over("g") >= APART_BARS).then(seconds.median().over("g") / length)


def verdicts(
    bars: pl.DataFrame, dropped: pl.DataFrame, splits: dict[Key, list[BarFinding]], interval: str = "1d"
) -> dict[Key, list[BarFinding]]:
    """Why each instrument is quarantined, or what was noticed and left as it is.

    Parameters
    ----------
    bars
        Repaired bars, sorted, with the columns g (instrument), days (since the bar before), move (log total return),
        gap (the same to the open), jump (held bars), repaired, and those that `look_ahead_figures` reads.
    dropped
        Rows that were dropped: asset_class, symbol, rule, n.
    splits
        What `src.hydration.unrecorded_splits` found.
    interval
        Length of a bar.

    Returns
    -------
    dict of (asset_class, symbol) to list of BarFinding
        Those that condemn (effect ``quarantined``; without any the instrument is fit for use), then the others.
    """
    figures = (
        _figures(bars)
        .join(_dropped(dropped), on=KEY, how="left")
        .with_columns(pl.col("conflict", "weekend").fill_null(0))
        .sort("g")
    )
    seen = {row["g"]: row for row in look_ahead_figures(bars, interval).iter_rows(named=True)}
    looked = bars.filter((pl.col("move").abs() > math.log(JUMP)).any().over("g"))
    arrays = {rows["g"][0]: rows for rows in looked.partition_by("g", maintain_order=True)}
    found: dict[Key, list[BarFinding]] = {}
    for row in figures.iter_rows(named=True):
        rows = arrays.get(row["g"])
        key = row["asset_class"], row["symbol"]
        doubts = [each for each in splits.get(key, []) if each.effect == "quarantined"]
        rebased = [each for each in splits.get(key, []) if each.effect != "quarantined"]
        against, kept = _jumps(rows, row["bars"], doubts) if rows is not None else (doubts, [])
        verdict, note = [*_condemned(row, interval), *look_ahead(seen[row["g"]])], [*rebased, *kept, *_noted(row)]
        lasting = (row["held"] or 0) > HELD
        condemned = [as_finding(each, "quarantined") for each in (verdict if lasting else against + verdict)]
        found[key] = [*condemned, *(as_finding(each, "noted") for each in note)]
    return found


def _figures(bars: pl.DataFrame) -> pl.DataFrame:
    """Per instrument: counts and longest runs that the rules look at."""
    size = 4 * pl.col("move").abs().mean().over("g")
    bars = bars.with_columns(clipped=pl.col("move").clip(-size, size))
    before = pl.when(pl.col("g") == pl.col("g").shift(1)).then(pl.col("clipped").shift(1))
    marked = bars.with_columns(before=before)
    again = (pl.col("g") == pl.col("g").shift(1)) & (pl.col("close") == pl.col("close").shift(1)).fill_null(False)
    still = bars.select("g", "date", since=pl.col("date").shift(1), run=(~again).cum_sum(), again=again).filter("again")
    runs = still.group_by("g", "run").agg(
        frozen=pl.len() + 1, **{"from": pl.col("since").first()}, to=pl.col("date").last()
    )
    longest = runs.sort("frozen", "from", descending=[True, False]).unique("g", keep="first").drop("run")
    held = bars.select("g", "date", "jump", run=(~pl.col("jump")).cum_sum()).filter("jump")
    held = held.group_by("g", "run").agg(pl.len().alias("held"), pl.col("date").first().alias("held_from"))
    held = held.sort("held", "held_from", descending=[True, False]).unique("g", keep="first").drop("run")
    totals = marked.group_by("g").agg(
        pl.col(KEY).first(), pl.len().alias("bars"), (pl.col("volume") > 0).sum().alias("traded"),
        (pl.col("volume") > 0).reverse().arg_max().alias("tail"),
        (pl.col("raw_move").abs() > math.log(JUMP)).sum().alias("jumps"),
        pl.col("repaired").sum(), pl.corr("clipped", "before").alias("bounce"),
        pl.col("clipped").std().alias("spread"), pl.col("days").max(),
        pl.col("date").get(pl.col("days").arg_max()).alias("gap_to"), pl.col("apart").first(),
    )  # fmt: skip
    return totals.join(longest, on="g", how="left").join(held, on="g", how="left")


def _dropped(dropped: pl.DataFrame) -> pl.DataFrame:
    one = [pl.col("n").filter(pl.col("rule") == rule).sum().alias(rule) for rule in ("conflict", "weekend")]
    return dropped.group_by(KEY).agg(one)


def _condemned(row: Row, interval: str) -> Iterator[BarFinding]:
    """Reasons that need no look at single moves."""
    bars = row["bars"]
    if (row["held"] or 0) > HELD:
        what = f"{row['jumps']:,} of {bars:,} one-day moves beyond x{JUMP:.0f}" if row["jumps"] > 1 else "a move"
        text = f"{what}, one beyond x{SCALE:.0f} on {row['held_from']} that lasted: the series mixes price scales"
        yield _verdict("price_scales", text, row, row["jumps"], row["held_from"])
        return
    if row["conflict"] > max(CONFLICTS, CONFLICT_SHARE * bars):
        text = f"{row['conflict']:,} dates come twice with different values: two series are merged under one ticker"
        yield _verdict("merged_series", text, row, row["conflict"])
    if bars >= BOUNCE_BARS and row["spread"] > BOUNCE_MOVE and (row["bounce"] or 0) < BOUNCE:
        found = f"each move is undone by the next (correlation {row['bounce']:.2f})"
        yield _verdict("merged_series", f"{found}: two series are merged under one ticker", row, bars)
    if row["weekend"] > WEEKENDS * (bars + row["weekend"]):
        text = f"{row['weekend']:,} bars are on weekends, when no exchange is open: is this a coin?"
        yield _verdict("weekend_bars", text, row, row["weekend"])
    if row["apart"] is not None and not CLOSE_TO <= row["apart"] < APART.get(interval, math.inf):
        usual = f"{row['apart']:.0f} days" if interval == "1d" else f"{60 * row['apart']:.0f} minutes"
        text = f"most bars are {usual} apart: these are no bars of universe.interval={interval}"
        yield _verdict("other_interval", text, row, bars)
    if row["traded"] == 0:
        yield _verdict("never_traded", "no bar has an open, a close and volume: nothing can be traded", row, bars)
    elif (row["frozen"] or 1) >= FROZEN:
        span = f"{row['from']} to {row['to']}"
        text = f"the price stands still for {row['frozen']:,} bars ({span}): a frozen series"
        yield _verdict("frozen", text, row, row["frozen"], row["from"], row["to"])
    if row["repaired"] > REPAIRS * bars and row["repaired"] > HELD:
        text = f"{row['repaired']:,} of {bars:,} bars need repair, more than {REPAIRS:.0%}"
        yield _verdict("many_repairs", text, row, row["repaired"])


def _verdict(rule: str, text: str, row: Row, n: int, first: Any = None, last: Any = None) -> BarFinding:
    return BarFinding(rule, "quarantined", text, n, row["bars"], _day(first), _day(last or first))


def _noted(row: Row) -> Iterator[BarFinding]:
    if (row["days"] or 0) > GAP_DAYS:
        day = _day(row["gap_to"])
        yield BarFinding("gap", "noted", f"gap of {row['days']} days before {row['gap_to']}", first=day, last=day)
    if row["traded"] and row["tail"] >= TAIL:
        yield BarFinding("no_late_trade", "noted", f"no trade in the last {row['tail']} bars", row["tail"], row["bars"])


def _day(moment: Any) -> dt.date | None:
    return moment.date() if isinstance(moment, dt.datetime) else moment


def _jumps(rows: pl.DataFrame, bars: int, doubts: list[BarFinding]) -> tuple[list[BarFinding], list[BarFinding]]:
    """Judge one instrument's moves beyond x3: (`doubts` or other reasons against it; remarks on those kept)."""
    move, volume = rows["move"].to_numpy(), rows["volume"].to_numpy()
    dates = rows["date"].to_list()
    jumps = np.flatnonzero(np.abs(move) > math.log(JUMP))
    if len(jumps) >= JUMPS:
        text = f"{len(jumps):,} of {bars:,} one-day moves beyond x{JUMP:.0f}: the series mixes price scales"
        span = _day(dates[jumps[0]]), _day(dates[jumps[-1]])
        return [BarFinding("price_scales", "quarantined", text, len(jumps), bars, *span)], []

    def found(rule: str, effect: str, text: str, k: int) -> BarFinding:
        day, ratio = _day(dates[k]), math.exp(abs(float(move[k])))
        return BarFinding(rule, effect, text, 1, bars, day, day, ratio=ratio)

    against, kept = [], []
    for k in jumps:
        surge, size = _surge(volume, k), _ratio(move[k])
        if surge is not None and surge < SURGE:
            text = f"moved {size} on {dates[k]} on {surge:.1f} times its usual volume: no market move"
            against.append(found("no_market_move", "quarantined", text, k))
        else:
            usual = "volume" if surge is None else f"{min(surge, 9999):,.0f} times its usual volume"
            kept.append(found("news", "noted", f"move of {size} on {dates[k]} on {usual} kept as news", k))
    return doubts or against[:2], kept


def _surge(volume: np.ndarray[Any, np.dtype[np.float64]], k: int) -> float | None:
    """Volume of bar k over its average of the 63 bars before; None if there are fewer than 5, or none traded."""
    before = volume[max(0, k - _BEFORE) : k]
    if len(before) < 5 or before.mean() == 0:
        return None if volume[k] > 0 else 0.0
    return float(volume[k] / before.mean())


def _ratio(move: float) -> str:
    """A log move as text: x4.0 up, x3.2 down."""
    return f"x{math.exp(abs(move)):.1f} {'up' if move > 0 else 'down'}"
