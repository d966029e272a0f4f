"""How sure a difference is, where skill comes in bursts that instruments share: the mean over calendar quarters.

Pairs of one quarter are not independent, and quarters nearly are (Fama and MacBeth 1973, Risk, return and equilibrium,
JPE 81:607, eq. 8; their months are quarters here).
"""

from __future__ import annotations

import numpy as np

from src.core.arrays import FloatArray

LEAST_QUARTERS = 3
CONFIDENCE = 0.95


def mean_over_quarters(differences: FloatArray) -> tuple[float, float, float] | None:
    """Average a difference over quarters.

    Parameters
    ----------
    differences : float64, shape (n,)
        One a quarter.

    Returns
    -------
    (float, float, float) or None
        The mean and the ends of its 95% interval by Student's t; None below `LEAST_QUARTERS`.
    """
    n = differences.size
    if n < LEAST_QUARTERS:
        return None
    from scipy.special import stdtrit

    mean = float(differences.mean())
    reach = float(stdtrit(n - 1, (1.0 + CONFIDENCE) / 2.0) * differences.std(ddof=1) / np.sqrt(n))
    return mean, mean - reach, mean + reach
