"""Connecting to a Ray cluster or starting one: what it is told, and its refusals in words."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from src.config import ROOT, EngineConfig
from src.engine import ONE_THREAD, workers
from src.engine.ray_address import require_reachable
from src.errors import StageError

log = logging.getLogger(__name__)
_STORE_BYTES = (100_000_000, 2_000_000_000)  # object store of a cluster of our own: at least, at most
_BYTES_AN_ITEM = 8_000_000  # bars, features and results of one instrument, with room to spare


@contextlib.contextmanager
def connected(ray: Any, config: EngineConfig) -> Iterator[None]:
    """Connect to the cluster, or start one; on leaving, end only what was started here."""
    if ray.is_initialized():
        yield
        return
    own = config.address is None
    if own:
        _lock_own_cluster()
    with _same_sigterm():
        context = _initialised(ray, config)
    # Ray prints what befalls its workers to stdout, where a stage's answer stands: it goes to the log.
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
        No connection, in words.
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
    known: dict[str, Any] = {
        "configure_logging": False,
        "log_to_driver": False,
        "runtime_env": {"working_dir": str(ROOT), "excludes": _staying(), "env_vars": threads},
    }
    if config.address is not None:
        return {"address": config.address, **known}
    low, high = _STORE_BYTES
    store = min(max(config.batch_size * _BYTES_AN_ITEM, low), high)
    alone = {"address": "local", "num_cpus": workers(config), "include_dashboard": False, "object_store_memory": store}
    return {**alone, "_node_ip_address": "127.0.0.1", **known}


def _staying() -> list[str]:
    """Patterns of what does not travel: all but ``src/``. (Of a package that excludes `*`, nothing is left.)"""
    return [*(f"/{path.name}" for path in sorted(ROOT.iterdir()) if path.name != "src"), "__pycache__"]


def _refused(address: str | None, error: BaseException) -> str:
    words = first_line(error)
    if address is None:
        return f"Ray could not start on this machine: {type(error).__name__}: {words}"
    if "ray[client]" in words:
        return (
            f"engine.address={address} needs Ray's client: pip install 'ray[client]', or start the command on a "
            "machine of the cluster with engine.address=auto"
        )
    if "Version mismatch" in words:
        found = " ".join(str(error).split())
        return f"engine.address={address}: {found}; use the same Python and requirements.lock on every machine"
    return (
        f"no connection to the Ray cluster at engine.address={address} ({words}): start it with `ray start --head`; "
        "this machine has to be part of it, by `ray start --address=host:6379` (--num-cpus=0 if it only hands out work)"
    )


def _logged(data: dict[str, Any], **_how: Any) -> None:
    for line in data["lines"]:
        log.info("Ray: %s", str(line).strip().partition("\n")[0])


def _look(ray: Any, config: EngineConfig) -> None:
    """Say what a running cluster offers, and what would leave it idle."""
    cpus = int(ray.cluster_resources().get("CPU", 0))
    log.info("Ray cluster at %s: %d nodes, %d CPUs", config.address or "this machine", len(ray.nodes()), cpus)
    if not cpus:
        log.warning("the Ray cluster at %s has no CPU yet: waiting for a node to join it", config.address)
    elif config.batch_size < cpus:
        log.warning(
            "engine.batch_size=%d keeps at most so many of the cluster's %d CPUs at work: raise it to %d",
            *(config.batch_size, cpus, 2 * cpus),
        )


def _lock_own_cluster() -> None:
    """Give a cluster of this command alone a key of its own, where Ray would write one into the home folder."""
    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ["RAY_AUTH_TOKEN"] = uuid.uuid4().hex


@contextlib.contextmanager
def _same_sigterm() -> Iterator[None]:
    """Keep the stage's answer to SIGTERM, which Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def first_line(error: BaseException) -> str:
    """What an error says first; its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
