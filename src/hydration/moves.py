"""Bars around a split: their overnight and daily moves, and what is ordinary for the series by its own last year."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_TRAILING, _ENOUGH = 250, 10  # bars of the series' past that say what is ordinary; fewer, and `_UNKNOWN` holds
_UNKNOWN = 0.04
_WIDE, _ROOM_GAP, _ROOM_MOVE = 5.0, 0.01, 0.02  # an ordinary move: within this number of scales, and this
_FLOOR = 0.003
_LIKE = 0.3  # of the ratio's log: a move this near to it, beside a named day, that is not ordinary after its repair


@dataclass(frozen=True)
class Tape:
    """Bars of one instrument with a valid close, in order.

    Attributes
    ----------
    day
        Date or timestamp, for messages.
    open, close, volume
        Shape (n,); NaN where unknown.
    ratio
        adj_close over close, shape (n,); NaN where unknown.
    """

    day: list[dt.date]
    open: Floats
    close: Floats
    volume: Floats
    ratio: Floats


class Moves:
    """Overnight and close-to-close log moves, and what is ordinary for them. Without an open, the day's move stands in.

    Parameters
    ----------
    tape
        The bars.
    """

    def __init__(self, tape: Tape) -> None:
        before = np.concatenate([[np.nan], tape.close[:-1]])
        with np.errstate(divide="ignore", invalid="ignore"):
            self.move: Floats = np.log(tape.close / before)
            gap = np.log(np.where(tape.open > 0, tape.open, np.nan) / before)
        self.gap: Floats = np.where(np.isfinite(gap), gap, self.move)

    def scales(self, k: int) -> tuple[float, float]:
        """Robust standard deviations of the overnight moves and of the moves before bar k."""
        past = slice(max(1, k - _TRAILING), k)
        return _scale(self.gap[past]), _scale(self.move[past])

    def room(self, k: int) -> tuple[float, float]:
        """Largest ordinary overnight move and move of bar k, by the bars before it."""
        gap, move = self.scales(k)
        return _WIDE * gap + _ROOM_GAP, _WIDE * move + _ROOM_MOVE

    def ordinary(self, k: int, step: float, rooms: tuple[float, float]) -> bool:
        """Whether both moves of bar k are ordinary once a log step is taken out of them."""
        return bool(abs(self.gap[k] - step) <= rooms[0] and abs(self.move[k] - step) <= rooms[1])

    def neither(self, k: int, rooms: tuple[float, float]) -> bool:
        """Whether neither move of bar k is ordinary as it stands."""
        return bool(abs(self.gap[k]) > rooms[0] and abs(self.move[k]) > rooms[1])

    def discerned(self, size: float, rooms: tuple[float, float]) -> bool:
        """Whether a step of this log size is far outside ordinary moves."""
        return abs(size) > max(2 * rooms[0], 1.2 * rooms[1])

    def like(self, k: int, step: float) -> bool:
        """Whether both moves of bar k are near a log step, though not within the ordinary."""
        return bool(max(abs(self.gap[k] - step), abs(self.move[k] - step)) < _LIKE * abs(step))

    def nearest(self, k: int, size: float) -> int:
        """The multiple of `size` among -1, 0, 1, 2 that is nearest to both moves of bar k; 0 if they differ."""
        first, second = (
            min((0, -1, 1, 2), key=lambda i: abs(value - i * size)) for value in (self.gap[k], self.move[k])
        )
        return first if first == second else 0

    def text(self, k: int) -> str:
        """The overnight move of bar k as a factor: x0.51."""
        return f"x{math.exp(self.gap[k]):.4g}"


def _scale(values: Floats) -> float:
    """Robust standard deviation around zero."""
    sizes = np.abs(values[np.isfinite(values)])
    if len(sizes) < _ENOUGH:
        return _UNKNOWN
    middle, high = np.quantile(sizes, (0.5, 0.9))
    return max(1.4826 * float(middle), float(high) / 1.645, _FLOOR)
