"""Whether a user's own feature looks ahead on an instrument's own bars: contract 2, tried where it counts.

The checks of `src.features.custom_checks` see invented bars, which a formula can pass and still look ahead on longer or
on other ones. So each of the user's columns is computed again while features are made: on the bars up to a row alone,
and on bars whose later part is turned upside down. Its values up to that row must stay what they were. Which rows are
tried follows from a hash of the instrument and its bars, so it is the same on every machine, and a formula that is
given no symbol can't know it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.core.code_hash import code_digest
from src.core.hashing import text_digest
from src.core.instruments import Key
from src.features.catalog import is_own, reach
from src.features.facts import Facts
from src.features.graph import Arrays, FeatureGraph
from src.features.panel_lookup import Members
from src.features.registry import KINDS, MARKET, MEMBERS, Feature, FeatureError
from src.features.windows import Array

TRIALS = 2  # rows tried of each instrument: one in the last quarter, one anywhere or where a rare dependence shows
IN_ALL = 60  # rows tried of a whole universe at least, so that each instrument of a small one is tried more often
RELATIVE = 1e-9  # of a value: rounding that depends on the length of the series (matrix products, transforms)
ABSOLUTE = 1e-12  # of the column's median size: the same for values next to zero
CUT_BY = ("day", "raw_open", "raw_high", "raw_low", "raw_close", "volume")  # inputs by which rows are chosen
SUDDEN = 12  # rows at which a column moves most, among which one is drawn
OTHER_FACTOR = 1.01  # step of the total-return factor where the later bars begin: a distribution that wasn't
WEEK = 7.0  # days by which the later bars come later


@dataclass(frozen=True)
class Foresight:
    """Where a column of the user's own was seen to depend on later bars, or on something that is no bar.

    Attributes
    ----------
    name : name of the column.
    reason : the whole message, on one line.
    """

    name: str
    reason: str


class ForesightError(Exception):
    """Ends the computation of a bucket: carries the finding."""

    def __init__(self, found: Foresight) -> None:
        super().__init__(found.reason)
        self.found = found


def own_features(features: Sequence[Feature]) -> list[Feature]:
    """Those that a user added: the project's own are held to the same rule by its tests."""
    return [item for item in features if is_own(item.name)]


def trials_each(instruments: int) -> int:
    """Rows to try of each instrument: more of each where the universe is small."""
    return max(TRIALS, math.ceil(IN_ALL / max(instruments, 1)))


@cache
def check_code() -> str:
    """Hash of the check: columns that passed another one are checked again."""
    return code_digest(examiner)


def stamp(code: str) -> str:
    """What is recorded of a column that passed: the hash of its code and of the check."""
    return text_digest(code, check_code())


def examiner(features: Sequence[Feature], trials: int) -> Callable[[Key, Arrays, Arrays], None] | None:
    """Return the check of one instrument after the other; None where no feature is the user's own.

    Parameters
    ----------
    features : sequence of Feature
        All that are computed.
    trials : int
        Rows to try of each instrument.

    Returns
    -------
    callable or None
        Takes the instrument, its inputs and the bare values of its columns, and raises `ForesightError`.
    """
    own = own_features(features)
    if not own:
        return None
    graph = FeatureGraph(own)
    needed = {*CUT_BY, *(name for item in own for name in reach(item))}

    def examine(key: Key, arrays: Arrays, whole: Arrays) -> None:
        arrays = {name: values for name, values in arrays.items() if name in needed}
        for turn, cut in enumerate(places(key, arrays, own, whole, trials)):
            changed = (cut_off if turn % 2 else overturned)(arrays, cut)
            try:
                again = graph.bare(changed)
            except FeatureError as error:
                if cut < max(item.window for item in own):
                    continue
                raise ForesightError(_failing(own, key, arrays["day"], cut, error)) from error
            for item in own:
                row = first_difference(whole[item.name], again[item.name], item.window - 1, cut)
                if row is not None:
                    values = whole[item.name][row], again[item.name][row]
                    raise ForesightError(_finding(graph, item, key, arrays, whole, row, values))

    return examine


