"""A split that the source names, compared with the bars: in the prices, not in them, twice, or on another day.

Prices before a split of ratio r are divided by it once. If they are not, the overnight move of its day is -log r; if
they are twice, +log r; if another day was taken for it, both moves stand a few bars apart; if the ratio is named upside
down, +2 log r. An overnight move counts as one of these if it and the move of the whole day are ordinary once the split
is taken out, and neither is ordinary as it stands. The measure of ordinary is the series' own last year. Such a step is
taken out of the bars before it: the decision needs the bars up to the step alone, and the names of events, which are
announced before. A step near a hypothesis that is not ordinary after its repair condemns the series.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from src.hydration.moves import Floats, Moves, Tape
from src.hydration.split_volume import volume_fault
from src.hydration.unrecorded_splits import ratio_text

Flags = npt.NDArray[np.bool_]

NEAR = 3  # bars on either side of the named day on which a split may have been applied
TWICE_NAMED = 5  # bars within which the same ratio is one split, named twice
_FEWEST, _ROOM = 10, 0.01
_TIGHT, _CALM, _CLEAR = 3.0, 2.0, 10.0  # of a step far from any named day: scales, usual turnovers, scales of the ratio
_LARGE = math.log(1.9)  # smaller ratios are looked for near their named day only
_GRID = 0.95  # share of prices in whole cents


Said = tuple[int, float, str]
"""Bar and ratio of a split, and a sentence about it."""


@dataclass
class Compared:
    """What the bars say of the named splits.

    Attributes
    ----------
    price, volume
        Shape (n,): factors that bring the served values into the split basis of the last bar.
    split
        Shape (n,): product of the splits after each bar, on the days on which they took place.
    restated
        Bars at which a step was taken out of the prices that a right series has not.
    as_traded
        Splits, by bar and ratio, that prices as traded show on their day.
    repaired, against
        Messages on steps taken out; on those that condemn.
    """

    price: Floats
    volume: Floats
    split: Floats
    restated: Flags
    as_traded: list[tuple[int, float]] = field(default_factory=list)
    repaired: list[Said] = field(default_factory=list)
    against: list[Said] = field(default_factory=list)


@dataclass(frozen=True)
class _Step:
    """A step of the prices at a bar: its size in logs of the named ratio (-1: not applied; 1: twice)."""

    bar: int
    times: int
    exact: bool = True


def compared(tape: Tape, named: Floats, full_precision: bool = False) -> Compared:
    """Compare the named splits with the bars, and take out what is wrong beyond doubt.

    Parameters
    ----------
    tape
        The bars.
    named
        Shape (n,): the ratio (new shares for each old one) of the split named for a bar; 1 without one.
    full_precision
        Prices were served unrounded, so that those in whole cents are as traded.

    Returns
    -------
    Compared
        Factors of 1 and no message if the prices are as they should be.

    Examples
    --------
    Closes 100, 101, 50, with 2:1 named for the third bar: the prices before are as traded, ``price`` is 0.5, 0.5, 1
    and ``split`` 2, 2, 1.
    """
    n = len(tape.close)
    found = Compared(np.ones(n), np.ones(n), np.ones(n), np.zeros(n, dtype=np.bool_))
    moves = Moves(tape)
    events = [(int(k), float(named[k])) for k in np.flatnonzero(named != 1.0)]
    days = np.array([k for k, _ in events])
    for k, ratio in _once(events, tape, found):
        others = [bar for bar in days if bar != k]
        _judge(tape, moves, k, ratio, others, found, full_precision)
    _from_the_end(found)
    return found


def _from_the_end(found: Compared) -> None:
    """Turn ratios at bars into factors of the bars before them."""
    for values in (found.price, found.volume, found.split):
        values[:] = np.append(np.cumprod(values[::-1])[::-1][1:], 1.0)


def _once(events: list[tuple[int, float]], tape: Tape, found: Compared) -> Iterator[tuple[int, float]]:
    """Each split once: of the same ratio named again within a few bars the first counts."""
    last: dict[float, int] = {}
    for k, ratio in events:
        same = round(math.log(ratio), 6)
        if same in last and k - last[same] <= TWICE_NAMED:
            text = f"named twice, for {tape.day[last[same]]} and for {tape.day[k]}: it counts once"
            found.repaired.append((k, ratio, f"split of {ratio_text(ratio)} {text}"))
            continue
        last[same] = k
        if k > 0:
            yield k, ratio


def _judge(
    tape: Tape, moves: Moves, k: int, ratio: float, others: list[int], found: Compared, full_precision: bool
) -> None:
    """Judge one named split and write its steps into `found`."""
    size = math.log(ratio)
    steps = list(_steps(moves, k, size, others))
    what = f"split of {ratio_text(ratio)} named for {tape.day[k]}"
    why = _objection(tape, moves, k, size, steps)
    if why:
        found.against.append((k, ratio, f"{what}, but {why}"))
        return
    day, true, said = k, ratio, ""
    if not steps and _as_before(moves, tape, k, size, found):
        steps = [_Step(k, -1)]
    elif not steps:
        steps = list(_since(tape, moves, k, size, others))
        said = f"not in the prices before {tape.day[steps[0].bar]}" if steps else ""
    else:
        day, true, said = _error(tape, k, ratio, steps, full_precision)
    if said:
        found.repaired.append((k, ratio, f"{what}: {said} (repaired)"))
    _write(tape, steps, k, (day, ratio, true), what, found)


def _objection(tape: Tape, moves: Moves, k: int, size: float, steps: list[_Step]) -> str:
    """Why nothing can be done about a split; empty if it is in order, or in one kind of disorder."""
    if not all(step.exact for step in steps):
        return f"the prices moved by {_places(tape, moves, steps)}: near the ratio, but not exactly"
    if sorted(step.times for step in steps) not in _ERRORS:
        return f"the prices moved by {_places(tape, moves, steps)}: no one error explains that"
    rooms = moves.room(k)
    odd = moves.nearest(k, size) if not steps and moves.neither(k, rooms) and moves.discerned(size, rooms) else 0
    return f"the prices moved by {moves.text(k)} overnight: {_SUPPOSED[odd]}, but not exactly" if odd else ""


def _error(tape: Tape, k: int, ratio: float, steps: list[_Step], full_precision: bool) -> tuple[int, float, str]:
    """The true bar of a split, its true ratio, and what was wrong; nothing for prices as traded."""
    kinds = sorted(step.times for step in steps)
    if kinds == [2]:
        return k, 1 / ratio, f"upside down, it was {ratio_text(1 / ratio)}"
    if kinds == [1]:
        if _upside_down(tape, steps[0].bar, ratio, full_precision):
            return k, 1 / ratio, f"upside down and not applied, it was {ratio_text(1 / ratio)}"
        return k, ratio, "applied twice"
    day = next(step.bar for step in steps if step.times == -1)
    if kinds == [-1, 1]:
        return day, ratio, f"the prices show it on {tape.day[day]}"
    return day, ratio, f"not in the prices, which show it on {tape.day[day]}" if day != k else ""


def _places(tape: Tape, moves: Moves, steps: list[_Step]) -> str:
    return " and ".join(f"{moves.text(step.bar)} on {tape.day[step.bar]}" for step in steps)


def _write(tape: Tape, steps: list[_Step], k: int, truth: tuple[int, float, float], what: str, found: Compared) -> None:
    """Enter the steps and the split of one event, of which `truth` is the bar, the named and the true ratio."""
    day, ratio, true = truth
    size = math.log(ratio)
    found.split[day] *= true
    for step in steps:
        found.price[step.bar] *= ratio**step.times
        found.volume[step.bar] /= ratio**step.times
    if [(step.bar, step.times) for step in steps] == [(k, -1)]:
        found.as_traded.append((k, ratio))
    else:
        found.restated[[step.bar for step in steps]] = True
    at = steps[0].bar if len(steps) == 1 else day
    odd = volume_fault(tape, at, size, -sum(step.times for step in steps) * size)
    if odd:
        found.against.append((at, ratio, f"{what}: {odd}"))


_ERRORS: tuple[list[int], ...] = ([], [-1], [1], [-1, 1], [2])
_SUPPOSED = {-1: "it seems not to be in them", 1: "it seems to be in them twice", 2: "it seems to be upside down"}


def _steps(moves: Moves, k: int, size: float, others: list[int]) -> Iterator[_Step]:
    """Steps by the named ratio on the named day and around it; on other events' days none."""
    for bar in range(max(1, k - NEAR), min(len(moves.gap), k + NEAR + 1)):
        if bar != k and bar in others:
            continue
        rooms = moves.room(bar)
        if not moves.neither(bar, rooms) or not moves.discerned(size, rooms):
            continue
        kinds = (-1, 1, 2) if bar == k else (-1, 1)
        times = next((i for i in kinds if moves.ordinary(bar, i * size, rooms)), 0)
        doubtful = next((i for i in kinds if moves.like(bar, i * size)), 0)
        if times:
            yield _Step(bar, times)
        elif doubtful:
            yield _Step(bar, doubtful, exact=False)


