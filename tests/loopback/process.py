"""Start the loopback world in a process of its own, and end it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from src.core.project import ROOT
from tests.process_case import HANG, started


@dataclass(frozen=True)
class Loopback:
    """Addresses of a running world."""

    proxy: str
    control: str
    ca_file: str
    now: str

    def overrides(self) -> list[str]:
        """Settings of a command: the proxy and the certificate, and nothing else of the world."""
        return [f"source.live.proxy={self.proxy}", f"source.live.ca_file='{self.ca_file}'"]

    def ask(self, endpoint: str, body: Any = None, **query: object) -> Any:
        """Call an endpoint of `tests.loopback.control`: ``world.ask("now", at="2026-03-02T22:00")``."""
        request = Request(
            f"{self.control}/{endpoint}?{urlencode(query)}", None if body is None else json.dumps(body).encode()
        )
        with build_opener(ProxyHandler({})).open(request, timeout=HANG) as answer:
            return json.load(answer)


@contextmanager
def running(*arguments: str, seconds: float = 24 * HANG, env: Mapping[str, str] | None = None) -> Iterator[Loopback]:
    """A world as a process: ``with running("--symbols", "300", "--seed", "7") as world: ...``."""
    command = [sys.executable, "-m", "tests.loopback", "--seconds", str(seconds), *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with started(command, **pipes, cwd=ROOT, encoding="utf-8", env=env) as process:
        line = process.stdout.readline()
        assert line, "the loopback world did not start: see its words above"
        said: dict[str, Any] = json.loads(line)
        yield Loopback(**said)
        process.stdin.close()
        process.wait(HANG)
