"""Scores of Qlib's Alpha158 with its LightGBM, refitted at given dates: run by `study_qlib` in Qlib's own environment.

The settings of the model are those of Qlib's published benchmark for this pair (workflow_config_lightgbm_Alpha158). For
each boundary the model learns from the days before it, the last year of them stopping it, and scores the days up to the
next boundary.

    MLFLOW_ALLOW_FILE_STORE=true <python> tests/benchmarks/qlib_scores.py <bars> <scores-SEED.parquet> 7 2019-01-01 ...
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import qlib
from qlib.contrib.data.handler import Alpha158
from qlib.contrib.model.gbdt import LGBModel
from qlib.data.dataset import DatasetH
from qlib.workflow import R

FIELDS = ("open", "high", "low", "close", "volume", "vwap")
SETTINGS = {
    "loss": "mse", "colsample_bytree": 0.8879, "learning_rate": 0.2, "subsample": 0.8789, "lambda_l1": 205.6999,
    "lambda_l2": 580.9768, "max_depth": 8, "num_leaves": 210, "num_threads": 1,
}  # fmt: skip
PURGED = 3  # sessions before each boundary whose label would look beyond it


def dump(bars: pd.DataFrame, folder: Path) -> list[str]:
    """Write bars in Qlib's own layout and return the calendar."""
    days = sorted(bars["date"].unique())
    row = {day: i for i, day in enumerate(days)}
    (folder / "calendars").mkdir(parents=True)
    (folder / "calendars" / "day.txt").write_text("\n".join(days), encoding="utf-8")
    lines = []
    for symbol, own in bars.groupby("symbol"):
        rows = own["date"].map(row).to_numpy()
        target = folder / "features" / str(symbol).lower()
        target.mkdir(parents=True)
        for field in FIELDS:
            values = np.full(rows[-1] - rows[0] + 1, np.nan)
            values[rows - rows[0]] = own[field]
            np.hstack([[rows[0]], values]).astype("<f4").tofile(target / f"{field}.day.bin")
        lines.append(f"{symbol}\t{days[rows[0]]}\t{days[rows[-1]]}")
    (folder / "instruments").mkdir()
    (folder / "instruments" / "all.txt").write_text("\n".join(lines), encoding="utf-8")
    return days


def scores(handler: Alpha158, days: list[str], boundaries: list[str], seed: int) -> pd.Series:
    """Scores from the first boundary on."""
    parts = []
    for boundary, end in zip(boundaries, [*boundaries[1:], "9999-12-31"], strict=True):
        before = [day for day in days if day < boundary][:-PURGED]
        valid = str(pd.Timestamp(boundary) - pd.DateOffset(years=1))[:10]
        test = [day for day in days if boundary <= day < end]
        segments = {
            "train": (before[0], [day for day in before if day < valid][-1 - PURGED]),
            "valid": (next(day for day in before if day >= valid), before[-1]),
            "test": (test[0], test[-1]),
        }
        model = LGBModel(**SETTINGS, seed=seed)
        data = DatasetH(handler, segments)
        with R.start(experiment_name="study"):
            model.fit(data, verbose_eval=0)
        parts.append(model.predict(data))
    return pd.concat(parts)


def main() -> None:
    bars, out, seed, *boundaries = sys.argv[1:]
    table = pd.read_parquet(bars)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        days = dump(table, folder)
        runs = f"file:{(Path(scratch) / 'runs').as_posix()}"
        manager = {"class": "MLflowExpManager", "module_path": "qlib.workflow.expm",
                   "kwargs": {"uri": runs, "default_exp_name": "study"}}  # fmt: skip
        qlib.init(provider_uri=str(folder), region="us", exp_manager=manager, kernels=1)
        handler = Alpha158(instruments="all", start_time=days[0], end_time=days[-1])
        for number in seed.split(","):
            found = scores(handler, days, boundaries, int(number)).rename("score").reset_index()
            found.columns = ["date", "symbol", "score"]
            found.to_parquet(out.replace("SEED", number))


if __name__ == "__main__":
    main()
