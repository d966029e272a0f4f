"""One fit of the pooled scope, as a task for the engine: a family on the training days of one fold."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import Bytes, IntArray, Scores, Vector
from src.core.errors import StageError
from src.models.registry import load, pooled_family

if TYPE_CHECKING:
    from src.config.schema import ModelConfig
    from src.models.library import PooledFamily
    from src.training.pooled.ranks import RankTable

_BLOCK_DAYS = 20  # scored at a time


@dataclass(frozen=True)
class FitTask:
    """Plain values, so that any process can take them.

    Attributes
    ----------
    ranks : Path
        Folder of the class's ranks.
    target : Path
        Array beside them: what is fitted to, a float32 a row, NaN where it is not known.
    model : ModelConfig
    fold : str
        Name of the fold: its boundary, or ``all`` for the refit on every day.
    train : int64
        Days to learn from.
    score : slice, optional
        Days to score; None for none.
    seed : int
    objective : str
        ``regression`` or ``classification``.
    """

    ranks: Path
    target: Path
    model: ModelConfig
    fold: str
    train: IntArray
    score: slice | None
    seed: int
    objective: str

    @property
    def device(self) -> str:
        """Device that the task needs."""
        return self.model.device


@dataclass(frozen=True)
class FoldFit:
    """Result of a task.

    Attributes
    ----------
    scores : float32, shape (rows of the scored days,)
    n_train : int
        Rows that it learned from.
    importance : float64, shape (features,)
    seconds : float
        CPU seconds.
    model : bytes
        The native model, of the refit on every day; otherwise empty.
    """

    scores: Scores
    n_train: int
    importance: Vector
    seconds: float
    model: bytes = field(default=b"", repr=False)


def fit_fold(task: FitTask) -> FoldFit:
    """Fit a family on the rows of the training days and score the rows of the fold's days.

    Parameters
    ----------
    task : FitTask

    Returns
    -------
    FoldFit

    Raises
    ------
    StageError
        If the ranks do not lie where this process can read them, or no row has a target.
    """
    from src.training.pooled.ranks import RankTable

    if not task.target.is_file():
        raise StageError(
            f"{task.target} can't be read by this worker: scope=pooled needs the data folder at the same path on every "
            "node of a cluster"
        )
    load(task.model.family)
    started = time.process_time()
    library, table = pooled_family(task.model.family), RankTable.open(task.ranks)
    x, y = _training_rows(table, np.load(task.target, mmap_mode="r"), task.train)
    params = task.model.pooled or task.model.params
    model = library.fit_pooled(
        x, y, params, task.seed, list(table.columns), objective=task.objective, categories=table.categories,
        device=task.model.device,
    )  # fmt: skip
    n_train = len(y)
    del x, y
    scores = np.zeros(0, dtype=np.float32) if task.score is None else _scores(table, library, model, task.score)
    importance = library.importance(model, list(table.columns))
    content = library.to_bytes(model) if task.score is None else b""
    return FoldFit(scores, n_train, importance, time.process_time() - started, content)


def _training_rows(table: RankTable, target: Scores, days: IntArray) -> tuple[Bytes, Scores]:
    """Ranks and targets of the rows of some days whose target is known."""
    rows = table.days(days)
    rows = rows[np.isfinite(target[rows])]
    if rows.size == 0:
        raise StageError("no name is eligible on the training days: lower eligibility.min_dollar_volume")
    return table.read(rows), np.ascontiguousarray(target[rows])


def _scores(table: RankTable, library: PooledFamily, model: object, days: slice) -> Scores:
    """Scores of all rows of some days, block by block."""
    parts = []
    for start in range(days.start, days.stop, _BLOCK_DAYS):
        end = min(start + _BLOCK_DAYS, days.stop)
        rows = slice(int(table.offsets[start]), int(table.offsets[end]))
        if rows.stop > rows.start:
            parts.append(library.score(model, table.read(rows)))
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, dtype=np.float32)
