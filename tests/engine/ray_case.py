"""A Ray cluster on the loopback, helpers to watch and kill its processes, and an item with large parts."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
import pytest

from tests.process_case import HANG, still_running

# Ray reads these when it is imported: loopback only, no usage report, and time for a busy machine.
SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "120000",
    "RAY_enable_worker_prestart": "0",  # a worker without this project's code is useless
    "RAY_prestart_worker_first_driver": "0",
}
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "alpha-loop"
LEAN = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
"""Settings of a node without dashboard, log monitor and autoscaler."""
_START_ATTEMPTS = 4

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Ray's test cluster is for POSIX systems")


@dataclass(frozen=True)
class Block:
    """An item with large parts."""

    number: int
    values: np.ndarray[Any, Any]
    shared: np.ndarray[Any, Any]


@contextlib.contextmanager
def nodes(*cpus: int, by_value: tuple[ModuleType, ...] = (), gpus: int = 0) -> Iterator[Any]:
    """Ray's own test cluster: one node for each number of CPUs. Functions of the modules are pickled by value."""
    short = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # the path of a socket has at most 107 bytes
    before, python = dict(os.environ), sys.executable
    os.environ.update(SETTINGS, RAY_TMPDIR=str(short))
    import ray

    for module in by_value:
        ray.cloudpickle.register_pickle_by_value(module)
    cluster = None
    try:
        if " " in python:  # `ray start` does not work from such a path
            (short / "venv").symlink_to(sys.prefix)
            sys.executable = str(short / "venv" / Path(python).relative_to(sys.prefix))
        cluster = started(short, cpus, gpus)
        yield cluster
    finally:
        ray.shutdown()
        if cluster is not None:
            cluster.shutdown()
        for module in by_value:
            ray.cloudpickle.unregister_pickle_by_value(module)
        os.environ.clear()
        os.environ.update(before)
        sys.executable = python
        left = remaining(short)
        for process in left:
            process.kill()
        shutil.rmtree(short, ignore_errors=True)
    assert not left, left


def started(folder: Path, cpus: tuple[int, ...], gpus: int) -> Any:
    """A running cluster; on a busy machine Ray's own timeouts may pass, so several attempts are made."""
    from ray.cluster_utils import Cluster

    for attempt in range(_START_ATTEMPTS):
        cluster = Cluster()
        try:
            for count in cpus:
                cluster.add_node(num_cpus=count, num_gpus=gpus, **LEAN)
            return cluster
        except Exception:
            cluster.shutdown()
            for process in remaining(folder, 0.0):  # Ray forgets the processes of a node that failed to start
                process.kill()
            if attempt == _START_ATTEMPTS - 1:
                raise
    raise AssertionError


def remaining(folder: Path, seconds: float = HANG) -> list[psutil.Process]:
    """Processes of Ray in this folder that do not end within some seconds."""
    found = [p for p in psutil.process_iter() if str(folder) in " ".join(_command(p))]
    return [each for each in still_running(found, seconds) if _command(each)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return [] if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.Error:
        return []


def workers(cluster: Any, task: str) -> list[psutil.Process]:
    """Processes of this cluster that are running a task."""
    processes = []
    for node in cluster.list_all_nodes():
        with contextlib.suppress(psutil.NoSuchProcess):
            processes += psutil.Process(node.all_processes["raylet"][0].process.pid).children(recursive=True)
    return [process for process in processes if f"ray::{task}" in " ".join(_command(process))]


def kill_node(cluster: Any, node: Any) -> None:
    """Kill a node with SIGKILL, and every process on it."""
    below = psutil.Process(node.all_processes["raylet"][0].process.pid).children(recursive=True)
    cluster.remove_node(node, allow_graceful=False)
    for process in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
