"""Addresses of MLflow's pages: the runs of a dataset, a run, families side by side, a registered model.

Pure functions, but for `experiment_id`, which asks the store. MLflow is not imported unless a server keeps the store.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from src.runtime.redaction import masked_address
from src.tracking.location import StoreLocation
from src.tracking.registry_sql import has_tables, registry_query
from src.tracking.server import HOST, PORT

LOCAL = f"http://{HOST}:{PORT}"
VIEW = "by-evidence"
"""Key of the saved view of each dataset's runs, see `src.tracking.view_state`."""


def runs_address(experiment_id: str, server: str = LOCAL) -> str:
    """Give the page of a dataset's runs: flat, the strongest evidence first, figures in sight.

    Parameters
    ----------
    experiment_id : str
    server : str
        Where ``python -m src.ui`` listens.

    Examples
    --------
    >>> runs_address("1")
    'http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=by-evidence'
    """
    return f"{server}/#/experiments/{experiment_id}/runs?viewStateShareKey={VIEW}"


def run_address(experiment_id: str, run_id: str, server: str = LOCAL) -> str:
    """Give the page of one run.

    Parameters
    ----------
    experiment_id, run_id : str
    server : str

    Examples
    --------
    >>> run_address("1", "ab12")
    'http://127.0.0.1:5000/#/experiments/1/runs/ab12'
    """
    return f"{server}/#/experiments/{experiment_id}/runs/{run_id}"


def compare_address(experiment_id: str, run_ids: Sequence[str], server: str = LOCAL) -> str:
    """Give the page that compares runs, such as the families of one instrument.

    Parameters
    ----------
    experiment_id : str
    run_ids : sequence of str
    server : str

    Examples
    --------
    >>> compare_address("1", ["a", "b"])
    'http://127.0.0.1:5000/#/compare-runs?runs=%5B%22a%22%2C%22b%22%5D&experiments=%5B%221%22%5D'
    """
    return f"{server}/#/compare-runs?runs={_listed(run_ids)}&experiments={_listed([experiment_id])}"


def model_address(name: str, version: int | None = None, server: str = LOCAL) -> str:
    """Give the page of a registered model, or of one version.

    Parameters
    ----------
    name : str
    version : int, optional
    server : str

    Examples
    --------
    >>> model_address("stock.BRK%2FB", 2)
    'http://127.0.0.1:5000/#/models/stock.BRK%252FB/versions/2'
    """
    page = f"{server}/#/models/{quote(name, safe='')}"
    return page if version is None else f"{page}/versions/{version}"


def server_address(location: StoreLocation) -> str:
    """Give the server that shows a store: the store itself where it is one, else where ``python -m src.ui`` listens.

    Parameters
    ----------
    location : StoreLocation
    """
    return masked_address(location.uri) if location.is_server else LOCAL


def experiment_id(location: StoreLocation, experiment: str) -> str | None:
    """Look up the id of an experiment.

    Parameters
    ----------
    location : StoreLocation
    experiment : str
        Its name, ``alpha-loop/demo``.

    Returns
    -------
    str or None
        None where the store has no such experiment, or is not there yet.

    Raises
    ------
    TrackingError
        If PostgreSQL or the server does not answer, or the server's registry has no gate.
    """
    return experiment_ids(location).get(experiment)


def experiment_ids(location: StoreLocation) -> dict[str, str]:
    """Look up the ids of all experiments of a store that are not deleted.

    Parameters
    ----------
    location : StoreLocation

    Returns
    -------
    dict of str to str
        Id by name; empty where the store is not there yet.

    Raises
    ------
    TrackingError
        If PostgreSQL or the server does not answer, or the server's registry has no gate.
    """
    if location.is_server:
        return _of_server(location)
    with registry_query(location) as query:
        if query is None or not has_tables(query, location):
            return {}
        rows = query("SELECT name, experiment_id FROM experiments WHERE lifecycle_stage = ?", ("active",))
    return {str(name): str(number) for name, number in rows}


def _of_server(location: StoreLocation) -> dict[str, str]:
    from src.tracking.connection import server_client
    from src.tracking.search import all_pages

    search = server_client(location).search_experiments
    found = all_pages(lambda token: search(max_results=1000, page_token=token))
    return {each.name: str(each.experiment_id) for each in found}


def _listed(values: Sequence[str]) -> str:
    """A list of texts as MLflow's pages take it."""
    return quote(json.dumps(list(values), separators=(",", ":")), safe="")
