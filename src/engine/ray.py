"""A Ray cluster: one that runs already (``engine.address``), or one started here for the length of the command.

The driver (this process) takes items lazily, sends them out, and yields what comes back: it alone writes. A node runs
the driver's own ``src/``, which travels with the job; its libraries have to be the driver's, which is checked.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from src.config.schema import EngineConfig
from src.core.errors import StageError
from src.engine import staging
from src.engine.environment import Environment, difference, environment
from src.engine.outcome import DIED, Failure, Item, Outcome, Result
from src.engine.ray_cluster import connected, first_line, logs, workers_live
from src.engine.staging import Part, SharedFolder, Staged
from src.runtime import memory

log = logging.getLogger(__name__)
_DEATHS = 2  # an item that kills its worker this often is given up
_LOSSES = 10  # tries that an item loses with nodes, or with data that can't be read
_WAIT = 0.5  # seconds; Ctrl+C on Windows is heard between two waits
_SILENCE = 120.0  # seconds without a result after which it is asked whether there is any worker


@dataclass(frozen=True)
class _Done:
    """What a task returned, and the most memory that its worker took so far."""

    result: Any
    peak_bytes: int


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
    parts: dict[str, Any]
    deaths: int = 0
    losses: int = 0


@contextlib.contextmanager
def opened(
    task: Callable[[Item], Result], config: EngineConfig
) -> Iterator[Callable[[Iterable[Item]], Iterator[Outcome[Item, Result]]]]:
    """Give what does `task` on every item of a stream, as often as it is called; see `src.engine.dispatch.run`.

    Raises
    ------
    StageError
        Ray is not installed, the cluster can't be reached or has gone, a node has other libraries or code,
        ``engine.data`` can't be written or read, or a GPU is asked for where there is none.

    Notes
    -----
    A worker that dies is replaced by Ray, and its item tried once more with nothing beside it, so that only an item
    that kills its worker fails. An item that is lost with its node is tried elsewhere, as is one whose result was lost
    before it came here.
    """
    ray = _library()
    with _in_words(ray), contextlib.ExitStack() as held:
        parts = SharedFolder(config.data) if config.data else _ObjectStore(ray)
        held.callback(parts.close)
        held.enter_context(connected(ray, config))
        work: _Work[Item, Result] = _Work(ray, task, parts)
        held.callback(work.cancel)
        yield functools.partial(work.stream, config.batch_size)


@contextlib.contextmanager
def _in_words(ray: Any) -> Iterator[None]:
    """Let no error of Ray's own through: whatever it is, the session goes on with the next command."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise StageError(_told(ray.exceptions, error)) from error


def _told(errors: Any, error: Exception) -> str:
    words = first_line(error)
    if isinstance(error, errors.LocalRayletDiedError):
        return "Ray on this machine has stopped: start it and run the same command"
    if isinstance(error, errors.RuntimeEnvSetupError):
        return f"a node could not take this project's code: {words}"
    if isinstance(error, _full_errors(errors)):
        return (
            f"a node has no room for what is in flight ({words}): free disk where Ray keeps its files (RAY_TMPDIR, "
            "else /tmp/ray), lower engine.batch_size, or name engine.data; then run the same command, which goes on"
        )
    return (
        f"Ray broke off ({type(error).__name__}: {words}): see that the cluster runs, then run the same command, "
        "which goes on"
    )


def _full_errors(errors: Any) -> tuple[type[Exception], ...]:
    return errors.OutOfDiskError, errors.ObjectStoreFullError


