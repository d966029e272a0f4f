"""What looks too good to be true: figures that a fault of the data explains better than skill does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import FloatArray, IntArray
from src.evaluation.labels import Decisions
from src.evaluation.metrics import auc, sharpe
from src.evaluation.strategy import TradingConditions, performance

if TYPE_CHECKING:
    from src.config.schema import GradeConfig

REPAIRED_SHARE = 0.02  # of the out-of-sample bars, from which a repaired series may explain a figure
STALE_SHARE = 0.10  # of unchanged closes: 1% is usual, and 95 of 100 real liquid stocks stay below 4%
STILL_VOLATILITY = 0.10  # a year: in real bars a stablecoin had 6%, an ETF of short bills 0.7%


def one_bar_later(
    label: FloatArray, score: FloatArray, exposure: FloatArray, conditions: TradingConditions, bars_per_year: float
) -> tuple[float | None, float | None]:
    """AUC and Sharpe ratio with every prediction acted on one bar late.

    Parameters
    ----------
    label, score, exposure : float64, shape (n,)
        Of consecutive out-of-sample decisions.
    conditions : TradingConditions
    bars_per_year : float

    Returns
    -------
    area, ratio : float or None
        None where undefined. Where tomorrow's open is today's close, a reversal of the last print looks like skill at
        the next open and is gone a bar later.
    """
    late = np.concatenate(([0.0], exposure[:-1]))
    return auc(label[1:], score[:-1]), sharpe(performance(late, conditions).net, bars_per_year)


def suspicion(
    positions: IntArray,
    decisions: Decisions,
    grade: GradeConfig,
    *,
    area: float | None,
    ratio: float | None,
    passed: bool,
    collapse: bool,
) -> str | None:
    """Say why a run looks too good for its kind of data, with the cause looked for; None where it does not.

    Parameters
    ----------
    positions : int64
        The out-of-sample decisions.
    decisions : Decisions
    grade : GradeConfig
    area, ratio : float or None
        AUC and Sharpe ratio.
    passed : bool
        Whether the run clears every threshold.
    collapse : bool
        Whether a crypto pass is gone one bar later.
    """
    causes = _causes(collapse, positions, decisions)
    signs = []
    if area is not None and area >= grade.suspicious_auc:
        signs.append(f"auc {area:.2f} is at or above {grade.suspicious_auc:.2f}")
    if ratio is not None and ratio >= grade.suspicious_sharpe:
        signs.append(f"sharpe {ratio:.2f} is at or above {grade.suspicious_sharpe:.2f}")
    if signs:
        explanation = "; ".join([*causes, *_still(positions, decisions)])
        explanation = explanation or "no repaired bars, stale prices, peg or one-bar-later collapse found"
        return f"{' and '.join(signs)}, too good for its kind of data: {explanation}"
    return f"passed, but {'; '.join(causes)}" if passed and causes else None


def _still(positions: IntArray, decisions: Decisions) -> list[str]:
    """Say that a price is pegged or cash-like: its small moves are noise around a value, and that can be foretold."""
    moves = decisions.close_return[positions]
    spread = float(np.nanstd(moves)) * decisions.bars_per_year**0.5
    return [f"its price hardly moves ({spread:.1%} a year), as of a peg or cash"] if spread < STILL_VOLATILITY else []


def _causes(collapse: bool, positions: IntArray, decisions: Decisions) -> list[str]:
    repaired = float(np.mean(decisions.repaired[positions]))
    stale = float(np.mean(decisions.stale[positions]))
    causes = []
    if repaired >= REPAIRED_SHARE:
        causes.append(f"{repaired:.0%} of its out-of-sample bars were repaired")
    if stale >= STALE_SHARE:
        causes.append(f"{stale:.0%} of its out-of-sample closes are stale, the same as the day before")
    if collapse:
        causes.append("the pass is gone one bar later")
    return causes
