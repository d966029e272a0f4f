"""MLflow's searches, by pages or a few hundred ids at a time, never one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

_IDS_PER_REQUEST = 200


def all_pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield every result of a paged search.

    Parameters
    ----------
    search : callable
        Takes a page token (None for the first page) and returns a page.
    """
    token = None
    while True:
        page = search(token)
        yield from page
        token = page.token
        if not token:
            return


def runs_by_id(
    client: MlflowClient, experiment: str, run_ids: Iterable[str], *, with_deleted: bool = False
) -> dict[str, Run]:
    """Find runs of an experiment.

    Parameters
    ----------
    client : MlflowClient
    experiment : str
        Its id.
    run_ids : iterable of str
    with_deleted : bool
        Whether deleted runs are found too.

    Returns
    -------
    dict
        Run by id; unknown ids are left out.
    """
    runs = {}
    view = 3 if with_deleted else 1  # ViewType.ALL, ViewType.ACTIVE_ONLY
    for ids in _quoted(run_ids):
        page = client.search_runs([experiment], f"attributes.run_id IN ({ids})", view, _IDS_PER_REQUEST)
        runs.update({run.info.run_id: run for run in page})
    return runs


def versions_by_run(client: MlflowClient, run_ids: Iterable[str]) -> dict[str, list[ModelVersion]]:
    """Find the registered versions that come from some runs, under any name.

    Parameters
    ----------
    client : MlflowClient
    run_ids : iterable of str

    Returns
    -------
    dict
        Versions by run id; runs without a version are left out.
    """
    versions: dict[str, list[ModelVersion]] = defaultdict(list)
    for ids in _quoted(run_ids):
        query = f"run_id IN ({ids})"
        for version in all_pages(lambda token, query=query: client.search_model_versions(query, page_token=token)):  # type: ignore[misc]
            versions[str(version.run_id)].append(version)
    return dict(versions)


def version_numbers(client: MlflowClient, run_ids: Iterable[str]) -> dict[str, dict[str, str]]:
    """Find the numbers of the registered versions that come from some runs.

    Parameters
    ----------
    client : MlflowClient
    run_ids : iterable of str

    Returns
    -------
    dict
        Number by name of the registered model, by run id; runs without a version are left out.
    """
    found = versions_by_run(client, run_ids)
    return {run_id: {each.name: str(each.version) for each in versions} for run_id, versions in found.items()}


def finished_models(client: MlflowClient, experiment: str) -> dict[str, LoggedModel]:
    """Find the finished logged models of an experiment.

    Parameters
    ----------
    client : MlflowClient
    experiment : str
        Its id.

    Returns
    -------
    dict
        Logged model by id.
    """
    models = all_pages(lambda token: client.search_logged_models([experiment], page_token=token))
    return {model.model_id: model for model in models if str(model.status) == "READY"}


def has_run(client: MlflowClient, run_id: str) -> bool:
    """Whether MLflow has a run, in any experiment and deleted or not.

    Parameters
    ----------
    client : MlflowClient
    run_id : str
    """
    from mlflow.exceptions import MlflowException

    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def _quoted(ids: Iterable[str]) -> Iterator[str]:
    """The ids in quotes, as a search takes them, a few hundred at a time."""
    unique = sorted(set(ids))
    for start in range(0, len(unique), _IDS_PER_REQUEST):
        yield ", ".join(f"'{each}'" for each in unique[start : start + _IDS_PER_REQUEST])
