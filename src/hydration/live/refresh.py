"""A refresh: stored bars compared with a new answer, and merged with it.

A refresh asks for the last stored bars again and for what came after. If the closes of those bars are as stored, the
answer is merged into the store. If not, the provider has moved its basis (a split) or corrected its history, and the
instrument is asked for from the beginning. A change that lies before the overlap stays unnoticed; ``retry=whole`` asks
for everything and finds it.

Two values are equal within `TOLERANCE` of the larger one: providers serve float32 prices (6e-8) that wobble in the last
digits from one answer to the next. Of two equal rows the stored one stays, so that a refresh rewrites no row that did
not change.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.fetching.provider import Answer
from src.hydration.live.history import SERIES, History, ordered_events
from src.market.bars import PRICES
from src.sources import registry

TOLERANCE = 1e-6  # relative: a cent in 10,000 dollars; a label's return of this size counts as zero
MONEY = ("dividend", "capital_gain")
_ONE_RATIO = 1e-4  # relative: old and rebased prices were each rounded
_AGREE = 5  # earliest common bars that must agree for bars before them to stay
_VALUES = [*PRICES, "volume"]
_CLOSE = _VALUES.index("close")
KINDS = ("first", "same", "appended", "dividend", "split", "restated", "gap")


@dataclass(frozen=True)
class Comparison:
    """What an answer changes of what is stored.

    Attributes
    ----------
    kind
        ``first``: nothing was stored; ``same``: nothing new; ``appended``: new bars, or other values than closes
        corrected; ``dividend``: money events came, changed or went, closes alike; ``split``: a split came, changed or
        went, or all closes moved by one ratio; ``restated``: closes differ otherwise, or a bar is gone; ``gap``: no
        bar in common.
    message
        What differs, for a person; empty for ``first`` and ``same``.
    refetch
        Ask again from the first date wanted, then compare that answer with ``whole=True``.
    replace
        The answer takes the place of all that this provider served before; otherwise `merge` keeps what lies
        outside of it.
    """

    kind: str
    message: str = ""
    refetch: bool = False
    replace: bool = False


def compare(
    stored: pl.DataFrame, events: pl.DataFrame, answer: Answer, whole: bool = False, asked: dt.date | None = None
) -> Comparison:
    """Compare an answer with what is stored.

    Parameters
    ----------
    stored
        Bars of one instrument as stored, of all sources; those of archives don't count.
    events
        Its stored events.
    answer
        What the provider served for it, from some date in `stored` on.
    whole
        The answer was asked from the first date wanted: there is nothing further to ask.
    asked
        From when it was asked, if not for the whole: bars stored from then on must be there again.
        None: from its first bar on.
    """
    live = stored.filter(~pl.col("source").is_in(registry.archive_names()))
    if not live.height:
        return Comparison("first", replace=True)
    new = answer.bars
    if not new.height:
        return Comparison("gap", "no bars were served: what is stored stays", refetch=not whole)
    names = set(new["source"])
    if not names & set(live["source"]):
        message = f"{_some(live['source'])} served it before, {_some(new['source'])} does now"
        return Comparison("gap", message, refetch=not whole, replace=whole)
    live = live.filter(pl.col("source").is_in(list(names)))
    kind, message = _kind(live, events, answer, None if whole else asked)
    if kind not in ("split", "restated", "gap"):
        return Comparison(kind, message)
    return Comparison(kind, message, refetch=not whole, replace=whole and not _older_stay(kind, live, new))


def merge(stored: History, answer: History) -> History:
    """Bars and events after an answer was merged: doing it twice gives the same as doing it once.

    From the answer's first bar to its last, the answer holds: stored bars that it lacks are gone, and of bars equal
    within `TOLERANCE` the stored one stays. Bars outside stay: a provider that serves its latest 720 bars only takes
    away none of the older ones. Events are the answer's from its first bar on (up to its last one, where it ends
    before what is stored); events that it names outside are added.

    Parameters
    ----------
    stored
        Of any instruments; those that `answer` does not name stay untouched.
    answer
        As served; one answer an instrument.
    """
    window = answer.bars.group_by(SERIES).agg(w_first=pl.col("date").min(), w_last=pl.col("date").max())
    held = stored.bars.join(window, on=SERIES, how="left", maintain_order="left")
    place = pl.when(pl.col("date") < pl.col("w_first")).then(0).when(pl.col("date") > pl.col("w_last")).then(2)
    held = held.with_columns(place=place.otherwise(pl.when(pl.col("w_first").is_null()).then(0).otherwise(1)))
    within = held.filter(pl.col("place") == 1)
    taken = _kept_where_equal(answer.bars, within, [*SERIES, "date"], _VALUES, [*_VALUES, "adj_close"])
    columns = stored.bars.columns
    parts = [held.filter(pl.col("place") != 1), taken.with_columns(place=pl.lit(1, held["place"].dtype))]
    bars = pl.concat([part.select(*columns, "place") for part in parts])
    bars = bars.sort(*SERIES, "place", maintain_order=True).select(columns)
    return History(bars, _merged_events(stored, answer, window))


def near(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    """Whether two values are equal within `TOLERANCE` of the larger magnitude.

    Parameters
    ----------
    left, right : Expr
        Floats; null and NaN both count as missing.

    Returns
    -------
    Expr
        Booleans, never null; two missing values are equal.
    """
    gone = [~each.is_not_nan().fill_null(False) for each in (left, right)]
    room = TOLERANCE * pl.max_horizontal(left.abs(), right.abs())
    close = ((left == right) | (room.is_finite() & ((left - right).abs() <= room))).fill_null(False)
    return (gone[0] & gone[1]) | (~gone[0] & ~gone[1] & close)


def _kind(live: pl.DataFrame, events: pl.DataFrame, answer: Answer, asked: dt.date | None) -> tuple[str, str]:
    now = _by_date(answer.bars)
    begin, end = min(now), max(now)
    begin = begin if asked is None else min(begin, _like(asked, answer.bars["date"]))
    old = _by_date(live.filter(pl.col("date") >= begin))
    both = sorted(now.keys() & old.keys())
    if not both:
        return "gap", f"none of the {_bars(len(now))} served is among those stored, the last of {_last(live['date'])}"
    changed = _event_changes(live, events, answer)
    splits = [text for kind, text in changed if kind == "split"]
    if splits:
        return "split", "; ".join(splits)
    known = [day for day in both if not _gone(old[day][_CLOSE])]  # a close that came later moves no basis
    moved = [day for day in known if not _equal(old[day][_CLOSE], now[day][_CLOSE])]
    if moved:
        return _moved(moved[-1], len(moved), [(old[day][_CLOSE], now[day][_CLOSE]) for day in both], old, now)
    gone = [day for day in old.keys() - now.keys() if day <= end and (old[day][_CLOSE] or 0) > 0]
    if gone:
        return "restated", f"{_bars(len(gone))} stored, the last of {max(gone)}, {_are(len(gone))} no longer served"
    messages = [text for _, text in changed]
    other = [day for day in both if not all(map(_equal, old[day], now[day]))]
    if other:
        what = "corrected but for the close" if set(other) <= set(known) else "corrected or filled in"
        messages.append(f"{_bars(len(other))} {what}, the last of {other[-1]}")
    added = len(now.keys() - old.keys())
    if added:
        messages.append(f"{_bars(added)} added")
    behind = sum(day > end for day in old)
    if behind:
        messages.append(f"the answer ends {_bars(behind)} before what is stored, which stays")
    return "dividend" if changed else "appended" if added or other else "same", "; ".join(messages)


def _moved(
    last: Any, moved: int, closes: list[tuple[Any, Any]], old: dict[Any, Any], now: dict[Any, Any]
) -> tuple[str, str]:
    """Whether closes that differ moved by one ratio."""
    ratios = sorted(new / former for former, new in closes if former and new)
    if len(closes) > 1 and moved == len(ratios) == len(closes) and 0 < ratios[-1] <= ratios[0] * (1 + _ONE_RATIO):
        middle = ratios[len(ratios) // 2]
        return "split", f"all {_bars(len(closes))} in common moved by one ratio, {middle:.6g}, without an event"
    message = f"{moved:,} of {_bars(len(closes))} in common {'has' if moved == 1 else 'have'} another close"
    return "restated", f"{message}: that of {last} was {old[last][_CLOSE]}, is {now[last][_CLOSE]}"


def _older_stay(kind: str, live: pl.DataFrame, new: pl.DataFrame) -> bool:
    """Whether stored bars from before a whole answer are in its basis: its earliest bars are as stored.

    A coin's prices have no basis that moves: where an exchange's latest bars leave a gap, the older ones stay.
    """
    if kind == "gap":
        return str(live["asset_class"][0]) == "crypto"
    old, now = _by_date(live), _by_date(new)
    both = sorted(now.keys() & old.keys())[:_AGREE]
    alike = all(_equal(old[day][_CLOSE], now[day][_CLOSE]) for day in both)
    return kind != "split" and min(now) > min(old) and alike


def _event_changes(live: pl.DataFrame, events: pl.DataFrame, answer: Answer) -> list[tuple[str, str]]:
    """What came, changed or went among the events that the answer decides on: (kind, message)."""
    first, last = _reach(live, answer.bars)
    names = set(answer.bars["source"])
    now = _numbered(_event_rows(answer.events))
    said = {(day, kind) for day, kind, _ in now}
    old = _numbered(
        row
        for row in _event_rows(events)
        if row[-1] in names and ((first <= row[0] and (last is None or row[0] <= last)) or row[:2] in said)
    )
    changed = []
    for day, kind, n in sorted(old.keys() | now.keys()):
        before, after = old.get((day, kind, n)), now.get((day, kind, n))
        if before is None or after is None or not _equal(before, after):
            changed.append((kind, _event_message(day, kind, before, after)))
    return changed


def _event_message(day: dt.date, kind: str, before: float | None, after: float | None) -> str:
    what = f"{kind.replace('_', ' ')} of {day}"
    if before is None:
        return f"{what}: {after} is new"
    return f"{what}: {before} was " + ("withdrawn" if after is None else f"changed to {after}")


def _event_rows(events: pl.DataFrame) -> list[tuple[Any, ...]]:
    return ordered_events(events).select("date", "kind", "value", "source").rows() if events.height else []


def _numbered(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[dt.date, str, int], float]:
    """Values by ex-date, kind, and how many of these came before."""
    found: dict[tuple[dt.date, str, int], float] = {}
    for day, kind, value, _ in rows:
        n = 0
        while (day, kind, n) in found:
            n += 1
        found[day, kind, n] = value
    return found


def _merged_events(stored: History, answer: History, window: pl.DataFrame) -> pl.DataFrame:
    names = [*SERIES, "date", "kind"]
    lasts = stored.bars.group_by(SERIES).agg(s_last=pl.col("date").max())
    reach = window.join(lasts, on=SERIES, how="left").select(
        *SERIES,
        first=pl.col("w_first").cast(pl.Date),
        last=pl.when(pl.col("w_last") < pl.col("s_last")).then(pl.col("w_last").cast(pl.Date)),
    )
    old = stored.events.join(reach, on=SERIES, how="left", maintain_order="left")
    decided = _decided(pl.col("first"), pl.col("last"))
    outside = old.filter(~decided.fill_null(False)).join(answer.events, on=names, how="anti", maintain_order="left")
    taken = _kept_where_equal(answer.events, old, names, ["value"], ["value"])
    columns = stored.events.columns
    return ordered_events(pl.concat([outside.select(columns), taken.select(columns)]))


def _decided(first: pl.Expr, last: pl.Expr) -> pl.Expr:
    return (pl.col("date") >= first) & (last.is_null() | (pl.col("date") <= last))


def _reach(live: pl.DataFrame, new: pl.DataFrame) -> tuple[dt.date, dt.date | None]:
    """From when to when an answer decides on events; no end, unless it ends before what is stored."""
    days = new["date"].cast(pl.Date)
    return _first(days), _last(days) if _last(new["date"]) < _last(live["date"]) else None


def _kept_where_equal(
    new: pl.DataFrame, old: pl.DataFrame, keys: list[str], values: list[str], columns: list[str]
) -> pl.DataFrame:
    """Rows of `new`; where all rows of a key are equal to those stored in `values`, with the stored `columns`."""
    number = {"_nth": pl.int_range(pl.len()).over(keys), "_n": pl.len().over(keys)}
    former = old.with_columns(**number).select(*keys, "_nth", "_n", *(pl.col(c).alias(f"_{c}") for c in columns))
    both = new.with_columns(**number).join(
        former, on=[*keys, "_nth"], how="left", suffix="_old", maintain_order="left", nulls_equal=True
    )
    alike = pl.all_horizontal(near(pl.col(name), pl.col(f"_{name}")) for name in values)
    alike = (alike & (pl.col("_n") == pl.col("_n_old"))).fill_null(False).all().over(keys)
    taken = [pl.when(alike).then(pl.col(f"_{name}")).otherwise(pl.col(name)).alias(name) for name in columns]
    return both.with_columns(taken).select(new.columns)


def _by_date(frame: pl.DataFrame) -> dict[Any, tuple[Any, ...]]:
    """Values by date; of repeated dates the last row counts, as in validation."""
    rows = frame.drop_nulls("date").select("date", *_VALUES).rows()
    return {row[0]: row[1:] for row in rows}


def _equal(left: float | None, right: float | None) -> bool:
    """As `near`, of two numbers."""
    gone = [_gone(each) for each in (left, right)]
    if left is None or right is None or any(gone):
        return all(gone)
    room = TOLERANCE * max(abs(left), abs(right))
    return left == right or (math.isfinite(room) and abs(left - right) <= room)


def _gone(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _like(day: dt.date, dates: pl.Series) -> Any:
    """A day as the type of `dates`: as it is, or the timestamp that it begins with."""
    return day if dates.dtype == pl.Date else dt.datetime.combine(day, dt.time(), dt.UTC)


def _first(days: pl.Series) -> Any:  # a date or a timestamp: of rows that have one
    return days.min()


def _last(days: pl.Series) -> Any:
    return days.max()


def _some(names: pl.Series) -> str:
    return " and ".join(sorted(set(names)))


def _bars(n: int) -> str:
    return f"{n:,} bar{'' if n == 1 else 's'}"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
