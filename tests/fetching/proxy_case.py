"""Proxies and portals on loopback, which stand in the way of requests."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

GOOD = b"HTTP/1.1 200 Connection established\r\n\r\n"
SIGN_IN = b"<!DOCTYPE html><html><head><title>Sign in to the hotel's network</title></head></html>"
PORTAL = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
    len(SIGN_IN), SIGN_IN,
)  # fmt: skip


@contextmanager
def proxy(connected: bytes, context: ssl.SSLContext | None = None, inside: bytes = b"") -> Iterator[str]:
    """A proxy that answers CONNECT with `connected`, then speaks TLS and answers each request with `inside`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        try:
            with connection:
                connection.recv(65_536)
                connection.sendall(connected)
                if context is not None:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(65_536)
                        secured.sendall(inside)
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def server(*hosts: str, not_before: int = -1, not_after: int = 1, trusted: Path | None = None) -> ssl.SSLContext:
    """A certificate in these names, valid from and until so many days from now; its authority is written to a file."""
    authority = trustme.CA()
    if trusted is not None:
        authority.cert_pem.write_to_path(str(trusted))
    now = dt.datetime.now(dt.UTC)
    leaf = authority.issue_cert(
        *hosts, not_before=now + dt.timedelta(days=not_before), not_after=now + dt.timedelta(days=not_after)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context
