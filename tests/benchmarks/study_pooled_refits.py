"""Pooled models without skill, fitted whole: each name gets the features of another, the same one on all days.

Each draw rotates the ranks of the features among the names, fits every fold again and grades the portfolio as a session
does. Printed are the p-values, the luck rate and whether the run passed. Features moved in time would not do: those of
later days know which names will still be traded, and those of earlier days may know something.

    python -m tests.benchmarks.study_pooled_refits --data data --universe full --draws 5 model=lightgbm
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from src.config.compose import compose, families
from src.config.schema import Config
from src.core.arrays import BoolArray, IntArray
from src.evaluation.pooled.assessment import PooledAssessment, assess_pooled
from src.evaluation.pooled.graded_days import PooledRun
from src.models.pooled_columns import MISSING
from src.training.pooled.class_data import ClassBars, ClassData
from src.training.pooled.class_session import ClassSession
from src.training.pooled.fit_task import fit_fold
from src.training.pooled.ranks import INDEX, RankTable
from src.training.pooled.score_store import ScoreStore
from src.training.pooled.session import PooledSession
from src.training.pooled.settings import PooledSettings

SHOWN = ("auc", "sharpe", "p_value", "sharpe_p_value", "net_p", "ic_p", "luck_rate")


def show(what: object) -> None:
    print(what, flush=True)  # noqa: T201 (a study prints its result)


def rotated(table: RankTable, eligible: BoolArray, other: IntArray, folder: Path) -> RankTable:
    """Write a table that gives name j the features of name ``other[j]``, missing where that one is not eligible."""
    row_of = np.full(eligible.shape, -1, dtype=np.int64)
    row_of[eligible] = np.arange(table.rows)
    source = row_of[:, other][eligible]
    folder.mkdir(parents=True)
    for file in table.files.values():
        column = np.load(table.folder / file, mmap_mode="r")
        np.save(folder / file, np.where(source >= 0, column[np.maximum(source, 0)], MISSING).astype(np.uint8))
    for path in (table.folder / INDEX, *table.folder.glob("*.npz")):
        shutil.copy(path, folder / path.name)
    return RankTable.open(folder)


def graded(config: Config, part: ClassSession) -> PooledAssessment:
    """Fit what is missing of a class, one fit after the other, and grade the first run."""
    for task in part.tasks():
        part.take(task, fit_fold(task))
    data, scores = part.data, part.run_scores(part.plans[0])[part.days]
    run = PooledRun(data.section, data.eligible, data.styles, data.targets, scores, part.days)
    return assess_pooled(run, config.portfolio, config.eligibility, config.grade, trials=1, seed=config.seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data")
    parser.add_argument("--universe", default="full")
    parser.add_argument("--asset-class", default="stock")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--scratch", type=Path, default=Path("data/cache/refits"))
    parser.add_argument("words", nargs="*", help="further settings, such as model=lightgbm")
    given = parser.parse_args()
    words = ["universe=full", f"universe.name={given.universe}", f"data.root={given.data}", "experiment=pooled"]
    config = compose([*words, "tracking.enabled=false", *given.words])
    session = PooledSession(PooledSettings.of(config, families(config)))
    bars = ClassBars(session.inputs.bars, given.asset_class, None, session.instruments.by_class[given.asset_class])
    data = ClassData(bars, config.eligibility, config.label)
    folder = config.paths.ranks / given.asset_class
    real = ClassSession(session.settings, session.inputs, data, session.scores, folder)
    random = np.random.default_rng(config.seed)
    for draw in range(given.draws):
        order = random.permutation(data.section.shape[1])
        other = np.empty_like(order)
        other[order] = np.roll(order, 1)  # one cycle: no name keeps its own features
        scratch = given.scratch / f"{draw}"
        shutil.rmtree(scratch, ignore_errors=True)
        part = replace(real, scores=ScoreStore(scratch), folder=scratch / "ranks", failures={}, models={})
        part.__dict__["ranks"] = rotated(real.ranks, data.eligible, other, scratch / "ranks")
        found = graded(config, part).values
        figures = ", ".join(f"{name} {found[name]:.3f}" for name in SHOWN)
        show(f"draw {draw}: {'passed' if found['passed'] else 'failed'}; {figures}")
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
