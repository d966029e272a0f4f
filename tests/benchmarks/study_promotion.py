"""How often the demands of a promotion let through sessions without skill, and planted edges, by the product's grades.

A session without skill is a trained one whose predictions are displaced in time by one and the same number of days for
all instruments, and then graded again: moved by s bars, a run has as its grade what the shift test of the run itself
gives at shift s, and as its null the same figures counted from there, so one transform grades all sessions. Portfolios
without skill are those of a pooled session whose scores are displaced, or, with ``--bars``, those of
`study_pooled_nulls`, one a session; evidence is computed of those that clear the thresholds. An edge is planted by
scores that are normal, and higher before bars that rise, so that their true AUC is 0.56, in three families that agree
mostly; they are graded by `assess` on the bars of real instruments, among displaced runs.

    python -m tests.benchmarks.study_promotion --data data --universe full --pooled-data data --pooled-universe demo
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.signal import lfilter
from scipy.special import expit, ndtri

from src.config.paths import DatasetPaths
from src.config.schema import EligibilityConfig, GradeConfig, LabelConfig, PortfolioConfig, SplitConfig, StrategyConfig
from src.core.arrays import FloatArray, IntArray
from src.evaluation import labels
from src.evaluation.assessment import _traded, assess
from src.evaluation.grade import Thresholds
from src.evaluation.graded_bars import graded_bars
from src.evaluation.labels import Decisions
from src.evaluation.multiple_testing import with_q_values
from src.evaluation.pooled.assessment import assess_pooled
from src.evaluation.pooled.graded_days import GradedDays, PooledRun
from src.evaluation.pooled.luck import gate_values
from src.evaluation.shift_test import Shifts, common_shifts
from src.evaluation.significance import upper_tail, z_score
from src.training import walk_forward
from src.training.pooled.regrading import PooledChoices, PooledRegrader, _gate_figures
from src.training.pooled.settings import PooledSettings
from src.training.regrading import Regrader, section
from src.training.run_store import RunStore
from tests.benchmarks.study_pooled_nulls import KINDS, Bench, bench, from_parquet, planted

LIMITS = (1.0, 0.2, 0.1, 0.08, 0.05, 0.02)  # of the q-value; at 1 the thresholds alone decide
LEAST = 1000  # out-of-sample bars to be promoted
EDGE = 0.56
PAIRS = ((1.0, 1.0), (0.2, 0.2), (0.1, 0.1), (0.1, 0.05), (0.05, 0.05))  # instruments, portfolios
AGREEMENT = 0.8  # correlation between the noise of two families
EMBEDDED = ((20, 700), (1, 700), (20, 90))  # planted instruments, and all


@dataclass(frozen=True)
class StoredRun:
    """Stored predictions of one run, and what they are graded on."""

    asset_class: str
    symbol: str
    family: str
    probability: FloatArray
    positions: IntArray
    decisions: Decisions
    strategy: StrategyConfig
    gate: GradeConfig
    trials: int


class InstrumentRuns(Regrader):
    """Collects the runs of the last session of a dataset, as regrading reads them."""

    def __init__(self, paths: DatasetPaths) -> None:
        super().__init__(paths, StrategyConfig(), GradeConfig())
        self.found: list[StoredRun] = []

    def _graded(
        self, run: Mapping[str, Any], parts: Any, predicted: Any, bars: pl.DataFrame, settings: Any, n_trials: int
    ) -> dict[str, Any]:
        label = section(LabelConfig, parts["label"])
        split = section(SplitConfig, parts["split"])
        yearly = walk_forward.bars_per_year(bars, run["asset_class"])
        decisions = labels.decisions(bars, label, self._market(label, split.until), yearly)
        positions = decisions.positions(np.asarray(predicted["oos_date"], dtype="datetime64[us]"))
        probability = np.asarray(predicted["oos_probability"], dtype=np.float64)
        key = run["asset_class"], run["symbol"], run["family"]
        self.found.append(
            StoredRun(*key, probability, positions, decisions, settings.strategy, settings.grade, n_trials)
        )
        return {}


class PooledRuns(PooledRegrader):
    """Collects the pooled runs of the last session of a dataset."""

    def __init__(self, paths: DatasetPaths) -> None:
        super().__init__(paths, PooledChoices(PortfolioConfig(), GradeConfig(), None))
        self.found: list[tuple[PooledRun, PooledSettings, int]] = []

    def _graded(
        self,
        parts: Any,
        data: Any,
        settings: PooledSettings,
        n_trials: int,
        *,
        whole: bool,  # noqa: ARG002
    ) -> Mapping[str, Any]:
        from src.training.pooled import regrading

        kept = regrading.assess_pooled
        try:
            regrading.assess_pooled = self._keep  # type: ignore[assignment]
            self._held = (settings, n_trials)
            super()._graded(parts, data, settings, n_trials, whole=True)
        finally:
            regrading.assess_pooled = kept
        return {}

    def _keep(self, run: PooledRun, *_args: Any, **_kwargs: Any) -> Any:
        self.found.append((run, *self._held))
        return argparse.Namespace(values={})


def last_session(store: RunStore, path: Path) -> pl.DataFrame:
    """Stored grades of the session that the grades table shows."""
    keys = pl.read_parquet(path, columns=["record_id", "strategy_key", "graded_by"], glob=False)
    graded = pl.concat([store.grades(key) for key in keys["graded_by"].unique()], how="diagonal_relaxed")
    return graded.join(keys, on=keys.columns, how="semi")


# sessions without skill ----------------------------------------------------------------------------------------------


def displaced_grades(run: StoredRun, sessions: int) -> Iterator[dict[str, Any]]:
    """Grade a run under each common displacement: what promotion asks of it, one row a session."""
    limits = Thresholds.of(run.gate)
    bars = graded_bars(run.positions, run.decisions, run.strategy)
    shifted = _traded(run.probability, bars).shifts(limits, run.gate.exclude_lags)
    if not shifted.admissible.size:
        return
    moves = common_shifts(sessions, shifted.admissible.size, run.decisions.bars_per_year)
    for session, move in enumerate(moves):
        yield {
            "session": session,
            "asset_class": run.asset_class,
            "symbol": run.symbol,
            "family": run.family,
            "n_oos": run.positions.size,
            "n_trials": run.trials,
            "p_value": displaced_p(shifted, int(move)) if run.positions.size >= run.gate.min_oos else 1.0,
            "passed": bool(shifted.clears[move]),
        }


def displaced_p(shifted: Shifts, move: int) -> float:
    """P-value of the run that is moved by `move` bars: its null is every other admissible shift, counted from there."""
    n = shifted.auc.size
    null = shifted.auc[(move + shifted.admissible) % n]
    z = z_score(None if np.isnan(shifted.auc[move]) else float(shifted.auc[move]), null)
    return 1.0 if z is None else float(upper_tail(np.float64(z), null))


def promoted(rows: pl.DataFrame, limit: float) -> int:
    """Instruments of one session of which a run is promoted."""
    chosen = with_q_values(rows).filter(pl.col("passed"), pl.col("n_oos") >= LEAST, pl.col("q_value") <= limit)
    return chosen.select("asset_class", "symbol").n_unique()


def displaced_portfolios(paths: DatasetPaths, sessions: int) -> dict[int, list[dict[str, Any]]]:
    """Rows of the portfolios of each session; evidence is computed where the thresholds are cleared."""
    runs = PooledRuns(paths)
    list(runs.check(last_session(RunStore(paths.portfolios), paths.portfolio_grades)))
    rows: dict[int, list[dict[str, Any]]] = {session: [] for session in range(sessions)}
    for run, settings, trials in runs.found:
        days, gate = run.scores.shape[0], settings.training.grade
        moves = common_shifts(sessions, days - 2 * gate.exclude_lags, run.section.bars_per_year) + gate.exclude_lags
        for session, move in enumerate(moves):
            moved = replace(run, scores=np.roll(run.scores, int(move), axis=0))
            figures = _gate_figures(moved, settings)
            name = f"{run.section.asset_class}.{settings.portfolio.name}"
            row = {"asset_class": "pooled", "symbol": name, "n_oos": figures["n_oos"], "n_trials": trials}
            row |= {"passed": Thresholds.of(gate).cleared_by(_gated(figures)), "p_value": 1.0}
            if row["passed"]:
                choice, seed = settings.portfolio, settings.training.seed
                values = assess_pooled(moved, choice, settings.eligibility, gate, trials=trials, seed=seed).values
                row["p_value"] = values["p_value"]
            rows[session].append(row)
    return rows


def _gated(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != "n_oos"}


def skilless_portfolios(of: Bench, sessions: int, seed: int) -> dict[int, list[dict[str, Any]]]:
    """Rows of one portfolio a session, of scores without skill on real bars; see `study_pooled_nulls`."""
    choice, gate, rows = PortfolioConfig(), GradeConfig(common_shifts=40), {}
    for session in range(sessions):
        rng = np.random.default_rng([seed, session])
        run = of.run(KINDS[list(KINDS)[session % len(KINDS)]](of, rng))
        rows[session] = [pooled_row(run, choice, gate, session)]
    return rows


def pooled_row(run: PooledRun, choice: PortfolioConfig, gate: GradeConfig, seed: int) -> dict[str, Any]:
    """What promotion asks of a portfolio; its evidence is computed where it clears the thresholds."""
    days = GradedDays(run, choice, EligibilityConfig().delisting_return)
    held = days.trade(run.scores)
    figures = gate_values(days.tally(days.codes, days.scored), held.net, run.section.bars_per_year)
    row = {"asset_class": "pooled", "symbol": "stock.neutral", "n_oos": held.net.size, "n_trials": 1, "p_value": 1.0}
    row |= {"passed": Thresholds.of(gate).cleared_by(figures), "auc": figures["auc"], "sharpe": figures["sharpe"]}
    if row["passed"]:
        values = assess_pooled(run, choice, EligibilityConfig(), gate, trials=1, seed=seed).values
        row["p_value"] = values["p_value"]
    return row


def planted_portfolios(of: Bench, edges: int, seed: int) -> Iterator[str]:
    """Yield a line on each portfolio whose scores have a true AUC of about `EDGE`."""
    choice, gate = PortfolioConfig(), GradeConfig(common_shifts=16)
    for number in range(edges):
        rng = np.random.default_rng([seed, 7, number])
        tried = pooled_row(of.run(planted(of, 0.02, rng)), choice, replace(gate, min_auc=0.99), number)
        coefficient = 0.02 * (EDGE - 0.5) / (tried["auc"] - 0.5)
        row = pooled_row(of.run(planted(of, coefficient, rng)), choice, gate, number)
        yield "planted portfolio: " + ", ".join(f"{name} {row[name]:.3g}" for name in ("auc", "sharpe", "p_value"))


# planted edges --------------------------------------------------------------------------------------------------------


def planted_scores(label: FloatArray, families: int, persistence: float, rng: np.random.Generator) -> FloatArray:
    """P(up) of several families whose true AUC is `EDGE`, shape (families, n)."""
    distance = np.sqrt(2.0) * ndtri(EDGE)
    noise = rng.normal(size=(families + 1, label.size))
    noise[:, 0] /= np.sqrt(1.0 - persistence**2)
    noise = lfilter([np.sqrt(1.0 - persistence**2)], [1.0, -persistence], noise, axis=1)
    mixed = np.sqrt(AGREEMENT) * noise[0] + np.sqrt(1.0 - AGREEMENT) * noise[1:]
    score = mixed + distance * np.nan_to_num(label, nan=0.5)
    ups = np.nanmean(label)
    return np.asarray(expit(distance * (score - distance / 2.0) + np.log(ups / (1.0 - ups))))


def planted_rows(run: StoredRun, number: int, persistence: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Grades of an instrument with a planted edge, one row a family, on its last 1,250 to 1,500 decisions."""
    positions = run.positions[-int(rng.integers(1250, 1501)) :]
    scores = planted_scores(run.decisions.label[positions], 3, persistence, rng)
    graded = [assess(each, positions, run.decisions, run.strategy, run.gate, trials=3).values for each in scores]
    shown = ("n_oos", "n_trials", "p_value", "passed", "auc", "sharpe", "luck_rate", "deflated_sharpe")
    return [{"asset_class": "planted", "symbol": f"P{number}", **{name: row[name] for name in shown}} for row in graded]


