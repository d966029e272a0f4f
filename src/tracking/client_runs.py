"""Runs of one experiment through MLflow's client: any server, any database, any schema, at three requests a run.

Reading goes in pages, never run by run: the first look of a process reads the whole experiment once and remembers the
id of each run; later looks ask for the runs in question by their ids. A run is RUNNING while it is written and carries
who writes it, so that what a killed process left half-written can be told and swept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from src.tracking.duplicates import settle
from src.tracking.run_record import EQUITY, RunContent
from src.tracking.search import all_pages, runs_by_id
from src.tracking.sqlite_runs import Change, Known
from src.tracking.writer_tag import WRITER, writer

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

Key = tuple[str, str]
PAGE = 1000
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
        Requests in flight while writing: more than one hides the way to a server.
    """

    def __init__(self, client: MlflowClient, experiment: str, writers: int = 1) -> None:
        self._client = client
        self._experiment = experiment
        self._writers = writers
        self._place = (client.tracking_uri, experiment)

    def known(self, record_ids: Iterable[str]) -> dict[Key, Known]:
        """Finished runs of these records, by record and strategy."""
        wanted = set(record_ids)
        if self._place not in _INDEX:
            return self._look_through(wanted)
        ids = [run_id for (record, _), run_id in _INDEX[self._place].items() if record in wanted]
        runs = runs_by_id(self._client, self._experiment, ids)
        return {_key(run): _known(run) for run in runs.values() if run.info.status == "FINISHED"}

    def write(self, contents: Sequence[RunContent], parents: Mapping[str, str]) -> dict[Key, str]:
        """Write runs below the runs of their sessions; returns the ids given."""
        ids = dict(self._each(lambda content: (content.key, self._write_one(content, parents)), contents))
        _INDEX.setdefault(self._place, {}).update(ids)
        return ids

    def update(self, changes: Sequence[Change]) -> None:
        """Set tags and give metrics a further value."""
        list(self._each(self._update_one, changes))

    def _look_through(self, wanted: set[str]) -> dict[Key, Known]:
        """Read the whole experiment once, remember each run's id, and settle which of two runs of a record counts."""
        query = f"attributes.status = 'FINISHED' AND {_RECORDS}"
        client, experiment = self._client, self._experiment
        order = ["attributes.start_time ASC"]
        index: dict[Key, str] = {}
        found: dict[Key, Known] = {}
        doubled: dict[Key, list[str]] = {}
        for run in all_pages(lambda token: client.search_runs([experiment], query, 1, PAGE, order, token)):
            key = _key(run)
            if index.setdefault(key, run.info.run_id) != run.info.run_id:
                doubled.setdefault(key, [index[key]]).append(run.info.run_id)
            elif key[0] in wanted:
                found[key] = _known(run)
        runs = runs_by_id(client, experiment, (each for ids in doubled.values() for each in ids))
        for run in settle(client, ([runs[each] for each in ids if each in runs] for ids in doubled.values())):
            index[_key(run)] = run.info.run_id
            if _key(run)[0] in wanted:
                found[_key(run)] = _known(run)
        _INDEX[self._place] = index
        return found

    def _write_one(self, content: RunContent, parents: Mapping[str, str]) -> str:
        from mlflow.entities import Param

        tags = {
            **content.tags,
            "mlflow.parentRunId": parents[content.session_key],
            WRITER: writer(),
        }
        run = self._client.create_run(self._experiment, content.start, tags, content.name)
        run_id = str(run.info.run_id)
        params = [Param(key, value) for key, value in content.params.items()]
        self._client.log_batch(run_id, points(content), params)
        self._client.set_terminated(run_id, "FINISHED", content.end)
        return run_id

    def _update_one(self, change: Change) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(key, value) for key, value in change.tags.items()]
        self._client.log_batch(change.run_id, metrics(change.metrics, change.timestamp), tags=tags)

    def _each(self, act: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        if self._writers == 1 or len(items) < 2:
            yield from map(act, items)
            return
        with ThreadPoolExecutor(self._writers, thread_name_prefix="mlflow-client") as pool:
            try:
                yield from pool.map(act, items)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def forget() -> None:
    """Look anew the next time: somebody else may have written."""
    _INDEX.clear()


def points(content: RunContent) -> list[Metric]:
    """All metric values of a run: one of each, and the equity curve."""
    from mlflow.entities import Metric

    curve = [Metric(EQUITY, value, timestamp, step) for step, timestamp, value in content.equity]
    return metrics(content.metrics, content.end) + curve


def metrics(values: Mapping[str, float], timestamp: int) -> list[Metric]:
    """One value of each metric at a time."""
    from mlflow.entities import Metric

    return [Metric(key, value, timestamp, 0) for key, value in values.items()]


def _key(run: Run) -> Key:
    return run.data.tags["alpha.record_id"], run.data.tags["alpha.strategy_key"]


def _known(run: Run) -> Known:
    return Known(run.info.run_id, dict(run.data.tags), dict(run.data.metrics), run.data.params.get("model_id"))
