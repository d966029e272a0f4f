"""Notifications reach a server on this machine, and no address reaches a log, the terminal or another process."""

from __future__ import annotations

import http.server
import json
import logging
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.runtime import redaction, stage_process
from src.runtime.log_file import log_file
from src.runtime.redaction import PRIVATE_ADDRESSES
from src.scheduling import notifying
from tests.process_case import free_port

SECRETS = ("Us3rOfTheHook", "Passw0rdOfTheHook", "T0kenOfTheHook", "Qu3ryOfTheHook")
NOTIFY, SWITCH = PRIVATE_ADDRESSES


class Server(http.server.ThreadingHTTPServer):
    """Keeps what it was asked, and answers with one status."""

    status = 200

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append((self.command, self.path, body))
        self.send_response(self.server.status)
        self.end_headers()

    do_GET = do_POST = answer

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    redaction.forget()


def addresses(server: Server) -> str:
    return f"json://{SECRETS[0]}:{SECRETS[1]}@{server.host}/{SECRETS[2]}?+{SECRETS[3]}=1"


def test_a_notification_is_sent_to_each_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NOTIFY, f"json://{server.host}/one\n json://{server.host}/two ")
    notifying.send("Alpha Loop quick: book of 2026-11-20", "stock AAPL 0.0% to 5.0%\n\npredict: <b>1 & 2</b>")
    assert [(verb, path) for verb, path, _ in server.asked] == [("POST", "/one"), ("POST", "/two")]
    sent = json.loads(server.asked[0][2])
    assert sent["title"] == "Alpha Loop quick: book of 2026-11-20"
    assert sent["message"] == "stock AAPL 0.0% to 5.0%\n\npredict: <b>1 & 2</b>"


def test_secrets_in_the_text_itself_are_masked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NOTIFY, f"json://{server.host}/")
    notifying.send("day", "hydrate: https://bob:T0pSecret@proxy refused")
    assert b"T0pSecret" not in server.asked[0][2]


@pytest.mark.parametrize("fault", ["refused", "closed", "unknown", "broken"])
def test_a_failed_notification_is_a_warning_without_the_address(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, fault: str
) -> None:
    server.status = 500
    given = addresses(server)
    if fault == "closed":
        given = given.replace(server.host, f"127.0.0.1:{free_port()}")
    if fault == "unknown":
        given = given.replace("json://", "nothing://")
    if fault == "broken":
        monkeypatch.setattr(notifying, "_send", _raise)
    monkeypatch.setenv(NOTIFY, given)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    with log_file(tmp_path / "daily.log"):
        logging.getLogger().setLevel(logging.DEBUG)
        notifying.send("day", "text")
        logging.getLogger().setLevel(logging.WARNING)
    seen = "".join([*capsys.readouterr(), (tmp_path / "daily.log").read_text(encoding="utf-8")])
    assert "the day itself is not affected" in seen
    assert [secret for secret in SECRETS if secret in seen] == []
    assert "127.0.0.1" not in seen


def _raise(given: list[str], *_texts: str) -> list[tuple[int, str]]:
    logging.getLogger("apprise").warning("could not reach %s", given)
    raise OSError(f"no route to {given}")


def test_every_command_masks_the_addresses_and_what_they_consist_of(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTIFY, addresses(server))
    monkeypatch.setenv(SWITCH, f"https://hc-ping.com/{SECRETS[2]}-uuid")
    redaction.remember_environment()
    for text in (os.environ[NOTIFY], os.environ[SWITCH], *SECRETS, f"POST /{SECRETS[2]}-uuid HTTP/1.1"):
        assert not [secret for secret in SECRETS if secret in redaction.shown(f"x {text} y")]
    assert redaction.shown("the report at localhost of quick") == "the report at localhost of quick"


def test_no_step_inherits_the_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NOTIFY, "json://x/T0kenOfTheHook")
    given: list[dict[str, str]] = []

    class Ended(subprocess.Popen):  # type: ignore[type-arg]
        returncode = 0

        def __init__(self, _command: object, *, env: dict[str, str], **_settings: object) -> None:
            given.append(env)

        def communicate(self, *_arguments: object, **_settings: object) -> tuple[str, str]:
            return "hydrate: done\n", ""

        def __del__(self, *_arguments: object) -> None:
            pass

    monkeypatch.setattr(stage_process.subprocess, "Popen", Ended)
    assert stage_process.run_stage("hydrate", []).line == "hydrate: done"
    assert not set(PRIVATE_ADDRESSES) & set(given[0])
    assert given[0]["PATH"] == os.environ["PATH"]


def test_the_switch_is_asked_for_after_a_good_day_and_with_fail_after_a_bad_one(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, f"http://{server.host}/uuid/?rid=7")
    notifying.ping(True)
    notifying.ping(False)
    assert [path for _, path, _ in server.asked] == ["/uuid?rid=7", "/uuid/fail?rid=7"]


@pytest.mark.parametrize(
    "address", ["ftp://127.0.0.1/T0kenOfTheHook", "http://127.0.0.1:1/T0kenOfTheHook", "T0kenOfTheHook"]
)
def test_a_switch_that_does_not_answer_is_a_warning_without_its_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv(SWITCH, address)
    notifying.ping(True)
    seen = capsys.readouterr().err
    assert seen.startswith("daily: ")
    assert "T0kenOfTheHook" not in seen


def test_without_addresses_nothing_is_sent_or_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NOTIFY, raising=False)
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(notifying, "_send", _raise)
    notifying.send("day", "text")
    notifying.ping(True)
