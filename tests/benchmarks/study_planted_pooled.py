"""How often the edge across simulated stocks is found and admitted, and what is admitted where there is none.

``python -m tests.benchmarks.study_planted_pooled --seeds 10`` runs the real commands on one simulated universe a seed;
``--none`` leaves both edges out, and ``--instrument`` trains the models of one stock too. One line a seed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from src.core.project import ROOT
from tests import process_case

FIGURES = ("auc", "accuracy", "sharpe", "max_drawdown", "ic", "adjusted_t", "luck_rate")


def command(root: Path, verb: str, *words: str) -> None:
    """Run a stage, as typed, with all its files below a folder."""
    folders = [
        f"data.root='{(root / 'data').as_posix()}'",
        f"data.logs='{(root / 'logs').as_posix()}'",
        f"tracking.uri='sqlite:///{(root / 'mlflow.db').as_posix()}'",
        f"tracking.artifacts='{(root / 'artifacts').as_posix()}'",
    ]
    environment = {**os.environ, "DVC_ROOT": str(root), "DVC_STAGE": "study"}
    process_case.run(
        [sys.executable, "-m", f"src.{verb}", "universe=demo", *folders, *words],
        cwd=ROOT, env=environment, check=True, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip


def studied(root: Path, seed: int, *, none: bool, instrument: bool) -> str:
    """Simulate, train and grade one universe; a line with its figures."""
    words = [f"source.simulated.seed={seed}", "source.simulated.etf=0", "source.simulated.crypto=0"]
    if none:
        words += ["source.simulated.edge=0", "source.simulated.pooled_edge=0"]
    command(root, "hydrate", *words)
    command(root, "featurize", *words)
    command(root, "train", "scope=pooled", *words)
    row = pl.read_parquet(root / "data/portfolios/demo/grades.parquet").row(0, named=True)
    line = f"{seed}: " + ", ".join(f"{name} {row[name]:.3f}" for name in FIGURES if row[name] is not None)
    line += f"; {'registrable' if row['registrable'] else 'refused'}"
    if not instrument:
        return line
    command(root, "train", "model=all", *words)
    runs = pl.read_parquet(root / "data/grades/demo.parquet").filter(~pl.col("planted"))
    own = runs.group_by("symbol").agg(pl.col("passed").any())
    return f"{line}; without an edge of their own {own['passed'].sum()} of {own.height} stocks pass"


def lines(seeds: int, *, none: bool, instrument: bool) -> Iterator[str]:
    """Yield one line a seed."""
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory(prefix="planted-") as folder:
            yield studied(Path(folder), seed, none=none, instrument=instrument)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--none", action="store_true", help="no edge anywhere")
    parser.add_argument("--instrument", action="store_true", help="train the models of one stock too")
    given = parser.parse_args()
    for each in lines(given.seeds, none=given.none, instrument=given.instrument):
        sys.stdout.write(f"{each}\n")
        sys.stdout.flush()
