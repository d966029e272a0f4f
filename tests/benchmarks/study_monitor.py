"""How often the monitor flags champions that are what their record says, and how soon it sees those that are not.

Champions are chosen as a session chooses them: true Sharpe ratios are drawn, each has an out-of-sample record, those
whose record passes a threshold become champions, and all records together give their shrunk estimates. Returns have
Student's t shocks with 5 degrees of freedom, GARCH volatility, and positions that last ten days on average, long or
flat. Each champion then goes on: as it is, or with the Sharpe ratio that it is said to have turned to.

    python -m tests.benchmarks.study_monitor champions --champions 1000
    python -m tests.benchmarks.study_monitor records --champions 1000 --folder data/runs/demo
    python -m tests.benchmarks.study_monitor edge --repeats 300
    python -m tests.benchmarks.study_monitor book --champions 300
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy.signal import lfilter

from src.core.arrays import FloatArray, IntArray
from src.evaluation.metrics import auc
from src.monitoring.edge import ScoreEdge, joint_edge, loss_of_edge
from src.monitoring.resampling import drawn_days
from src.monitoring.sequential import reversal
from src.monitoring.shrinkage import Shrunk, auc_error, sharpe_error, shrunk

YEAR, SKILL_SPREAD = 252, 0.4
ALARMS, DRAWS, BLOCK = 0.05, 800, 20


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
    """Draw sessions until that number of their runs have an estimate of `least` or more."""
    truth = rng.normal(0.0, SKILL_SPREAD, size=6 * count)
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
    part = Process(champions.process.noise[: sharpe.size], champions.process.unit[: sharpe.size])
    found, later = [], part.net(sharpe)[:, champions.record_days :]
    records = part.net(champions.truth[: sharpe.size])[:, : champions.record_days]
    for i in range(sharpe.size):  # as many of the first champions as there are ratios
        watched = reversal(
            records[i], later[i], sharpe=champions.shrunk[i], error=champions.error[i], bars_per_year=YEAR,
            alarms=ALARMS, draws=DRAWS, block=block, seed=i % 7,
        )  # fmt: skip
        found.append(watched.crossed)
    say(f"{label:<44} {summary(found, later.shape[1])}")
    return found


def summary(found: list[int | None], days: int) -> str:
    """Share flagged in each year among those not flagged before, with its 95% interval; median days."""
    first = np.array([math.inf if day is None else day + 1 for day in found])
    parts = []
    for year in range(days // YEAR):
        at_risk = first > year * YEAR
        flagged = int(np.count_nonzero(first[at_risk] <= (year + 1) * YEAR))
        low, high = wilson(flagged, int(at_risk.sum()))
        share = flagged / max(1, int(at_risk.sum()))
        parts.append(f"year {year + 1}: {flagged}/{at_risk.sum()} = {share:.1%} ({low:.1%} to {high:.1%})")
    median, most = np.median(first), np.quantile(first, 0.8, method="higher")
    return "; ".join(parts) + f"; median {median:.0f} days, 80% {most:.0f}"


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927)."""
    if not trials:
        return 0.0, 1.0
    z, share = 1.959964, hits / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def study_champions(options: argparse.Namespace) -> None:
    for sized in (True, False):
        rng = np.random.default_rng(options.seed)
        found = chosen(options.champions, options.record, 2 * YEAR, rng, sized=sized, least=0.5)
        kind = "sized" if sized else "not sized"
        say(
            f"{kind}: {found.truth.size} champions; mean Sharpe ratio of the records {found.estimate.mean():.2f}, true"
            f" {found.truth.mean():.2f}, shrunk {found.shrunk.mean():.2f}"
        )
        first_crossings(found, found.truth, f"{kind}, as their record says", options.block)
        some = min(options.changed, found.truth.size)
        first_crossings(found, np.full(some, -2.0), f"{kind}, reversed to -2", options.block)
        first_crossings(found, np.zeros(some), f"{kind}, edge gone", options.block)


