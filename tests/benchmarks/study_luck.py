"""Passes of models without skill, beside what their luck rates expect, for levels that stay and for scores moved whole.

Instruments drift upwards and their volatility clusters; the features of each are rotated in time against its returns,
so that nothing can be predicted from them. Every model is trained forward in time, one refit a fold.

    python -m tests.benchmarks.study_luck --family logistic --instruments 4000
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import numpy as np
import polars as pl

from src.config.compose import compose
from src.config.schema import GradeConfig, LabelConfig, StrategyConfig
from src.evaluation import assessment
from src.evaluation.assessment import SCHEMA, assess
from src.evaluation.fold_levels import FoldValues, fold_values, one_fold, prior_levels
from src.evaluation.labels import Decisions, decisions
from src.models.registry import family, load

FIRST = 506  # bars before the first test decision
CHUNK = 300  # instruments between two reports of all figures so far
GAP = 6  # bars of purge and embargo before a fold
LEVELS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], FoldValues]] = {
    "none": lambda score, _fold, _levels: one_fold(score),  # scores are moved whole, as in a grade
    "mean": lambda score, fold, _levels: fold_values(score, fold),  # of the fold's own scores
    "prior": fold_values,  # the share of up labels before the fold
}


def opening_prices(instruments: int, bars: int, rng: np.random.Generator) -> np.ndarray:
    """Prices whose volatility clusters (GARCH) and which drift upwards, shape (instruments, bars)."""
    shock = rng.standard_t(5, size=(instruments, bars)) / np.sqrt(5 / 3)
    step, variance = np.empty_like(shock), np.full(instruments, 1e-4)
    for k in range(bars):
        step[:, k] = np.sqrt(variance) * shock[:, k]
        variance = 2e-6 + 0.08 * step[:, k] ** 2 + 0.9 * variance
    drift = rng.uniform(0, 0.0008, size=(instruments, 1))
    return np.round(30 * np.exp(np.cumsum(step + drift, axis=1)), 2)  # cents: some returns are zero


def decided_of(opens: np.ndarray, rng: np.random.Generator) -> Decisions:
    """Make the decisions of one instrument from its opening prices."""
    n = opens.size
    close = opens * np.exp(rng.normal(size=n) * 0.002)
    frame = pl.DataFrame(
        {
            "asset_class": ["stock"] * n,
            "symbol": ["X"] * n,
            "date": pl.date_range(
                dt.date(2012, 1, 1), interval="1d", end=dt.date(2012, 1, 1) + dt.timedelta(n - 1), eager=True
            ),
            "open": opens,
            "high": np.maximum(opens, close) * 1.004,
            "low": np.minimum(opens, close) * 0.996,
            "close": close,
            "volume": np.ones(n),
            "factor": np.ones(n),
            "split": pl.Series([None] * n, dtype=pl.Float64),
            "repaired": [False] * n,
        }
    )
    return decisions(frame, LabelConfig())


def rotated_features(decided: Decisions, rng: np.random.Generator) -> np.ndarray:
    """Sums and volatilities of past returns, those of another time."""
    change = np.nan_to_num(decided.close_return)
    sums = [np.convolve(change, np.ones(w))[: change.size] for w in (1, 2, 5, 10, 21, 63)]
    ranges = [np.sqrt(np.convolve(change**2, np.ones(w) / w)[: change.size]) for w in (5, 21, 63)]
    table = np.column_stack([*sums, *ranges])
    return np.roll(table, int(rng.integers(change.size // 4, 3 * change.size // 4)), axis=0).astype(np.float32)


def logistic(x: np.ndarray, y: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """P(up) by a logistic regression on standardised features."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-12
    model = LogisticRegression().fit((x - mean) / spread, y)
    return np.asarray(model.predict_proba((tested - mean) / spread)[:, 1], dtype=np.float64)


