"""Keys of the pooled scope: of fits, runs, sessions and grades (contract 5 of the design).

A fit's key hashes what its scores depend on; portfolio, costs, thresholds and evidence stand outside, so changing them
grades again without fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from src.core.code_hash import code_digest
from src.core.hashing import json_digest
from src.models.registry import pooled_family

if TYPE_CHECKING:
    from src.config.schema import ModelConfig
    from src.training.pooled.settings import PooledSettings
    from src.training.run_key import SessionParts

THREADS = 1
"""Of every fit: part of its key, since the sums of several threads depend on their number."""
_DATA = ("bars", "panel", "facts", "listings", "fits")


@dataclass(frozen=True)
class ClassKey:
    """What the fits of one asset class share.

    Attributes
    ----------
    asset_class : str
    bars : str
        Hash of the class's bars up to ``split.until``.
    listings : str
        Hash of the kept listings that its categories are taken from.
    facts : str, optional
        Hash of the class's facts, where a feature looks at any.
    """

    asset_class: str
    bars: str
    listings: str = ""
    facts: str | None = None


def fit_parts(settings: PooledSettings, shared: SessionParts, key: ClassKey, model: ModelConfig) -> dict[str, Any]:
    """Collect by name everything that the fits of one family depend on.

    Parameters
    ----------
    settings : PooledSettings
    shared : SessionParts
        Split, seed, code of the features and hash of the panel that they look at.
    key : ClassKey
    model : ModelConfig

    Returns
    -------
    dict
        Plain values, as stored beside the run.
    """
    label = {name: value for name, value in asdict(settings.label).items() if name != "name"}
    params = model.pooled or model.params
    return {
        "bars": key.bars,
        "panel": shared.panel.get(key.asset_class),
        "listings": key.listings,
        "features": json_digest(dict(shared.features)),
        "label": label,
        "split": dict(shared.split),
        "scope": {"objective": settings.scope.objective, "train_every": settings.scope.train_every},
        "eligibility": _without_name(settings.eligibility),
        "model": {"family": model.family, "params": asdict(params), "device": model.device, "threads": THREADS},
        "library": pooled_family(model.family).LIBRARY.version,
        "code": fit_code(model.family),
        "seed": shared.seed,
    } | ({"facts": key.facts} if key.facts else {})


def run_parts(fits: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Parts of the key of a run over one or several families.

    Parameters
    ----------
    fits : mapping
        Family to what `fit_parts` returned.

    Returns
    -------
    dict
        What the families share, and of each its model, library and code; ``fits`` holds their keys.
    """
    own = ("model", "library", "code")
    first = next(iter(fits.values()))
    shared = {name: value for name, value in first.items() if name not in own}
    return {
        **shared,
        **{name: {kind: parts[name] for kind, parts in fits.items()} for name in ("model", "library")},
        "code": json_digest({kind: parts["code"] for kind, parts in fits.items()}),
        "fits": {kind: json_digest(dict(parts)) for kind, parts in fits.items()},
    }


def run_key(asset_class: str, symbol: str, parts: Mapping[str, Any]) -> str:
    """Key of a run: its portfolio's name and its fits."""
    return json_digest({"asset_class": "pooled", "class": asset_class, "symbol": symbol, **parts})


def settings_key(parts: Mapping[str, Any]) -> str:
    """Key of all that a run's fits depend on, but for the data."""
    return json_digest({name: value for name, value in parts.items() if name not in _DATA})


def portfolio_key(settings: PooledSettings) -> str:
    """Key of what turns scores into returns: settings and code."""
    return json_digest({**_without_name(settings.portfolio), "code": returns_code()})


def portfolio_settings_key(settings: PooledSettings) -> str:
    """Key of the settings that turn scores into returns, whatever the code."""
    return json_digest(_without_name(settings.portfolio))


def grade_key(settings: PooledSettings) -> str:
    """Key of what grades scores: portfolio, thresholds, the settings of the evidence, and the code of all."""
    grade = asdict(settings.training.grade)
    eligibility = _without_name(settings.eligibility)
    code = [portfolio_key(settings), grade_code()]
    return json_digest({"grade": grade, "eligibility": eligibility, "code": code, "seed": settings.training.seed})


def session_key(settings: PooledSettings, shared: SessionParts) -> str:
    """Key of one resolved configuration of the pooled scope; data, thresholds and evidence are no part of it."""
    families = [
        {"family": m.family, "params": asdict(m.pooled or m.params), "device": m.device, "classes": m.classes}
        for m in settings.training.models
    ]
    parts = {
        "scope": "pooled",
        "dataset": settings.training.dataset,
        "models": families,
        "ensemble": settings.is_ensemble,
        "label": {name: value for name, value in asdict(settings.label).items() if name != "name"},
        "split": dict(shared.split),
        "seed": shared.seed,
        "features": sorted(shared.features),
    }
    sections = (settings.scope, settings.eligibility, settings.portfolio)
    return json_digest({**parts, "sections": [_without_name(section) for section in sections]})


@cache
def fit_code(family_name: str) -> str:
    """Hash the code of eligibility, label, ranks, folds and fit."""
    from src.evaluation.pooled import eligibility, neutralising, styles, targets
    from src.evaluation.splits import walk_forward
    from src.market import cross_section
    from src.training.pooled import categories, eligible_features, fit_task, folds, ranks

    library = pooled_family(family_name)
    return code_digest(
        cross_section.cross_section, eligibility.eligible, styles.styles, neutralising.neutralised, targets.targets,
        walk_forward, folds.pooled_folds, ranks.ranked, fit_task.fit_fold, library.fit_pooled, library.score,
        eligible_features.EligibleRows, categories.weekdays, categories.EXCHANGE_NUMBERS,
    )  # fmt: skip


@cache
def returns_code() -> str:
    """Hash the code that turns scores into returns."""
    from src.evaluation.pooled import portfolio
    from src.training.pooled import score_store

    return code_digest(portfolio.traded, score_store.combined)


@cache
def grade_code() -> str:
    """Hash the code of everything that a grade holds."""
    from src.evaluation.pooled.assessment import assess_pooled

    return code_digest(assess_pooled)


def _without_name(section: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(section).items() if name != "name"}
