"""The pooled scope against Qlib's Alpha158 with its LightGBM: same names, same days, same refits, same trading rules.

Qlib needs an environment of its own (``pip install pyqlib``), whose interpreter is named. Its scores and those of the
product are traded by the same rules: quintiles, averaged over 5 and 20 days, bought at the next open, 5 basis points a
side and nothing else. Printed are rank IC, net Sharpe ratio, and the difference of net return a day with its 90%
interval by quarters. Both are fitted with several seeds, and refitted at the dates of the product's folds.

    python -m tests.benchmarks.study_qlib /tmp/qlib/bin/python --data data --universe full --seeds 1 2 3 4 5
"""

from __future__ import annotations

import argparse
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from src.config.compose import compose
from src.config.schema import Config
from src.core.arrays import FloatArray, Matrix
from src.core.project import ROOT
from src.evaluation.pooled.portfolio import traded
from src.market.bars import BarStore, tradable
from src.training.pooled.class_data import ClassBars, ClassData
from src.training.pooled.class_session import ClassSession
from src.training.pooled.session import PooledSession
from src.training.pooled.settings import PooledSettings

FIRST, LAST = "2019-01-02", "2024-03-28"
LEAST = 1e6  # median traded value a day before FIRST
AVERAGES = (5, 20)


@dataclass(frozen=True)
class Traded:
    """Daily net returns of one set of scores, and their mean rank IC over 20 days."""

    net: FloatArray
    ic: float


def show(what: object) -> None:
    print(what, flush=True)  # noqa: T201 (a study prints its result)


def exported(config: Config, path: Path) -> list[str]:
    """Write the bars of the liquid stocks for Qlib and return their symbols."""
    store, parts = BarStore(config.paths.bars), []
    for bucket in store.buckets():
        bars = store.read_bucket(bucket).filter((pl.col("asset_class") == "stock") & tradable())
        parts.append(bars)
    bars = pl.concat(parts).with_columns(pl.col("date").cast(pl.Date))
    bars = bars.filter(pl.col("date") <= pl.lit(LAST).str.to_date())
    before = bars.filter(pl.col("date") < pl.lit(FIRST).str.to_date())
    value = before.group_by("symbol").agg((pl.col("close") * pl.col("volume")).median().alias("value"), pl.len())
    names = value.filter((pl.col("value") >= LEAST) & (pl.col("len") >= 500))["symbol"].sort().to_list()
    factor = pl.col("factor").cast(pl.Float64)
    prices = {name: pl.col(name).cast(pl.Float64) * factor for name in ("open", "high", "low", "close")}
    table = bars.filter(pl.col("symbol").is_in(names)).sort("symbol", "date").select(
        "symbol", pl.col("date").dt.to_string(), **prices, volume=pl.col("volume").cast(pl.Float64)
    )  # fmt: skip
    table = table.with_columns(vwap=(pl.col("high") + pl.col("low") + pl.col("close")) / 3)
    table.write_parquet(path)
    return names


def qlib_scores(python: str, bars: Path, out: Path, boundaries: list[str], seeds: list[int]) -> None:
    """Fit and score in Qlib's environment the seeds whose scores are not there yet."""
    missing = [seed for seed in seeds if not Path(str(out).replace("SEED", str(seed))).is_file()]
    if missing:
        numbers = ",".join(map(str, missing))
        command = [python, "tests/benchmarks/qlib_scores.py", str(bars), str(out), numbers, *boundaries]
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"})


def on_calendar(path: Path, data: ClassData) -> Matrix:
    """Qlib's scores on the calendar of the class."""
    table = pl.read_parquet(path).with_columns(pl.col("date").cast(pl.Date))
    days = np.searchsorted(data.section.dates, table["date"].to_numpy())
    names = np.searchsorted(np.array(data.section.symbols), table["symbol"].to_numpy().astype(str))
    out = np.full(data.section.shape, np.nan, dtype=np.float32)
    out[days, names] = table["score"].to_numpy()
    return out


