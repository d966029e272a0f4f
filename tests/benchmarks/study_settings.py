"""Which settings of the three families keep what slow ones find: the fits, and the tables of docs/settings.md.

``python -m tests.benchmarks.study_settings FOLDER --market bars.parquet`` makes what is missing in FOLDER and prints
the tables. Interrupted anywhere, the same command goes on. What it compares is in `tests.benchmarks.candidates`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from src.storage import atomic
from tests.benchmarks.candidates import FAMILIES, ORIGINAL, SHAPES, Shape
from tests.benchmarks.study_cells import BucketJob, Dataset, PoolJob, members, pool
from tests.benchmarks.study_tables import tables

PLANTED = [
    "source=simulated", "source.simulated.stock=90", "source.simulated.etf=60", "source.simulated.crypto=30",
    "source.simulated.pooled_edge=0",
]  # fmt: skip
# How far each shape is fitted where there are many small fits: the pool alone is given the longest.
MANY = {
    "small": (20, 30, 50),
    "fast": (15, 25, 50),
    "narrow": (30, 50),
    "shallow": (30, 50),
    "lean": (15, 25, 50),
    "mid": (50, 100),
}
HORIZONS = (1, 5, 20)
PARTS = ("pooled", "planted", "seconds", "real")
Job = BucketJob | PoolJob


def main(arguments: Sequence[str]) -> int:
    """Make the fits that are missing, then print the tables."""
    parser = _parser()
    chosen = parser.parse_args(list(arguments))
    folder = chosen.folder.resolve()
    if not (chosen.market or _real(chosen, folder).features.buckets()):
        parser.error(f"{folder} has no bars yet: name them by --market bars.parquet, or a data folder by --data")
    if chosen.only != "tables":
        _work(chosen, folder)
    if chosen.only == "fits":
        return 0
    planted = {path.name: Dataset(path, "demo") for path in sorted(folder.glob("planted-*"))}
    for line in tables(folder, _real(chosen, folder), planted, chosen.horizons):
        _say(line)
    return 0


def _real(chosen: argparse.Namespace, folder: Path) -> Dataset:
    return Dataset(chosen.data.resolve() if chosen.data else folder / "real")


def _work(chosen: argparse.Namespace, folder: Path) -> None:
    jobs = [job for part in chosen.parts for job in _jobs(chosen, folder, [part]) if job.missing()]
    started, done = time.monotonic(), 0
    if chosen.workers == 1:
        for job in jobs:
            job.run()
            done += 1
            _say(f"{done}/{len(jobs)} {job.name}, {time.monotonic() - started:.0f} s")
        return
    with ProcessPoolExecutor(chosen.workers, multiprocessing.get_context("spawn")) as workers:
        for job, _ in zip(jobs, workers.map(_run, jobs), strict=True):
            done += 1
            _say(f"{done}/{len(jobs)} {job.name}, {time.monotonic() - started:.0f} s")


def _run(job: Job) -> None:
    job.run()


def _jobs(chosen: argparse.Namespace, folder: Path, parts: list[str]) -> list[Job]:
    """The work of the named parts, in the order in which it is done."""
    shapes = [s for s in SHAPES if s.family in chosen.families and (not chosen.shapes or s.name in chosen.shapes)]
    real = _real(chosen, folder)
    found: list[Job] = []
    for part in parts:
        if part == "pooled":
            real.make(_market(chosen))
            folds = pool(folder, real, list(HORIZONS), chosen.rows)
            found += [PoolJob(folder, horizon, fold, shapes) for horizon in chosen.horizons for fold in folds]
        elif part == "real":
            real.make(_market(chosen))
            found += _buckets(folder, "real", real, _cut(shapes), _chosen(folder, real, chosen.instruments))
        elif part == "seconds":
            real.make(_market(chosen))
            found += _timed(folder, real, shapes, _chosen(folder, real, chosen.instruments), chosen.timed)
        else:
            for edge in chosen.edges:
                planted = Dataset(folder / f"planted-{edge:g}", "demo")
                planted.make([*PLANTED, f"source.simulated.edge={edge:g}"])
                keys = {(kind, symbol) for kind, symbol in planted.bars.manifest.planted}
                found += _buckets(folder, f"planted-{edge:g}", planted, _cut(shapes), keys)
    return found


def _timed(
    folder: Path, dataset: Dataset, shapes: list[Shape], among: set[tuple[str, str]], instruments: int
) -> list[BucketJob]:
    """A fit of its own for each number of rounds, stock by stock, so that all settings meet the same load."""
    keys = [key for key in sorted(among) if key[0] == "stock"][:instruments]
    alone = [(n, shape.cut((n,))) for shape in shapes for n in shape.rounds]
    numbers = sorted({n for n, _ in alone})
    return [
        job
        for key in keys
        for n in numbers
        for job in _buckets(folder, f"seconds-{n}", dataset, [shape for m, shape in alone if m == n], {key})
    ]


def _cut(shapes: list[Shape]) -> list[Shape]:
    return [s if s.name == ORIGINAL else s.cut(MANY[s.name]) for s in shapes if s.name in MANY or s.name == ORIGINAL]


def _buckets(folder: Path, part: str, dataset: Dataset, shapes: list[Shape], keys: set[Any]) -> list[BucketJob]:
    found = []
    for bucket in dataset.bars.buckets():
        here = set(dataset.bars.ledger.states(bucket).filter(state="done").select("asset_class", "symbol").rows())
        if here & keys:
            found.append(BucketJob(folder, part, dataset, bucket, shapes, here & keys))
    return found


def _chosen(folder: Path, dataset: Dataset, wanted: int) -> set[tuple[str, str]]:
    """The first ``wanted`` instruments that have a walk-forward, by bucket: buckets are drawn by a hash of the key."""
    path = folder / f"real-{wanted}.json"
    if not path.is_file():
        keys: list[tuple[str, str]] = []
        for bucket in dataset.bars.buckets():
            if len(keys) < wanted:
                keys += [each.key for each in members(dataset, bucket)]
        atomic.write_json([list(key) for key in keys], path)
    return {(kind, symbol) for kind, symbol in atomic.read_json(path)}


def _market(chosen: argparse.Namespace) -> list[str]:
    """Where the bars of a dataset that isn't there yet come from."""
    return ["source=folder", f"source.path={chosen.market.resolve()}"] if chosen.market else []


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.study_settings", description=__doc__)
    parser.add_argument("folder", type=Path, help="where fits are kept")
    parser.add_argument("--market", type=Path, help="Parquet file of bars, as source.path takes it")
    parser.add_argument("--data", type=Path, help="data folder that has universe=full, featurized")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    parser.add_argument("--shapes", nargs="+", default=[], help="of tests/benchmarks/candidates.py (all)")
    parser.add_argument("--horizons", nargs="+", type=int, default=[1, 5], choices=HORIZONS, help="of the pool (1 5)")
    parser.add_argument("--edges", nargs="+", type=float, default=[0.12], help="strengths of what is planted (0.12)")
    parser.add_argument("--only", choices=["fits", "tables"], help="make fits, or print what there is (both)")
    parser.add_argument("--rows", type=int, default=80_000, help="of a pooled fit (80000)")
    parser.add_argument("--instruments", type=int, default=208, help="real ones, at least (208)")
    parser.add_argument("--timed", type=int, default=6, help="stocks on which seconds are measured (6)")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