def planted_shares(
    edges: list[list[dict[str, Any]]], nulls: pl.DataFrame, planted: int, total: int, rng: np.random.Generator
) -> dict[float, tuple[float, float]]:
    """Share of planted edges whose q-value is within each limit, and share that is promoted."""
    sessions = nulls["session"].unique().to_list()
    found: dict[float, list[tuple[bool, bool]]] = {limit: [] for limit in LIMITS}
    for start in range(0, len(edges) - planted + 1, planted):
        own = pl.DataFrame([row for rows in edges[start : start + planted] for row in rows])
        others = pl.concat([_null_instruments(nulls, total - planted, sessions, rng), own], how="diagonal_relaxed")
        graded = with_q_values(others).filter(pl.col("asset_class") == "planted")
        for limit in LIMITS:
            by = graded.group_by("symbol").agg(
                within=pl.col("q_value").min() <= limit,
                crowned=(pl.col("passed") & (pl.col("q_value") <= limit) & (pl.col("n_oos") >= LEAST)).any(),
            )
            found[limit] += by.select("within", "crowned").rows()
    return {limit: tuple(np.mean(pairs, axis=0)) for limit, pairs in found.items()}  # type: ignore[misc]


def _null_instruments(nulls: pl.DataFrame, count: int, sessions: list[int], rng: np.random.Generator) -> pl.DataFrame:
    """Displaced runs of as many instruments, of one session or, where it has fewer, of several."""
    parts: list[pl.DataFrame] = []
    for session in rng.permutation(sessions):
        own = nulls.filter(pl.col("session") == int(session)).with_columns(
            symbol=pl.format("{}#{}", "symbol", "session")
        )
        names = own.select("asset_class", "symbol").unique(maintain_order=True)
        parts.append(own.join(names.head(count - sum(part.select("symbol").n_unique() for part in parts)),
                              on=["asset_class", "symbol"], how="semi"))  # fmt: skip
        if sum(part.select("symbol").n_unique() for part in parts) >= count:
            break
    return pl.concat(parts).select("asset_class", "symbol", "n_oos", "n_trials", "p_value", "passed")


