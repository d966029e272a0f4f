"""MLflow's web application with this project's choices for a browser's first visit.

MLflow opens on its assistant and on pages about prompts and traces until its switches were used once; it keeps them in
the browser's storage. The application here is MLflow's own, and its first page carries a script that sets the two
switches where they are not set yet. What a person chose stays. ``mlflow server --app-name alpha-loop`` starts it, by
the entry point group ``mlflow.app``; nothing of MLflow is changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

NAME = "alpha-loop"
"""Name of the entry point."""

START = "ALPHA_LOOP_START_PAGE"
"""Variable with the page that a bare address opens, such as ``/experiments/1/runs``; empty for MLflow's own."""

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Message]], Send], Awaitable[None]]

_SCRIPT = """<script>
try {
  const chosen = {
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.workflowType_v1": '"machine_learning"',
  };
  for (const [key, value] of Object.entries(chosen))
    if (localStorage.getItem(key) === null) localStorage.setItem(key, value);
} catch {}
if (START && location.hash === "") location.replace("#" + START);
</script>"""
_CONDITIONS = (b"if-none-match", b"if-modified-since", b"range")
_REPLACED = (b"content-length", b"etag", b"last-modified", b"cache-control")


def create_app() -> Application:
    """Build the application; MLflow's server calls this."""
    from mlflow.server.fastapi_app import app

    return with_first_visit(app, os.environ.get(START, ""))


def with_first_visit(inner: Application, start: str = "") -> Application:
    """Add the script to the page at ``/``; everything else passes through.

    Parameters
    ----------
    inner : callable
        An ASGI application.
    start : str
        Page that a bare address opens.
    """
    script = _SCRIPT.replace("START", json.dumps(start).replace("<", "\\u003c")).encode()

    async def application(scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await inner(scope, receive, send)
            return
        # An answer "not modified" would leave the page that the browser has, with or without the script.
        asked = [(name, value) for name, value in scope["headers"] if name not in _CONDITIONS]
        await inner({**scope, "headers": asked}, receive, _Page(send, script))

    return application


class _Page:
    """Holds a page back until it is whole, and sends it with the script.

    Parameters
    ----------
    send : callable
        Takes the messages of the answer.
    script : bytes
    """

    def __init__(self, send: Send, script: bytes) -> None:
        self._send = send
        self._script = script
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            await self._send(self._whole())
            message = {"type": "http.response.body", "body": self._body}
        await self._send(message)

    def _whole(self) -> Message:
        """The start of the answer; the script goes in front of the page's own."""
        if b"<head>" not in self._body:
            return self._start
        self._body = self._body.replace(b"<head>", b"<head>" + self._script, 1)
        kept = [(name, value) for name, value in self._start["headers"] if name.lower() not in _REPLACED]
        kept += [(b"content-length", str(len(self._body)).encode()), (b"cache-control", b"no-cache")]
        return {**self._start, "headers": kept}
