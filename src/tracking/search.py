"""MLflow's searches, by pages or a few hundred ids at a time, never one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from src.tracking.batches import batches
from src.tracking.late_client import LateClient

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

_IDS_PER_REQUEST = 200
_PAGE = 1000
_PASSES = "attributes.status = 'FINISHED' AND tags.`alpha.passed` = 'true'"


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
    if isinstance(client, LateClient):
        return dict(client.searches.runs(experiment, run_ids, with_deleted=with_deleted))
    runs = {}
    view = 3 if with_deleted else 1  # ViewType.ALL, ViewType.ACTIVE_ONLY
    for ids in _quoted(run_ids):
        page = client.search_runs([experiment], f"attributes.run_id IN ({ids})", view, _IDS_PER_REQUEST)
        runs.update({run.info.run_id: run for run in page})
    return runs


def experiment_by_name(client: Any, name: str) -> Any:
    """Find an experiment, deleted or not; None where no experiment has that name.

    Parameters
    ----------
    client : MlflowClient or LateClient
    name : str
    """
    is_late = isinstance(client, LateClient)
    return client.searches.experiment(name) if is_late else client.get_experiment_by_name(name)


def all_versions(client: Any) -> list[Any]:
    """List all registered versions, of every dataset.

    Parameters
    ----------
    client : MlflowClient or LateClient
    """
    if isinstance(client, LateClient):
        return list(client.searches.versions())
    return list(all_pages(lambda token: client.search_model_versions(page_token=token)))


def aliased_versions(client: Any, alias: str) -> dict[str, int]:
    """Find which version of each registered model has an alias; the version may be gone.

    Parameters
    ----------
    client : MlflowClient or LateClient
    alias : str
    """
    if isinstance(client, LateClient):
        return dict(client.searches.aliased(alias))
    search = client.search_registered_models
    models = all_pages(lambda token: search(max_results=_PAGE, page_token=token))
    return {model.name: int(model.aliases[alias]) for model in models if alias in model.aliases}


def all_aliases(client: Any) -> dict[str, dict[str, int]]:
    """List the aliases of every registered model: version by alias, by name; the version may be gone.

    Parameters
    ----------
    client : MlflowClient or LateClient
    """
    if isinstance(client, LateClient):
        return dict(client.searches.aliases())
    search = client.search_registered_models
    models = all_pages(lambda token: search(max_results=_PAGE, page_token=token))
    return {model.name: {alias: int(number) for alias, number in model.aliases.items()} for model in models}


def session_run(client: Any, experiment: str, key: str) -> Any:
    """Find the first run of a session that is not deleted; None where it has none.

    Parameters
    ----------
    client : MlflowClient or LateClient
    experiment : str
        Its id.
    key : str
        Key of the session.
    """
    if isinstance(client, LateClient):
        return client.searches.session_run(experiment, key)
    query = f"tags.`alpha.session` = '{key}'"
    runs = client.search_runs([experiment], query, order_by=["start_time ASC"], max_results=1)
    return next(iter(runs), None)


def flagged_passes(client: Any, experiment: str) -> list[Any]:
    """List the finished passes of an experiment that are flagged as suspicious.

    Parameters
    ----------
    client : MlflowClient or LateClient
    experiment : str
        Its id.
    """
    if isinstance(client, LateClient):
        return list(client.searches.flagged_passes(experiment))
    return _runs(client, experiment, f"{_PASSES} AND tags.`alpha.suspicious` LIKE '%'")


def short_passes(client: Any, experiment: str, bars: float) -> list[Any]:
    """List the finished passes of an experiment with fewer out-of-sample bars than a number.

    Parameters
    ----------
    client : MlflowClient or LateClient
    experiment : str
        Its id.
    bars : float
    """
    if isinstance(client, LateClient):
        return list(client.searches.short_passes(experiment, bars))
    return _runs(client, experiment, f"{_PASSES} AND metrics.n_oos < {bars}")


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


def _runs(client: Any, experiment: str, query: str) -> list[Any]:
    return list(all_pages(lambda token: client.search_runs([experiment], query, 1, _PAGE, None, token)))


def _quoted(ids: Iterable[str]) -> Iterator[str]:
    """The ids in quotes, as a search takes them, a few hundred at a time."""
    for batch in batches(sorted(set(ids)), _IDS_PER_REQUEST):
        yield ", ".join(f"'{each}'" for each in batch)
