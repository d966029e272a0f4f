"""MLflow's pages on the project's runs and models: ``python -m src.ui``; Ctrl+C ends it.

The server listens on this machine only, has one worker, unpickles nothing and sends no telemetry. Files of models can't
be changed through it. ``port=5001`` takes another port, ``tracking.uri=sqlite:///<file>`` another store.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from src.config.schema import TrackingConfig
from src.core.errors import ConfigError, StageError
from src.runtime.redaction import masked
from src.tracking.location import Home, home, prepare, require_gate

HOST = "127.0.0.1"
PORT = 5000


def serve(where: Home, port: int) -> int:
    """Run MLflow's server until it is stopped; returns the exit status.

    Raises
    ------
    StageError
        Where there is nothing to show, the registry would have no gate, or the port is taken.
    """
    if where.is_server:
        raise StageError(f"the runs are on the server {masked(where.uri)}: open that address in a browser")
    if where.database is not None and not where.database.exists():
        raise StageError(f"there is no MLflow store at {where.database} yet: run make demo, or python -m src.train")
    require_gate()
    if not _is_free(port):
        raise StageError(
            f"port {port} is taken, perhaps by another python -m src.ui: open http://{HOST}:{port}, or choose another "
            f"with port={port + 1}"
        )
    prepare(where)
    for name in ("SIGTERM", "SIGBREAK", "SIGHUP"):
        if hasattr(signal, name):  # however this process is asked to go, the server goes with it
            signal.signal(getattr(signal, name), signal.default_int_handler)
    # A group of its own: Ctrl+C comes here alone, and the server is ended politely instead of amid its tracebacks.
    apart = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    told = {**environment(), **stores(where)}
    process = subprocess.Popen(command(where, port), env=told, creationflags=apart, start_new_session=os.name != "nt")
    try:
        shown = where.database or masked(where.uri)
        _say(f"MLflow on {shown} starts at http://{HOST}:{port}/#/experiments (Ctrl+C ends it)")
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(process)


def command(where: Home, port: int) -> list[str]:
    """The command line of the server; the store, whose address may hold a password, is told by `stores`."""
    files = ["--default-artifact-root", str(where.artifacts), "--no-serve-artifacts"]
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        *files,
        "--host",
        HOST,
        "--port",
        str(port),
        "--workers",
        "1",
    ]


def stores(where: Home) -> dict[str, str]:
    """What tells the server its stores outright, in its environment: anyone can read a command line."""
    return {"MLFLOW_BACKEND_STORE_URI": where.uri, "MLFLOW_REGISTRY_STORE_URI": where.uri}


def environment() -> dict[str, str]:
    """This environment, with Python's own folder first on the PATH: MLflow starts uvicorn by name."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path}


def parse(arguments: Iterable[str]) -> tuple[TrackingConfig, int]:
    """The store and the port from ``key=value`` arguments.

    Raises
    ------
    ConfigError
        For any other argument.
    """
    tracking, port = TrackingConfig(), PORT
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "port" and value.isdigit() and 0 < int(value) < 65536:
            port = int(value)
        elif key in ("tracking.uri", "tracking.artifacts") and value:
            setattr(tracking, key.removeprefix("tracking."), value)
        else:
            raise ConfigError(f"ui takes port=<number> and tracking.uri=<store>, got {argument}")
    return tracking, port


def main(arguments: list[str]) -> int:
    """Run the command; exit status 0, 1 failed, 2 wrong usage."""
    if any(each in ("-h", "--help") for each in arguments):
        sys.stdout.write(__doc__ or "")
        return 0
    try:
        tracking, port = parse(arguments)
        return serve(home(tracking), port)
    except ConfigError as error:
        _say(f"ui: {error}")
        return 2
    except StageError as error:
        _say(f"ui: {error}")
        return 1


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((HOST, port)) != 0


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server with all of its processes, and see that it is gone."""
    import psutil

    if process.poll() is not None:
        return
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    process.terminate()
    _, left = psutil.wait_procs(family, timeout=10)
    for each in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
