"""Addresses of clusters, servers that are not Ray, and a machine without Ray."""

from __future__ import annotations

import http.server
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from src.config.schema import EngineConfig
from src.core.address import is_cluster_address
from src.core.errors import StageError
from src.engine import ray as engine
from src.engine.dispatch import run
from src.engine.ray_address import require_reachable


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a server that is not Ray."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("start", ["", "ray://"])
def test_an_address_where_nothing_listens_is_refused_with_the_remedy(start: str) -> None:
    address = f"{start}127.0.0.1:{closed_port()}"
    with pytest.raises(StageError, match=rf"no Ray cluster answers at engine.address={address} .*ray start --head"):
        list(run(abs, [1], EngineConfig(kind="ray", address=address)))


def test_a_server_that_is_not_ray_is_refused(web: int) -> None:
    with pytest.raises(StageError, match="is not a Ray cluster"):
        require_reachable(f"127.0.0.1:{web}")


def test_a_cluster_behind_tls_only_has_to_accept_the_connection(web: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    require_reachable(f"127.0.0.1:{web}")
    with pytest.raises(StageError, match="no Ray cluster answers"):
        require_reachable(f"127.0.0.1:{closed_port()}")


@pytest.mark.parametrize("address", ["nonsense", "host:", ":6379", "ray://host", "host:port", "host:99999"])
def test_a_malformed_address_is_not_accepted(address: str) -> None:
    assert not is_cluster_address(address)


@pytest.mark.parametrize("address", ["auto", "head:6379", "ray://10.0.0.1:10001", "[::1]:6379"])
def test_an_address_of_each_form_is_accepted(address: str) -> None:
    assert is_cluster_address(address)


def test_without_ray_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StageError, match=r"pip install -e \.\[ray\]"):
        engine._library()
