"""A Ray cluster: one that runs already (``engine.address``), or one started here for the length of the command.

The driver (this process) takes items lazily, sends them out, and yields what comes back: it alone writes. A node runs
the driver's own ``src/``, which travels with the job; its libraries have to be the driver's, which is checked.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np

from src.config import EngineConfig
from src.engine import DIED, Failure, Item, Outcome, Result, staging
from src.engine.environment import Environment, difference, environment
from src.engine.ray_cluster import connected, first_line
from src.engine.staging import Part, SharedFolder, Staged
from src.errors import StageError

log = logging.getLogger(__name__)
_DEATHS = 2  # an item that kills its worker this often is given up
_LOSSES = 10  # tries that an item loses with nodes, or with data that can't be read
_WAIT = 0.5  # seconds; Ctrl+C on Windows is heard between two waits


@dataclass(frozen=True)
class _Unfit:
    """A node that can't do the work as the driver would."""

    words: str


@dataclass(frozen=True)
class _Unread:
    """Parts that a node could not read."""

    words: str


@dataclass
class _Flight(Generic[Item]):
    """An item on its way: what was sent for it, and how often it came to grief."""

    item: Item
    light: Item
    parts: dict[str, Any] = field(default_factory=dict)
    deaths: int = 0
    losses: int = 0


def run(task: Callable[[Item], Result], items: Iterable[Item], config: EngineConfig) -> Iterator[Outcome[Item, Result]]:
    """Do `task` on every item; see `src.engine.run`.

    Raises
    ------
    StageError
        Ray is not installed, the cluster can't be reached or has gone, a node has other libraries or code, or
        ``engine.data`` can't be written or read.

    Notes
    -----
    A worker that dies is replaced by Ray, and its item tried once more. An item that is lost with its node is tried
    elsewhere, as is one whose result was lost before it came here.
    """
    ray = _library()
    with connected(ray, config), contextlib.ExitStack() as opened:
        parts = SharedFolder(config.data) if config.data else _ObjectStore(ray)
        opened.callback(parts.close)
        work = _Work(ray, task, parts)
        opened.callback(work.cancel)
        yield from work.stream(iter(items), config.batch_size)


class _Work(Generic[Item, Result]):
    """Items in flight on a cluster."""

    def __init__(self, ray: Any, task: Callable[[Item], Result], parts: SharedFolder | _ObjectStore) -> None:
        self._ray = ray
        self._task = task
        self._parts = parts
        self._here = environment()
        self._remote = ray.remote(_work).options(num_cpus=1, max_retries=0, name=task.__name__)
        self._flying: dict[Any, _Flight[Item]] = {}
        self._again: deque[_Flight[Item]] = deque()
        self._last: dict[str, tuple[Part, Any]] = {}

    def stream(self, pending: Iterator[Item], in_flight: int) -> Iterator[Outcome[Item, Result]]:
        """Keep `in_flight` items on their way and yield each when it has ended."""
        exhausted = False
        while self._flying or self._again or not exhausted:
            while len(self._flying) < in_flight and (self._again or not exhausted):
                if self._again:
                    self._launch(self._again.popleft())
                    continue
                item = next(pending, _NOTHING)
                if item is _NOTHING:
                    exhausted = True
                else:
                    self._launch(self._sent(item))
            ready, _ = self._ray.wait(list(self._flying), num_returns=1, timeout=_WAIT)
            for reference in ready:
                flight = self._flying.pop(reference)
                result = self._result(reference, flight)
                if result is _AGAIN:
                    self._again.append(flight)
                else:
                    self._release(flight)
                    yield Outcome(flight.item, result)

    def cancel(self) -> None:
        """Stop what is in flight: it is lost, which is what an interruption may cost."""
        for reference in self._flying:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(reference, force=True)
        self._flying.clear()

    # out ----------------------------------------------------------------------------------------------------------

    def _sent(self, item: Item) -> _Flight[Item]:
        light, parts = staging.split(item)
        return _Flight(item, light, {name: self._put(name, part) for name, part in parts.items()})

    def _put(self, name: str, part: Part) -> Any:
        """Send a part; what the item before had as well (a panel of the whole session) is sent once."""
        before = self._last.get(name)
        if before is None or before[0] is not part:
            if before is not None:
                self._parts.release(before[1])
            self._last[name] = before = (part, self._parts.put(part))
        self._parts.hold(before[1])
        return before[1]

    def _launch(self, flight: _Flight[Item]) -> None:
        names, placed = tuple(flight.parts), flight.parts.values()
        reference = self._remote.remote(self._task, flight.light, self._here, names, *placed)
        self._flying[reference] = flight

    def _release(self, flight: _Flight[Item]) -> None:
        for placed in flight.parts.values():
            self._parts.release(placed)
        flight.parts.clear()

    # back ---------------------------------------------------------------------------------------------------------

    def _result(self, reference: Any, flight: _Flight[Item]) -> Any:
        """What came of an item, or `_AGAIN` where it has to be tried once more."""
        errors = self._ray.exceptions
        try:
            result = self._ray.get(reference)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError) as error:
            flight.deaths += 1
            log.warning("a worker died: %s", first_line(error))
            return DIED if flight.deaths >= _DEATHS else _AGAIN
        except (errors.NodeDiedError, errors.ObjectLostError, errors.TaskCancelledError) as error:
            return self._lost(flight, first_line(error))
        except errors.LocalRayletDiedError as error:
            raise StageError("Ray on this machine has stopped: start it and run the same command") from error
        except errors.RuntimeEnvSetupError as error:
            raise StageError(f"a node could not take this project's code: {first_line(error)}") from error
        except errors.RayTaskError as error:
            if isinstance(error.cause, ImportError):
                raise StageError(_lacking(str(error.cause))) from error
            return Failure(f"{type(error.cause).__name__}: {first_line(error.cause)}", str(error), final=True)
        if isinstance(result, _Unfit):
            raise StageError(result.words)
        if isinstance(result, _Unread):
            self._unread(flight, result.words)
            return _AGAIN
        found: Result | Failure = result
        return found

    def _lost(self, flight: _Flight[Item], words: str) -> Any:
        flight.losses += 1
        log.warning("lost with its node or data, tried again: %s", words)
        if flight.losses < _LOSSES:
            return _AGAIN
        return Failure(f"lost {flight.losses} times on the cluster: {words}", final=True)

    def _unread(self, flight: _Flight[Item], words: str) -> None:
        """Count a try, for another node may read what this one could not."""
        flight.losses += 1
        if flight.losses >= _LOSSES:
            raise StageError(f"engine.data: {words}; every node has to reach it under this address")
        log.log(logging.WARNING if flight.losses == 1 else logging.INFO, "%s; tried again", words)


