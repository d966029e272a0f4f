"""MLflow's own server on the project's store: one worker, no telemetry, nothing unpickled.

It listens on this machine only; at any other address it asks for a password.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from src.config.commands import command
from src.core.errors import StageError
from src.runtime.redaction import masked
from src.tracking import environment
from src.tracking.database import wait_for_database
from src.tracking.location import StoreLocation
from src.tracking.server_app import NAME, START
from src.tracking.server_auth import ADMIN, auth_environment, is_loopback

HOST = "127.0.0.1"
PORT = 5000


def serve(
    location: StoreLocation, port: int, show: Callable[[str], None], host: str = HOST, start: StartPage | None = None
) -> int:
    """Run MLflow's server until it is stopped.

    Parameters
    ----------
    location : StoreLocation
    port : int
    show : callable
        Takes the line that says where the server starts.
    host : str
        Address to listen at. One that other machines reach needs a password, see `src.tracking.server_auth`.
    start : StartPage, optional
        What to say of the pages, and which of them to open.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    StageError
        If there is nothing to show, the registry would have no gate, a password is missing, or the port is taken.
    """
    _check(location, port, host)
    users = {} if is_loopback(host) else auth_environment()
    environment.set_environment(location)
    if location.database is not None:
        wait_for_database(location.database)
    for name in ("SIGTERM", "SIGBREAK", "SIGHUP"):
        if hasattr(signal, name):  # however this process is asked to end, the server ends with it
            signal.signal(getattr(signal, name), signal.default_int_handler)
    # Polars' own handler of Ctrl+C lets the system go on with a wait; Python's interrupts it.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A process group of its own: Ctrl+C reaches this process alone, which ends the server without tracebacks.
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    process = subprocess.Popen(
        server_command(location, port) if host == HOST else server_command(location, port, host),
        env={**server_environment(), **store_variables(location), **users, START: start.fragment if start else ""},
        creationflags=flags,
        start_new_session=os.name != "nt",
    )
    try:
        store = location.database or masked(location.uri)
        asks = f"; it asks for the password of {ADMIN}" if users else ""
        show(f"MLflow on {store} starts at http://{host}:{port}/#/experiments{asks} (Ctrl+C ends it)")
        if start is not None:
            start.show(show, process, port)
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(process)


@dataclass(frozen=True)
class StartPage:
    """The pages that a server is started for.

    Attributes
    ----------
    lines : tuple of str
        A line for each page.
    address : str
        Of the page that a browser gets first; empty for MLflow's own.
    opens : bool
        Whether to open it in a browser.
    """

    lines: tuple[str, ...] = ()
    address: str = ""
    opens: bool = False

    @property
    def fragment(self) -> str:
        """The part of the address that MLflow's page reads itself."""
        return self.address.partition("#")[2]

    def show(self, show: Callable[[str], None], process: subprocess.Popen[bytes], port: int) -> None:
        """Say where the pages are, and open the first once the server answers.

        Parameters
        ----------
        show : callable
            Takes one line.
        process : Popen
            The server.
        port : int
        """
        for line in self.lines:
            show(line)
        if self.opens and self.address:
            threading.Thread(target=self._open, args=(process, port), daemon=True).start()

    def _open(self, process: subprocess.Popen[bytes], port: int) -> None:
        import webbrowser

        while process.poll() is None and not _answers(HOST, port):
            time.sleep(0.3)
        if process.poll() is None:
            webbrowser.open(self.address)


def has_browser() -> bool:
    """Whether a person at a terminal with a display started this process."""
    is_shown = os.name == "nt" or sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    return sys.stderr.isatty() and is_shown


def server_command(location: StoreLocation, port: int, host: str = HOST) -> list[str]:
    """Command line of the server, without the store's address, which may hold a password.

    Parameters
    ----------
    location : StoreLocation
    port : int
    host : str
        Address to listen at.
    """
    ours = ["--app-name", NAME] if NAME in environment.gated_schemes("mlflow.app") else []
    users = ours if is_loopback(host) else ["--app-name", "basic-auth"]
    files = ["--default-artifact-root", str(location.artifacts), "--no-serve-artifacts"]
    network = ["--host", host.strip("[]"), "--port", str(port), "--workers", "1"]
    return [sys.executable, "-m", "mlflow", "server", *files, *network, *users]


def store_variables(location: StoreLocation) -> dict[str, str]:
    """Variables that give the server its store: anyone can read a command line.

    Parameters
    ----------
    location : StoreLocation
    """
    return {"MLFLOW_BACKEND_STORE_URI": location.uri, "MLFLOW_REGISTRY_STORE_URI": location.uri}


def server_environment() -> dict[str, str]:
    """This process's environment, with Python's own folder first on the PATH: MLflow starts uvicorn by name."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path}


def _check(location: StoreLocation, port: int, host: str) -> None:
    if location.is_server:
        raise StageError(f"the runs are on the server {masked(location.uri)}: open that address in a browser")
    if location.database is not None and not location.database.exists():
        raise StageError(f"there is no MLflow store at {location.database} yet: run {command('train')}")
    environment.require_gate()
    if _answers(HOST if host in ("0.0.0.0", "::", "[::]") else host.strip("[]"), port):
        raise StageError(
            f"port {port} is taken, perhaps by another python -m src.ui: open http://{HOST}:{port}, or choose another "
            f"with port={port + 1}"
        )


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server with all of its processes, and wait until they are gone."""
    import psutil

    if process.poll() is not None:
        return
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=10)
    for each in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
