"""Run items on a Ray cluster: a running one (``engine.address``), or one started for the length of the command.

The driver (this process) takes items lazily, sends them out, yields their outcomes, and is the only one that writes. A
node runs the driver's own ``src/``, which travels with the job. Its libraries must be those of the driver, which is
checked.
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
from src.engine import ray_worker, staging
from src.engine.environment import environment
from src.engine.outcome import DIED, Item, Outcome, Result
from src.engine.ray_cluster import connected, first_line, log_hint, workers_alive
from src.engine.ray_worker import Done, UnfitNode, UnreadParts
from src.engine.staging import Part, SharedFolder

log = logging.getLogger(__name__)
_MAX_DEATHS = 2  # an item that kills its worker this often has failed
_MAX_LOSSES = 10  # tries that an item may lose with its node, or because its data can't be read
_POLL_SECONDS = 0.5  # Windows handles Ctrl+C between two waits
_SILENCE_SECONDS = 120.0  # without a result, after which the engine checks that any worker is alive


@dataclass
class _Flight(Generic[Item]):
    """An item in flight: what was sent for it, and how often its worker died or it was lost."""

    item: Item
    light: Item
    parts: dict[str, Any]
    deaths: int = 0
    losses: int = 0


@contextlib.contextmanager
def opened(
    task: Callable[[Item], Result], config: EngineConfig
) -> Iterator[Callable[[Iterable[Item]], Iterator[Outcome[Item, Result]]]]:
    """Connect to a cluster, or start one, and open it for a task; see `src.engine.dispatch.run`.

    Parameters
    ----------
    task : callable
        A function at module level.
    config : EngineConfig
        The section ``engine``.

    Yields
    ------
    callable
        Turns a stream of items into a stream of outcomes. It may be called several times, one after the other, and
        uses the same cluster.

    Raises
    ------
    StageError
        If Ray is not installed, the cluster can't be reached or stops, a node has other libraries or code,
        ``engine.data`` can't be written or read, or an item needs a GPU and the cluster has none.

    Notes
    -----
    Ray replaces a worker that dies. Its item is tried once more while no other item of this command is in flight, so
    that only an item that kills its worker fails. An item that is lost with its node is tried elsewhere, and so is one
    whose result was lost on the way to the driver.
    """
    ray = _library()
    with _as_stage_errors(ray), contextlib.ExitStack() as stack:
        parts = SharedFolder(config.data) if config.data else _ObjectStore(ray)
        stack.callback(parts.close)
        stack.enter_context(connected(ray, config))
        driver: _Driver[Item, Result] = _Driver(ray, task, parts)
        stack.callback(driver.cancel)
        yield functools.partial(driver.stream, config.batch_size)


@contextlib.contextmanager
def _as_stage_errors(ray: Any) -> Iterator[None]:
    """Turn every error of Ray's into a `StageError` that says how to continue."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise StageError(_message(ray.exceptions, error)) from error


def _message(errors: Any, error: Exception) -> str:
    line = first_line(error)
    if isinstance(error, errors.LocalRayletDiedError):
        return "Ray on this machine has stopped: start it and run the same command"
    if isinstance(error, errors.RuntimeEnvSetupError):
        return f"a node could not install this project's code: {line}"
    if isinstance(error, _full_errors(errors)):
        return (
            f"a node has no room for the items in flight ({line}): free disk space where Ray keeps its files "
            "(RAY_TMPDIR, else /tmp/ray), lower engine.batch_size, or set engine.data; then run the same command to "
            "continue"
        )
    return (
        f"Ray failed ({type(error).__name__}: {line}): check that the cluster is running, then run the same command to "
        "continue"
    )


def _full_errors(errors: Any) -> tuple[type[Exception], ...]:
    return errors.OutOfDiskError, errors.ObjectStoreFullError


