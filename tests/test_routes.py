"""Every way into MLflow gives the same runs: bulk inserts, its client on a file, a server over HTTP, PostgreSQL."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from src import client_runs, mlflow_home, tracking
from src.bulk_runs import BulkRuns
from src.client_runs import ClientRuns
from src.config import ROOT, TrackingConfig
from src.errors import StageError
from src.mlflow_home import Home
from src.promote import promote
from src.recorder import Recorder
from src.sync import sync
from tests import postgresql_case
from tests.test_registry_server import free_port, serving
from tests.tracking_case import BAD, GOOD, SESSION, Case, case, make_store

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    with postgresql_case.cluster() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A tracking server that keeps runs in a file of its own and passes artifacts on; its address and the file's."""
    folder = tmp_path_factory.mktemp("server")
    database = folder / "server.db"
    make_store(database)
    where = Home(f"sqlite:///{database.as_posix()}", database, (folder / "unused").as_uri())
    with serving(where, folder, folder / "kept") as url:
        yield url, where.uri


def project_at(folder: Path, patch: pytest.MonkeyPatch, uri: str | None = None) -> Case:
    """A project with a run that passes, one that fails, one with an undefined metric, and one of another session."""
    made = case(folder, patch, uri)
    made.add("crypto", "BTC-USD")
    made.add("stock", "AAPL", metrics={**BAD, "accuracy": None})
    made.add("etf", "SPY", "xgboost", session="6" * 24)
    made.add("stock", "TOOGOOD", metrics={**GOOD, "auc": 0.7}, suspicious="AUC 0.70 at or above 0.65")
    tracking._SWEPT.clear()
    client_runs.forget()
    return made


NOISE = {
    "runs": ("run_uuid", "experiment_id", "artifact_uri", "user_id"),
    "tags": ("run_uuid", "experiment_id"),
    "params": ("run_uuid", "experiment_id"),
    "metrics": ("run_uuid", "experiment_id"),
    "latest_metrics": ("run_uuid", "experiment_id"),
}
FREE = ("alpha.writer", "model_id", "model_digest", "mlflow.parentRunId", "mlflow.user")


def rows(uri: str, experiment: str) -> dict[str, Any]:
    """All that a store has of an experiment's runs: ids, places, times of writing and who wrote apart."""
    holder = Case(Path())
    holder.config.tracking.uri = uri
    with holder.sql() as execute:

        def table(name: str, where: str, *values: str) -> list[dict[str, Any]]:
            columns = execute.columns(name)
            found = execute(f"SELECT * FROM {name} WHERE {where}", values)
            return [dict(zip(columns, row, strict=True)) for row in found]

        number = execute("SELECT experiment_id FROM experiments WHERE name = ?", (experiment,))[0][0]
        runs = table("runs", "experiment_id = ? AND lifecycle_stage = 'active'", number)
        names = {run["run_uuid"]: run["name"] for run in runs}
        shown: dict[str, Any] = {}
        for run in runs:
            own: dict[str, Any] = {"runs": [_shown("runs", run)]}
            for name in ("tags", "params", "metrics", "latest_metrics"):
                kept = [row for row in table(name, "run_uuid = ?", run["run_uuid"]) if row["key"] not in FREE]
                own[name] = sorted(map(repr, (_shown(name, row) for row in kept)))
            is_session = any("'alpha.session'" in tag for tag in own["tags"])
            if is_session:  # its times are those of the clock
                own["runs"] = [{k: v for k, v in own["runs"][0].items() if k not in ("start_time", "end_time")}]
                own["metrics"] = own["latest_metrics"] = []
            parent = "SELECT value FROM tags WHERE run_uuid = ? AND key = 'mlflow.parentRunId'"
            parents = execute(parent, (run["run_uuid"],))
            own["parent"] = [names[parent] for (parent,) in parents]
            own["bound"] = execute(
                "SELECT key FROM params WHERE run_uuid = ? AND key LIKE 'model_%' ORDER BY key", (run["run_uuid"],)
            )
            shown[run["name"]] = own
        assert len(shown) == len(runs)
        joined = "model_versions v JOIN runs r ON r.run_uuid = v.run_id"
        versions = execute(f"SELECT v.name, r.name, v.source FROM {joined} WHERE r.experiment_id = ?", (number,))
        versions = [(name, run, source[:10]) for name, run, source in versions]
        shown["versions"] = sorted(versions)
    return shown


def _shown(table: str, row: dict[str, Any]) -> dict[str, Any]:
    plain = {name: bool(value) if name == "is_nan" else value for name, value in row.items()}
    if plain.get("key") == "alpha.registered":  # the number counts what other tests registered as well
        plain["value"] = plain["value"].split("/")[0]
    return {name: value for name, value in sorted(plain.items()) if name not in NOISE[table]}


