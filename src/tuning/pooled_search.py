"""Search for a pooled model's settings by the net return of its portfolio, and judge the winner on other names.

One study a family and class, one trial after the other. A study that was interrupted proposes what an undisturbed one
would have.
"""

from __future__ import annotations

import dataclasses
import logging
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.code_hash import code_digest
from src.core.failure import Failure
from src.core.hashing import json_digest
from src.evaluation.pooled.inference import newey_west
from src.models.registry import family, pooled_family
from src.runtime.redaction import shown
from src.training.pooled.keys import fit_code, returns_code
from src.tuning.pooled_market import PooledMarket
from src.tuning.pooled_trial import Traded, pooled_settings, pooled_trial
from src.tuning.settings import PooledTuning
from src.tuning.study import POOLED, FinishedTrial, Study
from src.tuning.winner_files import TunedStudy, WinnerFile

if TYPE_CHECKING:
    from src.config.schema import ModelConfig

log = logging.getLogger(__name__)


def pooled_study(settings: PooledTuning, market: PooledMarket, model: ModelConfig) -> Study:
    """Open the study whose name holds the hash of everything that a trial's value depends on.

    Parameters
    ----------
    settings : PooledTuning
    market : PooledMarket
        What may be read of a class.
    model : ModelConfig
        A family with its default settings.

    Returns
    -------
    Study
    """
    common, scope = settings.common, f"{POOLED}{market.asset_class}"
    library: Any = pooled_family(model.family)
    parts = {
        "data": [market.digest, list(market.ranks.files.values())],
        "label": dataclasses.asdict(common.label),
        "split": dataclasses.asdict(common.inner_split),
        "scope": [settings.scope.objective, settings.scope.train_every],
        "eligibility": dataclasses.asdict(settings.eligibility),
        "portfolio": dataclasses.asdict(settings.portfolio),
        "defaults": dataclasses.asdict(pooled_settings(model)),
        "device": model.device,
        "space": {name: dataclasses.asdict(bounds) for name, bounds in family(model.family).SPACE.items()},
        "tune": [common.tune.max_cost],
        "seed": common.seed,
        "library": library.LIBRARY.version,
        "code": [fit_code(model.family), returns_code(), code_digest(pooled_trial)],
    }
    return Study(
        path=common.paths.tuning,
        name=f"{model.family}-{scope}-{json_digest(parts)[:12]}",
        family=model.family,
        scope=scope,
        defaults=parts["defaults"],
        seed=common.seed,
        prune_p=0.0,
        max_cost=common.tune.max_cost,
        about={"before": str(market.before), "validated": [str(day) for day in market.validated], "parts": parts},
    )


def pooled_search(
    settings: PooledTuning, market: PooledMarket, model: ModelConfig, study: Study, advance: Callable[[], None]
) -> TunedStudy:
    """Make the trials of a study that are missing, and judge the best of them.

    Parameters
    ----------
    settings : PooledTuning
    market : PooledMarket
    model : ModelConfig
        A family with its default settings.
    study : Study
        From `pooled_study`.
    advance : function
        Called after each trial.

    Returns
    -------
    TunedStudy
    """
    tune, begun = settings.common.tune, time.monotonic()
    while len(study.finished) < tune.trials:
        late = tune.timeout is not None and time.monotonic() - begun >= tune.timeout
        if late and study.finished:
            break
        _make_trial(settings, market, model, study)
        advance()
    default = study.finished[0]
    if default.reason:
        return TunedStudy(study, None, f"the default settings fail: {default.reason}")
    best = max((trial for trial in study.finished if not trial.reason), key=lambda trial: (trial.value, -trial.number))
    if best is default:
        return TunedStudy(study, None, f"none of {len(study.finished)} trials beat the default settings")
    return _judged(settings, market, model, study, best)


