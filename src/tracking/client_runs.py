"""Runs of one experiment through MLflow's client: any server, any database, any schema, at three requests a run.

Runs are read in pages, never one by one: the first call of a process reads the whole experiment and remembers the id of
each run; later calls ask for the runs they need by id. A run has the status RUNNING and a writer tag while it is
written, so that `src.tracking.sweep` can remove what a killed process left half-written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from src.core.instruments import Key
from src.tracking.duplicates import resolve_duplicates
from src.tracking.run_record import EQUITY, RunContent
from src.tracking.search import all_pages, runs_by_id
from src.tracking.sqlite_runs import RecordedRun, RunUpdate
from src.tracking.writer_tag import WRITER, writer_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

_RUNS_PER_PAGE = 1000
_RECORDS = "tags.`alpha.record_id` LIKE '%'"
_INDEX: dict[tuple[str, str], dict[Key, str]] = {}


class ClientRuns:
    """Runs of one experiment, read and written by requests to MLflow.

    Parameters
    ----------
    client : MlflowClient
    experiment : str
        Its id.
    writers : int
        Concurrent requests while writing; more than one hides the latency of a server.
    """

    def __init__(self, client: MlflowClient, experiment: str, writers: int = 1) -> None:
        self._client = client
        self._experiment = experiment
        self._writers = writers
        self._place = (client.tracking_uri, experiment)

    def recorded(self, record_ids: Iterable[str]) -> dict[Key, RecordedRun]:
        """Find the finished runs of some records.

        Parameters
        ----------
        record_ids : iterable of str

        Returns
        -------
        dict
            Run by (record id, strategy key).
        """
        wanted = set(record_ids)
        if self._place not in _INDEX:
            return self._read_experiment(wanted)
        ids = [run_id for (record, _), run_id in _INDEX[self._place].items() if record in wanted]
        runs = runs_by_id(self._client, self._experiment, ids)
        return {_key(run): _recorded(run) for run in runs.values() if run.info.status == "FINISHED"}

    def write(self, contents: Sequence[RunContent], parents: Mapping[str, str]) -> dict[Key, str]:
        """Write runs.

        Parameters
        ----------
        contents : sequence of RunContent
        parents : mapping
            Session key to the id of the session's own run.

        Returns
        -------
        dict
            Run id by (record id, strategy key).
        """
        ids = dict(self._map(lambda content: (content.key, self._write_one(content, parents)), contents))
        _INDEX.setdefault(self._place, {}).update(ids)
        return ids

    def update(self, updates: Sequence[RunUpdate]) -> None:
        """Set tags and append metric values.

        Parameters
        ----------
        updates : sequence of RunUpdate
        """
        list(self._map(self._update_one, updates))

    def _read_experiment(self, wanted: set[str]) -> dict[Key, RecordedRun]:
        """Read the whole experiment once, remember the id of each run, and resolve duplicates."""
        query = f"attributes.status = 'FINISHED' AND {_RECORDS}"
        client, experiment = self._client, self._experiment
        order = ["attributes.start_time ASC"]
        index: dict[Key, str] = {}
        recorded: dict[Key, RecordedRun] = {}
        duplicates: dict[Key, list[str]] = {}
        for run in all_pages(lambda token: client.search_runs([experiment], query, 1, _RUNS_PER_PAGE, order, token)):
            key = _key(run)
            if index.setdefault(key, run.info.run_id) != run.info.run_id:
                duplicates.setdefault(key, [index[key]]).append(run.info.run_id)
            elif key[0] in wanted:
                recorded[key] = _recorded(run)
        runs = runs_by_id(client, experiment, (run_id for ids in duplicates.values() for run_id in ids))
        groups = ([runs[run_id] for run_id in ids if run_id in runs] for ids in duplicates.values())
        for run in resolve_duplicates(client, groups):
            index[_key(run)] = run.info.run_id
            if _key(run)[0] in wanted:
                recorded[_key(run)] = _recorded(run)
        _INDEX[self._place] = index
        return recorded

    def _write_one(self, content: RunContent, parents: Mapping[str, str]) -> str:
        from mlflow.entities import Param

        tags = {
            **content.tags,
            "mlflow.parentRunId": parents[content.session_key],
            WRITER: writer_tag(),
        }
        run = self._client.create_run(self._experiment, content.start, tags, content.name)
        run_id = str(run.info.run_id)
        params = [Param(key, value) for key, value in content.params.items()]
        self._client.log_batch(run_id, run_points(content), params)
        self._client.set_terminated(run_id, "FINISHED", content.end)
        return run_id

    def _update_one(self, update: RunUpdate) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(key, value) for key, value in update.tags.items()]
        self._client.log_batch(update.run_id, metric_points(update.metrics, update.timestamp), tags=tags)

    def _map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        if self._writers == 1 or len(items) < 2:
            yield from map(function, items)
            return
        with ThreadPoolExecutor(self._writers, thread_name_prefix="mlflow-client") as pool:
            try:
                yield from pool.map(function, items)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def forget() -> None:
    """Let the next call of this process read the whole experiment again, because another process may have written."""
    _INDEX.clear()


def run_points(content: RunContent) -> list[Metric]:
    """Metric values of a run: one of each metric, and the equity curve.

    Parameters
    ----------
    content : RunContent
    """
    from mlflow.entities import Metric

    curve = [Metric(EQUITY, value, timestamp, step) for step, timestamp, value in content.equity]
    return metric_points(content.metrics, content.end) + curve


def metric_points(values: Mapping[str, float], timestamp: int) -> list[Metric]:
    """One value of each metric.

    Parameters
    ----------
    values : mapping
        Value by name.
    timestamp : int
        Milliseconds since 1970.
    """
    from mlflow.entities import Metric

    return [Metric(key, value, timestamp, 0) for key, value in values.items()]


def _key(run: Run) -> Key:
    return run.data.tags["alpha.record_id"], run.data.tags["alpha.strategy_key"]


def _recorded(run: Run) -> RecordedRun:
    return RecordedRun(run.info.run_id, dict(run.data.tags), dict(run.data.metrics), run.data.params.get("model_id"))
