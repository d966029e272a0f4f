"""A pooled run whose every score is acted on one day late, and whether it looks too good to be true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray
from src.evaluation import suspicion
from src.evaluation.grade import Thresholds, grade
from src.evaluation.metrics import sharpe
from src.evaluation.pooled.day_ranks import LEVELS, Codes, day_codes
from src.evaluation.pooled.graded_days import GradedDays
from src.evaluation.pooled.inference import newey_west
from src.evaluation.pooled.information import OVERLAPS
from src.evaluation.suspicion import OneBarLater

if TYPE_CHECKING:
    from src.config.schema import GradeConfig


def one_day_later(days: GradedDays) -> OneBarLater:
    """Act on every score one day late, and measure the drop of the AUC in standard errors.

    Parameters
    ----------
    days : GradedDays

    Returns
    -------
    OneBarLater
        AUC and Sharpe ratio against the run's own label. Standard errors are Newey and West's of the daily AUCs
        less those a day late.
    """
    scores, scored = days.late()
    codes, own = day_codes(scores, scored), days.codes
    area, late_area = days.tally(own, days.scored).auc(), days.tally(codes, scored).auc()
    now, after = days.daily_excess(own, days.scored), days.daily_excess(codes, scored)
    kept = max(_persistence(own, codes, days.scored & scored), 0.0)
    lag = OVERLAPS * days.run.targets.horizon
    drop, pace = newey_west(now - after, lag), newey_west(kept * now - after, lag)
    ratio = sharpe(days.trade(scores).net, days.run.section.bars_per_year)
    return OneBarLater(area, late_area, ratio, drop.t, pace.t)


def _persistence(own: Codes, late: Codes, both: BoolArray) -> float:
    """Correlation of a name's rank with its rank a day before, over all instrument-days with both."""
    x, y = (codes[both].astype(np.float64) / LEVELS for codes in (own, late))
    if x.size < 2:
        return 0.0
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / scale if scale > 0.0 else 0.0


def doubt(later: OneBarLater, figures: Mapping[str, float | None], gate: GradeConfig) -> str | None:
    """Say why a run looks too good to be true; None where it does not.

    Parameters
    ----------
    later : OneBarLater
    figures : mapping
        auc, sharpe, z and the gate's other metrics.
    gate : GradeConfig

    Returns
    -------
    str or None
    """
    causes = []
    if suspicion.collapses(later) and (figures["z"] or 0.0) >= suspicion.LOOKS_GOOD:
        causes.append(
            f"its auc of {later.area:.3f} is {later.late_area:.3f} one day later, a drop of {later.drop_errors:.1f}"
            " standard errors, as of prices, dates or features that look one day ahead"
        )
    signs = suspicion.too_good(figures, gate)
    if signs:
        cause = "; ".join(causes) or "no one-day-later collapse found"
        return f"{' and '.join(signs)}, too good for its kind of data: {cause}"
    if not causes:
        return None
    limits = Thresholds.of(gate)
    return f"{'passed' if grade(figures, limits).passed else 'not passed'}, but {'; '.join(causes)}"
