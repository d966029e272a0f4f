"""What a grade costs, and whether the luck it states is the luck that skill-less models have."""

import datetime as dt
import time

import lightgbm
import numpy as np
import polars as pl
import pytest

from src.config.schema import GradeConfig, LabelConfig, StrategyConfig
from src.evaluation import rank_sums
from src.evaluation.assessment import SCHEMA, assess
from src.evaluation.labels import decisions
from src.evaluation.multiple_testing import session_evidence

FIRST = 506  # bars before the first test decision
REFIT = 375  # bars between fits
SETTINGS = {
    "objective": "binary",
    "num_leaves": 7,
    "learning_rate": 0.05,
    "max_bin": 31,
    "min_child_samples": 40,
    "feature_fraction": 0.7,
    "num_threads": 1,
    "verbose": -1,
    "seed": 1,
}


def skill_less(n, rng, symbol, market=None):
    """Make an instrument whose volatility clusters (GARCH) and which drifts upwards; nothing in it can be predicted."""
    shock = rng.standard_t(5, size=n) / np.sqrt(5 / 3)
    if market is not None:
        shock = 0.6 * market + 0.8 * shock
    step, variance = np.empty(n), 1e-4
    for k in range(n):
        step[k] = np.sqrt(variance) * shock[k]
        variance = 2e-6 + 0.08 * step[k] ** 2 + 0.9 * variance
    opens = np.round(30 * np.exp(np.cumsum(step + rng.uniform(0, 0.0008))), 2)  # cents: some returns are zero
    close = opens * np.exp(rng.normal(size=n) * 0.002)
    frame = pl.DataFrame(
        {
            "asset_class": ["stock"] * n,
            "symbol": [symbol] * n,
            "date": [dt.date(2012, 1, 1) + dt.timedelta(days=k) for k in range(n)],
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


def features(decided):
    change = np.nan_to_num(decided.close_return)
    sums = [np.convolve(change, np.ones(w))[: change.size] for w in (1, 2, 5, 10, 21, 63)]
    ranges = [np.sqrt(np.convolve(change**2, np.ones(w) / w)[: change.size]) for w in (5, 21, 63)]
    return np.column_stack([*sums, *ranges])


def walked(decided, oos):
    """Fit and predict forward in time, purged and embargoed."""
    x, parts = features(decided), []
    for b in range(FIRST, FIRST + oos, REFIT):
        train = np.flatnonzero(~np.isnan(decided.label[: b - 6]))
        booster = lightgbm.train(SETTINGS, lightgbm.Dataset(x[train], decided.label[train]), 50)
        parts.append(booster.predict(x[b : min(b + REFIT, FIRST + oos)]))
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("instruments", "oos", "together", "seed"),
    [(500, 500, False, 1), (500, 1000, False, 2), (150, 1000, True, 3), (150, 1000, True, 4)],
)
def test_lucky_passes_seen_against_those_expected(instruments, oos, together, seed):
    rng = np.random.default_rng(seed)
    n = FIRST + oos + 2
    market = rng.standard_t(5, size=n) / np.sqrt(5 / 3) if together else None
    rows = []
    for i in range(instruments):
        decided = skill_less(n, rng, f"S{i}", market)
        positions = np.arange(FIRST, FIRST + oos)
        run = assess(walked(decided, oos), positions, decided, StrategyConfig(), GradeConfig())
        rows.append(run.row())
    grades = pl.DataFrame(rows, schema=SCHEMA)
    found = session_evidence(grades)
    below = (grades["p_value"] < 0.05).mean()
    print(  # noqa: T201 (what a benchmark is for)
        f"\n{instruments} skill-less instruments{' that move together' if together else ''}, {oos} out-of-sample days:"
        f" {found.sentence()} sd of z {grades['z'].std():.2f}, {below:.1%} of p-values below 0.05"
    )


@pytest.mark.parametrize("bars", [500, 1000, 1500, 1800, 3000])
@pytest.mark.parametrize("compiled", [False, True])
def test_milliseconds_a_grade(bars, compiled, monkeypatch):
    monkeypatch.setattr(rank_sums, "PATIENCE", 0 if compiled else 10**15)
    rng = np.random.default_rng(1)
    decided = skill_less(FIRST + bars + 2, rng, "X")
    probability = 0.5 + 0.02 * rng.normal(size=bars)
    positions = np.arange(FIRST, FIRST + bars)
    spent = []
    for _ in range(25):
        started = time.process_time()
        assess(probability, positions, decided, StrategyConfig(), GradeConfig())
        spent.append(time.process_time() - started)
    print(  # noqa: T201
        f"\n{bars} out-of-sample bars{', compiled' if compiled else ''}:"
        f" {1e3 * np.median(spent):.1f} ms of CPU a grade, evidence included"
    )
