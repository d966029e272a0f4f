"""How often scores without skill get a small p-value, over how often they should, by bars, persistence and horizon.

Every series is a score that knows nothing of the returns: an AR(1) process beside returns whose volatility clusters.
p-values are those of `src.evaluation.significance` without the rule that they are 1 below `min_oos`. The Sharpe ratio
is that of long/flat positions sized to the volatility; costs, nearly the same at every shift, are left out.

    python -m tests.benchmarks.study_calibration --series 20000
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from src.core.arrays import FloatArray
from src.evaluation.significance import upper_tail

BARS, PERSISTENCE, HORIZONS = (6, 20, 80, 500, 1500), (0.0, 0.9, 0.98), (1, 20)
LIMITS = (0.05, 0.01, 0.001)
EXCLUDED = 126  # the default of grade.exclude_lags
_BATCH = 400


@dataclass(frozen=True)
class Series:
    """Several skill-less runs at once, each array of shape (series, bars).

    Attributes
    ----------
    score, label : float64
        The label in {0, 1}: whether the returns of `horizon` bars add up to more than zero.
    exposure : float64
        Mean of the last `horizon` directions, the first following the last.
    pay : float64
        What a full exposure earns on each bar; zero on the first `horizon` - 1, so that what the first follows does not
        matter.
    """

    score: FloatArray
    label: FloatArray
    exposure: FloatArray
    pay: FloatArray


def skill_less(series: int, bars: int, persistence: float, horizon: int, rng: np.random.Generator) -> Series:
    """Draw runs whose scores know nothing of the returns."""
    from scipy.signal import lfilter  # which takes a second to import

    noise = rng.normal(size=(series, bars))
    noise[:, 0] /= np.sqrt(1.0 - persistence**2)
    score = lfilter([1.0], [1.0, -persistence], noise, axis=1)
    shock = rng.standard_t(5, size=(series, bars + horizon)) / np.sqrt(5 / 3)
    change, spread, variance = np.empty_like(shock), np.empty_like(shock), np.full(series, 1e-4)
    for k in range(bars + horizon):
        spread[:, k] = np.sqrt(variance)
        change[:, k] = 0.0003 + spread[:, k] * shock[:, k]
        variance = 2e-6 + 0.08 * (change[:, k] - 0.0003) ** 2 + 0.9 * variance
    total = np.cumsum(np.pad(change, ((0, 0), (1, 0))), axis=1)
    label = (total[:, horizon : horizon + bars] > total[:, :bars]) * 1.0
    direction = (score > 0.0) * 1.0
    exposure = np.mean([np.roll(direction, back, axis=1) for back in range(horizon)], axis=0)
    pay = np.minimum(0.1 / np.sqrt(252.0) / spread[:, :bars], 1.0) * change[:, :bars]
    pay[:, : horizon - 1] = 0.0
    return Series(score, label, exposure, pay)


def shifted_figures(runs: Series) -> tuple[FloatArray, FloatArray]:
    """AUC and Sharpe ratio per bar of each run under every shift, shape (series, bars) each; NaN where undefined."""
    n = runs.score.shape[1]
    ups = runs.label.sum(axis=1, keepdims=True)
    rank_sums = _correlation(runs.label, rankdata(runs.score, axis=1))
    total, squares = _correlation(runs.pay, runs.exposure), _correlation(runs.pay**2, runs.exposure**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (np.rint(rank_sums) - ups * (ups + 1.0) / 2.0) / (ups * (n - ups))
        variance = (squares - total**2 / n) / (n - 1)
        ratio = total / n / np.sqrt(np.where(variance > 1e-14, variance, np.nan))
    return area, np.where(squares > 1e-14, ratio, 0.0)


def _correlation(fixed: FloatArray, moved: FloatArray) -> FloatArray:
    return np.fft.irfft(np.fft.rfft(fixed) * np.conj(np.fft.rfft(moved)), fixed.shape[1])


def p_values(by_shift: FloatArray) -> FloatArray:
    """P-value of each run's figure at shift 0 among its admissible shifts; 1 where it is undefined, shape (series,)."""
    n = by_shift.shape[1]
    null = by_shift[:, 1 : n - min(EXCLUDED, n // 4)]
    defined = np.isfinite(by_shift).all(axis=1)
    defined[defined] = null[defined].std(axis=1) > 1e-10
    null, value = null[defined], by_shift[defined, 0]
    p = np.ones(by_shift.shape[0])
    p[defined] = upper_tail((value - null.mean(axis=1)) / null.std(axis=1, ddof=1), null)
    return p


def cell(series: int, bars: int, persistence: float, horizon: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """P-values of AUC and of the Sharpe ratio of as many skill-less runs."""
    rng = np.random.default_rng([seed, bars, int(1000 * persistence), horizon])
    found = []
    for start in range(0, series, _BATCH):
        runs = skill_less(min(_BATCH, series - start), bars, persistence, horizon, rng)
        found.append([p_values(figures) for figures in shifted_figures(runs)])
    area, ratio = np.concatenate(found, axis=1)
    return area, ratio


def over_nominal(p: FloatArray) -> list[float]:
    """Share of p-values at or below each of `LIMITS`, over that limit."""
    return [float(np.mean(p <= limit)) / limit for limit in LIMITS]


def table(series: int, bars: Iterable[int], seed: int = 1) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield "| bars | autocorrelation | horizon | AUC: .05 | .01 | .001 | Sharpe ratio: .05 | .01 | .001 |"
    yield "|---" * 9 + "|"
    for n in bars:
        for horizon in HORIZONS:
            for persistence in PERSISTENCE:
                shares = [over_nominal(p) for p in cell(series, n, persistence, horizon, seed)]
                figures = " | ".join(f"{share:.2f}" for of in shares for share in of)
                yield f"| {n:,} | {persistence:g} | {horizon} | {figures} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=20_000, help="skill-less series in each cell")
    parser.add_argument("--bars", type=int, nargs="*", default=BARS, help="out-of-sample bars")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for line in table(asked.series, asked.bars, asked.seed):
        print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
