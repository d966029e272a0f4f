"""A server that other machines reach asks for a password, and its registry is gated as ever."""

from __future__ import annotations

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from src.core.errors import ConfigError, StageError
from src.tracking import server_auth
from src.tracking.location import StoreLocation
from src.tracking.registry_gate import PROBE
from src.tracking.server import server_command
from src.tracking.server_auth import VARIABLE, auth_environment, is_loopback
from src.ui import parse, ui
from tests.process_case import HANG
from tests.tracking.test_registry_server import free_port, running
from tests.tracking.tracking_case import case

PASSWORD = "correct horse battery"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_this_machine_needs_no_password(host: str) -> None:
    assert is_loopback(host)
    assert "basic-auth" not in server_command(StoreLocation("sqlite:///x", Path("x"), "a"), 5000, host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "[::]", "10.0.0.1", "example.com", "localhost.evil.com", "127.1", ""]
)
def test_any_other_address_needs_one(host: str) -> None:
    assert not is_loopback(host)
    command = server_command(StoreLocation("sqlite:///x", Path("x"), "a"), 5000, host)
    assert command[command.index("--app-name") + 1] == "basic-auth"
    assert "--no-serve-artifacts" in command


def test_without_a_password_nothing_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    made = case(tmp_path, monkeypatch)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert made.database.exists()
    assert ui(["host=0.0.0.0", f"port={free_port()}"]) == 1
    assert f"needs a password: put one of 12 characters or more into the variable {VARIABLE}" in capsys.readouterr().err
    monkeypatch.setenv(VARIABLE, "short")
    with pytest.raises(StageError, match="fewer than 12 characters"):
        auth_environment(tmp_path)


def test_the_password_is_never_an_argument() -> None:
    for argument in (f"password={PASSWORD}", f"{VARIABLE}={PASSWORD}", "host=", "host=a b", "host=--workers"):
        with pytest.raises(ConfigError):
            parse([argument])
    assert parse(["host=0.0.0.0"]).host == "0.0.0.0"
    assert parse([]).host == "127.0.0.1"


def test_the_password_comes_from_a_file_and_may_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    monkeypatch.delenv(VARIABLE, raising=False)
    for password in (PASSWORD, "another long password"):
        (tmp_path / "password").write_text(f"{password}\n")
        variables = auth_environment(tmp_path)
        store = SqlAlchemyStore()
        store.init_db(f"sqlite:///{(tmp_path / 'users.db').as_posix()}")
        assert store.authenticate_user(server_auth.ADMIN, password)
        assert store.get_user(server_auth.ADMIN).is_admin
        store.engine.dispose()
    assert not (tmp_path / "basic_auth.ini").read_text().count(password)
    assert variables["MLFLOW_FLASK_SERVER_SECRET_KEY"] == auth_environment(tmp_path)["MLFLOW_FLASK_SERVER_SECRET_KEY"]


def test_a_running_server_asks_for_it_and_keeps_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = case(tmp_path, monkeypatch)
    made.add("crypto", "BTC-USD")
    made.project()
    monkeypatch.setenv(VARIABLE, PASSWORD)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "mlflow.server.auth:create_app", "--interface", "auto"]
    settings = {
        "_MLFLOW_SERVER_FILE_STORE": made.uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": made.uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": (tmp_path / "mlruns" / "artifacts").as_uri(),
        "_MLFLOW_SGI_NAME": "uvicorn",
        **auth_environment(tmp_path / "auth"),
    }
    command += ["--host", "127.0.0.1", "--port", str(port)]
    probe = {"name": "x", "source": PROBE, "model_id": PROBE.removeprefix("models:/")}
    evil = {"name": "evil", "artifact_location": str(tmp_path / "mlruns" / "artifacts" / "demo" / "models")}
    with running(command, port, "/health", tmp_path, **settings) as url:
        for user in (None, "admin:wrong password"):
            assert ask(url, "experiments/search", {"max_results": 1}, user)[0] == 401
            assert ask(url, "model-versions/create", probe, user)[0] == 401
        user = f"admin:{PASSWORD}"
        assert ask(url, "experiments/search", {"max_results": 1}, user)[0] == 200
        status, answer = ask(url, "model-versions/create", probe, user)
        assert (status, "alpha-loop gate" in answer) == (403, True)
        status, answer = ask(url, "experiments/create", evil, user)
        assert (status, "overlaps" in answer) == (403, True)


def ask(url: str, path: str, body: dict[str, Any], user: str | None) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    if user is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
    request = urllib.request.Request(f"{url}/api/2.0/mlflow/{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
