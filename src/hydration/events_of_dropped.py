"""Events that stand on rows which are no bars: a dividend that is dated on a Sunday, or on one of two rows of a day.

The row goes, its dividend and its split stay: they count at the next bar of the instrument.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from typing import Any

import numpy as np
import polars as pl

from src.core.finding import BarFinding
from src.core.instruments import Key

_MONEY = ("dividend", "capital_gain")
_SHOWN = 3


def with_events_of_dropped(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[Key, list[BarFinding]]]:
    """Carry the events of rows that will be dropped to the next row that stays.

    Parameters
    ----------
    frame : DataFrame
        Rows sorted by g (instrument) and date: asset_class, symbol, g, date, split, dividend, capital_gain,
        `weekend` and `again` (a row that goes: no trading day, or a later row of the same date counts), and `alike`
        (the later row has the same prices).

    Returns
    -------
    frame : DataFrame
        The same rows. An amount that the next row has already, or an earlier one of its day, counts once; another
        amount is added if the rows are alike (a regular and a special dividend, each with a row), and gives way to the
        later row's if they differ.
        A split moves where the rows around it have none, which tells an event from a factor.
    findings : dict of (asset_class, symbol) to list of BarFinding
        What moved, and events behind the last bar, which are lost.
    """
    out = (pl.col("weekend") | pl.col("again")).fill_null(False)
    event = pl.any_horizontal(*((pl.col(name) != 0).fill_null(False) for name in _MONEY), _is_split(pl.col("split")))
    due = frame.select((out & event).arg_true()).to_series().to_list()
    if not due:
        return frame, {}
    gone, group = frame.select(out).to_series().to_numpy(), frame["g"].to_numpy()
    values = {name: frame[name].fill_null(math.nan).to_numpy().copy() for name in (*_MONEY, "split")}
    said: defaultdict[Key, list[BarFinding]] = defaultdict(list)
    counted: dict[tuple[int, str], set[float]] = {}
    for k in due:
        target = _next_row(gone, group, k)
        found = _paid(frame, values, counted, k, target)
        ratio = float(values["split"][k])
        if _event(ratio) and not any(_event(values["split"][j]) for j in _beside(gone, group, k, target)):
            if target is not None:
                values["split"][target] = ratio
            found.append(_finding(frame, k, target, f"split of {ratio:g}"))
        if found:
            said[frame["asset_class"][k], frame["symbol"][k]] += found
    moved = [pl.Series(name, column).fill_nan(None) for name, column in values.items()]
    return frame.with_columns(moved), {key: _shortened(found) for key, found in said.items()}


def _paid(
    frame: pl.DataFrame, values: dict[str, Any], counted: dict[tuple[int, str], set[float]], k: int, target: int | None
) -> list[BarFinding]:
    """Move the amounts of one row, in place, and say so."""
    found = []
    for name in _MONEY:
        value = float(values[name][k])
        if not math.isfinite(value) or value == 0:
            continue
        if target is not None:
            there = float(np.nan_to_num(values[name][target]))
            seen = counted.setdefault((target, name), {there} - {0.0})
            if value in seen or (seen and not frame["alike"][k] and not frame["weekend"][k]):
                continue
            seen.add(value)
            values[name][target] = there + value
        found.append(_finding(frame, k, target, f"{name} of {value:g}".replace("_", " ")))
    return found


def _is_split(value: pl.Expr) -> pl.Expr:
    return ((value != 0) & (value != 1)).fill_null(False)


def _event(value: float) -> bool:
    return math.isfinite(value) and value not in (0.0, 1.0)


def _next_row(gone: Any, group: Any, k: int) -> int | None:
    """The next row of the instrument that stays."""
    for j in range(k + 1, len(gone)):
        if group[j] != group[k]:
            return None
        if not gone[j]:
            return j
    return None


def _beside(gone: Any, group: Any, k: int, target: int | None) -> list[int]:
    """The rows that stay before and after a row."""
    before = next((j for j in range(k - 1, -1, -1) if group[j] != group[k] or not gone[j]), None)
    found = [] if before is None or group[before] != group[k] else [before]
    return [*found, *([] if target is None else [target])]


def _day(frame: pl.DataFrame, k: int) -> dt.date:
    moment: Any = frame["date"][k]
    day: dt.date = moment.date() if isinstance(moment, dt.datetime) else moment
    return day


def _finding(frame: pl.DataFrame, k: int, target: int | None, what: str) -> BarFinding:
    """What became of an event."""
    day = _day(frame, k)
    if target is None:
        text = f"{what} on {day}, a day without trading after the last bar, is not used"
    elif day == _day(frame, target):
        text = f"{what} on {day} on a second row of that day counts"
    else:
        text = f"{what} on {day}, a day without trading, counts on {_day(frame, target)}"
    return BarFinding("event_moved", "noted", text, 1, _rows(frame, k), day, day)


def _rows(frame: pl.DataFrame, k: int) -> int:
    """Rows of an instrument."""
    return int((frame["g"] == frame["g"][k]).sum())


def _shortened(found: list[BarFinding]) -> list[BarFinding]:
    if len(found) <= _SHOWN:
        return found
    rest = f"{len(found) - _SHOWN:,} more events on rows that are no bars"
    return [*found[:_SHOWN], BarFinding("event_moved", "noted", rest, len(found) - _SHOWN)]