@pytest.fixture(scope="module")
def by_bulk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the bulk route writes: the measure of the others."""
    with pytest.MonkeyPatch.context() as patch:
        made = project_at(tmp_path_factory.mktemp("bulk"), patch)
        with tracking.open_store(made.config) as target:
            assert isinstance(target.runs, BulkRuns)
        sync(made.config)
        return rows(made.uri, "alpha-loop/demo")


@pytest.mark.parametrize("route", ["client", "http", "postgresql"])
def test_every_route_gives_what_bulk_inserts_give_and_a_second_sync_nothing_more(
    route: str, by_bulk: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    uri, stored = None, None
    if route == "http":
        uri, stored = request.getfixturevalue("server")
    elif route == "postgresql":
        uri = postgresql_case.make(request.getfixturevalue("cluster"), "routes")
    made = project_at(tmp_path, monkeypatch, uri)
    made.config.tracking.route = "client" if route == "client" else "auto"
    with tracking.open_store(made.config) as target:
        assert isinstance(target.runs, ClientRuns)
    sync(made.config)
    found = rows(stored or made.uri, "alpha-loop/demo")
    assert found == by_bulk
    assert [name for name, *_ in found["versions"]] == ["crypto.BTC-USD", "etf.SPY"]
    assert found["crypto.BTC-USD lightgbm"]["runs"][0]["status"] == "FINISHED"
    client_runs.forget()  # as another process would look
    sync(made.config)
    assert rows(stored or made.uri, "alpha-loop/demo") == by_bulk


def test_promotion_and_clearing_go_over_http(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    made = project_at(tmp_path, monkeypatch, server[0])
    made.config.tracking.experiment = "promoted"
    flagged = made.graded[-1]["record_id"]
    sync(made.config)
    line = promote(made.config, {"clear": flagged, "why": "looked at it"})
    assert "registered as version 1" in line
    assert promote(made.config, {}).startswith("promote: 3 instruments with versions, 3 champions, 3 changed")
    client = made.client()
    assert set(client.get_registered_model("stock.TOOGOOD").aliases) == {"champion"}
    counted = Counter[str]()
    with monkeypatch.context() as patch:
        for name in ("get_run", "get_registered_model", "search_runs", "search_registered_models"):
            _count(patch, name, counted)
        assert "0 changed" in promote(made.config, {})
    assert counted["get_run"] + counted["get_registered_model"] == 0  # asked for in pages, not one by one
    assert counted["search_runs"] <= 2


def _count(patch: pytest.MonkeyPatch, name: str, counted: Counter[str]) -> None:
    import mlflow

    real = getattr(mlflow.MlflowClient, name)

    def counting(self: Any, *arguments: Any, **named: Any) -> Any:
        counted[name] += 1
        return real(self, *arguments, **named)

    patch.setattr(mlflow.MlflowClient, name, counting)


KILLED = """
import os, sys
import mlflow
from src.config import Config
from src.sync import sync

url, root, experiment = sys.argv[1:]
real = mlflow.MlflowClient.set_terminated
left = 2

def dying(self, run_id, *status):
    global left
    left -= len(status) > 0
    if left < 0:
        os._exit(137)  # as by kill -9: nothing is closed, nothing is said, a run is RUNNING
    return real(self, run_id, *status)