_NOTHING: Any = object()
_AGAIN: Any = object()


class _ObjectStore:
    """Parts in Ray's own object store: freed when nothing refers to them any more."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def put(self, part: Part) -> Any:
        # A slice of a bucket's matrix is copied first: laid end to end it is mapped by the worker, not unpickled.
        return self._ray.put(np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part)

    def hold(self, placed: Any) -> None:
        pass

    def release(self, placed: Any) -> None:
        pass

    def close(self) -> None:
        pass


def _work(task: Callable[[Any], Any], item: Any, expected: Environment, names: tuple[str, ...], *placed: Any) -> Any:
    """On a worker: put the item together, do the task, and turn what it raises into a value."""
    differs = difference(expected)
    if differs:
        return _Unfit(_unlike(differs))
    try:
        parts = [staging.read(each) if isinstance(each, Staged) else each for each in placed]
    except Exception as error:  # noqa: BLE001 - a mount that is missing, a bucket without rights: told with its address
        return _Unread(f"{_node()} could not read {placed[0].url}: {type(error).__name__}: {first_line(error)}")
    try:
        return task(staging.joined(item, dict(zip(names, parts, strict=True))))
    except Exception as error:  # noqa: BLE001 - whatever a task raises is that item's outcome
        return Failure(f"{type(error).__name__}: {error}", traceback.format_exc())


def _node() -> str:
    """The name of the machine that a worker is on."""
    return f"node {socket.gethostname()} (process {os.getpid()})"


def _unlike(differs: str) -> str:
    return (
        f"engine.address: {_node()} has {differs}, which would change results: install the same requirements.lock in "
        "an environment of the same Python there, and start Ray from it"
    )


def _lacking(words: str) -> str:
    return (
        f"engine.address: a node lacks what a task imports ({words}): install requirements.lock there, and start Ray "
        "from that environment"
    )


def _library() -> Any:
    # No report of usage leaves the machine unless somebody asks for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_agent_register_timeout_ms", "60000")  # a busy machine needs more than the usual 15 s
    try:
        import ray
    except ImportError as error:
        raise StageError(
            f"engine=ray needs Ray, which is not installed ({error}): pip install 'alpha-loop[ray]', or take "
            "engine=local"
        ) from error
    return ray
