"""What a worker of a Ray cluster does: check that it computes as the driver would, read the parts, do the task."""

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
    """Result of a task.

    Attributes
    ----------
    result : object
        What the task returned, or its `Failure`.
    peak_bytes : int
        Most memory that the worker has taken so far.
    """

    result: Any
    peak_bytes: int


@dataclass(frozen=True)
class UnfitNode:
    """A node that would compute other results than the driver, with the reason."""

    reason: str


@dataclass(frozen=True)
class UnreadParts:
    """Parts that a node could not read, with the reason."""

    reason: str


def work(
    task: Callable[[Any], Any], item: Any, expected: Environment, names: tuple[str, ...], *placed: Any
) -> Done | UnfitNode | UnreadParts:
    """Put an item together, do the task, and turn what it raises into a value.

    Parameters
    ----------
    task : callable
        The task.
    item : object
        The item without its large parts.
    expected : Environment
        What the driver computes with.
    names : tuple of str
        Fields of the item that the parts belong to.
    *placed : Staged or object
        The parts, or where they lie.

    Returns
    -------
    Done, UnfitNode or UnreadParts
    """
    differs = difference(expected)
    if differs:
        return UnfitNode(_unlike(differs))
    try:
        parts = [staging.read(part) if isinstance(part, Staged) else part for part in placed]
    except Exception as error:  # noqa: BLE001 - a mount that is missing, a bucket without rights
        return UnreadParts(f"{_node()} could not read {placed[0].url}: {type(error).__name__}: {first_line(error)}")
    try:
        result = task(staging.joined(item, dict(zip(names, parts, strict=True))))
    except Exception as error:  # noqa: BLE001 - whatever a task raises is that item's failure
        result = Failure.of(error)
    return Done(result, memory.peak_bytes())


def _node() -> str:
    """The name of the machine that a worker is on."""
    return f"node {socket.gethostname()} (process {os.getpid()})"


def _unlike(differs: str) -> str:
    return (
        f"engine.address: {_node()} has {differs}, which would change results: install the same requirements.lock in "
        "an environment of the same Python there, and start Ray from it"
    )
