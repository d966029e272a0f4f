"""Days drawn in blocks: the stationary bootstrap of Politis and Romano, and how long its blocks should be."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from src.core.arrays import FloatArray

Days = npt.NDArray[np.int32]
"""Which day of the record stands at each place: int32, shape (draws, days)."""


@lru_cache(maxsize=8)
def drawn_days(n: int, days: int, draws: int, block: int, seed: tuple[int, ...]) -> Days:
    """Draw days of a record in blocks of geometric length, which start anywhere and go round its end.

    Parameters
    ----------
    n : int
        Days of the record.
    days : int
        Days to draw.
    draws : int
    block : int
        Mean length of a block, in days; 1 draws each day on its own.
    seed : tuple of int
        Records of one length get the same draws under the same seed: what champions share in time stays shared.

    Returns
    -------
    int32, shape (draws, days), in [0, n)
        Not to be written to: it is kept for the next record of this length.

    Source
    ------
    Politis and Romano, "The Stationary Bootstrap", Journal of the American Statistical Association 89 (1994), p. 1304.
    """
    rng = np.random.default_rng(seed)
    begins = rng.random((draws, days), dtype=np.float32) < 1.0 / block
    begins[:, 0] = True
    starts = rng.integers(0, n, size=(draws, days), dtype=np.int32)
    place = np.arange(days, dtype=np.int32)
    began = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    drawn = np.take_along_axis(starts, began, axis=1)
    drawn += place - began
    drawn %= n
    drawn.flags.writeable = False
    return drawn


def block_length(values: FloatArray, *, least: int = 1) -> int:
    """Choose the mean length of blocks under which the variance of a mean is estimated best.

    Parameters
    ----------
    values : float64, shape (n,)
        One a day, in order; finite.
    least : int
        Shortest length to return; the horizon, where positions overlap.

    Returns
    -------
    int
        At most a quarter of the days; `least` where the values do not vary.

    Notes
    -----
    ``b = (2 g**2 / d * n) ** (1/3)`` with ``g = sum w(k/m) |k| r(k)`` and ``d = 2 (sum w(k/m) r(k))**2`` over lags
    -m..m, w the flat-top window and r the autocovariance. m is twice the first lag after which 5 autocorrelations in
    a row (or log10 n, if more) are within 2 sqrt(log10(n)/n) of zero.

    Source
    ------
    Politis and White, "Automatic Block-Length Selection for the Dependent Bootstrap", Econometric Reviews 23 (2004),
    section 3.2; d as corrected by Patton, Politis and White, Econometric Reviews 28 (2009), p. 373.
    """
    n = values.size
    centred = values - values.mean() if n else values
    power = float(centred @ centred)
    if n < 8 or power <= 1e-24 * n:
        return least
    last = min(n - 2, math.ceil(math.sqrt(n)) + max(5, math.ceil(math.log10(n))))
    covariance = np.array([float(centred[k:] @ centred[: n - k]) for k in range(last + 1)]) / n
    small = np.abs(covariance[1:]) / covariance[0] < 2.0 * math.sqrt(math.log10(n) / n)
    run = max(5, math.ceil(math.log10(n)))
    quiet = [k for k in range(small.size - run + 1) if small[k : k + run].all()]
    cut = quiet[0] if quiet else int(np.flatnonzero(~small)[-1]) + 1
    lag = np.arange(1, min(2 * max(cut, 1), last) + 1)
    window = np.minimum(1.0, 2.0 * (1.0 - lag / (lag[-1] + 0.0)))
    g = 2.0 * float((window * lag * covariance[lag]).sum())
    spectrum = covariance[0] + 2.0 * float((window * covariance[lag]).sum())
    if spectrum <= 0.0:
        return least
    best = (g * g / (spectrum * spectrum) * n) ** (1.0 / 3.0)  # 2 g**2 / (2 spectrum**2)
    return int(max(least, min(math.ceil(best), n // 4)))