def study_records(options: argparse.Namespace) -> None:
    """Real records: a champion's is drawn from one in blocks, its later days from the same, with a mean of its own."""
    estimate, error, nets = real_records(Path(options.folder))
    likely = shrunk(estimate, error, unskilled=0.0)
    rng, passed = np.random.default_rng(options.seed), sorted(nets)
    say(
        f"{estimate.size} graded runs, {len(passed)} passing ones; mean Sharpe ratio of these"
        f" {estimate[passed].mean():.2f}, shrunk {likely.mean[passed].mean():.2f}"
    )
    flagged: dict[str, list[int | None]] = {"as their record says": [], "reversed to -2": [], "edge gone": []}
    for i in range(options.champions):
        at = passed[i % len(passed)]
        net = nets[at]
        record = net[drawn_days(net.size, net.size, 1, 60, (options.seed, i))[0]]
        later = net[drawn_days(net.size, 2 * YEAR, 1, 60, (options.seed, i, 1))[0]]
        expected = float(record.mean() / record.std(ddof=1)) * math.sqrt(YEAR) - (estimate[at] - likely.mean[at])
        for name, sharpe in zip(flagged, (rng.normal(expected, likely.spread[at]), -2.0, 0.0), strict=True):
            if name != "as their record says" and i >= options.changed:
                continue
            off = (estimate[at] - sharpe) / math.sqrt(YEAR) * net.std(ddof=1) / np.mean(net != 0.0)
            watched = reversal(
                record, np.where(later != 0.0, later - off, 0.0), sharpe=expected, error=likely.spread[at],
                bars_per_year=YEAR, alarms=ALARMS, draws=DRAWS, block=options.block, seed=i % 7,
            )  # fmt: skip
            flagged[name].append(watched.crossed)
    for name, days in flagged.items():
        say(f"{'real records, ' + name:<44} {summary(days, 2 * YEAR)}")


def real_records(folder: Path) -> tuple[FloatArray, FloatArray, dict[int, FloatArray]]:
    """Sharpe ratios of a dataset's graded runs, their errors, and the net returns of the passing ones by place."""
    columns = ["record_id", "sharpe", "n_oos", "net"]
    parts = [pl.read_parquet(path, columns=columns) for path in sorted(folder.glob("b*.grades.parquet"))]
    rows = pl.concat(parts).unique("record_id", keep="first", maintain_order=True).drop_nulls("sharpe")
    ratio, bars = rows["sharpe"].to_numpy(), rows["n_oos"].cast(pl.Float64).to_numpy()
    nets = {
        at: np.array(net) for at, net in enumerate(rows["net"].to_list()) if net is not None and len(net) > 2 * YEAR
    }
    return ratio, sharpe_error(ratio, bars, np.full(ratio.size, float(YEAR))), nets


@dataclass(frozen=True)
class Predictions:
    """Labels and scores of runs on instruments that move together, shape (days, runs) each."""

    label: FloatArray
    score: FloatArray


def predicted(days: int, edge: FloatArray, rng: np.random.Generator) -> Predictions:
    """Scores that last, alike for all by a third, on returns that share a third of their variance."""
    runs = edge.size
    move = math.sqrt(1 / 3) * rng.normal(size=(days, 1)) + math.sqrt(2 / 3) * rng.normal(size=(days, runs))
    noise = math.sqrt(1 / 3) * persistent((days, 1), rng) + math.sqrt(2 / 3) * persistent((days, runs), rng)
    return Predictions((move > 0.0).astype(np.float64), noise + edge / 0.45 * move)


