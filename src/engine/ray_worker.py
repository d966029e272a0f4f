"""What a worker of a Ray cluster does with an item, and the values that it answers with."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from src.core.failure import Failure
from src.engine import staging
from src.engine.environment import Environment, difference
from src.engine.ray_cluster import first_line
from src.engine.staging import Staged
from src.runtime import memory


@dataclass(frozen=True)
class Done:
    """The result of an item.

    Attributes
    ----------
    result : object
        What the task returned, or a `Failure`.
    peak_bytes : int
        Peak resident memory of the worker so far, in bytes; 0 if not known.
    """

    result: Any
    peak_bytes: int


@dataclass(frozen=True)
class UnfitNode:
    """The item was not done, because the node would give other results than the driver; `reason` says why."""

    reason: str


@dataclass(frozen=True)
class UnreadParts:
    """The item was not done, because the node could not read its parts; `reason` says why."""

    reason: str


def work(
    task: Callable[[Any], Any], item: Any, expected: Environment, names: tuple[str, ...], *sent: Any
) -> Done | UnfitNode | UnreadParts:
    """On a worker, put an item together and run the task on it.

    Parameters
    ----------
    task : callable
        The function to run. An exception that it raises becomes a `Failure`.
    item : object
        The item without its large parts.
    expected : tuple of (str, str)
        The driver's `src.engine.environment.environment`, which the node must share.
    names : tuple of str
        Field names of the parts.
    *sent : Staged or DataFrame or ndarray
        The parts: references to staged ones are read here, others have come through Ray's object store.

    Returns
    -------
    Done, UnfitNode or UnreadParts
    """
    mismatch = difference(expected)
    if mismatch:
        return UnfitNode(
            f"engine.address: {_node()} has {mismatch}, which would change results: install the same requirements.lock "
            "in an environment of the same Python there, and start Ray from it"
        )
    try:
        parts = [staging.read(part) if isinstance(part, Staged) else part for part in sent]
    except Exception as error:  # noqa: BLE001 - a missing mount, a bucket without rights: reported with its address
        reason = f"{_node()} could not read {sent[0].url}: {type(error).__name__}: {first_line(error)}"
        return UnreadParts(reason)
    try:
        result = task(staging.joined(item, dict(zip(names, parts, strict=True))))
    except Exception as error:  # noqa: BLE001 - any exception of a task is that item's outcome
        result = Failure.of(error)
    return Done(result, memory.peak_bytes())


def _node() -> str:
    """The machine and the process that this worker is."""
    return f"node {socket.gethostname()} (process {os.getpid()})"
