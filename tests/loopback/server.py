"""A CONNECT proxy on 127.0.0.1 that terminates TLS itself for the host names of all providers.

A client gets only the address of the proxy and a certificate; it connects to the real host names over TLS. A
connection to a host outside the world is refused, so nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import trustme

from tests.loopback.wire import Reply, Request
from tests.process_case import HANG

Answer = Callable[[Request], Reply]
_STATUS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 418: "I'm a teapot",
    422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway",
    503: "Service Unavailable", 999: "Request denied",
}  # fmt: skip
_LIMIT = 1 << 20  # bytes of a head or a body that a client may send
_IDLE = 120.0  # seconds without a request before a connection is closed
_ENDS = (OSError, TimeoutError, asyncio.CancelledError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


def certificate(folder: Path, hosts: tuple[str, ...]) -> tuple[Path, ssl.SSLContext]:
    """A new certificate authority, written to `folder`, and a server context for all hosts."""
    authority = trustme.CA()
    path = folder / "loopback-ca.pem"
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)
    context.set_alpn_protocols(["http/1.1"])
    return path, context


class Proxy:
    """Accepts CONNECT, answers it itself, and passes each request inside to `answer`."""

    def __init__(self, hosts: tuple[str, ...], context: ssl.SSLContext, answer: Answer) -> None:
        self.hosts, self.context, self.answer = frozenset(hosts), context, answer

    async def start(self) -> int:
        """Listen on a free port of 127.0.0.1 and return it."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=_LIMIT)
        return int(server.sockets[0].getsockname()[1])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_ENDS):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _IDLE)
            method, target, *_ = head.decode("latin-1").split(" ", 2)
            host, _, port = target.rpartition(":")
            if method != "CONNECT" or host not in self.hosts or port != "443":
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.start_tls(self.context)
                await self._serve(host, reader, writer)
        await closed(writer)

    async def _serve(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read(host, reader)) is not None:
            reply = self.answer(request)
            if reply.stall:
                await asyncio.wait_for(reader.read(1), HANG)
                return
            if reply.reset:
                await reset(writer, render(reply))
                return
            writer.write(render(reply))
            await writer.drain()
            if reply.sent is not None or request.headers.get("connection") == "close":
                return


async def read(host: str, reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, or None where it has ended."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _IDLE)
    except (asyncio.IncompleteReadError, TimeoutError):
        return None
    line, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest if each)}
    size = int(headers.get("content-length", 0))
    body = await reader.readexactly(min(size, _LIMIT)) if size else b""
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(host, method, unquote(parts.path), query, headers, body)


def render(reply: Reply) -> bytes:
    """Head and body as sent; a body that will be cut still announces its whole length."""
    head = [f"HTTP/1.1 {reply.status} {_STATUS.get(reply.status, 'Unknown')}", f"Content-Type: {reply.kind}"]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in reply.headers.items()]
    head += [f"Content-Length: {len(reply.body)}", "Connection: keep-alive", "", ""]
    return "\r\n".join(head).encode("latin-1") + reply.body[: reply.sent]


async def reset(writer: asyncio.StreamWriter, whole: bytes) -> None:
    """Reset the connection in the middle of an answer: before its first byte, clients quietly ask again."""
    writer.write(whole[: len(whole) // 2])
    await writer.drain()
    await asyncio.sleep(0.02)  # otherwise the reset arrives before the data, which tests allow
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(*_ENDS):
        writer.close()
        await asyncio.wait_for(writer.wait_closed(), 1)