def first_difference(whole: Array, again: Array, start: int, cut: int) -> int | None:
    """First row before `cut` at which a column is no longer what it was; None where there is none.

    Parameters
    ----------
    whole, again : float64, shape (n,) and (m,)
        The column on all bars and on the changed ones.
    start : int
        First row that counts: earlier ones are cut off as warm-up.
    cut : int
        Rows from here on may differ.

    Returns
    -------
    int or None
        Equal are values that differ by 1e-9 of themselves or 1e-12 of the column's median size. Undefined and infinite
        values are null when they are stored, so they are equal to one another and to no number.
    """
    before, after = (np.asarray(values, dtype=np.float64)[start:cut] for values in (whole, again))
    if before.shape != after.shape:
        return start
    known, known_after = np.isfinite(before), np.isfinite(after)
    sizes = np.abs(before[known])
    margin = RELATIVE * np.abs(before) + ABSOLUTE * (float(np.median(sizes)) if len(sizes) else 0.0)
    with np.errstate(invalid="ignore"):
        apart = (known != known_after) | (known & known_after & (np.abs(after - before) > margin))
    rows = np.flatnonzero(apart)
    return start + int(rows[0]) if len(rows) else None


def places(key: Key, arrays: Arrays, own: Sequence[Feature], whole: Arrays, trials: int) -> list[int]:
    """Number of bars before each cut: the first in the last quarter, others anywhere or where they may tell most.

    Parameters
    ----------
    key : asset class and symbol.
    arrays : the instrument's inputs.
    own : the user's features.
    whole : their values, by name.
    trials : int
        How many; none of a single bar.

    Returns
    -------
    list of int, in [1, n - 1]
        Decided by the instrument, its closes and the columns alone.
    """
    bars = len(arrays["day"])
    if bars < 2:
        return []
    content = hashlib.blake2b(np.ascontiguousarray(arrays["raw_close"], dtype="<f8").tobytes()).hexdigest()
    random = np.random.default_rng(int(text_digest(*key, content), 16))
    cuts = []
    for turn in range(trials):
        item = own[int(random.integers(len(own)))]
        if turn == 0:
            cut = int(random.integers(max(3 * bars // 4, 1), bars))
        elif random.integers(2):
            cut = int(random.integers(min(item.window, bars - 1), bars))
        else:
            cut = _telling(whole[item.name], arrays, random)
        cuts.append(cut)
    return cuts


def cut_off(arrays: Arrays, cut: int) -> Arrays:
    """What was known after `cut` bars: the bars, and the days of the panel and the facts up to the last of them."""
    return {name: _known(values, cut) for name, values in arrays.items()}


def _known(values: Any, cut: int) -> Any:
    if isinstance(values, Members):
        return Members(values.row[:cut], values.values[: int(values.row[:cut].max(initial=-1)) + 1])
    if isinstance(values, Facts):
        return values[:cut].first(int(values.seen[:cut].max(initial=0)))
    return values[:cut]


def overturned(arrays: Arrays, cut: int) -> Arrays:
    """Bars that are others from `cut` on, and look like any: each later price is mirrored at the last close.

    What rose falls by as much. Volume comes in reverse order, the panel moves the other way, its members' days are
    exchanged, a distribution is added, and all of it happens a week later. Facts that are known later say the opposite.

    Parameters
    ----------
    arrays : inputs by name.
    cut : int, in [1, n - 1]
        Bars that stay.

    Returns
    -------
    inputs by name
        Of the same shape.
    """
    late = np.arange(len(arrays["day"])) >= cut
    level, others = arrays["raw_close"][cut - 1] ** 2, dict(arrays)
    mirrored = {"raw_open": "raw_open", "raw_high": "raw_low", "raw_low": "raw_high", "raw_close": "raw_close"}
    with np.errstate(all="ignore"):
        for name, other in mirrored.items():
            others[name] = np.where(late, level / arrays[other], arrays[name])
    for name, step in (("factor", OTHER_FACTOR), ("split", 2.0)):
        if name in arrays:
            others[name] = np.where(late, arrays[name] * step, arrays[name])
    others["day"] = arrays["day"] + WEEK * late
    others["volume"] = np.r_[arrays["volume"][:cut], arrays["volume"][cut:][::-1]]
    for name in (each for each in MARKET if each in arrays):
        values = arrays[name]
        turned = 2 * values[cut - 1] - values if name == "market_index" else np.r_[values[:cut], values[cut:][::-1]]
        others[name] = np.where(late, turned, values)
    others |= {name: _exchanged(arrays[name], cut) for name in MEMBERS if name in arrays}
    return others | {
        kind: later_facts(arrays[kind], cut, lambda x: 1 - x[::-1], WEEK) for kind in KINDS if kind in arrays
    }


def later_facts(facts: Facts, cut: int, change: Callable[[Array], Array], days: float) -> Facts:
    """Facts that are others from the close of bar `cut` - 1 on, and come later.

    Parameters
    ----------
    facts : Facts
    cut : int, in [1, n - 1]
        Bars that stay.
    change : callable
        Gives the values of the later facts, from those that they have.
    days : float
        By which later bars and facts come later; where they were covered they aren't, and the other way round.

    Returns
    -------
    Facts
    """
    known, late = int(facts.seen[:cut].max(initial=0)), np.arange(len(facts.seen)) >= cut
    fields = {name: np.r_[values[:known], change(values[known:])] for name, values in facts.fields.items()}
    close = facts.close + days * late
    covered = facts.covered ^ late
    since = np.where(late, np.where(covered, close - days, np.nan), facts.since)
    return Facts(facts.seen, covered, np.r_[facts.known[:known], facts.known[known:] + days], fields, close, since)


def _exchanged(members: Members, cut: int) -> Members:
    """Members whose days after those that are known at the last bar before `cut` come in reverse order."""
    known = int(members.row[:cut].max(initial=-1)) + 1
    return Members(members.row, np.concatenate([members.values[:known], members.values[known:][::-1]]))


def sudden_rows(values: Array, count: int) -> NDArray[np.int64]:
    """Rows at which a column moves most, the largest move first: there a rare signal shows."""
    moves = np.abs(np.diff(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)))
    return np.argsort(-moves, kind="stable")[:count]


def _telling(values: Array, arrays: Arrays, random: np.random.Generator) -> int:
    """Cut where a rare dependence shows: beside a move of the column, or beside a bar that didn't trade or move."""
    bars = len(arrays["day"])
    rows = sudden_rows(np.asarray(values, dtype=np.float64), SUDDEN)
    still = np.flatnonzero(~(arrays["volume"] > 0) | (arrays["raw_high"] == arrays["raw_low"]))
    if len(still) and random.integers(2):
        rows = still
    return min(max(int(random.choice(rows)) + int(random.integers(1, 3)), 1), bars - 1)


def _finding(
    graph: FeatureGraph, item: Feature, key: Key, arrays: Arrays, whole: Arrays, row: int, values: tuple[float, float]
) -> Foresight:
    """Say what the column did: look ahead, or give another value each time it is computed."""
    where = f"{':'.join(key)} at {shown(arrays['day'][row])}"
    change = f"{_number(values[0])} became {_number(values[1])}"
    repeated = graph.bare(arrays)[item.name]
    if first_difference(whole[item.name], repeated, item.window - 1, len(repeated)) is not None:
        return Foresight(
            item.name,
            f"{item.name} is not reproducible: computed again from the same bars it has other values, seen on {where} "
            f"({change}): leave out random numbers, clocks and what is kept between calls",
        )
    return Foresight(
        item.name,
        f"{item.name} looks ahead on {where}: its value must not change with later bars, and does ({change}): "
        "use this bar and earlier ones alone",
    )


def _failing(own: Sequence[Feature], key: Key, day: Array, cut: int, error: FeatureError) -> Foresight:
    named = next((item.name for item in own if f"feature {item.name} failed" in str(error)), own[0].name)
    return Foresight(
        named,
        f"{named} can't be checked for look-ahead on {':'.join(key)}: with the {cut:,} bars up to "
        f"{shown(day[cut - 1])} it fails ({error}), and with all of them it doesn't: "
        "return NaN where there are too few bars",
    )


def shown(day: float) -> str:
    """``2021-03-04``, with the time of day where the bar is intraday."""
    moment = np.datetime64(round(day * 86_400), "s")
    return str(moment.astype("datetime64[D]") if day == math.floor(day) else moment.astype("datetime64[m]"))


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else "null"