# tables ---------------------------------------------------------------------------------------------------------------


def null_table(nulls: pl.DataFrame, pooled: Mapping[int, list[dict[str, Any]]], sessions: int) -> Iterator[str]:
    """Yield the lines of a table: shares of sessions without skill that promote nothing."""
    by_session = nulls.partition_by("session", as_dict=True)
    counts = {limit: np.array([promoted(by_session[(s,)], limit) for s in range(sessions)]) for limit in LIMITS}
    tables = [pl.DataFrame(pooled.get(session, [])) for session in range(sessions)]
    of_portfolios = {
        limit: np.array([promoted(table, limit) if table.height else 0 for table in tables]) for limit in LIMITS
    }
    yield "| q-value at most | sessions | promote no instrument | instruments a session | promote no portfolio |"
    yield "|---" * 5 + "|"
    for limit in LIMITS:
        n, m = counts[limit], of_portfolios[limit]
        yield f"| {_named(limit)} | {n.size} | {np.mean(n == 0):.1%} | {n.mean():.2f} | {np.mean(m == 0):.1%} |"
    yield ""
    yield "| instruments' limit | portfolios' limit | promote nothing at all |"
    yield "|---|---|---|"
    for one, other in PAIRS:
        none = np.mean((counts[one] == 0) & (of_portfolios[other] == 0))
        yield f"| {_named(one)} | {_named(other)} | {none:.1%} |"


