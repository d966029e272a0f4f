"""Connect to a running Ray cluster or start a temporary one: settings, and messages if it fails."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from src.config.schema import EngineConfig
from src.core.errors import StageError
from src.core.project import ROOT
from src.engine.cores import ONE_THREAD, worker_count
from src.engine.ray_address import require_reachable

log = logging.getLogger(__name__)
_STORE_BYTES = (100_000_000, 2_000_000_000)  # least and most memory of a temporary cluster's object store
_START_ATTEMPTS = 4  # of a temporary cluster: a busy machine may take longer than the 30 seconds that Ray gives it
_TOO_SLOW = "timed out during startup"  # in Ray's message
_BYTES_PER_ITEM = 8_000_000  # bars, features and results of one instrument, with room to spare


@contextlib.contextmanager
def connected(ray: Any, config: EngineConfig) -> Iterator[None]:
    """Connect to a cluster, or start a temporary one, for the length of the context.

    Parameters
    ----------
    ray : module
        The library. If it is already connected, the connection is used and left open.
    config : EngineConfig
        Without an ``address``, a cluster of this command alone is started on the loopback and removed at the end.

    Raises
    ------
    StageError
        If no cluster answers at the address, or a temporary one can't be started.
    """
    if ray.is_initialized():
        yield
        return
    temporary = config.address is None
    with contextlib.ExitStack() as stack:
        if temporary:
            _set_token()
            stack.enter_context(_on_loopback(ray))
        stack.enter_context(_same_sigterm())
        context = _initialised(ray, config)
    # Ray prints messages of its workers to stdout, which is for the stage's closing line: they go to the log.
    ray._private.worker.print_to_stdstream = _log_lines
    try:
        _log_resources(ray, config)
        yield
    finally:
        ray.shutdown()
        if temporary:
            shutil.rmtree(context.address_info["session_dir"], ignore_errors=True)


def _initialised(ray: Any, config: EngineConfig) -> Any:
    """Ray's context, or a `StageError` that says why there is no connection."""
    address = config.address
    if address not in (None, "auto"):
        require_reachable(str(address))
    attempts = _START_ATTEMPTS if address is None else 1
    while True:
        attempts -= 1
        try:
            return ray.init(**_settings(config))
        except (Exception, SystemExit) as error:  # Ray raises SystemExit if a cluster does not answer
            if not attempts or _TOO_SLOW not in str(error):
                raise StageError(_message(address, error)) from error
            log.info("Ray did not start within the 30 seconds that it gives a node: starting it again")
            ray.shutdown()


def _settings(config: EngineConfig) -> dict[str, Any]:
    """Arguments of `ray.init`."""
    threads = dict.fromkeys(ONE_THREAD, "1")
    os.environ.setdefault("RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES", "")  # Ray's defaults; `_excludes` has ours
    settings: dict[str, Any] = {
        "configure_logging": False,
        "log_to_driver": False,
        "runtime_env": {"working_dir": str(ROOT), "excludes": _excludes(), "env_vars": threads},
    }
    if config.address is not None:
        return {"address": config.address, **settings}
    low, high = _STORE_BYTES
    store = min(max(config.batch_size * _BYTES_PER_ITEM, low), high)
    temporary = {
        "address": "local",
        "num_cpus": worker_count(config),
        "include_dashboard": False,
        "object_store_memory": store,
    }
    if os.name == "posix":  # a shell starts the workers, and Ray does not quote a path that may contain a space
        settings["runtime_env"]["py_executable"] = shlex.quote(sys.executable)
    return {**temporary, "include_dashboard": False, "_node_ip_address": "127.0.0.1", **settings}


def _excludes() -> list[str]:
    """Patterns of what is not sent to the nodes: everything but ``src/``. (`*` would exclude ``src/`` as well.)"""
    return [*(f"/{path.name}" for path in sorted(ROOT.iterdir()) if path.name != "src"), "__pycache__"]


def _message(address: str | None, error: BaseException) -> str:
    line = first_line(error)
    if address is None:
        return f"Ray could not start on this machine: {type(error).__name__}: {line}"
    if "ray[client]" in line:
        return (
            f"engine.address={address} needs Ray's client: pip install 'ray[client]', or run the command on a machine "
            "of the cluster with engine.address=auto"
        )
    if "Version mismatch" in line:
        mismatch = " ".join(str(error).split())
        return f"engine.address={address}: {mismatch}; use the same Python and requirements.lock on every machine"
    return (
        f"no connection to the Ray cluster at engine.address={address} ({line}): start it with `ray start --head`; "
        "this machine must join it with `ray start --address=host:6379` (--num-cpus=0 if it should only hand out work)"
    )


def _log_lines(data: dict[str, Any], **_options: Any) -> None:
    for line in data["lines"]:
        log.info("Ray: %s", str(line).strip().partition("\n")[0])


def _log_resources(ray: Any, config: EngineConfig) -> None:
    """Log what a running cluster offers, and warn about what would leave it idle."""
    cpus = int(ray.cluster_resources().get("CPU", 0))
    log.info("Ray cluster at %s: %d nodes, %d CPUs", config.address or "this machine", len(ray.nodes()), cpus)
    if not cpus:
        log.warning("the Ray cluster at %s has no CPU yet: waiting for a node to join it", config.address)
    elif config.batch_size < cpus:
        log.warning(
            "engine.batch_size=%d keeps at most %d of the cluster's %d CPUs busy: raise it to %d",
            *(config.batch_size, config.batch_size, cpus, 2 * cpus),
        )


def workers_alive(ray: Any) -> bool:
    """Return whether any worker of the cluster is alive.

    Parameters
    ----------
    ray : module
        The library, connected to a cluster.

    Returns
    -------
    bool
        Always True behind ``ray://``, through which the cluster's state can't be read.
    """
    return not ray._private.worker.global_worker.connected or bool(ray._private.state.workers())


def log_hint(ray: Any) -> str:
    """Say which of Ray's log files explain why no worker is alive, and name the cause that is hardest to see.

    Parameters
    ----------
    ray : module
        The library, connected to a cluster.

    Returns
    -------
    str
        End of a sentence, for a warning.
    """
    folder = ray._private.worker.global_worker.node.get_logs_dir_path()
    return (
        f"see raylet.err and worker-*.err in {folder}, on each node of the cluster (if `ray start` lies in a path with "
        "a space, its workers end before they begin)"
    )


@contextlib.contextmanager
def _on_loopback(ray: Any) -> Iterator[None]:
    """Bind a temporary cluster to the loopback, where Ray may otherwise use the network's address for 127.0.0.1."""
    constants = ray._private.ray_constants
    name, constant = constants.ENABLE_RAY_CLUSTERS_ENV_VAR, constants.ENABLE_RAY_CLUSTER
    variable = os.environ.get(name)
    constants.ENABLE_RAY_CLUSTER, os.environ[name] = False, "0"  # for this process, and for those that it starts
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = constant
        os.environ.pop(name) if variable is None else os.environ.update({name: variable})


def _set_token() -> None:
    """Protect a temporary cluster with a token of its own; Ray would write one into the home folder."""
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # Ray warns that there is a token
    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ["RAY_AUTH_TOKEN"] = uuid.uuid4().hex


@contextlib.contextmanager
def _same_sigterm() -> Iterator[None]:
    """Keep the stage's handler of SIGTERM, which Ray replaces with its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message.

    Parameters
    ----------
    error : BaseException
        Any error.

    Returns
    -------
    str
        The line; the error's type if it has no message.
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]
