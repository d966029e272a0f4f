"""What one model decides on consecutive tradable bars, by the code that training grades with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.arrays import FloatArray, Matrix
from src.evaluation import strategy
from src.evaluation.labels import HedgedDecisions
from src.models.registry import explained_family, family

if TYPE_CHECKING:
    from collections.abc import Callable

    from src.config.schema import StrategyConfig
    from src.evaluation.labels import Decisions

MOST = 3
"""Features that are named with a score."""


@dataclass(frozen=True)
class Decided:
    """Decisions on consecutive tradable bars, one value for each.

    Attributes
    ----------
    probability : float64, shape (n,)
        P(up).
    exposure, size, cost_rate : float64, shape (n,)
        As `src.evaluation.strategy` has them.
    before : float64, shape (n,)
        Position at the bar before, by the same model; NaN at an instrument's first bar.
    hedge : float64, shape (n,), or None
        Units of the hedge sold for a unit; None without a hedge.
    x : float32, shape (n, features)
        The row of features that each was made of.
    """

    probability: FloatArray
    exposure: FloatArray
    size: FloatArray
    cost_rate: FloatArray
    before: FloatArray
    hedge: FloatArray | None
    x: Matrix

    @property
    def position(self) -> FloatArray:
        """Fraction of the champion's capital."""
        return self.exposure * self.size


def rows_needed(first: int, horizon: int) -> int:
    """First tradable bar whose features a decision needs, for itself and for the position before.

    Parameters
    ----------
    first : int
        The first decision.
    horizon : int
        Of the label, in bars.
    """
    return max(0, first - horizon)


def decide(
    predict: Callable[[Matrix], FloatArray],
    x: Matrix,
    decisions: Decisions,
    first: int,
    last: int,
    choice: StrategyConfig,
) -> Decided:
    """Decide on tradable bars, as `src.evaluation.strategy.returns` does on those out of sample.

    Parameters
    ----------
    predict : callable
        P(up) of each row of features.
    x : float32, shape (bars, features)
        Features of the tradable bars from `rows_needed` to `last`.
    decisions : Decisions
        Of the instrument's whole history of bars: the trailing spread adds up from the first.
    first, last : int
        Tradable bars, both included.
    choice : StrategyConfig

    Returns
    -------
    Decided
        For the bars from `first` to `last`.
    """
    start = rows_needed(first, decisions.horizon)
    probability = predict(x)
    exposure = strategy.exposures(strategy.directions(probability, choice), decisions.horizon)
    held = np.arange(max(first - 1, 0), last + 1, dtype=np.int64)
    conditions = strategy.trading_conditions(held, decisions, choice)
    position = exposure[held - start] * conditions.size
    count = last + 1 - first
    before = position[:-1] if first > 0 else np.concatenate(([np.nan], position[:-1]))
    hedge = decisions.hedge.ratio[first : last + 1] if isinstance(decisions, HedgedDecisions) else None
    return Decided(
        probability[-count:], exposure[-count:], conditions.size[-count:], conditions.cost[-count:], before, hedge,
        x[-count:],
    )  # fmt: skip


def predictor(family_name: str, model: Any) -> Callable[[Matrix], FloatArray]:
    """Return what gives P(up) by a model.

    Parameters
    ----------
    family_name : str
    model : object
        What the family's `from_bytes` or `fit` returned.
    """
    library = family(family_name)

    def predict(x: Matrix) -> FloatArray:
        return library.predict(model, x)

    return predict


def moved_by(family_name: str, model: Any, x: Matrix, names: list[str]) -> list[str | None]:
    """Name the features that moved each score most, the strongest first.

    Parameters
    ----------
    family_name : str
    model : object
    x : float32, shape (n, features)
    names : list of str
        Of the features.

    Returns
    -------
    list of str or None
        Such as ``rsi_14 +0.31; gap_1 -0.12``, in units of the raw score; None of a family that does not say.
    """
    library = explained_family(family_name)
    if library is None:
        return [None] * len(x)
    return strongest(library.contributions(model, x), names)


def strongest(contributions: FloatArray, names: list[str]) -> list[str | None]:
    """Write the largest contributions of each row.

    Parameters
    ----------
    contributions : float64, shape (n, features)
    names : list of str

    Returns
    -------
    list of str or None
        The earlier feature first among equals; without zeros, and None where all are.
    """
    order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :MOST]
    values = np.take_along_axis(contributions, order, axis=1)
    return [
        "; ".join(f"{names[j]} {value:+.3g}" for j, value in zip(row, of_row, strict=True) if value) or None
        for row, of_row in zip(order.tolist(), values.tolist(), strict=True)
    ]


def inputs_digest(x: Matrix, bar: tuple[int, FloatArray]) -> str:
    """Hash what a decision was made of: its row of features, and its bar.

    Parameters
    ----------
    x : float32 or uint8, shape (features,)
    bar : (int, float64 of shape (5,))
        Microseconds of its date or time, UTC; open, high, low, close and factor.

    Returns
    -------
    str
        SHA-256 over the little-endian bytes of all.
    """
    date, prices = bar
    digest = hashlib.sha256(np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("<")).tobytes())
    digest.update(int(date).to_bytes(8, "little", signed=True))
    digest.update(np.asarray(prices, dtype="<f8").tobytes())
    return digest.hexdigest()
