"""Formulas of the settings study: rank IC, influence of each day on a figure, and a bootstrap over calendar blocks.

Instruments move together and days that follow each other are alike, so neither the number of instruments nor that of
rows says how sure a mean is. Each figure is therefore taken apart into what every single day adds to it (its influence
function), the days' parts are added up over instruments, and whole calendar blocks are drawn with replacement. All
settings see the same draws, so differences and ratios between settings are paired.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from src.core.arrays import FloatArray
from src.evaluation import metrics
from src.evaluation.metrics import midranks

BLOCK_DAYS = 91  # calendar days of a block: a quarter, longer than any horizon and most calm or wild spells
BLOCKS = 280  # until 2039
DRAWS = 4000
DayArray = npt.NDArray[np.int64]


def rank_correlation(x: FloatArray, y: FloatArray) -> float:
    """Spearman's rank correlation, ties by midranks; 0 where one side does not vary.

    Examples
    --------
    >>> round(rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])), 12)
    0.5
    """
    a, b = midranks(x), midranks(y)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0.0 else 0.0


def daily_rank_ic(
    day: DayArray, score: FloatArray, outcome: FloatArray, least: int = 20
) -> tuple[DayArray, FloatArray]:
    """Rank correlation across instruments of each day's scores with what came after.

    Parameters
    ----------
    day : int64, shape (n,)
    score, outcome : float64, shape (n,)
        Rows without an outcome (NaN) are left out.
    least : int
        Instruments a day must have.

    Returns
    -------
    (int64, float64), shape (days,): the days, ascending, and their rank ICs.
    """
    order = np.flatnonzero(np.isfinite(outcome))
    order = order[np.argsort(day[order], kind="stable")]
    days, starts = np.unique(day[order], return_index=True)
    parts = np.split(order, starts[1:])
    enough = np.array([part.size >= least for part in parts], dtype=bool)
    ics = [rank_correlation(score[part], outcome[part]) for part, keep in zip(parts, enough, strict=True) if keep]
    return days[enough].astype(np.int64), np.array(ics)


def auc_influence(label: FloatArray, score: FloatArray) -> FloatArray:
    """Influence of each row on the AUC: the placements of DeLong et al. about their mean; 0 on rows without a label.

    A figure under weights w of mean 1 is about ``figure + mean(w * influence)``; so for all three influences here.

    Source
    ------
    DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated ROC curves", Biometrics 44
    (1988), p. 837.
    """
    known = np.isfinite(label)
    up, value = label[known] == 1.0, score[known]
    ups, downs = int(up.sum()), int((~up).sum())
    out, inside = np.zeros(label.size), np.empty(up.size)
    if ups and downs:
        ranks = midranks(value)
        below = (ranks[up] - midranks(value[up])) / downs
        above = 1.0 - (ranks[~up] - midranks(value[~up])) / ups
        inside[up] = (below - below.mean()) / ups
        inside[~up] = (above - above.mean()) / downs
        out[known] = inside * label.size
    return out


def sharpe_influence(returns: FloatArray, bars_per_year: float) -> FloatArray:
    """Influence of each return on the annualised Sharpe ratio; all 0 where nothing was traded.

    Source
    ------
    Lo, "The statistics of Sharpe ratios", Financial Analysts Journal 58 (2002), appendix A (delta method).
    """
    deviation = float(np.std(returns))
    if deviation <= 0.0:
        return np.zeros(returns.size)
    z = (returns - returns.mean()) / deviation
    ratio = float(returns.mean()) / deviation
    influence: FloatArray = np.sqrt(bars_per_year) * (z - 0.5 * ratio * (z**2 - 1.0))
    return influence


def rank_correlation_influence(x: FloatArray, y: FloatArray) -> FloatArray:
    """Influence of each row on Spearman's rank correlation, ties by halves.

    Source
    ------
    Croux and Dehon, "Influence functions of the Spearman and Kendall correlation measures", Statistical Methods and
    Applications 19 (2010), p. 497, in its empirical form.
    """
    n = x.size
    f, g = (midranks(x) - 0.5) / n, (midranks(y) - 0.5) / n
    scale = float(np.std(f) * np.std(g))
    if scale <= 0.0:
        return np.zeros(n)
    influence: FloatArray = f * g + _mean_above(x, g) + _mean_above(y, f)
    return (influence - influence.mean()) / scale


def _mean_above(values: FloatArray, other: FloatArray) -> FloatArray:
    """Sum of `other` over the rows whose value is above each row's (ties by half), over n."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    total = np.concatenate([[0.0], np.cumsum(other[order])])
    below = total[np.searchsorted(ordered, values, side="left")]
    up_to = total[np.searchsorted(ordered, values, side="right")]
    above: FloatArray = (total[-1] - 0.5 * (below + up_to)) / values.size
    return above


def block_sums(day: DayArray, influence: FloatArray) -> FloatArray:
    """Sums of influences by calendar block, shape (BLOCKS,): days since 1970 over `BLOCK_DAYS`."""
    return np.bincount(day // BLOCK_DAYS, weights=influence, minlength=BLOCKS)


def replicates(sums: FloatArray, seed: int = 1, draws: int = DRAWS) -> FloatArray:
    """Deviations of several figures, paired, when whole calendar blocks are drawn with replacement.

    Parameters
    ----------
    sums : float64, shape (blocks, figures)
        Of influences, each column adding up to zero; blocks without any row are left out.

    Returns
    -------
    float64, shape (draws, figures): what to add to each figure.
    """
    table = sums[np.any(sums != 0.0, axis=1)]
    if not len(table):  # a setting beside itself
        return np.zeros((draws, sums.shape[1]))
    random = np.random.default_rng(seed)
    counts = random.multinomial(len(table), np.full(len(table), 1.0 / len(table)), size=draws)
    return np.asarray(counts @ table)


def interval(values: FloatArray, share: float = 0.9) -> tuple[float, float]:
    """Middle `share` of the replicates."""
    low, high = np.quantile(values, [(1.0 - share) / 2.0, (1.0 + share) / 2.0])
    return float(low), float(high)


def sharpe_or_zero(returns: FloatArray, bars_per_year: float) -> float:
    """Annualised Sharpe ratio; 0 where it is undefined, so that no setting gains by leaving an instrument out."""
    return metrics.sharpe(returns, bars_per_year) or 0.0
