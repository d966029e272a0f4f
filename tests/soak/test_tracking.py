"""Writing into a tracking server ended at every step, killed, and done by two at once: the next sync ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from src.core.project import ROOT
from src.sync import sync
from src.tracking.server import HOST
from tests import process_case
from tests.tracking.routes_case import ended_at, look_anew, project_at, rows, store_server, written_by_bulk
from tests.tracking.test_registry_server import answers, free_port, post, running, send
from tests.tracking.tracking_case import FEATURES, Case, case, training_rows

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with store_server(tmp_path_factory.mktemp("server")) as both:
        yield both


@pytest.fixture(scope="module")
def by_bulk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return written_by_bulk(tmp_path_factory.mktemp("bulk"))


@pytest.mark.parametrize(
    ("step", "times"),
    [("create_run", 2), ("set_terminated", 2), ("create_logged_model", 0), ("log_model_artifacts", 0),
     ("create_model_version", 0)],
)  # fmt: skip
def test_wherever_a_sync_ends_the_next_one_ends_it(
    step: str, times: int, by_bulk: dict[str, Any], server: tuple[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = project_at(tmp_path, monkeypatch, server[0])
    made.config.tracking.experiment = f"ended-{step}"
    ended_at(step, times, made)
    assert rows(server[1], f"ended-{step}/demo") == by_bulk


KILLED = """
import os, sys
import mlflow
from src.config.schema import Config
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
    done = process_case.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 137, done.stderr.decode()
    client = made.client()
    number = client.get_experiment_by_name("killed/demo").experiment_id
    assert [run for run in client.search_runs([number]) if run.info.status == "RUNNING"]
    sync(made.config)
    assert rows(server[1], "killed/demo") == by_bulk


AT_ONCE = """
import sys
from src.config.schema import Config
from src.sync import sync

url, root, experiment = sys.argv[1:]
config = Config()
config.data.root, config.tracking.uri, config.tracking.experiment = f"{root}/data", url, experiment
print("ready", flush=True)
input()
sync(config)
"""


def test_two_at_once_leave_each_record_once_and_every_version_whole(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the two may stop with MLflow's words: what counts is what the next sync leaves."""
    made = project_at(tmp_path, monkeypatch, server[0])
    for number in range(12):
        made.add("crypto", f"C{number:02}")
    made.config.tracking.experiment = "at-once"
    made.client().create_experiment("at-once/demo")
    command = [sys.executable, "-c", AT_ONCE, server[0], str(tmp_path), "at-once"]
    pair = [subprocess.Popen(command, cwd=ROOT, text=True, stdin=-1, stdout=-1, stderr=-1) for _ in range(2)]
    for each in pair:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in pair:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.communicate(timeout=250)[1] for each in pair]
    sys.stdout.write(f"exit statuses {[each.returncode for each in pair]}\n")
    assert all("Traceback" not in words or "MlflowException" in words for words in said), said
    look_anew()
    sync(made.config)
    client = made.client()
    where = client.get_experiment_by_name("at-once/demo").experiment_id
    runs = client.search_runs([where], "tags.`alpha.record_id` LIKE '%'")
    counting = [run.data.tags["alpha.record_id"] for run in runs if not run.data.tags.get("alpha.superseded")]
    assert sorted(counting) == sorted({row["record_id"] for row in made.graded})
    assert all(run.info.status == "FINISHED" for run in runs)
    for version in client.search_model_versions():
        if version.run_id in {run.info.run_id for run in runs}:
            assert mlflow.pyfunc.load_model(f"models:/{version.name}/{version.version}") is not None


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with pytest.MonkeyPatch.context() as patch:
        made = case(tmp_path_factory.mktemp("ui"), patch)
        made.add("crypto", "BTC-USD")
        made.project()
        yield made


@pytest.mark.skipif(os.name == "nt", reason="a Ctrl+C can't be sent to another process group of Windows")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_ui_command_shows_the_store_and_its_server_ends_with_it(base: Case, end: signal.Signals) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "src.ui", f"port={port}"], cwd=ROOT, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "DVC_ROOT": str(base.root), "PATH": os.defpath}, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert f"http://127.0.0.1:{port}/#/experiments (Ctrl+C ends it)" in process.stderr.readline()
        for _ in range(600):
            if answers(port, "/health"):
                break
            time.sleep(0.1)
        assert answers(port, "/")
        status, found = post(f"http://127.0.0.1:{port}", "experiments/search", {"max_results": 10})
        assert status == 200
        assert "alpha-loop/demo" in [each["name"] for each in found["experiments"]]
        put = f"http://127.0.0.1:{port}/api/2.0/mlflow-artifacts/artifacts/demo/x.txt"
        with pytest.raises((urllib.error.HTTPError, json.JSONDecodeError)):
            assert send("PUT", put, b"x")[0] != 200
            raise json.JSONDecodeError("refused as it should be", "", 0)
    finally:
        os.kill(process.pid, end)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert not answers(port, "/health")


def test_the_champion_is_served_over_http(base: Case) -> None:
    client, port = base.client(), free_port()
    client.set_registered_model_alias("crypto.BTC-USD", "champion", "1")
    rows, _ = training_rows()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/crypto.BTC-USD@champion"]
    command += ["--env-manager", "local", "--host", HOST, "--port", str(port)]
    uris = {"MLFLOW_TRACKING_URI": base.uri, "MLFLOW_REGISTRY_URI": base.uri}
    data = [[None if np.isnan(value) else float(value) for value in row] for row in rows[:20]]
    body = json.dumps({"dataframe_split": {"columns": FEATURES, "data": data}}).encode()
    with running(command, port, "/ping", base.root, **uris) as url:
        status, answer = send("POST", f"{url}/invocations", body)
        status_without, _ = send("POST", f"{url}/invocations", json.dumps({"inputs": {FEATURES[0]: [0.1]}}).encode())
    import pandas as pd

    expected = mlflow.pyfunc.load_model("models:/crypto.BTC-USD@champion").predict(
        pd.DataFrame(rows[:20], columns=FEATURES)
    )
    assert status == 200
    assert answer["predictions"] == pytest.approx(list(expected))
    assert status_without == 400
