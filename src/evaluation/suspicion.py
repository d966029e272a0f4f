"""What looks too good to be true: figures that a fault of the data explains better than skill does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import FloatArray, IntArray
from src.evaluation.labels import Decisions
from src.evaluation.metrics import auc, midranks, sharpe
from src.evaluation.strategy import TradingConditions, performance

if TYPE_CHECKING:
    from src.config.schema import GradeConfig

REPAIRED_SHARE = 0.02  # of the out-of-sample bars, from which a repaired series may explain a figure
STALE_SHARE = 0.10  # of unchanged closes: 1% is usual, and 95 of 100 real liquid stocks stay below 4%
STILL_VOLATILITY = 0.10  # a year: in real bars a stablecoin had 6%, an ETF of short bills 0.7%
ZERO_RETURN = 1e-6  # a one-bar return of this magnitude or less has no direction
KEPT = 0.25  # share of the AUC's excess over 0.5 that remains one bar later: faults keep at most 0.12, real passes half
DROP_ERRORS = 3.0  # standard errors that the drop exceeds
PACE_ERRORS = 2.5  # ... by which less remains than the score's own persistence lets one expect
FAST_DROP_ERRORS = 5.5  # a fast score loses its skill by itself: then the drop alone must be beyond what skill reaches
LOOKS_GOOD = 3.0  # z from which there is something to collapse, whether the run passed or failed
LEAST_BARS = 100  # out-of-sample bars from which standard errors are taken


@dataclass(frozen=True)
class OneBarLater:
    """A run whose every prediction is acted on one bar late, beside the run itself.

    Attributes
    ----------
    area, late_area : float or None
        AUC against the sign of the one-bar tradable return, whatever the label's horizon, on time and a bar late.
    late_ratio : float or None
        Sharpe ratio a bar late.
    drop_errors : float or None
        Drop of the AUC in standard errors; None where they can't be taken.
    pace_errors : float or None
        By how many standard errors less remains than the excess times the score's autocorrelation at one bar.
    """

    area: float | None
    late_area: float | None
    late_ratio: float | None
    drop_errors: float | None
    pace_errors: float | None


def one_bar_later(
    score: FloatArray, exposure: FloatArray, conditions: TradingConditions, bars_per_year: float, exclude_lags: int
) -> OneBarLater:
    """Act on every prediction one bar late, and measure the drop of the AUC in standard errors.

    Parameters
    ----------
    score, exposure : float64, shape (n,)
        Of consecutive out-of-sample decisions.
    conditions : TradingConditions
        Of the same decisions.
    bars_per_year : float
    exclude_lags : int
        Shifts by this many bars backwards, and at most n/4, are left out of the standard errors.

    Returns
    -------
    OneBarLater
        Where tomorrow's open is today's close, a reversal of the last print looks like skill at the next open and is
        gone a bar later; so is what a model knows from data that look one bar ahead.

    Notes
    -----
    The drop is the AUC at shift 0 less that at shift 1. Its standard error is the standard deviation of the same
    difference between all pairs of neighbouring shifts, in which the score has its autocorrelation and no skill.
    """
    change = conditions.change
    label = np.where(np.abs(change) > ZERO_RETURN, (change > 0.0).astype(np.float64), np.nan)
    order = np.argsort(score)
    area, late_area = auc(label, score, order), auc(label[1:], score[:-1], order[order < score.size - 1])
    late = np.concatenate(([0.0], exposure[:-1]))
    ratio = sharpe(performance(late, conditions).net, bars_per_year)
    drop = pace = None
    if area is not None and late_area is not None and score.size >= LEAST_BARS:
        ranks = midranks(score, order)
        excess, persistence = _excess_of_ranks(label, ranks), max(_persistence(ranks), 0.0)
        admissible = slice(1, score.size - min(exclude_lags, score.size // 4))
        now, after = excess[admissible][:-1], excess[admissible][1:]
        drop = _in_errors(area - late_area, now - after)
        pace = _in_errors(persistence * (area - 0.5) - (late_area - 0.5), persistence * now - after)
    return OneBarLater(area, late_area, ratio, drop, pace)


def collapses(later: OneBarLater) -> bool:
    """Whether the AUC's excess over 0.5 is gone one bar later as that of data which look ahead is.

    Less than a quarter of it remains and the drop exceeds three standard errors. That alone would condemn skill whose
    scores change from bar to bar, so either the score persists and its skill does not, or the drop exceeds what skill
    reaches.

    Parameters
    ----------
    later : OneBarLater

    Returns
    -------
    bool
        False where a figure is undefined.
    """
    drop, pace = later.drop_errors, later.pace_errors
    if later.area is None or later.late_area is None or drop is None or pace is None:
        return False
    excess, late = later.area - 0.5, later.late_area - 0.5
    gone = excess > 0.0 and late < KEPT * excess and drop > DROP_ERRORS
    return gone and (pace > PACE_ERRORS or drop > FAST_DROP_ERRORS)


def shifted_excess(label: FloatArray, score: FloatArray) -> FloatArray:
    """AUC - 0.5 of ``score`` rolled by each s: the mean rank of up days less that of down days, over n.

    Parameters
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
        Both classes occur.
    score : float64, shape (n,)

    Returns
    -------
    float64, shape (n,), in [-0.5, 0.5]
        Exact where every day has a label; days without one are ranked too, which changes little, and one Fourier
        transform serves all shifts.
    """
    return _excess_of_ranks(label, midranks(score))


def _excess_of_ranks(label: FloatArray, ranks: FloatArray) -> FloatArray:
    up, down = label == 1.0, label == 0.0
    weight = up / np.count_nonzero(up) - down / np.count_nonzero(down)
    spectrum = np.fft.rfft(weight) * np.conj(np.fft.rfft(ranks / ranks.size))
    excess: FloatArray = np.fft.irfft(spectrum, ranks.size)
    return excess


def _persistence(ranks: FloatArray) -> float:
    """Rank autocorrelation of the score at one bar; 0 where it is constant."""
    ranks = ranks - (ranks.size + 1) / 2.0
    power = float(ranks @ ranks)
    return float(ranks[1:] @ ranks[:-1]) / power if power > 0.0 else 0.0


def _in_errors(value: float, null: FloatArray) -> float | None:
    error = float(np.std(null, ddof=1))
    return value / error if error > 1e-12 else None


def suspicion(
    positions: IntArray,
    decisions: Decisions,
    limits: GradeConfig,
    *,
    figures: Mapping[str, float | None],
    later: OneBarLater,
    passed: bool,
    kept: bool,
) -> str | None:
    """Say why a run looks too good for its kind of data, with the cause looked for; None where it does not.

    Parameters
    ----------
    positions : int64
        The out-of-sample decisions.
    decisions : Decisions
    limits : GradeConfig
    figures : mapping
        auc, sharpe and z of the run.
    later : OneBarLater
        The run one bar late.
    passed : bool
        Whether the run clears every threshold.
    kept : bool
        Whether it still clears those of AUC and Sharpe ratio one bar late: demanded of coins, where tomorrow's open
        is today's close.
    """
    causes = _causes(positions, decisions)
    gone = collapses(later) and (figures["z"] or 0.0) >= LOOKS_GOOD
    if gone:
        causes.append(_collapse(later))
    elif passed and decisions.asset_class == "crypto" and not kept:
        causes.append("the pass is gone one bar later")
    signs = too_good(figures, limits)
    if signs:
        explanation = "; ".join([*causes, *_still(positions, decisions)])
        explanation = explanation or "no repaired bars, stale prices, peg or one-bar-later collapse found"
        return f"{' and '.join(signs)}, too good for its kind of data: {explanation}"
    if gone and not passed:
        return f"not passed, but {'; '.join(causes)}"
    return f"passed, but {'; '.join(causes)}" if passed and causes else None


def too_good(figures: Mapping[str, float | None], limits: GradeConfig) -> list[str]:
    """List the figures that are at or above the limits of what is believed without a look.

    Parameters
    ----------
    figures : mapping
        auc, sharpe and z; an undefined one is None or missing.
    limits : GradeConfig

    Returns
    -------
    list of str
        Empty where none is.
    """
    area, ratio, z = (figures.get(name) for name in ("auc", "sharpe", "z"))
    signs = []
    if area is not None and area >= limits.suspicious_auc:
        signs.append(f"auc {area:.2f} is at or above {limits.suspicious_auc:.2f}")
    elif area is not None and z is not None and z >= limits.suspicious_z and area >= limits.suspicious_z_auc:
        signs.append(
            f"z {z:.1f} is at or above {limits.suspicious_z:.1f} with auc {area:.2f} at or above"
            f" {limits.suspicious_z_auc:.2f}"
        )
    if ratio is not None and ratio >= limits.suspicious_sharpe:
        signs.append(f"sharpe {ratio:.2f} is at or above {limits.suspicious_sharpe:.2f}")
    return signs


def _collapse(later: OneBarLater) -> str:
    return (
        f"its auc of {later.area:.2f} is {later.late_area:.2f} one bar later, a drop of {later.drop_errors:.1f}"
        " standard errors, as of prices, dates or features that look one bar ahead"
    )


def _still(positions: IntArray, decisions: Decisions) -> list[str]:
    """Say that a price is pegged or cash-like: its small moves are noise around a value, and that can be foretold."""
    moves = decisions.close_return[positions]
    spread = float(np.nanstd(moves)) * decisions.bars_per_year**0.5
    return [f"its price hardly moves ({spread:.1%} a year), as of a peg or cash"] if spread < STILL_VOLATILITY else []


def _causes(positions: IntArray, decisions: Decisions) -> list[str]:
    repaired = float(np.mean(decisions.repaired[positions]))
    stale = float(np.mean(decisions.stale[positions]))
    causes = []
    if repaired >= REPAIRED_SHARE:
        causes.append(f"{repaired:.0%} of its out-of-sample bars were repaired")
    if stale >= STALE_SHARE:
        causes.append(f"{stale:.0%} of its out-of-sample closes are stale, the same as the day before")
    return causes
