"""Connect to a Ray cluster or start one: its settings, and messages for its refusals."""

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
_STORE_BYTES = (100_000_000, 2_000_000_000)  # object store of a cluster of our own: at least, at most
_BYTES_AN_ITEM = 8_000_000  # bars, features and results of one instrument, with room to spare


@contextlib.contextmanager
def connected(ray: Any, config: EngineConfig) -> Iterator[None]:
    """Connect to the cluster, or start one; on leaving, end only what was started here.

    Parameters
    ----------
    ray : module
        Ray itself.
    config : EngineConfig
        Address of the cluster; None starts one on this machine.

    Raises
    ------
    StageError
        If there is no connection, or Ray can't start.
    """
    if ray.is_initialized():
        yield
        return
    own = config.address is None
    with contextlib.ExitStack() as during:
        if own:
            _lock_own_cluster()
            during.enter_context(_on_loopback(ray))
        during.enter_context(_same_sigterm())
        context = _initialised(ray, config)
    # Ray prints messages about its workers to stdout, where a stage's closing line belongs: they go to the log.
    ray._private.worker.print_to_stdstream = _logged
    try:
        _look(ray, config)
        yield
    finally:
        ray.shutdown()
        if own:
            shutil.rmtree(context.address_info["session_dir"], ignore_errors=True)


def _initialised(ray: Any, config: EngineConfig) -> Any:
    """Ray's context.

    Raises
    ------
    StageError
        If there is no connection, or Ray can't start.
    """
    address = config.address
    if address not in (None, "auto"):
        require_reachable(str(address))
    try:
        return ray.init(**_settings(config))
    except (Exception, SystemExit) as error:  # Ray leaves by SystemExit where a cluster does not answer
        raise StageError(_refused(address, error)) from error


def _settings(config: EngineConfig) -> dict[str, Any]:
    threads = dict.fromkeys(ONE_THREAD, "1")
    # The excludes below count, and none of Ray's own.
    os.environ.setdefault("RAY_OVERRIDE_RUNTIME_ENV_DEFAULT_EXCLUDES", "")
    known: dict[str, Any] = {
        "configure_logging": False,
        "log_to_driver": False,
        "runtime_env": {"working_dir": str(ROOT), "excludes": _staying(), "env_vars": threads},
    }
    if config.address is not None:
        return {"address": config.address, **known}
    low, high = _STORE_BYTES
    store = min(max(config.batch_size * _BYTES_AN_ITEM, low), high)
    alone = {
        "address": "local",
        "num_cpus": worker_count(config),
        "include_dashboard": False,
        "object_store_memory": store,
    }
    if os.name == "posix":  # a shell starts the workers there, and Ray doesn't quote what may have a space
        known["runtime_env"]["py_executable"] = shlex.quote(sys.executable)
    return {**alone, "include_dashboard": False, "_node_ip_address": "127.0.0.1", **known}


def _staying() -> list[str]:
    """Patterns of what does not travel: everything but ``src/``. (``*`` would exclude that too.)"""
    return [*(f"/{path.name}" for path in sorted(ROOT.iterdir()) if path.name != "src"), "__pycache__"]


def _refused(address: str | None, error: BaseException) -> str:
    reason = first_line(error)
    if address is None:
        return f"Ray could not start on this machine: {type(error).__name__}: {reason}"
    if "ray[client]" in reason:
        return (
            f"engine.address={address} needs Ray's client: pip install 'ray[client]', or start the command on a "
            "machine of the cluster with engine.address=auto"
        )
    if "Version mismatch" in reason:
        found = " ".join(str(error).split())
        return f"engine.address={address}: {found}; use the same Python and requirements.lock on every machine"
    return (
        f"no connection to the Ray cluster at engine.address={address} ({reason}): start it with `ray start --head`; "
        "this machine has to be part of it, by `ray start --address=host:6379` (--num-cpus=0 if it only hands out work)"
    )


def _logged(data: dict[str, Any], **_how: Any) -> None:
    for line in data["lines"]:
        log.info("Ray: %s", str(line).strip().partition("\n")[0])


def _look(ray: Any, config: EngineConfig) -> None:
    """Log what a running cluster offers, and warn of settings that would leave it idle."""
    cpus = int(ray.cluster_resources().get("CPU", 0))
    log.info("Ray cluster at %s: %d nodes, %d CPUs", config.address or "this machine", len(ray.nodes()), cpus)
    if not cpus:
        log.warning("the Ray cluster at %s has no CPU yet: waiting for a node to join it", config.address)
    elif config.batch_size < cpus:
        log.warning(
            "engine.batch_size=%d keeps at most that many of the cluster's %d CPUs busy: raise it to %d",
            *(config.batch_size, cpus, 2 * cpus),
        )


def workers_live(ray: Any) -> bool:
    """Whether any worker of the cluster is alive.

    Parameters
    ----------
    ray : module
        Ray itself.

    Returns
    -------
    bool
        Always True behind ``ray://``, where this can't be found out.
    """
    return not ray._private.worker.global_worker.connected or bool(ray._private.state.workers())


def logs(ray: Any) -> str:
    """Return a hint where to read why no worker is alive, and the cause that is hardest to find.

    Parameters
    ----------
    ray : module
        Ray itself.

    Returns
    -------
    str
        The end of a sentence.
    """
    folder = ray._private.worker.global_worker.node.get_logs_dir_path()
    return (
        f"see raylet.err and worker-*.err in {folder}, on each node of the cluster (`ray start` must not be one in a "
        "path with a space: workers end before they begin there)"
    )


@contextlib.contextmanager
def _on_loopback(ray: Any) -> Iterator[None]:
    """Keep a cluster of our own to the loopback: Ray would replace 127.0.0.1 by the network's address."""
    constants = ray._private.ray_constants
    name, before = constants.ENABLE_RAY_CLUSTERS_ENV_VAR, constants.ENABLE_RAY_CLUSTER
    variable = os.environ.get(name)
    constants.ENABLE_RAY_CLUSTER, os.environ[name] = False, "0"  # for this process, and for those that it starts
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before
        os.environ.pop(name) if variable is None else os.environ.update({name: variable})


def _lock_own_cluster() -> None:
    """Give a cluster of this command a key of its own; Ray would write one into the home folder."""
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # that it has a key is no warning
    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ["RAY_AUTH_TOKEN"] = uuid.uuid4().hex


@contextlib.contextmanager
def _same_sigterm() -> Iterator[None]:
    """Keep the stage's handler of SIGTERM, which Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's name if it has none.

    Parameters
    ----------
    error : BaseException
        Any error.

    Returns
    -------
    str
        Never empty.
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]
