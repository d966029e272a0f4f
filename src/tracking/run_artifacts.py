"""Files beside a run in MLflow: the tear sheet of a pass, the report of a session.

A run's tag ``alpha.artifacts`` has the digest of its files and is set after they are written, so that a command that is
killed in between is made good by the next. MLflow is imported only where its client has to write: behind a tracking
server, into a bucket, or into tables of another revision.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from src.core.errors import StageError
from src.storage import atomic
from src.tracking import environment, sqlite_runs
from src.tracking.batches import batches
from src.tracking.connection import server_client
from src.tracking.location import StoreLocation, local_folder
from src.tracking.registry_sql import has_tables, registry_query
from src.tracking.search import all_pages, runs_by_id

Files = Mapping[str, bytes]
"""Content by path among the run's artifacts, such as ``tear_sheet.html`` or ``data/equity.csv``."""

DIGEST = "alpha.artifacts"
_BATCH = 400  # run ids of one statement


@dataclass(frozen=True)
class _Run:
    """A run that MLflow has: where its artifacts lie, and the digest of those that were logged."""

    artifacts: str
    digest: str | None

    @property
    def folder(self) -> Path | None:
        """Folder of its artifacts; None where they lie in a bucket or with a server."""
        return local_folder(self.artifacts)

    def has(self, digest: str) -> bool:
        """Whether files of this digest were logged, and their folder was not removed since."""
        return self.digest == digest and (self.folder is None or self.folder.is_dir())


def record_artifacts(
    location: StoreLocation, dataset: str, files: Mapping[str, tuple[str, Callable[[], Files]]]
) -> int:
    """Log files to runs that lack them, or have others.

    Parameters
    ----------
    location : StoreLocation
    dataset : str
    files : mapping of str to (str, callable)
        By MLflow run id: a digest of the files, and what makes them. A run that carries the digest is left alone, and
        nothing is made for it; so is an id that MLflow does not know, and a run of which no file can be made.

    Returns
    -------
    int
        Runs that were written.

    Raises
    ------
    StageError
        If the store can't be written, or a path leaves the run's artifacts.
    """
    known = _known_runs(location, dataset, files)
    lacking = [run_id for run_id, (digest, _) in files.items() if run_id in known and not known[run_id].has(digest)]
    written = 0
    for run_id in lacking:
        digest, make = files[run_id]
        if content := make():
            _write(location, run_id, known[run_id], content)
            _tag(location, run_id, digest)
            written += 1
    return written


def session_run_ids(location: StoreLocation, dataset: str) -> dict[str, str]:
    """Give the parent run of each session of a dataset.

    Parameters
    ----------
    location : StoreLocation
    dataset : str

    Returns
    -------
    dict of str to str
        MLflow run id by session key.
    """
    if location.is_server:
        client, experiments = _client(location), _server_experiments(location, dataset)
        query = "tags.`alpha.session` LIKE '%'"
        runs = all_pages(lambda token: client.search_runs(experiments, query, page_token=token)) if experiments else ()
        return {run.data.tags["alpha.session"]: run.info.run_id for run in runs}
    with _asking(location) as query_sql:
        rows = query_sql(
            "SELECT s.value, s.run_uuid FROM tags s JOIN tags d ON d.run_uuid = s.run_uuid AND d.key = 'alpha.dataset' "
            "JOIN runs r ON r.run_uuid = s.run_uuid WHERE s.key = 'alpha.session' AND d.value = ? "
            "AND r.lifecycle_stage = 'active' ORDER BY r.start_time DESC",
            (dataset,),
        )
    return {str(key): str(run_id) for key, run_id in rows}


def _known_runs(location: StoreLocation, dataset: str, run_ids: Iterable[str]) -> dict[str, _Run]:
    """The runs that are not deleted, by id."""
    wanted = list(run_ids)
    if not wanted:
        return {}
    if location.is_server:
        found: dict[str, Any] = {}
        for experiment in _server_experiments(location, dataset):
            found |= runs_by_id(_client(location), experiment, wanted)
        return {run_id: _Run(run.info.artifact_uri, run.data.tags.get(DIGEST)) for run_id, run in found.items()}
    known: dict[str, _Run] = {}
    with _asking(location) as query:
        for batch in batches(wanted, _BATCH):
            rows = query(
                "SELECT r.run_uuid, r.artifact_uri, t.value FROM runs r LEFT JOIN tags t ON t.run_uuid = r.run_uuid "
                f"AND t.key = '{DIGEST}' WHERE r.lifecycle_stage = 'active' AND r.run_uuid "
                f"IN ({', '.join('?' * len(batch))})",
                tuple(batch),
            )
            known |= {str(run_id): _Run(str(artifacts), digest) for run_id, artifacts, digest in rows}
    return known


def _write(location: StoreLocation, run_id: str, run: _Run, files: Files) -> None:
    """Put files among a run's artifacts, each of them whole."""
    for path in files:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise StageError(f"the path of an artifact must stay below the run's own, got {path}")
    folder = None if location.is_server else run.folder
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            atomic.write_atomic(folder / path, functools.partial(_put, content), durable=False)
        return
    with tempfile.TemporaryDirectory() as staged:
        for path, content in files.items():
            target = Path(staged) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        _client(location).log_artifacts(run_id, staged)


def _put(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _tag(location: StoreLocation, run_id: str, digest: str) -> None:
    if location.database is not None and sqlite_runs.revision(location.database) in sqlite_runs.REVISIONS:
        sqlite_runs.tag_runs(location.database, {run_id: {DIGEST: digest}})
    else:
        _client(location).set_tag(run_id, DIGEST, digest)


def _server_experiments(location: StoreLocation, dataset: str) -> list[str]:
    escaped = dataset.replace("'", "''")
    found = server_client(location).search_experiments(filter_string=f"tags.`alpha.dataset` = '{escaped}'")
    return [str(experiment.experiment_id) for experiment in found]


def _client(location: StoreLocation) -> Any:
    environment.set_environment(location)
    import mlflow

    return mlflow.MlflowClient(location.uri, location.uri)


@contextmanager
def _asking(location: StoreLocation) -> Iterator[Any]:
    """Ask the database; it answers with nothing where there is none yet."""
    with registry_query(location) as query:
        if query is None or not has_tables(query, location):
            yield lambda _sql, _values=(): []
        else:
            yield query