class _Work(Generic[Item, Result]):
    """Items in flight on a cluster."""

    def __init__(self, ray: Any, task: Callable[[Item], Result], parts: SharedFolder | _ObjectStore) -> None:
        self._ray = ray
        self._task = task
        self._parts = parts
        self._here = environment()
        done, needs = ray.remote(_work), {"num_cpus": 1, "max_retries": 0, "name": task.__name__}
        self._on_cpu, self._on_gpu = done.options(**needs), done.options(**needs, num_gpus=1)
        self._flying: dict[Any, _Flight[Item]] = {}
        self._again: deque[_Flight[Item]] = deque()
        self._suspects: deque[_Flight[Item]] = deque()  # each had a worker that died
        self._alone = False  # a suspect is on its way
        self._unsent: deque[Outcome[Item, Result]] = deque()
        self._last: dict[str, tuple[Part, Any]] = {}
        self._silence = 0.0  # seconds waited since something came

    def stream(self, most: int, items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Keep `most` items on their way and yield each when it has ended."""
        pending = iter(items)
        while True:
            self._fill(pending, most)
            if self._unsent:
                yield self._unsent.popleft()
                continue
            if not self._flying:
                return
            ready, _ = self._ray.wait(list(self._flying), num_returns=1, timeout=_WAIT)
            self._listen(bool(ready))
            for reference in ready:
                flight, self._alone = self._flying.pop(reference), False
                done = self._result(reference, flight)
                if done is None:
                    (self._suspects if flight.deaths else self._again).append(flight)
                else:
                    self._release(flight)
                    yield Outcome(flight.item, done.result, done.peak_bytes)

    def _fill(self, pending: Iterator[Item], most: int) -> None:
        """Send out what may go. A suspect waits until all others have ended, and nothing is begun before."""
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

    def _listen(self, heard: bool) -> None:
        """Say so where nothing comes because there is nobody at work: Ray itself would wait without a word."""
        self._silence = 0.0 if heard else self._silence + _WAIT
        if self._silence < _SILENCE:
            return
        self._silence = 0.0
        if not workers_live(self._ray):
            log.warning("nothing was done in %.0f s, and no worker of Ray's is alive: %s", _SILENCE, logs(self._ray))

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
        on = self._on_cpu
        if getattr(flight.item, "device", "cpu") != "cpu":  # Ray hides a GPU from what asks for none
            self._require_gpu()
            on = self._on_gpu
        try:
            reference = on.remote(self._task, flight.light, self._here, names, *placed)
        except self._ray.exceptions.RayError:
            raise
        except Exception as error:  # noqa: BLE001 - pickling raises what it likes, and it is that item's outcome
            words = f"the item can't be sent to a worker: {type(error).__name__}: {first_line(error)}"
            self._release(flight)
            self._alone = False
            self._unsent.append(Outcome(flight.item, Failure(words, traceback.format_exc(), final=True)))
        else:
            self._flying[reference] = flight

    def _require_gpu(self) -> None:
        """Refuse where no node has one: a task would wait for it for ever."""
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

    def _result(self, reference: Any, flight: _Flight[Item]) -> _Done | None:
        """What came of an item, or None where it has to be tried once more."""
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return self._grief(flight, error)
        if isinstance(result, _Unfit):
            raise StageError(result.words)
        if isinstance(result, _Unread):
            self._unread(flight, result.words)
            return None
        done: _Done = result
        return done

    def _grief(self, flight: _Flight[Item], error: Exception) -> _Done | None:
        """The same where Ray has no result. An error that is none of the item's ends the command, in `_in_words`."""
        errors, words = self._ray.exceptions, first_line(error)
        if isinstance(error, errors.WorkerCrashedError | errors.OutOfMemoryError):
            flight.deaths += 1
            if flight.deaths >= _DEATHS:
                return _Done(DIED, 0)
            log.warning("a worker died; its work is tried again alone: %s", words)
            return None
        if isinstance(error, errors.NodeDiedError | errors.ObjectLostError | errors.TaskCancelledError):
            return self._lost(flight, words)
        if isinstance(error, errors.RayTaskError):
            if isinstance(error.cause, ImportError):
                raise StageError(_lacking(str(error.cause))) from error
            return _failed(error.cause, str(error), final=True)
        if isinstance(error, (*_full_errors(errors), errors.LocalRayletDiedError, errors.RuntimeEnvSetupError)):
            raise error
        return _failed(error, traceback.format_exc())

    def _lost(self, flight: _Flight[Item], words: str) -> _Done | None:
        flight.losses += 1
        if flight.losses >= _LOSSES:
            return _Done(Failure(f"lost {flight.losses} times on the cluster: {words}", final=True), 0)
        log.warning("lost with its node or data, tried again: %s", words)
        return None

    def _unread(self, flight: _Flight[Item], words: str) -> None:
        """Count a try, for another node may read what this one could not."""
        flight.losses += 1
        if flight.losses >= _LOSSES:
            raise StageError(f"engine.data: {words}; every node has to reach it under this address")
        log.log(logging.WARNING if flight.losses == 1 else logging.INFO, "%s; tried again", words)


_NOTHING: Any = object()


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
        result = task(staging.joined(item, dict(zip(names, parts, strict=True))))
    except Exception as error:  # noqa: BLE001 - whatever a task raises is that item's outcome
        result = Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
    return _Done(result, memory.peak_bytes())


def _node() -> str:
    """The name of the machine that a worker is on."""
    return f"node {socket.gethostname()} (process {os.getpid()})"


def _failed(error: BaseException, told: str, *, final: bool = False) -> _Done:
    return _Done(Failure(f"{type(error).__name__}: {first_line(error)}", told, final=final), 0)


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
            f"engine=ray needs Ray, which is not installed ({error}): pip install -e .[ray], or take engine=local"
        ) from error
    return ray
