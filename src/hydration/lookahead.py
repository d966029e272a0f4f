"""Faults by which a bar shows what came later, and which no repair of single bars finds.

An adjusted close dated a bar early, a close averaged with tomorrow's, highs and lows of the next day, opens that are
the last close, a stretch of bars that occurs twice: a model that trains on such bars looks skilled, because its
features hold the answer. Each is visible in the bars themselves. The limits were set on 2,214 real series (1,991
stocks, 199 funds, 24 coins, daily, 2014 to 2024); the comment of each says how far real series go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import BoolArray, FloatArray
from src.core.finding import BarFinding

STEPS = 0.30  # share of bars on which the total-return factor moves: real at most 0.06, weekly distributions 0.21
FALLS = 0.05  # share of bars on which it falls, which no distribution brings about: real never
LEAST_STEPS = 20
GAPLESS = 0.60  # share of opens that are the last close, where that moved: real at most 0.36, in coins usual
LEAST_OPENS = 60
_PART_GAPLESS = 0.85  # in a part of the history: real at most 0.58
RUN = 10  # bars in a row whose volumes, or whose moves, occur twice: real at most 5
RUN_VALUES = 6  # different values among them, so that a placeholder or a still price is no repeated run
FORETOLD_BY_MOVE = 0.35  # correlation of a close's move with the return after the next open: real at most 0.25
FORETOLD_BY_PLACE = 0.22  # of the distance of high or low from the close with that return: real at most 0.16
LEAST_FORETOLD = 250
_OPEN_PART = 250
_PART, _LEAST_PART = 500, 400  # bars of the parts of a history, each judged alone ...
_PART_MOVE, _PART_PLACE = 0.55, 0.45  # ... by stricter limits: real at most 0.42 and 0.37
_CLIP = 4.0  # times the mean magnitude: one crash is not a pattern
_DECIMAL_BARS, _WHOLE_SHARE, _SLACK = 125, 0.98, 1.1  # decimals of prices, found over half a year
_SAME = 1e-6  # relative difference of two prices that is rounding
_MOVE_DIGITS = 6
_REMEDY = "correct the file or take another source, then hydrate again"
_READ = ("g", "asset_class", "date", "open", "high", "low", "close", "before", "volume", "factor")
_MULTIPLIERS = np.cumprod(np.full(RUN, 0x9E3779B97F4A7C15, dtype=np.uint64))  # of a hash, modulo 2**64
Row = dict[str, Any]


def look_ahead_figures(bars: pl.DataFrame, interval: str) -> pl.DataFrame:
    """Measure per instrument what the rules of `look_ahead` judge.

    Parameters
    ----------
    bars : DataFrame
        Repaired bars, sorted by g (instrument) and date: asset_class, open, high, low, close, before (last close),
        volume, step and factor (of total return), raw and adj_close times basis (as the source has them).
    interval : str
        Length of a bar. Opens are looked at in daily bars only: within a session a price may go on where it stood.

    Returns
    -------
    DataFrame
        One row per g: n (bars), steps, falls, opens, gapless, part_gapless, move, place (whole history), part_move,
        part_place (the worst part of about two years), part_from, part_to, run (bars that repeat earlier ones),
        run_first, run_again (dates).
    """
    often = (pl.col("step") != 1.0).mean().over("g") > FALLS  # the others are sound, whatever explains their steps
    steps = (
        _beyond_rounding(bars.filter(often))
        .group_by("g")
        .agg(pl.col("moves").sum().alias("steps"), (pl.col("moves") & (pl.col("step") < 1.0)).sum().alias("falls"))
    )
    figures = bars.group_by("g").agg(pl.len().alias("n")).join(steps, on="g", how="left")
    traded = bars.select(_READ).filter((pl.col("volume") > 0) & (pl.col("open") > 0) & (pl.col("close") > 0))
    judged = traded.filter((pl.col("asset_class") != "crypto") & pl.lit(interval == "1d"))
    return (
        figures.with_columns(pl.col("steps", "falls").fill_null(0))
        .join(_opens(judged), on="g", how="left")
        .join(_foretold(traded), on="g", how="left")
        .join(repeated_runs(traded), on="g", how="left")
    )


def look_ahead(row: Row) -> Iterator[BarFinding]:
    """Yield why an instrument's bars show what came later: what was found, where, and what to do.

    Parameters
    ----------
    row : dict
        One row of `look_ahead_figures`.

    Yields
    ------
    BarFinding
        One that quarantines per fault; none for sound bars.
    """
    bars, steps, falls = row["n"], row["steps"], row["falls"]
    if steps >= LEAST_STEPS and (steps > STEPS * bars or falls > FALLS * bars):
        text = (
            f"adj_close moves against close on {steps:,} of {bars:,} bars ({steps / bars:.0%}), as no dividends do: it"
            f" is dated a bar early, or averaged with later ones; {_REMEDY}"
        )
        yield BarFinding("early_adj_close", "quarantined", text, steps, bars)
    opens, part = row["opens"] or 0, row["part_gapless"] or 0.0
    if opens >= LEAST_OPENS and (row["gapless"] > GAPLESS * opens or part > _PART_GAPLESS):
        text = (
            f"{row['gapless'] / opens:.0%} of its opens are the close before, so no price at the open is known:"
            f" a trade there would be one at the last close; {_REMEDY}"
        )
        yield BarFinding("opens_are_closes", "quarantined", text, row["gapless"], opens)
    if row["run"]:
        text = (
            f"{row['run']:,} bars are a stretch that occurs twice, first from {row['run_first']} and again from"
            f" {row['run_again']}: the source repeats a part of the history; {_REMEDY}"
        )
        yield BarFinding("repeated_stretch", "quarantined", text, row["run"], bars, row["run_again"], row["run_again"])
    yield from _foretelling(row)


def _foretelling(row: Row) -> Iterator[BarFinding]:
    move, place = row["move"] or 0.0, row["place"] or 0.0
    when = ""
    if max(move / FORETOLD_BY_MOVE, place / FORETOLD_BY_PLACE) < 1.0:
        move, place = row["part_move"] or 0.0, row["part_place"] or 0.0
        if max(move / _PART_MOVE, place / _PART_PLACE) < 1.0:
            return
        when = f" from {row['part_from']} to {row['part_to']}"
    what, size = ("move of a close", move) if move >= place else ("place of the close between high and low", place)
    text = (
        f"the {what} foretells the return after the next open (correlation {size:.2f}{when}): closes, highs or lows are"
        f" dated early or mixed with later ones; {_REMEDY}"
    )
    yield BarFinding("foretold_returns", "quarantined", text, row["n"], row["n"])


def _beyond_rounding(bars: pl.DataFrame) -> pl.DataFrame:
    """Mark the steps of the factor (`moves`) that the decimals of close and adj_close don't explain."""
    block = pl.int_range(pl.len()).over("g") // _DECIMAL_BARS  # a source may change its decimals
    bars = bars.select("g", "step", "raw", "adj_close", "basis").with_columns(block=block)
    error = pl.lit(0.0)
    for name in ("raw", "adj_close"):
        price = (pl.col(name) * pl.col("basis")).abs()
        unit = pl.lit(0.0)
        for decimals in (6, 5, 4, 3, 2):
            parts = price * 10.0**decimals
            whole = ((parts - parts.round()).abs() < 1e-3 + parts * 1e-7).fill_null(True)
            unit = pl.when(whole.mean().over("g", "block") > _WHOLE_SHARE).then(10.0**-decimals).otherwise(unit)
        half = unit / price / 2.0
        error = error + half + half.shift(1)
    return bars.with_columns(moves=(pl.col("step") - 1.0).abs() > (_SLACK * error).fill_null(0.0))


