"""Every way into MLflow gives the same runs: bulk inserts, its client on a file, a server over HTTP, PostgreSQL."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from src.config.schema import TrackingConfig
from src.core.errors import StageError
from src.promote import promote
from src.sync import sync
from src.tracking import client_runs, location, store
from src.tracking.client_runs import ClientRuns
from src.tracking.recorder import Recorder
from tests.tracking.routes_case import ended_at, look_anew, project_at, rows, store_server, written_by_bulk
from tests.tracking.test_registry_server import free_port
from tests.tracking.tracking_case import SESSION, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with store_server(tmp_path_factory.mktemp("server")) as both:
        yield both


@pytest.fixture(scope="module")
def by_bulk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return written_by_bulk(tmp_path_factory.mktemp("bulk"))


@pytest.mark.parametrize("route", ["client", "http"])  # PostgreSQL: tests/tracking/test_registry_postgresql.py
def test_every_route_gives_what_bulk_inserts_give_and_a_second_sync_nothing_more(
    route: str, by_bulk: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    uri, stored = request.getfixturevalue("server") if route == "http" else (None, None)
    made = project_at(tmp_path, monkeypatch, uri)
    made.config.tracking.route = "client" if route == "client" else "auto"
    with store.open_store(made.tracked) as target:
        assert isinstance(target.runs, ClientRuns)
    sync(made.config)
    found = rows(stored or made.uri, "alpha-loop/demo")
    assert found == by_bulk
    assert [name for name, *_ in found["versions"]] == ["crypto.BTC-USD", "etf.SPY"]
    assert found["crypto.BTC-USD lightgbm"]["runs"][0]["status"] == "FINISHED"
    look_anew()
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
    assert counted["get_run"] == 0  # asked for in pages, not one by one
    assert counted["get_registered_model"] <= 3  # MLflow's own, as the server is asked for each champion's files
    assert counted["search_runs"] <= 3


def _count(patch: pytest.MonkeyPatch, name: str, counted: Counter[str]) -> None:
    import mlflow

    real = getattr(mlflow.MlflowClient, name)

    def counting(self: Any, *arguments: Any, **named: Any) -> Any:
        counted[name] += 1
        return real(self, *arguments, **named)

    patch.setattr(mlflow.MlflowClient, name, counting)


def test_the_next_sync_completes_one_that_ended_at_a_half_written_run(
    by_bulk: dict[str, Any], server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step of many, here without a kill: tests/soak/test_tracking.py goes through the others."""
    made = project_at(tmp_path, monkeypatch, server[0])
    made.config.tracking.experiment = "ended"
    ended_at("set_terminated", 2, made)
    assert rows(server[1], "ended/demo") == by_bulk


def test_a_run_written_twice_because_its_answer_was_lost_exists_once(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project_at(tmp_path, monkeypatch, server[0])
    made.config.tracking.experiment = "twice"
    sync(made.config)
    with store.open_store(made.tracked) as target:
        known = target.runs.recorded(row["record_id"] for row in made.graded)
        registered = {
            version.run_id for version in target.client.search_model_versions()
        }  # of others the lower id stays
        one = target.client.get_run(next(run.run_id for run in known.values() if run.run_id in registered))
        copy = target.client.create_run(target.experiment, one.info.start_time, one.data.tags, one.info.run_name)
        target.client.set_terminated(copy.info.run_id)
        assert len(target.client.search_runs([target.experiment], "tags.`alpha.record_id` LIKE '%'")) == 5
        client_runs.forget()
        assert target.runs.recorded(row["record_id"] for row in made.graded) == known
        assert len(target.client.search_runs([target.experiment], "tags.`alpha.record_id` LIKE '%'")) == 4


def test_two_machines_at_one_server_leave_one_run_a_record_and_keep_the_champion(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second began before it could see what the first wrote: every run, model and version is there twice."""
    made = project_at(tmp_path, monkeypatch, server[0])
    made.config.tracking.experiment = "two"
    sync(made.config)
    with monkeypatch.context() as patch:
        patch.setattr(ClientRuns, "recorded", lambda *_: {})
        patch.setattr("platform.node", lambda: "elsewhere")
        sync(made.config)
    client = made.client()
    number = client.get_experiment_by_name("two/demo").experiment_id
    written = "tags.`alpha.record_id` LIKE '%'"
    held = {str(each.run_id): each.version for each in client.search_model_versions("name = 'etf.SPY'")}
    mine = [held[run.info.run_id] for run in client.search_runs([number], written) if run.info.run_id in held]
    client.set_registered_model_alias("etf.SPY", "champion", str(max(mine)))
    now = time.time()
    monkeypatch.setattr("src.tracking.writer_tag.time.time", lambda: now + 2 * 24 * 3600)
    look_anew()
    sync(made.config)
    left = client.search_runs([number], written)
    counts = [run for run in left if not run.data.tags.get("alpha.superseded")]
    assert len({run.data.tags["alpha.record_id"] for run in counts}) == len(counts) == 4
    assert sorted(run.info.run_name for run in left if run not in counts) == [
        "crypto.BTC-USD lightgbm",
        "etf.SPY xgboost",
    ]
    champion = client.get_model_version_by_alias("etf.SPY", "champion")
    assert champion.version == max(mine)
    assert champion.run_id in {run.info.run_id for run in counts}


@pytest.mark.parametrize(
    ("uri", "message"), [("http://127.0.0.1:1", "inserts into a sqlite file"), ("postgresql://u:pw@h/d", "is not one")]
)
def test_bulk_where_there_is_no_file_is_refused(uri: str, message: str) -> None:
    with pytest.raises(StageError, match=f"tracking.route=bulk .*{message}") as caught:
        location.store_location(TrackingConfig(uri=uri, route="bulk"))
    assert "pw" not in str(caught.value)


def test_bulk_on_tables_of_another_revision_is_refused_and_auto_takes_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case(tmp_path, monkeypatch)
    monkeypatch.setattr("src.tracking.sqlite_runs.REVISIONS", {"another": "0.1"})
    made.config.tracking.route = "bulk"
    with pytest.raises(StageError, match=r"knows MLflow's tables of revision another.*leave tracking.route=auto"):
        made.project()
    made.config.tracking.route = "auto"
    with store.open_store(made.tracked) as target:
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
        recorder = Recorder(made.tracked)
        assert recorder.put(made.store, made.grades().head(1), made.session).result().height == 1
    recorder.put(made.store, made.grades().tail(1), made.session)
    with pytest.raises(StageError) as caught:
        recorder.close(made.store, made.grades(), made.session)
    said = str(caught.value)
    assert f"no MLflow server answers at {url}" in said
    here = f"tracking.uri={url} tracking.experiment=away data.root={made.config.data.root}"
    assert f"runs and grades are stored: then run `python -m src.sync universe=demo {here}`" in said
    assert "; training continues" in caplog.text
    Recorder(made.tracked).abandon()  # a session that starts without the server continues as well
    assert "training continues without MLflow" in caplog.text
    with way(server[0], port):
        assert sync(made.config).startswith("sync: 4 runs of 2 sessions")
    assert rows(server[1], "away/demo") == by_bulk
