"""A Ray cluster: one that runs already (``engine.address``), or one started here for the length of the command.

The driver (this process) takes items lazily, sends them out and yields what comes back; it alone writes. A node runs
the driver's own ``src/``, which travels with the job. Its libraries have to be the driver's, which each worker checks.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from src.config.schema import EngineConfig
from src.core.errors import StageError
from src.core.failure import Failure
from src.engine import staging
from src.engine.environment import environment
from src.engine.outcome import DIED, Item, Outcome, Result
from src.engine.ray_cluster import connected, first_line, logs, workers_live
from src.engine.ray_worker import Done, UnfitNode, UnreadParts, work
from src.engine.staging import Part, SharedFolder

log = logging.getLogger(__name__)
_DEATHS = 2  # times that an item may kill its worker before it fails
_LOSSES = 10  # times that an item may be lost with its node, or with data that can't be read
_WAIT = 0.5  # seconds; Windows handles Ctrl+C between two waits only
_SILENCE = 120.0  # seconds without a result after which the workers are checked


@dataclass
class _Flight(Generic[Item]):
    """An item in flight: what was sent for it, and how often it failed with its worker or its node."""

    item: Item
    light: Item
    parts: dict[str, Any]
    deaths: int = 0
    losses: int = 0


@contextlib.contextmanager
def opened(
    task: Callable[[Item], Result], config: EngineConfig
) -> Iterator[Callable[[Iterable[Item]], Iterator[Outcome[Item, Result]]]]:
    """Open a cluster for a task.

    Parameters
    ----------
    task : callable
        A function at module level.
    config : EngineConfig
        Address of the cluster, number of items in flight, and where large parts of items travel.

    Yields
    ------
    callable
        Does the task on every item of a stream and yields the outcomes; it may be called several times. See
        `src.engine.dispatch.run`.

    Raises
    ------
    StageError
        Ray is not installed, the cluster can't be reached or has gone, a node has other libraries or code,
        ``engine.data`` can't be written or read, or a GPU is asked for where there is none.

    Notes
    -----
    Ray replaces a worker that dies. Its item is tried once more with nothing beside it, so that only an item that kills
    its worker fails. An item that is lost with its node, or whose result is lost on the way, is tried again elsewhere.
    """
    ray = _library()
    with _stage_errors(ray), contextlib.ExitStack() as held:
        parts = SharedFolder(config.data) if config.data else _ObjectStore(ray)
        held.callback(parts.close)
        held.enter_context(connected(ray, config))
        driver: _Driver[Item, Result] = _Driver(ray, task, parts)
        held.callback(driver.cancel)
        yield functools.partial(driver.stream, config.batch_size)


@contextlib.contextmanager
def _stage_errors(ray: Any) -> Iterator[None]:
    """Turn Ray's own errors into a `StageError`: whatever it is, the session goes on with the next command."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise StageError(_message(ray.exceptions, error)) from error


def _message(errors: Any, error: Exception) -> str:
    reason = first_line(error)
    if isinstance(error, errors.LocalRayletDiedError):
        return "Ray on this machine has stopped: start it and run the same command"
    if isinstance(error, errors.RuntimeEnvSetupError):
        return f"a node could not take this project's code: {reason}"
    if isinstance(error, _full_errors(errors)):
        return (
            f"a node has no room for what is in flight ({reason}): free disk where Ray keeps its files (RAY_TMPDIR, "
            "else /tmp/ray), lower engine.batch_size, or name engine.data; then run the same command, which goes on"
        )
    return (
        f"Ray broke off ({type(error).__name__}: {reason}): see that the cluster runs, then run the same command, "
        "which goes on"
    )


def _full_errors(errors: Any) -> tuple[type[Exception], ...]:
    return errors.OutOfDiskError, errors.ObjectStoreFullError