def planted_table(runs: list[StoredRun], nulls: pl.DataFrame, edges: int, seed: int) -> Iterator[str]:
    """Yield the lines of a table: shares of planted edges that meet the demand, and that are promoted."""
    titles = " | ".join(f"{planted} in {total}: q, promoted" for planted, total in EMBEDDED)
    yield f"| persistence | q-value at most | clear the thresholds | {titles} |"
    yield "|---" * (3 + len(EMBEDDED)) + "|"
    long_enough = [run for run in runs if run.positions.size >= 1250]
    for persistence in (0.0, 0.9):
        rng = np.random.default_rng([seed, int(100 * persistence)])
        drawn = [long_enough[int(rng.integers(len(long_enough)))] for _ in range(edges)]
        made = [planted_rows(run, number, persistence, rng) for number, run in enumerate(drawn)]
        passed = np.mean([any(row["passed"] for row in rows) for rows in made])
        shares = [planted_shares(made, nulls, planted, total, rng) for planted, total in EMBEDDED]
        for limit in LIMITS:
            figures = " | ".join(f"{share[limit][0]:.0%}, {share[limit][1]:.0%}" for share in shares)
            yield f"| {persistence:g} | {_named(limit)} | {passed:.0%} | {figures} |"


def _named(limit: float) -> str:
    return "(thresholds alone)" if limit >= 1 else f"{limit:g}"


