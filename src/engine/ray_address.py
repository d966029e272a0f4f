"""Check within seconds whether a Ray cluster answers at an address: Ray's own check takes two minutes."""

from __future__ import annotations

import os
import socket

from src.core.address import host_and_port
from src.core.errors import StageError

_PATIENCE = 5.0  # seconds for a connection, and for the first answer
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # RFC 9113: client preface and empty settings
_SETTINGS = 4  # type of the frame that a server of HTTP/2, which gRPC is, answers with first


def require_reachable(address: str) -> None:
    """Make sure that a server of gRPC, or of TLS where RAY_USE_TLS says so, listens at an address.

    Parameters
    ----------
    address : str
        ``[ray://]host:port``.

    Raises
    ------
    StageError
        If none does.
    """
    host, port = host_and_port(address)
    try:
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as connection:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
                return  # a server of TLS answers nothing else; Ray itself checks the certificates
            connection.sendall(_HTTP2)
            answer = connection.recv(9)
    except OSError as error:
        raise StageError(f"no Ray cluster answers at engine.address={address} ({_reason(error)}): {_REMEDY}") from error
    if len(answer) < 4 or answer[3] != _SETTINGS:
        raise StageError(f"the server at engine.address={address} is no Ray cluster: {_REMEDY}")


_REMEDY = (
    "start it there with `ray start --head --port=6379`, see that no firewall is between, or leave engine.address out "
    "to use this machine alone"
)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came within {_PATIENCE:g} s"
    return str(error) or type(error).__name__
