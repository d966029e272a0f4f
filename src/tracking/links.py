"""Addresses of MLflow's pages: the runs of a dataset, a run, families side by side, a registered model."""

from __future__ import annotations

from collections.abc import Sequence

from src.tracking.server import HOST, PORT

LOCAL = f"http://{HOST}:{PORT}"


def runs_address(experiment_id: str, server: str = LOCAL) -> str:
    """Give the page of a dataset's runs: flat, the strongest evidence first, figures in sight.

    Parameters
    ----------
    experiment_id : str
    server : str
        Where ``python -m src.ui`` listens.
    """
    raise NotImplementedError


def run_address(experiment_id: str, run_id: str, server: str = LOCAL) -> str:
    """Give the page of one run.

    Parameters
    ----------
    experiment_id, run_id : str
    server : str
    """
    raise NotImplementedError


def compare_address(experiment_id: str, run_ids: Sequence[str], server: str = LOCAL) -> str:
    """Give the page that compares runs, such as the families of one instrument.

    Parameters
    ----------
    experiment_id : str
    run_ids : sequence of str
    server : str
    """
    raise NotImplementedError


def model_address(name: str, version: int | None = None, server: str = LOCAL) -> str:
    """Give the page of a registered model, or of one version.

    Parameters
    ----------
    name : str
    version : int, optional
    server : str
    """
    raise NotImplementedError
