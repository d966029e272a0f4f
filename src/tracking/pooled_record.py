"""What MLflow shows of a pooled run beside the figures of its grade: universe, families, eligibility and portfolio.

Pure functions; MLflow is not imported here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from src.core.hashing import json_digest

if TYPE_CHECKING:
    from src.tracking.settings import TrackedDataset

_SECTIONS = ("scope", "eligibility")  # of the parts of a run's key; label and split are shown of every run


def pooled_params(settings: TrackedDataset, row: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, str]:
    """Params of a pooled run that runs of instruments don't have.

    Parameters
    ----------
    settings : TrackedDataset
        Its portfolio and eligibility are those of the run's session.
    row : mapping
        The run and its grade.
    parts : mapping
        What the run's key was made of.

    Returns
    -------
    dict
        ``universe_class``, ``families``, ``n_names`` (the mean a day) where it is known, and the settings of scope,
        eligibility and portfolio.
    """
    kind, _, portfolio = str(row["symbol"]).partition(".")
    shown = {"universe_class": kind, "portfolio": portfolio, "families": ", ".join(families(row))}
    if row.get("names") is not None:
        shown["n_names"] = str(round(row["names"]))
    sections = {"eligibility": _settings(settings.eligibility), "portfolio": _settings(settings.portfolio)}
    sections |= {name: dict(parts[name]) for name in _SECTIONS if isinstance(parts.get(name), Mapping)}
    for name, values in sections.items():
        shown |= dict(flattened(name, values))
    return shown


def families(row: Mapping[str, Any]) -> list[str]:
    """Families of the models behind a pooled run: its own, or the members of an ensemble.

    Parameters
    ----------
    row : mapping
        ``family``, and ``params`` as JSON: those of an ensemble by the family of each member.

    Returns
    -------
    list of str
    """
    params = json.loads(row["params"] or "{}")
    members = [name for name, values in params.items() if isinstance(values, Mapping)]
    return members or [str(row["family"])]


def portfolio_settings(settings: TrackedDataset) -> str:
    """Hash of the settings that turn scores into returns, without their code.

    Parameters
    ----------
    settings : TrackedDataset
    """
    return json_digest(_settings(settings.portfolio))


def _settings(section: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(section).items() if name != "name"}


def flattened(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield settings as texts, those of nested sections by their path: ``model.lightgbm.rounds``.

    Parameters
    ----------
    prefix : str
        In front of every name.
    values : mapping
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(f"{prefix}.{name}", value)
        else:
            yield f"{prefix}.{name}", str(value)
