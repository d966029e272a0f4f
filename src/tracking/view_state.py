"""Views of a dataset's runs that MLflow's own page opens: which columns, in which order, sorted by what.

MLflow keeps a view that is saved there in a tag of the experiment, ``mlflow.sharedViewState.<key>``, lists it under
"Views", and opens it by ``?viewStateShareKey=<key>``. The views written here are such tags, so they work for any
browser, and a person may change or delete them like others. The tag ``mlflow.experimentKind`` says that the experiment
is about models, which keeps MLflow's pages on prompts and traces away.

Pure functions, but for `show_views`; MLflow is not imported here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from src.tracking.links import VIEW
from src.tracking.location import StoreLocation
from src.tracking.registry_sql import has_tables, registry_query

PASSES = "passes"
"""Key of the view of the runs that passed."""

KIND = {"mlflow.experimentKind": "custom_model_development"}
_PREFIX = "mlflow.sharedViewState."
_SAVED = 1_796_000_000_000  # milliseconds; a constant, as the same store has to give the same tags
_COLUMNS = {
    "attributes.`Run Name`": 185,
    "runDateAndNestInfo": 130,
    "metrics.`z`": 70,
    "metrics.`q_value`": 160,
    "metrics.`auc`": 78,
    "metrics.`accuracy`": 84,
    "metrics.`sharpe`": 80,
    "metrics.`max_drawdown`": 110,
    "params.`family`": 92,
    "tags.`alpha.passed`": 96,
    "metrics.`luck_rate`": 88,
    "tags.`alpha.registered`": 150,
}
"""Columns from left to right, with their width in pixels: all up to the family fit a window of 1,400 pixels.

A q-value has room for all of its digits, because MLflow cuts a number that does not fit: 5.2e-17 would read 5.2.
"""


def view_tags() -> dict[str, str]:
    """Give the tags of an experiment that make MLflow's page show its runs well.

    Returns
    -------
    dict of str to str
        The same for every dataset.
    """
    views = {VIEW: ("By evidence", ""), PASSES: ("Passes by evidence", "tags.`alpha.passed` = 'true'")}
    saved = {f"{_PREFIX}{key}": _saved(name, filter_) for key, (name, filter_) in views.items()}
    return KIND | saved


def lacking_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Give the tags of `view_tags` that an experiment lacks, or has as an earlier release wrote them.

    A view that a person saved under the same key stays as it is.

    Parameters
    ----------
    tags : mapping of str to str
        Of the experiment.
    """
    return {
        key: value
        for key, value in view_tags().items()
        if key not in tags or (tags[key] != value and _is_ours(tags[key]))
    }


def show_views(location: StoreLocation) -> None:
    """Give the experiments of a store the tags that they lack; where there are none to give, MLflow is not imported.

    Parameters
    ----------
    location : StoreLocation

    Raises
    ------
    TrackingError
        If the database is locked.
    """
    from src.tracking import sqlite_runs

    lacking = {number: lack for number, tags in _experiment_tags(location).items() if (lack := lacking_tags(tags))}
    if not lacking:
        return
    if location.database is not None and sqlite_runs.revision(location.database) in sqlite_runs.REVISIONS:
        sqlite_runs.tag_experiments(location.database, lacking)
        return
    from mlflow import MlflowClient

    client = MlflowClient(location.uri, location.uri)
    for number, added in lacking.items():
        for key, value in added.items():
            client.set_experiment_tag(number, key, value)


def _experiment_tags(location: StoreLocation) -> dict[str, dict[str, str]]:
    """Tags by id of the experiments that are the project's own, which ``alpha.dataset`` marks."""
    with registry_query(location) as query:
        if query is None or not has_tables(query, location):
            return {}
        rows = query("SELECT experiment_id, key, value FROM experiment_tags ORDER BY experiment_id", ())
    found: dict[str, dict[str, str]] = {}
    for number, key, value in rows:
        found.setdefault(str(number), {})[key] = value
    return {number: tags for number, tags in found.items() if "alpha.dataset" in tags}


def _is_ours(value: str) -> bool:
    """Whether a saved view was written here: MLflow's page notes another time when a person replaces it."""
    try:
        view = json.loads(value)
    except ValueError:
        return False
    return isinstance(view, dict) and view.get("createdAt") == view.get("updatedAt") == _SAVED


def _saved(name: str, search_filter: str) -> str:
    """One saved view, as MLflow's page writes it."""
    return json.dumps(
        {"name": name, "createdAt": _SAVED, "updatedAt": _SAVED, "state": json.dumps(_state(search_filter))}
    )


def _state(search_filter: str) -> dict[str, Any]:
    columns = [name for name in _COLUMNS if not name.startswith("attributes.")]
    return {
        "searchFilter": search_filter,
        "orderByKey": "metrics.`z`",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": list(_COLUMNS),
        "columnWidths": _COLUMNS,
        "groupBy": None,
    }
