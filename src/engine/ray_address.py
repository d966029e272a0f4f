"""Check within seconds that a Ray cluster answers at an address; Ray's own attempt takes two minutes to fail."""

from __future__ import annotations

import os
import socket

from src.core.address import host_and_port
from src.core.errors import StageError

_TIMEOUT = 5.0  # seconds for a connection, and for the first answer
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # RFC 9113: client preface and empty settings
_SETTINGS = 4  # type of the first frame that an HTTP/2 server, and so a gRPC server, answers with


def require_reachable(address: str) -> None:
    """Require that a gRPC server listens at the address, or a TLS server if ``RAY_USE_TLS`` is set.

    Parameters
    ----------
    address : str
        ``host:port`` or ``ray://host:port``.

    Raises
    ------
    StageError
        If nothing answers there within 5 seconds, or what answers does not speak HTTP/2.
    """
    host, port = host_and_port(address)
    try:
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT) as connection:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
                return  # a TLS server answers nothing before the handshake; Ray itself checks the certificates
            connection.sendall(_HTTP2)
            answer = connection.recv(9)
    except OSError as error:
        raise StageError(f"no Ray cluster answers at engine.address={address} ({_reason(error)}): {_REMEDY}") from error
    if len(answer) < 4 or answer[3] != _SETTINGS:
        raise StageError(f"the server at engine.address={address} is not a Ray cluster: {_REMEDY}")


_REMEDY = (
    "start Ray there with `ray start --head --port=6379`, check that no firewall blocks the port, or leave out "
    "engine.address to use this machine alone"
)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_TIMEOUT:g} s"
    return str(error) or type(error).__name__