mlflow.MlflowClient.set_terminated = dying
config = Config()
config.data.root, config.tracking.uri, config.tracking.experiment = f"{root}/data", url, experiment
sync(config)
"""


def test_a_sync_that_was_killed_is_finished_by_the_next(
    by_bulk: dict[str, Any], server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project_at(tmp_path, monkeypatch, server[0])
    made.config.tracking.experiment = "killed"
    command = [sys.executable, "-c", KILLED, server[0], str(tmp_path), "killed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 137, done.stderr.decode()
    client = made.client()
    number = client.get_experiment_by_name("killed/demo").experiment_id
    assert [run for run in client.search_runs([number]) if run.info.status == "RUNNING"]
    sync(made.config)
    assert rows(server[1], "killed/demo") == by_bulk


@pytest.mark.parametrize(
    ("step", "times"),
    [("create_run", 2), ("set_terminated", 2), ("create_logged_model", 0), ("log_model_artifacts", 0),
     ("create_model_version", 0)],
)  # fmt: skip
def test_wherever_a_sync_ends_the_next_one_ends_it(
    step: str, times: int, by_bulk: dict[str, Any], server: tuple[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    import mlflow

    made = project_at(tmp_path, monkeypatch, server[0])
    made.config.tracking.experiment = f"ended-{step}"
    real, calls = getattr(mlflow.MlflowClient, step), Counter[str]()

    def dying(self: Any, *arguments: Any, **named: Any) -> Any:
        calls[step] += 1
        if calls[step] > times:
            raise KeyboardInterrupt
        return real(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, step, dying)
        with pytest.raises(KeyboardInterrupt):
            sync(made.config)
    tracking._SWEPT.clear()
    client_runs.forget()
    sync(made.config)
    assert rows(server[1], f"ended-{step}/demo") == by_bulk


def test_a_run_written_twice_as_its_answer_was_lost_is_there_once(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project_at(tmp_path, monkeypatch, server[0])
    made.config.tracking.experiment = "twice"
    sync(made.config)
    with tracking.open_store(made.config) as target:
        known = target.runs.known(row["record_id"] for row in made.graded)
        one = target.client.get_run(next(iter(known.values())).run_id)
        copy = target.client.create_run(target.experiment, one.info.start_time, one.data.tags, one.info.run_name)
        target.client.set_terminated(copy.info.run_id)
        assert len(target.client.search_runs([target.experiment], "tags.`alpha.record_id` LIKE '%'")) == 5
        client_runs.forget()
        assert target.runs.known(row["record_id"] for row in made.graded) == known
        assert len(target.client.search_runs([target.experiment], "tags.`alpha.record_id` LIKE '%'")) == 4


@pytest.mark.parametrize(
    ("uri", "words"), [("http://127.0.0.1:1", "inserts into a sqlite file"), ("postgresql://u:pw@h/d", "is none")]
)
def test_bulk_where_there_is_no_file_is_refused(uri: str, words: str) -> None:
    with pytest.raises(StageError, match=f"tracking.route=bulk .*{words}") as caught:
        mlflow_home.home(TrackingConfig(uri=uri, route="bulk"))
    assert "pw" not in str(caught.value)


def test_bulk_on_tables_of_another_revision_is_refused_and_auto_takes_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case(tmp_path, monkeypatch)
    monkeypatch.setattr("src.bulk_runs.REVISION", "another")
    made.config.tracking.route = "bulk"
    with pytest.raises(StageError, match=r"knows MLflow's tables of revision another.*leave tracking.route=auto"):
        made.project()
    made.config.tracking.route = "auto"
    with tracking.open_store(made.config) as target:
        assert isinstance(target.runs, ClientRuns)


@contextmanager
def way(to: str, port: int) -> Iterator[str]:
    """A way to the server that can be cut: the address is there while the context lasts, and gone with it."""
    target = urlsplit(to)
    pairs: list[socket.socket] = []

    class Pass(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((target.hostname or "", target.port or 0)) as inner:
                pairs.extend((self.request, inner))
                back = threading.Thread(target=carry, args=(inner, self.request))
                back.start()
                carry(self.request, inner)
                back.join()

    class Gateway(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with Gateway(("127.0.0.1", port), Pass) as gateway:
        threading.Thread(target=gateway.serve_forever, args=(0.05,)).start()
        try:
            yield f"http://127.0.0.1:{gateway.server_address[1]}"
        finally:
            gateway.shutdown()
            for each in pairs:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


def carry(inward: socket.socket, outward: socket.socket) -> None:
    with suppress(OSError):
        while content := inward.recv(1 << 16):
            outward.sendall(content)
        outward.shutdown(socket.SHUT_WR)


def test_a_server_that_goes_away_stops_no_training_and_sync_is_named_at_the_end(
    server: tuple[str, str], by_bulk: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """The server goes between two buckets: the first is written, the end says what to do, a sync does it."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    port = free_port()
    made = project_at(tmp_path, monkeypatch, f"http://127.0.0.1:{port}")
    made.config.tracking.experiment, made.session = "away", {"key": SESSION}
    with way(server[0], port) as url:
        recorder = Recorder(made.config)
        assert recorder.put(made.store, made.grades().head(1), made.session).result().height == 1
    recorder.put(made.store, made.grades().tail(1), made.session)
    with pytest.raises(StageError) as caught:
        recorder.close(made.store, made.grades(), made.session)
    said = str(caught.value)
    assert f"no MLflow server answers at {url}" in said
    assert f"runs and grades are stored: then run `python -m src.sync universe=demo tracking.uri={url}`" in said
    assert "; training goes on" in caplog.text
    Recorder(made.config).abandon()  # a session that starts without the server goes on as well
    assert "training goes on without MLflow meanwhile" in caplog.text
    with way(server[0], port):
        assert sync(made.config).startswith("sync: 4 runs of 2 sessions")
    assert rows(server[1], "away/demo") == by_bulk
