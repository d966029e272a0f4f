"""The volume around a split: whether it is in the basis of the prices."""

from __future__ import annotations

import math
import warnings

import numpy as np

from src.hydration.moves import Floats, Tape

_AROUND, _FEWEST = 20, 10  # bars on either side whose volumes are compared
_RATIO = math.log(2.9)  # a smaller ratio is lost in the noise of volume
_NEAR, _RARE = 0.4, 1.1  # of the ratio's log; times the largest of the other steps of the series but one in fifty


def volume_fault(tape: Tape, day: int, size: float, done: float) -> str:
    """What is wrong with the volume around a split, in the basis of the repaired prices; empty if nothing is.

    Parameters
    ----------
    tape
        Bars as served.
    day
        Bar of the split.
    size
        Log of its ratio.
    done
        Log of the factor by which the volume before is multiplied.

    Returns
    -------
    str
        A reason where volume steps by the ratio, over weeks and over days, and by more than in the rest of the series.
    """
    if abs(size) < _RATIO or not _FEWEST < day <= len(tape.volume) - _FEWEST:
        return ""
    volume = np.where(tape.volume > 0, tape.volume, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # windows without any trade
        steps = [_volume_step(volume, day, width) - done for width in (_AROUND, _AROUND // 4)]
        signed = size if abs(steps[0] - size) < abs(steps[0] + size) else -size
        if not all(abs(step - signed) < _NEAR * abs(size) for step in steps):
            return ""
        elsewhere = (k for k in range(_AROUND, len(volume) - _AROUND, _AROUND // 4) if abs(k - day) > _AROUND)
        usual = [abs(_volume_step(volume, k, _AROUND)) for k in elsewhere]
    if usual and abs(steps[0]) < _RARE * np.nanquantile(usual, 0.98):
        return ""
    which = "as traded" if signed == size else "divided twice"
    return f"the volume before it is {which}, not in the basis of the prices (x{math.exp(steps[0]):.2g} since then)"


def _volume_step(volume: Floats, k: int, width: int) -> float:
    """Log step of the median volume from the bars before k to those from k on."""
    before, after = volume[max(0, k - width) : k], volume[k : k + width]
    return float(np.log(np.nanmedian(after)) - np.log(np.nanmedian(before)))
