"""A Ray cluster of two nodes on this machine's loopback, and items and tasks that say on which node they ran."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
import pytest

# Read by Ray when it is imported: the loopback alone, nothing told to anybody, and time for a busy machine.
SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "120000",
}
AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "alpha-loop"
_STARTS = 3

on_posix = pytest.mark.skipif(sys.platform == "win32", reason="Ray's test cluster is for POSIX systems")


@dataclass(frozen=True)
class Block:
    """An item with a large part."""

    number: int
    values: np.ndarray[Any, Any]
    shared: np.ndarray[Any, Any]


@contextlib.contextmanager
def two_nodes(*by_value: ModuleType) -> Iterator[Any]:
    """Ray's own test cluster, one CPU a node; what the modules define reaches the workers by value."""
    short = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # a socket's address has at most 107 bytes
    before = dict(os.environ)
    os.environ.update(SETTINGS, RAY_TMPDIR=str(short))
    import ray

    for module in by_value:
        ray.cloudpickle.register_pickle_by_value(module)
    cluster = None
    try:
        cluster = started(short)
        yield cluster
    finally:
        ray.shutdown()
        if cluster is not None:
            cluster.shutdown()
        for module in by_value:
            ray.cloudpickle.unregister_pickle_by_value(module)
        os.environ.clear()
        os.environ.update(before)
        left = remaining(short)
        for process in left:
            process.kill()
        shutil.rmtree(short, ignore_errors=True)
    assert not left, left


def started(folder: Path) -> Any:
    """A cluster that stands; where a busy machine lets Ray's own limits pass, once more."""
    from ray.cluster_utils import Cluster

    for attempt in range(_STARTS):
        cluster = Cluster()
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1, include_dashboard=False)
            return cluster
        except Exception:
            cluster.shutdown()
            for process in remaining(folder, 0.0):  # of a node that did not come up, Ray forgets the processes
                process.kill()
            if attempt == _STARTS - 1:
                raise
    raise AssertionError


def remaining(folder: Path, seconds: float = 20.0) -> list[psutil.Process]:
    """Processes of Ray in this folder that do not end by themselves."""
    deadline = time.monotonic() + seconds
    while left := [p for p in psutil.process_iter() if str(folder) in " ".join(_command(p))]:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.2)
    return []


def _command(process: psutil.Process) -> list[str]:
    try:
        return [] if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.Error:
        return []


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for something that has to come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