def trees(name: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """P(up) by one of the product's families with its default settings."""
    load(name)
    library, params = family(name), compose([f"model={name}"]).model.params

    def fitted(x: np.ndarray, y: np.ndarray, tested: np.ndarray) -> np.ndarray:
        names = [f"f{column}" for column in range(x.shape[1])]
        return library.predict(library.fit(x, y, params, 1, names, "cpu"), np.ascontiguousarray(tested))

    return fitted


def walked(
    decided: Decisions,
    x: np.ndarray,
    bars: int,
    refit: int,
    fit: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """Predict each fold of `refit` bars by a model of the decisions before it."""
    parts = []
    for first in range(FIRST, FIRST + bars, refit):
        train = np.flatnonzero(~np.isnan(decided.label[: first - GAP]))
        parts.append(fit(x[train], decided.label[train], x[first : min(first + refit, FIRST + bars)]))
    return np.clip(np.concatenate(parts), 0.0, 1.0)


def graded(name: str, instruments: int, bars: int, refit: int, seed: int) -> dict[str, pl.DataFrame]:
    """Grade models without skill on as many instruments, once for each kind of level.

    Returns
    -------
    dict of DataFrame
        Grades by the name of the level.
    """
    rng = np.random.default_rng(seed)
    fit = logistic if name == "logistic" else trees(name)
    opens = opening_prices(instruments, FIRST + bars + 2, rng)
    fold, positions = np.arange(bars) // refit, np.arange(FIRST, FIRST + bars)
    rows: dict[str, list[dict[str, object]]] = {level: [] for level in LEVELS}
    for each in opens:
        decided = decided_of(each, rng)
        score = walked(decided, rotated_features(decided, rng), bars, refit, fit)
        levels = prior_levels(decided.label, positions, fold, horizon=1)
        for level, function in LEVELS.items():
            with patch.object(assessment, "one_fold", partial(_laid_out, function, fold, levels)):
                rows[level].append(assess(score, positions, decided, StrategyConfig(), GradeConfig()).row())
    return {level: pl.DataFrame(of, schema=SCHEMA) for level, of in rows.items()}


def _laid_out(
    function: Callable[[np.ndarray, np.ndarray, np.ndarray], FoldValues],
    fold: np.ndarray,
    levels: np.ndarray,
    score: np.ndarray,
) -> FoldValues:
    return function(score, fold, levels)


def lines(name: str, grades: dict[str, pl.DataFrame]) -> list[str]:
    """Say how many passed, how many luck expected, and how often p-values fell below their limits."""
    said = []
    for level, table in grades.items():
        seen, expected = table["passed"].sum(), table["luck_rate"].sum()
        rates = [
            f"{column} " + " ".join(f"{(table[column] <= limit).mean() / limit:.2f}" for limit in (0.05, 0.01, 0.001))
            for column in ("p_value", "sharpe_p_value")
        ]
        deflated = table.filter("passed", pl.col("deflated_sharpe") >= 0.95).height
        said.append(
            f"{name}, level {level}: {table.height} runs, {seen} passed, {expected:.0f} expected, seen over expected "
            f"{seen / expected:.2f}; deflated Sharpe 0.95 reached by {deflated}, "
            f"{table['deflated_luck_rate'].sum():.0f} expected; shares of p <= .05, .01, .001 over nominal: "
            f"{'; '.join(rates)}"
        )
    return said


def main() -> None:
    """Print the figures of one family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="lightgbm", help="a family of src/models, or logistic")
    parser.add_argument("--instruments", type=int, default=4000)
    parser.add_argument("--bars", type=int, default=500, help="out-of-sample bars")
    parser.add_argument("--refit", type=int, default=125, help="bars between fits")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    parts: list[dict[str, pl.DataFrame]] = []
    for start in range(0, asked.instruments, CHUNK):
        count, seed = min(CHUNK, asked.instruments - start), asked.seed + start
        parts.append(graded(asked.family, count, asked.bars, asked.refit, seed))
        grades = {level: pl.concat([part[level] for part in parts]) for level in LEVELS}
        print("\n".join(lines(asked.family, grades)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