def main(arguments: Iterable[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="data folder of the trained instruments")
    parser.add_argument("--universe", default="demo", help="their dataset")
    parser.add_argument(
        "--pooled-data", type=Path, help="data folder of the pooled scope; without it, instruments alone"
    )
    parser.add_argument("--pooled-universe", default="demo")
    parser.add_argument("--bars", type=Path, help="file of daily bars: portfolios of scores without skill on these")
    parser.add_argument("--sessions", type=int, default=100, help="sessions without skill")
    parser.add_argument("--edges", type=int, default=100, help="planted instruments")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(None if arguments is None else list(arguments))
    if asked.edges < (most := max(planted for planted, _ in EMBEDDED)):
        parser.error(f"--edges must be at least {most}, got {asked.edges}")
    paths = DatasetPaths(asked.data, asked.universe)
    runs = InstrumentRuns(paths)
    list(runs.check(last_session(RunStore(paths.runs), paths.grades)))
    rows = [row for run in runs.found for row in displaced_grades(run, asked.sessions)]
    nulls = pl.DataFrame(rows)
    names = nulls.select("asset_class", "symbol").n_unique()
    print(json.dumps({"runs": len(runs.found), "instruments": names, "bars": nulls["n_oos"].median()}), flush=True)  # noqa: T201
    pooled = {}
    if asked.bars is not None:
        of = bench(from_parquet(asked.bars), EligibilityConfig())
        pooled = skilless_portfolios(of, asked.sessions, asked.seed)
        for line in planted_portfolios(of, 3, asked.seed):
            print(line, flush=True)  # noqa: T201
    elif asked.pooled_data is not None:
        pooled = displaced_portfolios(DatasetPaths(asked.pooled_data, asked.pooled_universe), asked.sessions)
    for line in null_table(nulls, pooled, asked.sessions):
        print(line, flush=True)  # noqa: T201
    print()  # noqa: T201
    for line in planted_table(runs.found, nulls, asked.edges, asked.seed):
        print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
