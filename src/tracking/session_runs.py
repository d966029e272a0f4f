"""The runs of sessions: parents of the runs that they trained, with what a session said of itself at its end.

What MLflow has is not written again. In tables that `src.tracking.sqlite_searches` knows, figures and tags that a run
had before are replaced there, so that a session with nothing to do does not import MLflow.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.tracking.client_runs import metric_points
from src.tracking.late_client import LateClient
from src.tracking.location import StoreLocation, local_folder
from src.tracking.search import session_run
from src.tracking.sqlite_runs import BulkRuns, RunUpdate

if TYPE_CHECKING:
    from src.tracking.reconcile import ExperimentRuns

_SHORT = 2000  # characters; MLflow's validators shorten longer texts


class SessionRuns:
    """Runs of sessions in one experiment.

    Parameters
    ----------
    client : MlflowClient or LateClient
    location : StoreLocation
    experiment : str
        Its id.
    dataset : str
    runs : ExperimentRuns
        Of the experiment.
    """

    def __init__(
        self, client: Any, location: StoreLocation, experiment: str, dataset: str, runs: ExperimentRuns
    ) -> None:
        self._client = client
        self._is_server = location.is_server
        self._experiment = experiment
        self._dataset = dataset
        self._runs = runs
        self._ids: dict[str, str] = {}

    def run(self, key: str, name: str | None = None) -> str:
        """Find or create the run of a session, see `src.tracking.store.MlflowStore.session_run`.

        Parameters
        ----------
        key : str
            Key of the session.
        name : str, optional
            Of a new run.

        Returns
        -------
        str
            Id of the run.
        """
        if key not in self._ids:
            found = session_run(self._client, self._experiment, key)
            if found is None:
                tags = {"alpha.session": key, "alpha.dataset": self._dataset}
                found = self._client.create_run(self._experiment, tags=tags, run_name=name or f"session {key[:8]}")
                self._client.set_terminated(found.info.run_id)
            elif found.info.status != "FINISHED":  # its writer was killed
                self._client.set_terminated(found.info.run_id)
            self._ids[key] = str(found.info.run_id)
        return self._ids[key]

    def describe(self, session: Mapping[str, Any], reused: Mapping[str, str]) -> None:
        """Write figures, texts and configuration of a session, see `MlflowStore.describe_session`.

        Parameters
        ----------
        session : mapping
        reused : mapping
        """
        run = self._read(self.run(session["key"], session.get("name")))
        facts = {key: value for key, value in session.items() if key not in ("key", "config_yaml")}
        facts = {key: value for key, value in facts.items() if value is not None}
        numbers = {key: float(value) for key, value in facts.items() if isinstance(value, int | float)}
        texts = {f"alpha.{key}": str(value) for key, value in facts.items() if key not in numbers}
        metrics = {key: value for key, value in numbers.items() if run.data.metrics.get(key) != value}
        self._log(run, metrics, {key: value for key, value in texts.items() if run.data.tags.get(key) != value})
        files = {"config.yaml": str(session["config_yaml"])} if session.get("config_yaml") else {}
        files |= {"reused.json": json.dumps(dict(sorted(reused.items())), indent=1)} if reused else {}
        for name, text in files.items():
            if self._text(run, name) != text:
                self._client.log_text(run.info.run_id, text, name)

    def _read(self, run_id: str) -> Any:
        if isinstance(self._client, LateClient):
            return self._client.searches.runs(self._experiment, [run_id])[run_id]
        return self._client.get_run(run_id)

    def _log(self, run: Any, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Write what changed; what MLflow's validators have not seen yet passes through its client."""
        is_known = run.data.metrics.keys() >= metrics.keys() and run.data.tags.keys() >= tags.keys()
        if not metrics and not tags:
            return
        if is_known and isinstance(self._runs, BulkRuns) and max(map(len, tags.values()), default=0) <= _SHORT:
            self._runs.update([RunUpdate(run.info.run_id, dict(tags), dict(metrics), int(1000 * time.time()))])
            return
        from mlflow.entities import RunTag

        points = metric_points(metrics, int(1000 * time.time()))
        self._client.log_batch(run.info.run_id, metrics=points, tags=[RunTag(*tag) for tag in tags.items()])

    def _text(self, run: Any, name: str) -> str | None:
        """A text among a run's artifacts, where they lie in a folder of this machine."""
        folder = None if self._is_server else local_folder(run.info.artifact_uri)
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return None if folder is None else (folder / name).read_text(encoding="utf-8")
        return None
