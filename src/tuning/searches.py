"""Begin the searches of a dataset: one for each family and window, each with the study that stores its trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from src.core.errors import StageError
from src.core.hashing import json_digest
from src.models.registry import family
from src.training import code_keys
from src.tuning.sample import Sample, sample
from src.tuning.scheduler import Search
from src.tuning.settings import TuningSettings
from src.tuning.study import Study
from src.tuning.window import Window, windows

if TYPE_CHECKING:
    from src.config.schema import ModelConfig

FEWEST = 4
"""Instruments that search, and that confirm, below which a class is not tuned."""


def begin(settings: TuningSettings, models: Sequence[ModelConfig]) -> tuple[list[Search], list[str]]:
    """Begin one search for each family and window.

    Parameters
    ----------
    settings : TuningSettings
        The dataset and how it is searched.
    models : sequence of ModelConfig
        Families with their default settings.

    Returns
    -------
    searches : list of Search
        New ones, or those that go on from the trials that their studies hold.
    reasons : list of str
        Why windows are left out: they hold too few instruments.

    Raises
    ------
    StageError
        If no window holds enough instruments.
    """
    searches, reasons = [], []
    for window in windows(settings):
        drawn = sample(settings, window)
        if min(len(drawn.search), len(drawn.confirm)) < FEWEST:
            reasons.append(
                f"{window.scope} is not tuned: {len(window.eligible)} instruments have a walk-forward before "
                f"{window.before}, {2 * FEWEST} are needed"
            )
            continue
        searches += [_search(settings, model, window, drawn) for model in models]
    if not searches:
        raise StageError("; ".join(reasons))
    return searches, reasons


def _search(settings: TuningSettings, model: ModelConfig, window: Window, drawn: Sample) -> Search:
    """Open the study whose name holds the hash of everything that a trial's value depends on."""
    parts = _parts(settings, model, drawn)
    about = {
        "before": str(window.before),
        "validated": [str(drawn.first), str(drawn.last)],
        "searching": [":".join(instrument.key) for instrument in drawn.search],
        "confirming": [":".join(instrument.key) for instrument in drawn.confirm],
        "parts": parts,
    }
    study = Study(
        path=settings.paths.tuning,
        name=f"{model.family}-{window.scope}-{json_digest(parts)[:12]}",
        family=model.family,
        scope=window.scope,
        defaults=parts["defaults"],
        seed=settings.seed,
        prune_p=settings.tune.prune_p,
        max_cost=settings.tune.max_cost,
        about=about,
    )
    return Search(study, model, window, drawn, settings.tune, settings.seed)


def _parts(settings: TuningSettings, model: ModelConfig, drawn: Sample) -> dict[str, Any]:
    library, tune = family(model.family), settings.tune
    return {
        "data": drawn.digest,
        "label": dataclasses.asdict(settings.label),
        "split": dataclasses.asdict(settings.inner_split),
        "defaults": dataclasses.asdict(model.params),
        "device": model.device,
        "space": {name: dataclasses.asdict(bounds) for name, bounds in library.SPACE.items()},
        "tune": [tune.batch, tune.prune_p, tune.max_cost],
        "seed": settings.seed,
        "library": library.LIBRARY.version,
        "code": code_keys.fit_code(model.family, settings.label.kind),
    }