class _Driver(Generic[Item, Result]):
    """Items in flight on a cluster."""

    def __init__(self, ray: Any, task: Callable[[Item], Result], parts: SharedFolder | _ObjectStore) -> None:
        self._ray = ray
        self._task = task
        self._parts = parts
        self._here = environment()
        done, needs = ray.remote(work), {"num_cpus": 1, "max_retries": 0, "name": task.__name__}
        self._on_cpu, self._on_gpu = done.options(**needs), done.options(**needs, num_gpus=1)
        self._flying: dict[Any, _Flight[Item]] = {}
        self._again: deque[_Flight[Item]] = deque()
        self._suspects: deque[_Flight[Item]] = deque()  # each had a worker that died
        self._alone = False  # a suspect is on its way
        self._unsent: deque[Outcome[Item, Result]] = deque()
        self._last: dict[str, tuple[Part, Any]] = {}
        self._silence = 0.0  # seconds waited since something came

    def stream(self, most: int, items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Keep `most` items in flight and yield the outcome of each when it has ended."""
        pending = iter(items)
        while True:
            self._fill(pending, most)
            if self._unsent:
                yield self._unsent.popleft()
                continue
            if not self._flying:
                return
            ready, _ = self._ray.wait(list(self._flying), num_returns=1, timeout=_WAIT)
            self._watch(bool(ready))
            for reference in ready:
                flight, self._alone = self._flying.pop(reference), False
                done = self._result(reference, flight)
                if done is None:
                    (self._suspects if flight.deaths else self._again).append(flight)
                else:
                    self._release(flight)
                    yield Outcome(flight.item, done.result, done.peak_bytes)

    def _fill(self, pending: Iterator[Item], most: int) -> None:
        """Send what may be sent. A suspect waits until all others have ended, and nothing new is begun before it."""
        while len(self._flying) + len(self._unsent) < most and not self._alone:
            if self._suspects:
                if self._flying:
                    return
                self._alone = True
                self._launch(self._suspects.popleft())
            elif self._again:
                self._launch(self._again.popleft())
            elif (item := next(pending, _NOTHING)) is not _NOTHING:
                self._launch(self._sent(item))
            else:
                return

    def _watch(self, received: bool) -> None:
        """Warn if nothing comes because no worker is alive: Ray itself would wait without a message."""
        self._silence = 0.0 if received else self._silence + _WAIT
        if self._silence < _SILENCE:
            return
        self._silence = 0.0
        if not workers_live(self._ray):
            log.warning("nothing was done in %.0f s, and no worker of Ray's is alive: %s", _SILENCE, logs(self._ray))

    def cancel(self) -> None:
        """Cancel what is in flight: it is lost, which is what an interruption may cost."""
        for reference in self._flying:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(reference, force=True)
        self._flying.clear()

    # out ----------------------------------------------------------------------------------------------------------

    def _sent(self, item: Item) -> _Flight[Item]:
        light, parts = staging.split(item)
        return _Flight(item, light, {name: self._put(name, part) for name, part in parts.items()})

    def _put(self, name: str, part: Part) -> Any:
        """Send a part; one that the item before had as well, such as the panel of a session, is sent once."""
        before = self._last.get(name)
        if before is None or before[0] is not part:
            if before is not None:
                self._parts.release(before[1])
            self._last[name] = before = (part, self._parts.put(part))
        self._parts.hold(before[1])
        return before[1]

    def _launch(self, flight: _Flight[Item]) -> None:
        names, placed = tuple(flight.parts), flight.parts.values()
        on = self._on_cpu
        if getattr(flight.item, "device", "cpu") != "cpu":  # Ray hides a GPU from what asks for none
            self._require_gpu()
            on = self._on_gpu
        try:
            reference = on.remote(self._task, flight.light, self._here, names, *placed)
        except self._ray.exceptions.RayError:
            raise
        except Exception as error:  # noqa: BLE001 - pickling raises anything, and it is that item's failure
            reason = f"the item can't be sent to a worker: {type(error).__name__}: {first_line(error)}"
            self._release(flight)
            self._alone = False
            self._unsent.append(Outcome(flight.item, Failure(reason, traceback.format_exc(), final=True)))
        else:
            self._flying[reference] = flight

    def _require_gpu(self) -> None:
        """Refuse a GPU if no node has one: a task would wait for it for ever."""
        if not self._ray.cluster_resources().get("GPU"):
            raise StageError(
                "model.device=cuda: no node of the Ray cluster has a GPU that Ray knows of: start one with "
                "`ray start --num-gpus=1` on a machine that has, or choose model.device=cpu"
            )

    def _release(self, flight: _Flight[Item]) -> None:
        for placed in flight.parts.values():
            self._parts.release(placed)
        flight.parts.clear()

    # back ---------------------------------------------------------------------------------------------------------

    def _result(self, reference: Any, flight: _Flight[Item]) -> Done | None:
        """Return what came of an item, or None if it has to be tried again."""
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return self._after_error(flight, error)
        if isinstance(result, UnfitNode):
            raise StageError(result.reason)
        if isinstance(result, UnreadParts):
            self._unread(flight, result.reason)
            return None
        done: Done = result
        return done

    def _after_error(self, flight: _Flight[Item], error: Exception) -> Done | None:
        """Do the same where Ray has no result; an error that is not the item's ends the command."""
        errors, reason = self._ray.exceptions, first_line(error)
        if isinstance(error, errors.WorkerCrashedError | errors.OutOfMemoryError):
            flight.deaths += 1
            if flight.deaths >= _DEATHS:
                return Done(DIED, 0)
            log.warning("a worker died; its work is tried again alone: %s", reason)
            return None
        if isinstance(error, errors.NodeDiedError | errors.ObjectLostError | errors.TaskCancelledError):
            return self._lost(flight, reason)
        if isinstance(error, errors.RayTaskError):
            if isinstance(error.cause, ImportError):
                raise StageError(_lacking(str(error.cause))) from error
            return _failed(error.cause, str(error), final=True)
        if isinstance(error, (*_full_errors(errors), errors.LocalRayletDiedError, errors.RuntimeEnvSetupError)):
            raise error
        return _failed(error, traceback.format_exc())

    def _lost(self, flight: _Flight[Item], reason: str) -> Done | None:
        flight.losses += 1
        if flight.losses >= _LOSSES:
            return Done(Failure(f"lost {flight.losses} times on the cluster: {reason}", final=True), 0)
        log.warning("lost with its node or data, tried again: %s", reason)
        return None

    def _unread(self, flight: _Flight[Item], reason: str) -> None:
        """Count a loss: another node may be able to read what this one could not."""
        flight.losses += 1
        if flight.losses >= _LOSSES:
            raise StageError(f"engine.data: {reason}; every node has to reach it under this address")
        log.log(logging.WARNING if flight.losses == 1 else logging.INFO, "%s; tried again", reason)


_NOTHING: Any = object()


class _ObjectStore:
    """Parts in Ray's own object store, which frees them when nothing refers to them any more."""

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


def _failed(error: BaseException, text: str, *, final: bool = False) -> Done:
    return Done(Failure(f"{type(error).__name__}: {first_line(error)}", text, final=final), 0)


def _lacking(reason: str) -> str:
    return (
        f"engine.address: a node lacks what a task imports ({reason}): install requirements.lock there, and start Ray "
        "from that environment"
    )


def _library() -> Any:
    # No report of usage leaves the machine unless the user asks for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_agent_register_timeout_ms", "60000")  # a busy machine needs more than the usual 15 s
    try:
        import ray
    except ImportError as error:
        raise StageError(
            f"engine=ray needs Ray, which is not installed ({error}): pip install -e .[ray], or take engine=local"
        ) from error
    return ray
