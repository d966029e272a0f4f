"""Try settings on one instrument: its walk-forward inside the window, scored as the grade scores it, by AUC."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.evaluation import metrics
from src.models.registry import family
from src.training import expanding_window
from src.training.expanding_window import Examples
from src.tuning.sample import BLOCKS, Instrument

if TYPE_CHECKING:
    from src.config.schema import ModelConfig
    from src.core.arrays import FloatArray

_PAUSE = 0.02  # seconds


@dataclass(frozen=True)
class Attempt:
    """One instrument under one setting; without an instrument, a moment's rest while others are awaited."""

    lane: int = -1
    ticket: int = -1
    place: int = -1
    instrument: Instrument | None = None
    model: ModelConfig | None = None
    names: tuple[str, ...] = ()
    seed: int = 0

    @property
    def device(self) -> str:
        """Where it is fitted."""
        return self.model.device if self.model else "cpu"


@dataclass(frozen=True)
class Score:
    """What came of an attempt.

    Attributes
    ----------
    auc : float
        Of the validation predictions, put end to end.
    without : float64, shape (BLOCKS,)
        The same with each calendar block left out in turn; NaN where one direction is missing then.
    cpu : float
        Seconds of fits and predictions.
    """

    auc: float
    without: FloatArray
    cpu: float


@dataclass(frozen=True)
class Fault:
    """Why an attempt has no score. A value, because an engine tries again what raises, and a search waits for it."""

    reason: str
    traceback: str


def attempt(item: Attempt) -> Score | Fault | None:
    """Do one attempt: what a worker does."""
    if item.instrument is None or item.model is None:
        time.sleep(_PAUSE)
        return None
    try:
        return score(item.instrument, item.model, list(item.names), item.seed)
    except Exception as error:  # noqa: BLE001 - settings on which a library raises are a trial that failed
        return Fault(f"{type(error).__name__}: {error}", traceback.format_exc())


def score(one: Instrument, model: ModelConfig, names: list[str], seed: int) -> Score:
    """Validate settings on an instrument's folds, fitted as training fits them."""
    library = family(model.family)  # the import is no fit
    started = time.process_time()
    positions = np.flatnonzero(np.isfinite(one.label))
    known = Examples(np.ascontiguousarray(one.x[positions]), one.label[positions], positions)
    where, probability = [], []
    models = expanding_window.each(known, [fold.train.size for fold in one.folds], model, names, seed)
    for fold, booster in zip(one.folds, models, strict=True):
        test = fold.test[np.isfinite(one.label[fold.test])]
        where.append(test)
        probability.append(library.predict(booster, np.ascontiguousarray(one.x[test])))
    cpu = time.process_time() - started
    tests, predicted = np.concatenate(where), np.concatenate(probability)
    label, block = one.label[tests], one.block[tests]
    whole = metrics.auc(label, predicted)
    if whole is None:
        raise ValueError(f"{':'.join(one.key)} has validation labels of one class")
    kept = [block != each for each in range(BLOCKS)]
    without = [metrics.auc(label[mask], predicted[mask]) for mask in kept]
    return Score(whole, np.array([np.nan if each is None else each for each in without]), cpu)
