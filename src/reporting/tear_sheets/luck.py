"""A run among its own circular shifts: the shifts that its luck rate counts, with the figures of each."""

from __future__ import annotations

import numpy as np

from src.evaluation.fold_levels import one_fold
from src.evaluation.shifted_auc import shifted_auc
from src.evaluation.shifted_returns import shifted_sharpe
from src.evaluation.strategy import directions
from src.reporting.tear_sheets.sheet import LuckPicture
from src.signals.own_decisions import GradedRun


def luck_picture(run: GradedRun) -> LuckPicture | None:
    """Compute AUC and Sharpe ratio of every admissible shift, as `src.evaluation.shift_test.shifts` does.

    Parameters
    ----------
    run : GradedRun

    Returns
    -------
    LuckPicture or None
        None where no shift is admissible, or a figure of the run itself is undefined. Shifts without a figure are left
        out of its distribution.
    """
    n, scores = run.probability.size, one_fold(run.probability)
    admissible = np.arange(1, n - min(run.gate.exclude_lags, n // 4))
    if not admissible.size:
        return None
    direction = scores.mapped(lambda values: directions(values, run.strategy))
    area = shifted_auc(run.outcome, scores)
    ratio = shifted_sharpe(direction, run.decisions.horizon, run.conditions, run.decisions.bars_per_year)
    if not (np.isfinite(area[0]) and np.isfinite(ratio[0])):
        return None
    others = [values[admissible] for values in (area, ratio)]
    known = [values[np.isfinite(values)] for values in others]
    return LuckPicture(known[0], known[1], float(area[0]), float(ratio[0]))
