"""From smoothed signals to weights of gross exposure 1: neutral to the dollar and to beta, capped, by kind.

A portfolio consists of legs that trade for themselves: ``neutral`` and ``quantiles`` have one, ``long_excess`` has its
long names and the basket that it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import FloatArray, Matrix

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig
    from src.evaluation.pooled.prepared import Prepared, SignalDay

Projection = Callable[[FloatArray], FloatArray]
LEGS = {"neutral": 1, "quantiles": 1, "long_excess": 2}
PASSES = 50
CLIP_BELOW = 0.01  # of the cap: clipped so much lower, weights are below the cap after few passes
EQUAL_SHARES = 2.0
"""A cap is at least this many equal shares of the names held: fewer names than 1/cap could not be held otherwise."""


def target_weights(prepared: Prepared, signal: Matrix) -> Matrix:
    """Weights that each trade day aims at, before volatility targeting.

    Parameters
    ----------
    prepared : Prepared
    signal : float32, shape (K, M)
        Smoothed; NaN where a name has none.

    Returns
    -------
    float32, shape (K, legs, M)
        Absolute weights of all legs sum to 1, or to 0 where there is nothing to hold. Names that are not eligible on
        the trade day have 0.
    """
    days = {day.row: day for day in prepared.signal_days}
    out = np.zeros((signal.shape[0], LEGS[prepared.choice.kind], signal.shape[1]), dtype=np.float32)
    for each, row in enumerate(prepared.trades):
        day = days[int(row)]
        out[each][:, day.names] = day_weights(signal[each, day.names].astype(np.float64), day, prepared.choice)
    return out


def day_weights(signal: FloatArray, day: SignalDay, choice: PortfolioConfig) -> FloatArray:
    """Weights of a day's names.

    Parameters
    ----------
    signal : float64, shape (n,)
    day : SignalDay
    choice : PortfolioConfig

    Returns
    -------
    float64, shape (legs, n)
        Of gross exposure 1, or 0.
    """
    held = np.isfinite(signal)
    value = np.where(held, signal, 0.0)
    out = np.zeros((LEGS[choice.kind], signal.size))
    if choice.kind == "long_excess":
        if value.sum() > 0:
            out[0] = capped(value, choice.max_weight, _unchanged) / 2.0
            out[1] = -0.5 / signal.size
        return out
    room = held / day.volatility**2 if choice.kind == "neutral" else (value != 0.0) * 1.0
    beta = day.beta if choice.beta_hedged else None
    if np.count_nonzero(room) <= (1 if beta is None else 2):  # what has no sum, and no beta, is nothing
        return out
    hedged = projection(room, beta)
    out[0] = capped(hedged(value), choice.max_weight, hedged)
    return out


def projection(room: FloatArray, beta: FloatArray | None) -> Projection:
    """Make the function that finds the nearest weights whose sum is 0 and whose beta is 0, within the weights alone.

    ``w - D C (C' D C)^-1 C' w``, with D = diag(room) and the columns of C a constant and beta: of all weights u with
    ``C'u = 0`` the one with the least ``sum((u - w)^2 / room)``. No fund is needed: the hedge is a change of weights,
    and pays as they do.

    Parameters
    ----------
    room : float64, shape (n,), at least 0
        How far each weight may move: 1 over the variance, so that what moves is risk; 0 for a name that is not held.
    beta : float64, shape (n,), or None
        None: the sum alone is set to 0.

    Returns
    -------
    function
        From weights, float64 of shape (n,), to weights. Where all betas are equal, what has no sum has no beta.
    """
    part = room / room.sum()
    if beta is None:
        return lambda weight: weight - part * weight.sum()
    away = beta - (part * beta).sum()
    slope = part * away
    size = (slope * away).sum()
    if size <= 1e-12:
        return lambda weight: weight - part * weight.sum()
    slope /= size

    def project(weight: FloatArray) -> FloatArray:
        out: FloatArray = weight - part * weight.sum()
        out -= slope * (out * away).sum()
        return out

    return project


def capped(weight: FloatArray, max_weight: float, project: Projection) -> FloatArray:
    """Clip weights at a share of the gross exposure and project them again, in turn, until both hold.

    Parameters
    ----------
    weight : float64, shape (n,)
    max_weight : float
        Share of the sum of absolute weights; not below twice an equal share of the names held.
    project : function
        What restores the other properties of the weights.

    Returns
    -------
    float64, shape (n,)
        Of gross exposure 1, or 0 where nothing is held. The projection holds; the cap too, within 50 passes.
    """
    limit = max(max_weight, EQUAL_SHARES / max(np.count_nonzero(weight), 1))
    clip = limit * (1.0 - CLIP_BELOW)
    for _ in range(PASSES):
        size = np.abs(weight)
        gross = size.sum()
        if gross <= 1e-12:
            return np.zeros(weight.size)
        weight = weight / gross
        if size.max() <= gross * limit:
            break
        weight = project(np.minimum(np.maximum(weight, -clip), clip))
    out: FloatArray = weight / np.abs(weight).sum()
    return out


def _unchanged(weight: FloatArray) -> FloatArray:
    return weight