def persistent(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """AR(1) of 0.9 and variance 1."""
    steps = rng.normal(size=shape)
    steps[0] /= math.sqrt(1 - 0.81)
    series: FloatArray = lfilter([math.sqrt(1 - 0.81)], [1.0, -0.9], steps, axis=0)
    return series


def study_edge(options: argparse.Namespace) -> None:
    """All champions together: runs whose AUC is high become champions; their edge stays, or is gone."""
    for runs in options.runs:
        rng = np.random.default_rng(options.seed)
        flagged: dict[str, list[int | None]] = {"as their record says": [], "edge gone": []}
        sizes, aucs = [], []
        for repeat in range(options.repeats):
            truth = np.where(rng.random(runs) < 0.3, 0.03, 0.0)
            edges = {"as their record says": truth, "edge gone": np.zeros(runs)}
            past = predicted(options.record, truth, rng)
            found = np.array([auc(past.label[:, i], past.score[:, i]) for i in range(runs)], dtype=np.float64)
            ups = past.label.sum(axis=0)
            likely = shrunk(found, auc_error(ups, options.record - ups), unskilled=0.5)
            kept = np.flatnonzero(found >= 0.52)
            if not kept.size:
                continue
            sizes.append(kept.size)
            aucs.append((found[kept].mean(), likely.mean[kept].mean(), truth[kept].mean() + 0.5))
            for name, edge in edges.items():
                later = predicted(3 * YEAR, edge, rng)
                flagged[name].append(joint_crossing(past, later, kept, likely, options.block, repeat % 7))
        say(
            f"{runs} runs, {np.mean(sizes):.1f} champions; AUC {np.mean([a for a, _, _ in aucs]):.4f}, shrunk"
            f" {np.mean([b for _, b, _ in aucs]):.4f}, true {np.mean([c for _, _, c in aucs]):.4f}"
        )
        for name, days in flagged.items():
            say(f"{name:<44} {summary(days, 3 * YEAR)}")


def joint_crossing(
    past: Predictions, later: Predictions, kept: IntArray, likely: Shrunk, block: int, seed: int
) -> int | None:
    """First day on which all champions together are flagged; None where they have no edge to lose."""
    record, live = np.empty((past.label.shape[0], kept.size)), np.empty((later.label.shape[0], kept.size))
    for column, i in enumerate(kept):
        edge = ScoreEdge.of(past.label[:, i], past.score[:, i])
        assert edge is not None
        record[:, column] = edge.days(past.label[:, i], past.score[:, i])
        live[:, column] = edge.days(later.label[:, i], later.score[:, i])
    joint = joint_edge(record, live, likely.mean[kept] - 0.5, likely.spread[kept])
    if joint is None:
        return None
    return loss_of_edge(joint, looks=YEAR, alarms=ALARMS, draws=DRAWS, block=block, seed=seed).crossed


def study_book(options: argparse.Namespace) -> None:
    """A book of one true Sharpe ratio, that keeps or loses it: only its returns are looked at."""
    for sharpe in (1.0, 2.0):
        rng = np.random.default_rng(options.seed)
        process = traded(options.champions, options.record + 3 * YEAR, rng)
        truth, gone = np.full(options.champions, sharpe), np.zeros(options.champions)
        record = process.net(truth)[:, : options.record]
        for name, later in (("kept", process.net(truth)), ("gone", process.net(gone))):
            found = [
                reversal(
                    record[i], later[i, options.record :], sharpe=sharpe, alternative=0.0, bars_per_year=YEAR,
                    alarms=ALARMS, draws=DRAWS, block=options.block, seed=i % 7,
                ).crossed
                for i in range(options.champions)
            ]  # fmt: skip
            say(f"{f'book of Sharpe ratio {sharpe:g}, edge {name}':<44} {summary(found, 3 * YEAR)}")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def main() -> None:
    studies = {"champions": study_champions, "records": study_records, "edge": study_edge, "book": study_book}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=tuple(studies))
    parser.add_argument("--champions", type=int, default=1000)
    parser.add_argument("--changed", type=int, default=300, help="champions that change")
    parser.add_argument("--record", type=int, default=2000, help="out-of-sample days")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--runs", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--folder", default="data/runs/demo", help="of the real records")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    studies[options.study](options)


if __name__ == "__main__":
    main()
