"""Try settings on one instrument: its walk-forward inside the window, scored by AUC as the grade computes it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.failure import Failure
from src.evaluation import metrics
from src.models.registry import family
from src.training import expanding_window
from src.training.expanding_window import Examples
from src.tuning.sample import BLOCKS, SampledInstrument

if TYPE_CHECKING:
    from src.config.schema import ModelConfig
    from src.core.arrays import FloatArray

_PAUSE = 0.02  # seconds


@dataclass(frozen=True)
class Attempt:
    """One instrument under one setting; without an instrument, a short pause while other attempts are awaited.

    Attributes
    ----------
    search : int
        Index of the search in the scheduler.
    trial : int
        Number of the trial, or `DEFAULT` or `WINNER` of the scheduler for the confirmation.
    index : int
        Index of the instrument in its half of the sample.
    instrument : SampledInstrument, optional
        What is read.
    model : ModelConfig, optional
        Family, settings and device.
    feature_names : tuple of str
        Names of the columns of ``instrument.x``.
    seed : int
        Seed of the fits.
    """

    search: int = -1
    trial: int = -1
    index: int = -1
    instrument: SampledInstrument | None = None
    model: ModelConfig | None = None
    feature_names: tuple[str, ...] = ()
    seed: int = 0

    @property
    def device(self) -> str:
        """Device of the fits."""
        return self.model.device if self.model else "cpu"


@dataclass(frozen=True)
class Score:
    """Result of an attempt.

    Attributes
    ----------
    auc : float
        AUC of the validation predictions, put end to end.
    without : float64, shape (BLOCKS,)
        The same with each calendar block left out in turn; NaN where one direction is missing then.
    cpu_seconds : float
        CPU seconds of fits and predictions.
    """

    auc: float
    without: FloatArray
    cpu_seconds: float


def attempt(item: Attempt) -> Score | Failure | None:
    """Do one attempt: what a worker does.

    Parameters
    ----------
    item : Attempt
        What to try.

    Returns
    -------
    Score, Failure or None
        None of a pause. Settings on which a library raises are a final failure: the engine would try again what
        raises, and the search waits for it.
    """
    if item.instrument is None or item.model is None:
        time.sleep(_PAUSE)
        return None
    try:
        return score(item.instrument, item.model, list(item.feature_names), item.seed)
    except Exception as error:  # noqa: BLE001 - settings on which a library raises are a trial that failed
        return Failure.of(error, final=True)


def score(instrument: SampledInstrument, model: ModelConfig, feature_names: list[str], seed: int) -> Score:
    """Validate settings on an instrument's folds, fitted as training fits them.

    Parameters
    ----------
    instrument : SampledInstrument
        Features, labels and folds.
    model : ModelConfig
        Family, settings and device.
    feature_names : list of str
        Names of the columns of ``instrument.x``.
    seed : int
        Seed of the fits.

    Returns
    -------
    Score

    Raises
    ------
    ValueError
        If the validation labels are of one class.
    """
    library = family(model.family)  # the import is no fit
    started = time.process_time()
    x, label = instrument.x, instrument.label
    positions = np.flatnonzero(np.isfinite(label))
    examples = Examples(np.ascontiguousarray(x[positions]), label[positions], positions)
    ends = [fold.train.size for fold in instrument.folds]
    tests, probabilities = [], []
    models = expanding_window.window_models(examples, ends, model, feature_names, seed)
    for fold, booster in zip(instrument.folds, models, strict=True):
        test = fold.test[np.isfinite(label[fold.test])]
        tests.append(test)
        probabilities.append(library.predict(booster, np.ascontiguousarray(x[test])))
    cpu_seconds = time.process_time() - started
    tested, predicted = np.concatenate(tests), np.concatenate(probabilities)
    truth, block = label[tested], instrument.block[tested]
    auc = metrics.auc(truth, predicted)
    if auc is None:
        raise ValueError(f"{':'.join(instrument.key)} has validation labels of one class")
    kept = [block != left_out for left_out in range(BLOCKS)]
    without = [metrics.auc(truth[mask], predicted[mask]) for mask in kept]
    return Score(auc, np.array([np.nan if value is None else value for value in without]), cpu_seconds)
