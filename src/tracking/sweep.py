"""Remove what killed commands left in MLflow: half-written runs, and models that no run is tied to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from src.tracking.late_client import LateClient
from src.tracking.location import local_folder
from src.tracking.search import all_pages, versions_by_run
from src.tracking.sqlite_held import models_of_runs
from src.tracking.sqlite_runs import BulkRuns
from src.tracking.writer_tag import WRITER, is_writer_alive

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore

_SWEPT: set[tuple[str, str]] = set()


def sweep(target: MlflowStore) -> None:
    """Remove half-written runs and loose models of writers that have ended, once in a process.

    Registered models stay, and so does anything that a command on another machine may still be writing.

    Parameters
    ----------
    target : MlflowStore
        Where a tracking server keeps the files of models, they are not removed here.
    """
    client, experiment = target.client, target.experiment
    place = target.location.uri, experiment
    if place in _SWEPT:
        return
    if isinstance(client, LateClient) and not client.searches.has_leftovers(experiment, WRITER):
        _SWEPT.add(place)
        return
    half_written = f"attributes.status = 'RUNNING' AND tags.`{WRITER}` LIKE '%'"
    runs = all_pages(lambda token: client.search_runs([experiment], half_written, 1, page_token=token))
    ended = [run.info.run_id for run in runs if not is_writer_alive(run.data.tags[WRITER])]
    loose = list(_loose_models(target))
    versions = versions_by_run(client, [*ended, *(model.source_run_id for model in loose)])
    for run_id in ended:
        if run_id not in versions:
            client.delete_run(run_id)
    for model in loose:
        if any(_may_use(version, model.model_id) for version in versions.get(model.source_run_id, [])):
            continue
        client.delete_logged_model(model.model_id)
        if not target.location.is_server and (folder := local_folder(model.artifact_location)):
            shutil.rmtree(folder.parent, ignore_errors=True)
    _SWEPT.add(place)


def forget_swept() -> None:
    """Let the next `sweep` of this process look again."""
    _SWEPT.clear()


def _loose_models(target: MlflowStore) -> Iterator[Any]:
    """Models of training that their run does not name as its own, and whose writer has ended."""
    search, experiments = target.client.search_logged_models, [target.experiment]
    models = all_pages(lambda token: search(experiments, page_token=token))
    ours = [model for model in models if "alpha.record_id" in model.tags and model.source_run_id]
    named = _named_models(target, [model.source_run_id for model in ours])
    for model in ours:
        is_tied = named.get(model.source_run_id) == model.model_id
        if not is_tied and (WRITER not in model.tags or not is_writer_alive(model.tags[WRITER])):
            yield model


def _named_models(target: MlflowStore, run_ids: list[str]) -> dict[str, str]:
    """The model that each run names as its own, by run id."""
    if isinstance(target.runs, BulkRuns):
        return models_of_runs(target.runs)
    runs = target.runs_by_id(run_ids)
    return {run_id: run.data.params["model_id"] for run_id, run in runs.items() if "model_id" in run.data.params}


def _may_use(version: Any, model_id: str) -> bool:
    """Whether a version's files may be this model's: it names the model, or is a copy that names another version."""
    return str(version.source) == f"models:/{model_id}" or not str(version.source).startswith("models:/m-")
