"""The gate on a live ``mlflow server``: REST as the UI's button sends it, client and files over HTTP, serving."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from src.core.project import ROOT
from src.tracking import registry_gate
from src.tracking.environment import ENVIRONMENT
from src.tracking.location import StoreLocation
from src.tracking.server import HOST, server_environment
from src.ui import ui
from tests import process_case
from tests.process_case import HANG, free_port, started, until
from tests.tracking.pooled_case import NAME, PooledCase
from tests.tracking.test_registry_store import BAD, GOOD, fresh_run, model_of, run_of
from tests.tracking.tracking_case import FEATURES, Case, case, local, training_rows

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@contextmanager
def running(command: list[str], port: int, ready: str, folder: Path, **environment: str) -> Iterator[str]:
    """A server process of its own group, up when `ready` answers, ended with all its children."""
    log = folder / f"server-{port}.log"
    variables = {**server_environment(), **ENVIRONMENT, **environment}
    with log.open("wb") as out, started(command, cwd=folder, env=variables, stdout=out, stderr=out) as process:
        until(lambda: process.poll() is not None or answers(port, ready))
        assert process.poll() is None, log.read_text(errors="replace")
        yield f"http://{HOST}:{port}"
        end(process)


def answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=HANG) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        process.terminate()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    process.wait(HANG)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with pytest.MonkeyPatch.context() as patch:
        made = case(tmp_path_factory.mktemp("server"), patch)
        made.add("crypto", "BTC-USD")
        made.add("stock", "SHORT", metrics={**GOOD, "n_oos": 499})
        made.ids = made.project()  # type: ignore[attr-defined]
        yield made


@pytest.fixture(scope="module")
def server(base: Case) -> Iterator[str]:
    artifacts = base.root / "mlruns" / "artifacts"
    with serving(StoreLocation(base.uri, base.database, artifacts.as_uri()), base.root, artifacts) as url:
        yield url


@contextmanager
def serving(where: StoreLocation, folder: Path, kept: Path) -> Iterator[str]:
    """MLflow's server on a store, with artifacts passed on and file uploads on: the most open way it is run.

    Started as ``mlflow server`` starts it, without that command's own seconds of imports.
    """
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--host", HOST, "--port", str(port)]
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": where.uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": where.uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": str(where.artifacts),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": kept.as_uri(),
        "_MLFLOW_SGI_NAME": "uvicorn",
    }
    with running(command, port, "/health", folder, **settings) as url:
        yield url


def post(server: str, path: str, body: dict[str, Any], prefix: str = "api") -> tuple[int, dict[str, Any]]:
    return send("POST", f"{server}/{prefix}/2.0/mlflow/{path}", json.dumps(body).encode())


def send(method: str, url: str, content: bytes) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize("prefix", ["api", "ajax-api"])
def test_the_uis_register_button_is_refused_with_reasons(base: Case, server: str, prefix: str) -> None:
    run, model = fresh_run(base, BAD)
    assert post(server, "registered-models/create", {"name": "by-button"}, prefix)[0] == 200
    body = {"name": "by-button", "source": f"models:/{model}", "run_id": run, "model_id": model}
    status, answer = post(server, "model-versions/create", body, prefix)
    assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")
    assert "does not clear: " in answer["message"] and "sharpe 0.31 is below 0.50" in answer["message"]
    names = [each.name for each in base.client().search_registered_models()]
    assert "by-button" not in names


def test_a_pooled_model_meets_the_same_gate(base: Case, server: str) -> None:
    pooled = PooledCase(base)
    pooled.add()
    pooled.project()
    run, model = pooled.forged(sharpe=0.31)
    body = {"name": NAME, "source": f"models:/{model}", "run_id": run, "model_id": model}
    status, answer = post(server, "model-versions/create", body)
    assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")
    assert "sharpe 0.31 is below 0.50" in answer["message"]
    run, model = pooled.forged()
    body = {"name": NAME, "source": f"models:/{model}", "run_id": run, "model_id": model}
    assert post(server, "model-versions/create", body)[0] == 200


@pytest.mark.parametrize(
    ("source", "claimed"),
    [("models:/{bad}", {"run_id": "{good_run}", "model_id": "{bad}"}),
     ("models:/{bad}", {"run_id": "{good_run}", "model_id": "{good}"}),
     ("models:/{bad}", {}),
     ("runs:/{good_run}/model", {"run_id": "{good_run}"}),
     ("runs:/{bad_run}/model", {"run_id": "{bad_run}"}),
     ("{good_files}", {"run_id": "{good_run}", "model_id": "{good}"}),
     ("{bad_files}", {"run_id": "{bad_run}", "model_id": "{bad}"}),
     ("s3://bucket/model", {"run_id": "{good_run}"}),
     ("mlflow-artifacts:/demo/models/{bad}/artifacts", {"run_id": "{good_run}"}),
     ("models:/crypto.BTC-USD/2", {"run_id": "{good_run}"}),
     ("prompt-template", {"prompt": "true"})],
)  # fmt: skip
def test_no_request_registers_a_model_that_does_not_clear(
    base: Case, server: str, source: str, claimed: dict[str, str]
) -> None:
    bad_run, bad = fresh_run(base, BAD)
    good = model_of(base, "BTC-USD")
    names = {"bad": bad, "bad_run": bad_run, "good": good, "good_run": run_of(base, "BTC-USD")}
    names |= {f"{key}_files": base.client().get_logged_model(names[key]).artifact_location for key in ("good", "bad")}
    body: dict[str, Any] = {key: value.format(**names) for key, value in claimed.items()}
    if body.pop("prompt", None):
        body["tags"] = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    before = len(base.client().search_model_versions())
    status, answer = post(
        server, "model-versions/create", {"name": "crypto.BTC-USD", "source": source.format(**names), **body}
    )
    assert status in (400, 403, 404), answer
    assert len(base.client().search_model_versions()) == before


def test_metrics_and_tags_sent_afterwards_change_nothing(base: Case, server: str) -> None:
    run, model = fresh_run(base, BAD)
    now = int(time.time() * 1000)
    status, answer = post(server, "runs/log-metric", {"run_id": run, "key": "sharpe", "value": 2.0, "timestamp": now})
    assert (status, "stay as they were graded" in answer["message"]) == (400, True)
    assert post(server, "runs/set-tag", {"run_id": run, "key": "alpha.passed", "value": "true"})[0] == 200
    assert post(server, "runs/log-parameter", {"run_id": run, "key": "model_id", "value": "m-1"})[0] == 400
    body = {"name": "crypto.BTC-USD", "source": f"models:/{model}", "model_id": model}
    status, answer = post(server, "model-versions/create", body)
    assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED")
    assert "sharpe 0.31 is below 0.50" in answer["message"]


def test_the_client_over_http_meets_the_same_gate(base: Case, server: str) -> None:
    import mlflow
    from mlflow.exceptions import MlflowException

    _, bad = fresh_run(base, BAD)
    mlflow.set_tracking_uri(server)
    mlflow.set_registry_uri(server)
    try:
        with pytest.raises(MlflowException, match=r"PERMISSION_DENIED: alpha-loop gate: .*sharpe 0\.31 is below 0\.50"):
            mlflow.register_model(f"models:/{bad}", "over-http")
        client = mlflow.MlflowClient(server, server)
        assert [each.name for each in client.search_registered_models("name = 'over-http'")] == []
        version = mlflow.register_model(f"models:/{model_of_http(client)}", "over-http")
        client.set_registered_model_alias("over-http", "any", version.version)
        with pytest.raises(MlflowException, match="PERMISSION_DENIED"):
            client.rename_registered_model("over-http", "stock.AAPL")
        assert client.copy_model_version(f"models:/over-http/{version.version}", "copied").run_id == version.run_id
    finally:
        base.client()


def model_of_http(client: Any) -> str:
    found = client.search_runs(
        [client.get_experiment_by_name("alpha-loop/demo").experiment_id], "tags.symbol = 'BTC-USD'"
    )
    return str(found[0].data.params["model_id"])


def test_a_model_whose_file_was_replaced_over_http_is_not_served(base: Case, server: str) -> None:
    model = model_of(base, "BTC-USD")
    folder = local(base.client().get_logged_model(model).artifact_location)
    kept = (folder / "model" / "model.txt").read_bytes()
    inside = (folder / "model" / "model.txt").relative_to(base.root / "mlruns" / "artifacts").as_posix()
    try:
        status, _ = send("PUT", f"{server}/api/2.0/mlflow-artifacts/artifacts/{inside}", kept + b"\n")
        assert status == 200
        assert (folder / "model" / "model.txt").read_bytes() != kept
        body = {"name": "crypto.BTC-USD", "source": f"models:/{model}", "model_id": model}
        status, answer = post(server, "model-versions/create", body)
        assert (status, "not those that run" in answer["message"]) == (403, True)
        alias = {"name": "crypto.BTC-USD", "alias": "champion", "version": "1"}
        assert post(server, "registered-models/alias", alias)[0] == 403
        url = f"{server}/api/2.0/mlflow/model-versions/get-download-uri?name=crypto.BTC-USD&version=1"
        assert send("GET", url, b"")[0] == 403
    finally:
        (folder / "model" / "model.txt").write_bytes(kept)
    assert post(server, "registered-models/alias", alias)[0] == 200


def test_runs_and_models_are_projected_through_a_server(base: Case, server: str, tmp_path: Path) -> None:
    import mlflow
    import pandas as pd

    from src.tracking.projection import project

    other = Case(tmp_path)
    other.config.tracking.uri = server
    other.config.tracking.experiment = "through-http"
    good, bad = other.add("etf", "SPY", "xgboost"), other.add("etf", "QQQ", metrics=BAD)
    try:
        ids = dict(project(other.tracked, other.store, other.grades(), other.session).iter_rows())
        assert dict(project(other.tracked, other.store, other.grades(), other.session).iter_rows()) == ids
        client = mlflow.MlflowClient(server, server)
        assert len(client.search_runs([client.get_run(ids[good]).info.experiment_id])) == 3
        assert client.get_run(ids[bad]).data.metrics["sharpe"] == 0.31
        assert client.get_model_version("etf.SPY", "1").run_id == ids[good]
        rows, _ = training_rows()
        model = mlflow.pyfunc.load_model("models:/etf.SPY/1")
        assert model.predict(pd.DataFrame(rows, columns=FEATURES)).shape == (400,)
    finally:
        base.client()


def test_tracking_to_a_server_without_the_gate_is_refused(base: Case, server: str, tmp_path: Path) -> None:
    """A database that is not marked is not gated, plugin or no plugin: the probe must notice."""
    from src.tracking.errors import TrackingError

    other = Case(tmp_path)
    other.config.tracking.uri = server
    other.add("stock", "AAPL")
    with closing(sqlite3.connect(base.database)) as connection:
        connection.execute(f"ALTER TABLE {registry_gate.MARK} RENAME TO set_aside")
        try:
            with pytest.raises(TrackingError, match=r"has no gate.*python -m src.sync tracking.uri="):
                other.project()
        finally:
            connection.execute(f"ALTER TABLE set_aside RENAME TO {registry_gate.MARK}")
    other.config.tracking.uri = f"http://{HOST}:{free_port()}"
    with pytest.raises(TrackingError, match="no MLflow server answers"):
        other.project()
    base.client()


STUB = """
import sys
from src.tracking import server
from src.ui import ui
server.server_command = lambda location, port: [
    sys.executable, "-m", "http.server", str(port), "--bind", server.HOST
]
sys.exit(ui(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="a Ctrl+C can't be sent to another process group of Windows")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_ui_command_says_where_and_its_server_ends_with_it(base: Case, end: signal.Signals) -> None:
    """With a server that starts at once: tests/soak/test_tracking.py starts MLflow's."""
    port = free_port()
    command = [sys.executable, "-c", STUB, f"port={port}"]
    environment = {**os.environ, "DVC_ROOT": str(base.root), "PATH": os.defpath}
    streams = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
    with started(command, cwd=ROOT, env=environment, **streams) as process:
        assert f"http://127.0.0.1:{port}/#/experiments (Ctrl+C ends it)" in process.stderr.readline()
        until(lambda: answers(port, "/"), process)
        busy = process_case.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert (busy.returncode, f"port {port} is taken" in busy.stderr) == (1, True)
        process.send_signal(end)
        _, said = process.communicate(timeout=HANG)
    assert process.returncode == 0
    assert "Traceback" not in said.replace("http.server", "")
    assert not answers(port, "/")


def test_the_ui_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert ui([]) == 1
    assert "there is no MLflow store" in capfd.readouterr().err
    assert ui(["prot=5000"]) == 2
    assert ui(["tracking.uri=http://127.0.0.1:1"]) == 1
    assert "on the server http://127.0.0.1:1" in capfd.readouterr().err
    shutil.rmtree(tmp_path)
