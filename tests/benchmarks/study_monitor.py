"""How often the monitor flags champions that are what their record says, and how soon it sees those that are not.

Champions are chosen as a session chooses them: true Sharpe ratios are drawn, each has an out-of-sample record, those
whose record passes a threshold become champions, and all records together give their shrunk estimates. Returns have
Student's t shocks with 5 degrees of freedom, GARCH volatility, and positions that last ten days on average, long or
flat. Each champion then goes on: as it is, or with the Sharpe ratio that it is said to have turned to.

    python -m tests.benchmarks.study_monitor champions --champions 1000
    python -m tests.benchmarks.study_monitor records --champions 1000 --dataset demo
    python -m tests.benchmarks.study_monitor edge --repeats 300
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.core.arrays import BoolArray, FloatArray
from src.monitoring.edge import ScoreEdge, joint_edge, loss_of_edge
from src.monitoring.resampling import drawn_days
from src.monitoring.sequential import Watch, reversal
from src.monitoring.shrinkage import sharpe_error, shrunk

YEAR, SKILL_SPREAD = 252, 0.4
ALARMS, DRAWS, BLOCK = 0.05, 2000, 20


@dataclass(frozen=True)
class Process:
    """Net returns of runs before any edge, and what an edge of one Sharpe ratio a day adds, shape (runs, days) each."""

    noise: FloatArray
    unit: FloatArray

    def net(self, sharpe: FloatArray) -> FloatArray:
        """Net returns with a true Sharpe ratio a year for each run."""
        return self.noise + sharpe[:, None] / math.sqrt(YEAR) * self.unit


def traded(runs: int, days: int, rng: np.random.Generator, *, sized: bool = True) -> Process:
    """Positions long or flat on returns of clustered volatility, sized to it by a trailing estimate or not at all."""
    warm = 100
    shock = rng.standard_t(5, size=(runs, days + warm)) / math.sqrt(5 / 3)
    spread, seen = np.empty_like(shock), np.empty_like(shock)
    variance, trailing = np.full(runs, 1e-4), np.full(runs, 1e-4)
    for k in range(days + warm):
        spread[:, k], seen[:, k] = np.sqrt(variance), np.sqrt(trailing)
        change = spread[:, k] * shock[:, k]
        variance = 2e-6 + 0.08 * change**2 + 0.9 * variance
        trailing = 0.95 * trailing + 0.05 * change**2
    turns = np.cumsum(rng.random(shock.shape) < 0.1, axis=1) + rng.integers(0, 2, size=(runs, 1))
    position = (turns % 2) * (np.minimum(1.0, 0.10 / math.sqrt(YEAR) / seen) if sized else 1.0)
    scale = (position * spread)[:, warm:]
    noise = scale * shock[:, warm:]
    return Process(noise, scale / scale.mean() * math.sqrt(float((scale**2).mean())))


@dataclass(frozen=True)
class Champions:
    """Runs that passed, with what the monitor takes them for."""

    truth: FloatArray
    estimate: FloatArray
    shrunk: FloatArray
    error: FloatArray
    process: Process
    record_days: int

    def record(self, i: int) -> FloatArray:
        return self.process.net(self.truth)[i, : self.record_days]


def chosen(count: int, record: int, later: int, rng: np.random.Generator, *, sized: bool, least: float) -> Champions:
    """Draw sessions until so many of their runs have an estimate of `least` or more."""
    truth = rng.normal(0.0, SKILL_SPREAD, size=4 * count)
    process = traded(truth.size, record + later, rng, sized=sized)
    net = process.net(truth)[:, :record]
    estimate = net.mean(axis=1) / net.std(axis=1, ddof=1) * math.sqrt(YEAR)
    bars = np.full(truth.size, float(record))
    found = shrunk(estimate, sharpe_error(estimate, bars, np.full(truth.size, float(YEAR))), unskilled=0.0)
    kept = np.flatnonzero(estimate >= least)[:count]
    part = Process(process.noise[kept], process.unit[kept])
    return Champions(truth[kept], estimate[kept], found.mean[kept], found.spread[kept], part, record)


def first_crossings(champions: Champions, sharpe: FloatArray, label: str, block: int) -> list[int | None]:
    """First day on which each champion is flagged whose later days have a given true Sharpe ratio."""
    found, later = [], champions.process.net(sharpe)[:, champions.record_days :]
    records = champions.process.net(champions.truth)[:, : champions.record_days]
    for i in range(sharpe.size):
        watched = reversal(
            records[i], later[i], sharpe=champions.shrunk[i], error=champions.error[i], bars_per_year=YEAR,
            alarms=ALARMS, draws=DRAWS, block=block, seed=i % 7,
        )  # fmt: skip
        found.append(watched.crossed)
    print(f"{label:<44} {summary(found, later.shape[1])}")
    return found


def summary(found: list[int | None], days: int) -> str:
    """Share flagged in each year among those not flagged before, with its 95% interval; median days."""
    first = np.array([math.inf if day is None else day + 1 for day in found])
    parts = []
    for year in range(days // YEAR):
        at_risk = first > year * YEAR
        flagged = int(np.count_nonzero(first[at_risk] <= (year + 1) * YEAR))
        low, high = wilson(flagged, int(at_risk.sum()))
        parts.append(f"year {year + 1}: {flagged}/{at_risk.sum()} = {flagged / max(1, at_risk.sum()):.1%} ({low:.1%} to {high:.1%})")
    return "; ".join(parts) + f"; median {np.median(first):.0f} days, 80% {np.quantile(first, 0.8, method='higher'):.0f}"


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927)."""
    if not trials:
        return 0.0, 1.0
    z, share = 1.959964, hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return middle - half, middle + half


def study_champions(options: argparse.Namespace) -> None:
    for sized in (True, False):
        rng = np.random.default_rng(options.seed)
        found = chosen(options.champions, options.record, 2 * YEAR, rng, sized=sized, least=0.5)
        kind = "sized" if sized else "not sized"
        print(
            f"{kind}: {found.truth.size} champions; mean Sharpe ratio of the records {found.estimate.mean():.2f}, true"
            f" {found.truth.mean():.2f}, shrunk {found.shrunk.mean():.2f}"
        )
        first_crossings(found, found.truth, f"{kind}, as their record says", options.block)
        first_crossings(found, np.full(found.truth.size, -2.0), f"{kind}, reversed to -2", options.block)
        first_crossings(found, np.zeros(found.truth.size), f"{kind}, edge gone", options.block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=("champions", "records", "edge"))
    parser.add_argument("--champions", type=int, default=1000)
    parser.add_argument("--record", type=int, default=2000, help="out-of-sample days")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--dataset", default="demo")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    {"champions": study_champions}[options.study](options)


if __name__ == "__main__":
    main()