def product_scores(config: Config, names: list[str], seeds: list[int]) -> tuple[ClassData, list[Matrix]]:
    """Scores of the product on the same names, fitted here: as its own sessions do, with each seed."""
    from src.config.compose import families
    from src.training.pooled.fit_task import fit_fold

    found, data = [], None
    for seed in seeds:
        config.seed = seed
        session = PooledSession(PooledSettings.of(config, families(config)))
        keys = frozenset(("stock", name) for name in names)
        data = data or ClassData(ClassBars(session.inputs.bars, "stock", None, keys), config.eligibility, config.label)
        part = ClassSession(
            session.settings, session.inputs, data, session.scores, config.paths.ranks / f"study-{seed}"
        )
        for task in part.tasks():
            part.take(task, fit_fold(task))
        found.append(part.run_scores(part.plans[0]))
    assert data is not None
    return data, found


def outcome(scores: Matrix, data: ClassData, config: Config, average: int) -> Traded:
    """Trade scores by the common rules and measure their rank IC against the return over 20 days."""
    from scipy.stats import spearmanr

    section = replace(data.section, half_spread=np.zeros_like(data.section.half_spread))  # a flat cost alone
    days = slice(*np.searchsorted(section.dates, np.array([FIRST, LAST], "datetime64[D]")))
    config.portfolio.smoothing = average
    result = traded(
        scores, days, section, data.eligible, data.styles, config.portfolio, config.eligibility.delisting_return
    )
    ics = []
    for day in range(days.start, days.stop):
        both = np.isfinite(scores[day]) & np.isfinite(data.targets.forward[day])
        if both.sum() > 20:
            ics.append(spearmanr(scores[day, both], data.targets.forward[day, both]).statistic)
    return Traded(result.net, float(np.mean(ics)))


def sharpe(net: FloatArray) -> float:
    return float(net.mean() / net.std(ddof=1) * np.sqrt(252.0))


def interval(difference: FloatArray) -> tuple[float, float, float]:
    """Mean difference a day in basis points with its 90% interval, from quarters of 63 days."""
    quarters = np.array([part.mean() for part in np.array_split(difference, difference.size // 63)])
    half = 1.645 * quarters.std(ddof=1) / np.sqrt(quarters.size)
    return difference.mean() * 1e4, (quarters.mean() - half) * 1e4, (quarters.mean() + half) * 1e4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="interpreter of the environment that has pyqlib")
    parser.add_argument("--data", default="data")
    parser.add_argument("--universe", default="full")
    parser.add_argument("--scratch", type=Path, default=Path("data/cache/qlib"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    given = parser.parse_args()
    words = ["universe=full", f"universe.name={given.universe}", f"data.root={given.data}", "experiment=pooled"]
    rules = ["portfolio=quantiles", "portfolio.trade_every=1", "portfolio.signal_every=1", "portfolio.half_cent=0"]
    rules += ["portfolio.neutralised=false", "portfolio.beta_hedged=false", "portfolio.borrow_bps=0"]
    rules += ["tracking.enabled=false"]
    config = compose([*words, *rules, f"split.until={LAST}"])
    given.scratch.mkdir(parents=True, exist_ok=True)
    bars = given.scratch / "bars.parquet"
    names = exported(config, bars)
    data, product = product_scores(config, names, given.seeds)
    boundaries = [
        str(day) for day in np.arange("2018-07", "2024-03", 18, dtype="datetime64[M]").astype("datetime64[D]")
    ]
    qlib_scores(given.python, bars, given.scratch / "scores-SEED.parquet", boundaries, given.seeds)
    theirs = [on_calendar(given.scratch / f"scores-{seed}.parquet", data) for seed in given.seeds]
    show(f"{len(names)} stocks of at least ${LEAST:,.0f} a day, {FIRST} to {LAST}, {len(given.seeds)} seeds")
    for average in AVERAGES:
        ours = [outcome(each, data, config, average) for each in product]
        other = [outcome(each, data, config, average) for each in theirs]
        for label, found in (("product", ours), ("Qlib", other)):
            ratios = ", ".join(f"{sharpe(each.net):.2f}" for each in found)
            show(
                f"{average:3d} days  {label:8s} rank IC {np.mean([each.ic for each in found]):.4f}  net Sharpe {ratios}"
            )
        mean, low, high = interval(np.mean([a.net - b.net for a, b in zip(ours, other, strict=True)], axis=0))
        show(f"{average:3d} days  difference {mean:+.2f} bp a day (90%: {low:+.2f} to {high:+.2f})")


if __name__ == "__main__":
    main()