def _opens(traded: pl.DataFrame) -> pl.DataFrame:
    """Count opens, and those that are the last close, on bars on which the close moved."""
    before = pl.col("before")
    moved = traded.filter((pl.col("close") / before - 1.0).abs() > _SAME)
    same = (pl.col("open") / before - 1.0).abs() <= _SAME
    parts = moved.select("g", same=same, part=pl.int_range(pl.len()).over("g") // _OPEN_PART)
    parts = parts.group_by("g", "part").agg(pl.len().alias("opens"), pl.col("same").sum().alias("gapless"))
    share = pl.when(pl.col("opens") >= LEAST_OPENS).then(pl.col("gapless") / pl.col("opens")).max()
    return parts.group_by("g").agg(pl.col("opens", "gapless").sum(), share.alias("part_gapless"))


def _foretold(traded: pl.DataFrame) -> pl.DataFrame:
    """Correlate what each bar shows with the return from the next open to the one after."""
    price = {name: (pl.col(name) * pl.col("factor")).log() for name in ("open", "high", "low", "close")}
    group = pl.col("g")
    shown = traded.select(
        "g",
        "date",
        move=pl.when(group == group.shift(1)).then(price["close"] - price["close"].shift(1)),
        above=price["high"] - price["close"],
        below=price["close"] - price["low"],
        later=pl.when(group == group.shift(-2)).then(price["open"].shift(-2) - price["open"].shift(-1)),
        part=pl.int_range(pl.len()).over("g") // _PART,
    )
    sizes = {name: _CLIP * pl.col(name).abs().mean().over("g") for name in ("move", "above", "below", "later")}
    shown = shown.with_columns(pl.col(name).clip(-size, size) for name, size in sizes.items())
    found = [pl.len().alias("bars"), pl.corr("move", "later").alias("move"), _place().alias("place")]
    whole = shown.group_by("g").agg(found).filter(pl.col("bars") >= LEAST_FORETOLD).drop("bars")
    dates = [pl.col("date").first().alias("part_from"), pl.col("date").last().alias("part_to")]
    parts = shown.group_by("g", "part").agg([*found, *dates]).filter(pl.col("bars") >= _LEAST_PART)
    parts = parts.rename({"move": "part_move", "place": "part_place"})
    excess = pl.max_horizontal(pl.col("part_move") / _PART_MOVE, pl.col("part_place") / _PART_PLACE)
    worst = parts.with_columns(excess=excess.fill_nan(0.0)).sort("excess", "part", descending=[True, False])
    worst = worst.unique("g", keep="first").drop("bars", "part", "excess")
    both = whole.join(worst, on="g", how="full", coalesce=True)
    return both.with_columns(pl.col("move", "place", "part_move", "part_place").fill_nan(0.0))


def _place() -> pl.Expr:
    above, below = (pl.corr(name, "later").fill_nan(0.0).abs() for name in ("above", "below"))
    return pl.max_horizontal(above, below)


def repeated_runs(traded: pl.DataFrame) -> pl.DataFrame:
    """Find stretches whose volumes, or whose moves from close to close, occur twice.

    Parameters
    ----------
    traded : DataFrame
        Bars with volume, sorted by g (instrument) and date: close, volume.

    Returns
    -------
    DataFrame
        g, run (bars that had occurred before), run_first and run_again (dates on which the first such stretch begins,
        and begins again), for the instruments that have one.
    """
    group = traded["g"].cast(pl.UInt64).to_numpy()
    moved = (pl.col("close").log() - pl.col("close").shift(1).log()).over("g").fill_null(0.0)
    moves = traded.select(moved.round(_MOVE_DIGITS)).to_series().to_numpy()
    found = [_twice(group, values) for values in (traded["volume"].to_numpy(), moves)]
    dates = traded["date"].cast(pl.Date)
    rows = []
    for code in np.unique(group[np.concatenate([starts for starts, _ in found])]).tolist():
        starts, firsts = max(
            ((s[group[s] == code], f[group[s] == code]) for s, f in found), key=lambda two: two[0].size
        )
        inside = np.unique(starts[:, None] + np.arange(RUN))
        again = int(np.argmax(firsts < starts))
        rows.append((code, inside.size, dates[int(firsts[again])], dates[int(starts[again])]))
    kinds = {"g": traded.schema["g"], "run": pl.Int64(), "run_first": pl.Date(), "run_again": pl.Date()}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _twice(group: FloatArray, values: FloatArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Start of each window of `RUN` bars that its instrument has had before, and where it first had it."""
    none = np.empty(0, dtype=np.int64)
    if values.size < 2 * RUN:
        return none, none
    count = values.size - RUN + 1
    bits = np.ascontiguousarray(values + 0.0).view(np.uint64)
    bits = bits ^ (bits >> np.uint64(32))  # the low half of a whole number is empty
    mixed = sum(bits[j : j + count] * _MULTIPLIERS[j] for j in range(RUN)) ^ (group[:count] * _MULTIPLIERS[0])
    starts = np.flatnonzero(group[:count] == group[RUN - 1 :])
    hashes = mixed[starts]
    ordered = np.sort(hashes)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not twice.size:
        return none, none
    place = np.searchsorted(twice, hashes)  # few windows have such a hash: the others need no look
    starts = starts[twice[np.minimum(place, twice.size - 1)] == hashes]
    _, first, inverse = np.unique(mixed[starts], return_index=True, return_inverse=True)
    firsts = starts[first][inverse]
    later = firsts < starts
    starts, firsts = starts[later], firsts[later]
    alike = _alike(values, starts, firsts)
    return starts[alike], firsts[alike]


def _alike(values: FloatArray, starts: np.ndarray[Any, Any], firsts: np.ndarray[Any, Any]) -> BoolArray:
    """Whether two windows are equal value by value, with enough different values and none of them zero throughout."""
    one, other = (values[at[:, None] + np.arange(RUN)] for at in (starts, firsts))
    different = 1 + np.count_nonzero(np.diff(np.sort(one, axis=1), axis=1), axis=1)
    equal: BoolArray = (one == other).all(axis=1) & (different >= RUN_VALUES)
    return equal