class _Driver(Generic[Item, Result]):
    """Items in flight on a cluster."""

    def __init__(self, ray: Any, task: Callable[[Item], Result], parts: SharedFolder | _ObjectStore) -> None:
        self._ray = ray
        self._task = task
        self._parts = parts
        self._environment = environment()
        remote, needs = ray.remote(ray_worker.work), {"num_cpus": 1, "max_retries": 0, "name": task.__name__}
        self._on_cpu, self._on_gpu = remote.options(**needs), remote.options(**needs, num_gpus=1)
        self._flying: dict[Any, _Flight[Item]] = {}
        self._retries: deque[_Flight[Item]] = deque()
        self._suspects: deque[_Flight[Item]] = deque()  # items whose worker died
        self._alone = False  # a suspect is in flight
        self._unsendable: deque[Outcome[Item, Result]] = deque()
        self._last: dict[str, tuple[Part, Any]] = {}
        self._silence = 0.0  # seconds without a result

    def stream(self, max_in_flight: int, items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Keep `max_in_flight` items in flight and yield each outcome when it arrives."""
        pending = iter(items)
        while True:
            self._fill(pending, max_in_flight)
            if self._unsendable:
                yield self._unsendable.popleft()
                continue
            if not self._flying:
                return
            ready, _ = self._ray.wait(list(self._flying), num_returns=1, timeout=_POLL_SECONDS)
            self._watch(bool(ready))
            for reference in ready:
                flight, self._alone = self._flying.pop(reference), False
                if (done := self._result(reference, flight)) is not None:
                    self._release(flight)
                    yield Outcome(flight.item, done.result, done.peak_bytes)
                else:
                    (self._suspects if flight.deaths else self._retries).append(flight)

    def _fill(self, pending: Iterator[Item], max_in_flight: int) -> None:
        """Send out what may go. A suspect waits until all others have ended, and no new item starts before it."""
        while len(self._flying) + len(self._unsendable) < max_in_flight and not self._alone:
            if self._suspects:
                if self._flying:
                    return
                self._alone = True
                self._launch(self._suspects.popleft())
            elif self._retries:
                self._launch(self._retries.popleft())
            elif (item := next(pending, _EXHAUSTED)) is not _EXHAUSTED:
                self._launch(self._prepared(item))
            else:
                return

    def _watch(self, any_ready: bool) -> None:
        """Warn when no result comes because no worker is alive; Ray itself would wait silently."""
        self._silence = 0.0 if any_ready else self._silence + _POLL_SECONDS
        if self._silence < _SILENCE_SECONDS:
            return
        self._silence = 0.0
        if not workers_alive(self._ray):
            log.warning("no result in %.0f s, and no Ray worker is alive: %s", _SILENCE_SECONDS, log_hint(self._ray))

    def cancel(self) -> None:
        """Cancel what is in flight: it is lost, which an interruption may cost."""
        for reference in self._flying:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.cancel(reference, force=True)
        self._flying.clear()

    # sending ------------------------------------------------------------------------------------------------------

    def _prepared(self, item: Item) -> _Flight[Item]:
        light, parts = staging.split(item)
        return _Flight(item, light, {name: self._put(name, part) for name, part in parts.items()})

    def _put(self, name: str, part: Part) -> Any:
        """Send a part. One that the previous item had too (a panel of the whole session) is sent once."""
        before = self._last.get(name)
        if before is None or before[0] is not part:
            if before is not None:
                self._parts.release(before[1])
            self._last[name] = before = (part, self._parts.put(part))
        self._parts.hold(before[1])
        return before[1]

    def _launch(self, flight: _Flight[Item]) -> None:
        names, sent = tuple(flight.parts), flight.parts.values()
        remote = self._on_cpu
        if getattr(flight.item, "device", "cpu") != "cpu":  # Ray hides GPUs from tasks that do not request one
            self._require_gpu()
            remote = self._on_gpu
        try:
            reference = remote.remote(self._task, flight.light, self._environment, names, *sent)
        except self._ray.exceptions.RayError:
            raise
        except Exception as error:  # noqa: BLE001 - pickling may raise anything, and it is that item's outcome
            reason = f"the item can't be sent to a worker: {type(error).__name__}: {first_line(error)}"
            self._release(flight)
            self._alone = False
            self._unsendable.append(Outcome(flight.item, Failure(reason, traceback.format_exc(), final=True)))
        else:
            self._flying[reference] = flight

    def _require_gpu(self) -> None:
        """Refuse if no node has a GPU: the task would wait for one forever."""
        if not self._ray.cluster_resources().get("GPU"):
            raise StageError(
                "model.device=cuda: Ray knows of no GPU on any node of the cluster: run `ray start --num-gpus=1` on a "
                "machine that has one, or choose model.device=cpu"
            )

    def _release(self, flight: _Flight[Item]) -> None:
        for sent in flight.parts.values():
            self._parts.release(sent)
        flight.parts.clear()

    # receiving ----------------------------------------------------------------------------------------------------

    def _result(self, reference: Any, flight: _Flight[Item]) -> Done | None:
        """The result of an item, or None if it has to be tried once more."""
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return self._without_result(flight, error)
        if isinstance(result, UnfitNode):
            raise StageError(result.reason)
        if isinstance(result, UnreadParts):
            self._count_unreadable(flight, result.reason)
            return None
        done: Done = result
        return done

    def _without_result(self, flight: _Flight[Item], error: Exception) -> Done | None:
        """The same if Ray raised instead; an error that is not the item's own ends the command."""
        errors, line = self._ray.exceptions, first_line(error)
        if isinstance(error, errors.WorkerCrashedError | errors.OutOfMemoryError):
            flight.deaths += 1
            if flight.deaths >= _MAX_DEATHS:
                return Done(DIED, 0)
            log.warning("a worker died; its item is tried again alone: %s", line)
            return None
        if isinstance(error, errors.NodeDiedError | errors.ObjectLostError | errors.TaskCancelledError):
            return self._count_loss(flight, line)
        if isinstance(error, errors.RayTaskError):
            if isinstance(error.cause, ImportError):
                raise StageError(_missing_import(error.cause)) from error
            return _failed(error.cause, str(error), final=True)
        if isinstance(error, (*_full_errors(errors), errors.LocalRayletDiedError, errors.RuntimeEnvSetupError)):
            raise error
        return _failed(error, traceback.format_exc())

    def _count_loss(self, flight: _Flight[Item], line: str) -> Done | None:
        flight.losses += 1
        if flight.losses >= _MAX_LOSSES:
            return Done(Failure(f"lost {flight.losses} times on the cluster: {line}", final=True), 0)
        log.warning("an item was lost with its node or its data and is tried again: %s", line)
        return None

    def _count_unreadable(self, flight: _Flight[Item], reason: str) -> None:
        """Count a lost try: another node may be able to read what this one could not."""
        flight.losses += 1
        if flight.losses >= _MAX_LOSSES:
            raise StageError(f"engine.data: {reason}; every node has to reach it at this address")
        log.log(logging.WARNING if flight.losses == 1 else logging.INFO, "%s; tried again", reason)


_EXHAUSTED: Any = object()


class _ObjectStore:
    """Parts in Ray's own object store, which frees them when nothing refers to them any more."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def put(self, part: Part) -> Any:
        # A slice of a bucket's matrix is copied first: a worker maps a contiguous array instead of unpickling it.
        return self._ray.put(np.ascontiguousarray(part) if isinstance(part, np.ndarray) else part)

    def hold(self, sent: Any) -> None:
        pass

    def release(self, sent: Any) -> None:
        pass

    def close(self) -> None:
        pass


def _failed(error: BaseException, text: str, *, final: bool = False) -> Done:
    return Done(Failure(f"{type(error).__name__}: {first_line(error)}", text, final=final), 0)


def _missing_import(cause: ImportError) -> str:
    return (
        f"engine.address: a node lacks a library that the task imports ({cause}): install requirements.lock there, and "
        "start Ray from that environment"
    )


def _library() -> Any:
    # Without a choice by the user, no usage report leaves the machine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_agent_register_timeout_ms", "60000")  # a busy machine needs more than the default 15 s
    try:
        import ray
    except ImportError as error:
        raise StageError(
            f"engine=ray needs Ray, which is not installed ({error}): pip install -e .[ray], or choose engine=local"
        ) from error
    return ray
