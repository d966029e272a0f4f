"""MLflow's searches, asked a page or a few hundred ids at a time, never one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

_IDS = 200  # asked for in one request


def all_pages(page: Callable[[str | None], Any]) -> Iterator[Any]:
    """Everything that a paged search finds."""
    token = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if not token:
            return


def runs_by_id(client: MlflowClient, experiment: str, run_ids: Iterable[str]) -> dict[str, Run]:
    """Active runs of an experiment by their ids; unknown ids are left out."""
    found = {}
    for listed in _listed(run_ids):
        page = client.search_runs([experiment], f"attributes.run_id IN ({listed})", max_results=_IDS)
        found.update({run.info.run_id: run for run in page})
    return found


def versions_by_run(client: MlflowClient, run_ids: Iterable[str]) -> dict[str, list[ModelVersion]]:
    """Registered versions by the run behind them, under whatever name; runs without a version are left out."""
    found: dict[str, list[ModelVersion]] = defaultdict(list)
    for listed in _listed(run_ids):
        query = f"run_id IN ({listed})"
        for version in all_pages(lambda token, query=query: client.search_model_versions(query, page_token=token)):  # type: ignore[misc]
            found[str(version.run_id)].append(version)
    return dict(found)


def _listed(ids: Iterable[str]) -> Iterator[str]:
    """The ids between quotes, as searches take them, in pieces."""
    known = sorted(set(ids))
    for start in range(0, len(known), _IDS):
        yield ", ".join(f"'{each}'" for each in known[start : start + _IDS])
