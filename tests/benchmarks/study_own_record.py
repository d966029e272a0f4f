"""The book's own record where no model has skill, and where a third of them has: its Sharpe ratio, and what is honest.

Stocks follow a common market and walk at random; scores are smooth noise, or noise with an edge. Runs are graded as in
training, those that pass are champions, and `own_record` makes their record. Without skill the Sharpe ratio should be
that of the books without skill, and the p-value uniform.

    python -m tests.benchmarks.study_own_record --sessions 8
    python -m tests.benchmarks.study_own_record --sessions 3 --first 21 --edge 0.12    (an AUC of .56)
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from src.config.paths import DatasetPaths
from src.config.schema import BookConfig, GradeConfig, LabelConfig, StrategyConfig
from src.core.arrays import FloatArray
from src.evaluation import labels
from src.evaluation.assessment import assess
from src.market.bars import SCHEMA
from src.market.calendar import sessions
from src.signals.own_record import own_record
from src.storage import atomic
from src.tracking.crowned_versions import CrownedVersion
from src.training.run_tables import run_table
from tests.signals.netting_case import stored_bars

SESSION = "abcdef1234567890"
FIRST = 500  # bars before the first decision
SHOWN = (
    "champions", "sharpe", "always_long_sharpe", "null_sharpe", "null_sharpe_high", "sharpe_p_value", "luck_rate",
    "held_out_sharpe",
)  # fmt: skip


def prices(symbol: str, days: Any, market: FloatArray, rng: np.random.Generator) -> pl.DataFrame:
    """Bars of one stock."""
    close = 20.0 * np.exp(np.cumsum(market + rng.normal(0.0, 0.012, days.size)))
    opened = np.concatenate(([20.0], close[:-1])) * (1.0 + rng.normal(0.0, 0.002, days.size))
    frame = {"asset_class": "stock", "symbol": symbol, "date": days, "open": opened, "close": close, "volume": 1e6}
    frame |= {"high": np.maximum(opened, close) * 1.003, "low": np.minimum(opened, close) * 0.997}
    return pl.DataFrame(frame | {"factor": 1.0, "split": 1.0, "repaired": False}).select(list(SCHEMA)).cast(SCHEMA)  # type: ignore[arg-type]


def session(root: Path, seed: int, instruments: int, edge: float) -> list[CrownedVersion]:
    """Grade a session's runs and return those that pass; every third stock has the edge."""
    rng, days = np.random.default_rng(seed), sessions("stock", "2015-01-02", "2024-12-31")[-1900:]
    market, frames, runs, grades = rng.normal(0.0003, 0.008, days.size), [], [], []
    for number in range(instruments):
        bars = prices(f"S{number:05d}", days, market, rng)
        decided = labels.decisions(bars, LabelConfig())
        positions = np.arange(FIRST, days.size - 2)
        score = np.convolve(rng.normal(size=days.size), np.ones(3) / 3, "same")
        if number % 3 == 0:
            score = score + edge * np.nan_to_num(decided.label - 0.5)
        probability = (1.0 / (1.0 + np.exp(-0.3 * score - 0.05)))[positions]
        graded = assess(probability, positions, decided, StrategyConfig(), GradeConfig()).row()
        key = {"record_id": f"{decided.symbol}.0", "asset_class": "stock", "symbol": decided.symbol}
        frames.append(bars)
        grades.append(graded | key | {"graded_by": SESSION, "strategy_key": "s"})
        stored = {"date": days[positions], "stamp": days[positions + 2], "fold": np.zeros(positions.size, np.int32)}
        stored |= {"probability": probability, "label": decided.label[positions]}
        stored |= {"bar_return": decided.bar_return[positions]}
        about = dict.fromkeys(("run_key", "family", "session_key", "strategy_key", "git_commit", "library_version"), "")
        about |= {"params": "{}", "features": "[]", "parts": json.dumps({"label": asdict(LabelConfig())}), "attempt": 0}
        about |= dict.fromkeys(("n_train", "n_folds", "fit_seconds", "created_at", "planted", "tuning_trials"))
        lists = {f"oos_{name}": values for name, values in stored.items()} | {"importance": np.zeros(0, np.float32)}
        runs.append(key | about | {"run_key": decided.symbol} | lists)
    paths = DatasetPaths(root, "d")
    stored_bars(pl.concat(frames), paths.bars, [("stock", "S00000")])
    atomic.write_parquet(run_table(runs), paths.runs / f"b000-{SESSION[:8]}.runs.parquet")
    atomic.write_parquet(pl.DataFrame(grades, infer_schema_length=None), paths.grades)
    config = {"strategy": asdict(StrategyConfig()), "grade": asdict(GradeConfig())}
    note = {"key": SESSION, "config_yaml": yaml.safe_dump(config)}
    atomic.write_json(note, paths.runs / f"session-{SESSION[:8]}.json")
    passed = [row for row in grades if row["passed"]]
    return [CrownedVersion(f"stock.{row['symbol']}", 1, "", row["record_id"], "s", grade=row) for row in passed]


def main() -> None:
    """Print a row a session."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--first", type=int, default=1, help="seed of the first session")
    parser.add_argument("--instruments", type=int, default=150)
    parser.add_argument("--edge", type=float, default=0.0)
    asked = parser.parse_args()
    print(*SHOWN, sep="  ")  # noqa: T201
    for seed in range(asked.first, asked.first + asked.sessions):
        with tempfile.TemporaryDirectory() as folder:
            champions = session(Path(folder), seed, asked.instruments, asked.edge)
            record = own_record(champions, DatasetPaths(Path(folder), "d"), BookConfig(), GradeConfig())
        shown = (record.figures.get(name) for name in SHOWN)
        print(*(f"{value or 0.0:{len(name)}.2f}" for name, value in zip(SHOWN, shown, strict=True)), sep="  ")  # noqa: T201


if __name__ == "__main__":
    main()