def _make_trial(settings: PooledTuning, market: PooledMarket, model: ModelConfig, study: Study) -> None:
    params = study.ask()
    try:
        found = pooled_trial(market, market.search, model, params, settings.scope, settings.common.seed)
    except Exception as error:  # noqa: BLE001 - settings on which a library raises are a trial that failed
        failure = Failure.of(error)
        log.error("%s: %s", study.name, failure.reason, extra={"traceback": failure.traceback})
        study.fail(shown(failure.reason))
        return
    study.report([found.sharpe], [found.cpu_seconds])
    study.complete()


def _judged(
    settings: PooledTuning, market: PooledMarket, model: ModelConfig, study: Study, best: FinishedTrial
) -> TunedStudy:
    """Compare the best and the default settings on the half of the names that did not choose."""
    key = f"confirmed-{best.number}"
    if study.remembered(key) is None:
        seed = settings.common.seed
        winner, default = (
            pooled_trial(market, market.confirm, model, params, settings.scope, seed)
            for params in (best.params, study.defaults)
        )
        study.remember(key, gain(winner, default, settings.common.label.horizon, market.search.bars_per_year))
    gained, tune = study.remembered(key), settings.common.tune
    better = gained["error"] is not None and gained["mean"] > tune.min_gain * gained["error"]
    error = "undefined" if gained["error"] is None else f"{gained['error']:.2%}"
    verdict = "better than its noise" if better else "no better than its noise"
    reason = (
        f"{verdict}: {gained['mean']:+.2%} net a year against the default settings on the other half of the names, "
        f"standard error {error}, Sharpe {gained['winner']:.2f} against {gained['default']:.2f}, at "
        f"{gained['cost']:.1f} times the CPU"
    )
    if not better and not tune.force:
        return TunedStudy(study, None, f"{reason}; not written")
    file = WinnerFile(
        family=study.family,
        scope=study.scope,
        device=model.device,
        classes=(market.asset_class,),
        trials=study.trials_made(),
        before=market.before,
        settings=best.params,
        header=_header(market, study, best, reason),
        section="pooled",
    )
    return TunedStudy(study, file, reason)


def gain(winner: Traded, default: Traded, horizon: int, bars_per_year: float) -> dict[str, float | None]:
    """Compare two portfolios of the same days, paired.

    Parameters
    ----------
    winner, default : Traded
        Of the same half of the names.
    horizon : int
        Of the label, in days: positions last about as long, so the error allows for twice as many lags.
    bars_per_year : float

    Returns
    -------
    dict
        ``mean`` and ``error``: the difference of net returns a year, and its standard error after Newey and West, None
        where it is not defined; ``winner``, ``default``: the Sharpe ratios; ``cost``: CPU of the winner in units of the
        default settings'.
    """
    difference = winner.net - default.net
    test = newey_west(difference, 2 * horizon)
    mean = float(np.mean(difference)) * bars_per_year
    return {
        "mean": mean,
        "error": abs(mean / test.t) if test.t else None,
        "winner": winner.sharpe,
        "default": default.sharpe,
        "cost": winner.cpu_seconds / max(default.cpu_seconds, 1e-9),
    }


def _header(market: PooledMarket, study: Study, best: FinishedTrial, reason: str) -> Sequence[str]:
    """Comments that say how the settings were chosen and how they did on the other half of the names."""
    first, last = market.validated
    times = study.count_confirmed()
    sentences = [
        f"{study.family}, pooled, for class {market.asset_class}: the best of {len(study.finished)} trials by the net "
        "Sharpe ratio of the portfolio of one half of the names, in a walk-forward inside the first training window: "
        f"days {first} to {last}, no bar of {market.before} or later.",
        f"Sharpe there: {best.value:.2f}, default settings {study.finished[0].value:.2f}: chosen as the highest, so it "
        "flatters.",
        f"{reason[0].upper()}{reason[1:]}.",
        *([f"This half of the names has judged {times} settings by now."] if times > 1 else []),
        f"Study {study.name} in {study.path.as_posix()}.",
    ]
    return [line for sentence in sentences for line in textwrap.wrap(sentence, 118, break_on_hyphens=False)]