def _as_before(moves: Moves, tape: Tape, k: int, size: float, found: Compared) -> bool:
    """Whether a split too small to be seen in the prices was not applied: adj_close says so, or the splits before."""
    rooms = moves.room(k)
    if abs(size) > 2 * rooms[0]:
        return False
    step = math.log(tape.ratio[k] / tape.ratio[k - 1]) if tape.ratio[k] > 0 and tape.ratio[k - 1] > 0 else math.nan
    if math.isfinite(step) and abs(step) > 1e-4:
        return abs(step - size) < abs(step)
    seen = any(bar < k for bar, _ in found.as_traded)
    return seen and not found.restated[:k].any() and len(found.as_traded) == np.count_nonzero(found.split[:k] != 1)


def _since(tape: Tape, moves: Moves, k: int, size: float, others: list[int]) -> Iterator[_Step]:
    """The one earlier bar up to which a split was not applied, while it was between that bar and its day."""
    if abs(size) < _LARGE:
        return
    candidates = np.flatnonzero(np.abs(moves.move[:k] + size) < 0.25 * abs(size))
    steps = []
    for bar in candidates:
        near = any(abs(bar - other) <= NEAR for other in [k, *others])
        if near or bar < _FEWEST + 1:
            continue
        gap, move = moves.scales(int(bar))
        rooms = (_TIGHT * gap + _ROOM, _TIGHT * move + _ROOM)
        turnover = tape.volume * tape.close
        usual = float(np.nanmedian(turnover[max(0, bar - 63) : bar]))
        calm = turnover[bar] <= _CALM * usual
        if calm and abs(size) > _CLEAR * move and moves.ordinary(int(bar), -size, rooms):
            steps.append(_Step(int(bar), -1))
    if len(steps) == 1:
        yield steps[0]


def _upside_down(tape: Tape, bar: int, ratio: float, full_precision: bool) -> bool:
    """Of a step by the ratio upwards: whether prices before are as traded (named upside down) or divided twice.

    Prices as traded are whole cents. Those divided twice by a ratio below 1 are whole multiples of 1/ratio^2 cents;
    those divided twice by one above 1 are not whole cents, where they are not rounded.
    """
    before = tape.close[max(0, bar - 60) : bar]
    if ratio < 1:
        return not _whole(before * ratio * ratio) and _whole(before)
    return full_precision and _whole(before)


def _whole(prices: Floats) -> bool:
    cents = prices * 100
    return bool((np.abs(cents - np.round(cents)) < 1e-3 + 1e-6 * cents).mean() >= _GRID)
