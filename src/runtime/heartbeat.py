"""Which commands run now and how far they are, readable from another terminal.

Each command keeps one small file under ``data/.progress`` while it works, written at most every two seconds, and
removes it when it is done. After an interruption or a failure the file keeps the message until the same verb starts
again on the same dataset. After a kill the file stays as it was, and a reader sees that its process is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.config import paths
from src.core.process import host_tag, is_alive, process_start
from src.runtime.redaction import shown
from src.storage.atomic import read_json, write_json

Facts = dict[str, Any]
_WRITE_SECONDS = 2.0  # between two writes
_RATE_SECONDS = 600.0  # window of the mean rate
_current: list[Heartbeat] = []


@dataclass(frozen=True)
class Beat:
    """Last report of a command.

    Attributes
    ----------
    root : str
        Folder of the data that the command works on, as the same dataset may exist in two places. Relative to the
        project's folder if it lies inside (so that a copy of both matches), else absolute.
    process_start : int
        When the process started, as `src.core.process.process_start` gives it: a process number alone may be reused.
    phase : str
        ``waiting`` (for the lock) or ``working``.
    done, total : int
        Finished units and units in all; `total` is None if the command does not count.
    rate : float
        Units per second over the last ten minutes; None before the first is finished.
    facts : dict
        Other counts that the command keeps: ``states`` by asset class, ``runs`` by model family.
    ended : str
        ``interrupted`` or ``failed``, with `message`; None while the command works, and if it was killed.
    """

    verb: str
    dataset: str
    root: str
    pid: int
    process_start: int
    machine: str
    host: str
    command: str
    started: str
    updated: str = ""
    phase: str = "waiting"
    unit: str = "instrument"
    done: int = 0
    total: int | None = None
    rate: float | None = None
    left_seconds: float | None = None
    note: str = ""
    facts: Facts = field(default_factory=dict)
    ended: str | None = None
    message: str = ""

    @property
    def state(self) -> str:
        """State of the command, as far as this machine can see.

        Returns
        -------
        str
            ``running``, ``waiting``, ``interrupted``, ``failed``, ``died`` (its process is gone), or ``elsewhere``
            (its process is on another machine and can't be checked).
        """
        if self.ended is not None:
            return self.ended
        if self.machine != host_tag():
            return "elsewhere"
        if not is_alive(self.pid, self.process_start):
            return "died"
        return "running" if self.phase == "working" else "waiting"

    @property
    def alive(self) -> bool:
        """Whether the command still works or waits, as far as this machine can see."""
        return self.state in ("running", "waiting", "elsewhere")


class Pace:
    """Units per second, over the last ten minutes.

    Parameters
    ----------
    moment : float
        When the work began, in seconds of a monotonic clock.
    done : int
        Units that were finished before.
    """

    def __init__(self, moment: float, done: int) -> None:
        self._before = done
        self._samples = deque([(moment, 0)])

    def reuse(self, units: int) -> None:
        """Leave units that were finished earlier out of the rate.

        Parameters
        ----------
        units : int
            How many more of them were found.
        """
        self._before += units

    def rate(self, moment: float, done: int) -> float | None:
        """Rate at a moment.

        Parameters
        ----------
        moment : float
            Seconds of the same clock.
        done : int
            Units finished by then.

        Returns
        -------
        float or None
            Units per second; None before the first is finished.
        """
        while len(self._samples) > 1 and moment - self._samples[0][0] > _RATE_SECONDS:
            self._samples.popleft()
        fresh = done - self._before
        self._samples.append((moment, fresh))
        since, before = self._samples[0]
        return (fresh - before) / (moment - since) if moment > since and fresh > before else None


class Heartbeat:
    """Writer of one command's file. A disk that refuses the file never stops the work."""

    def __init__(self, beat: Beat, path: Path) -> None:
        self._beat, self._path = beat, path
        self._written = float("-inf")
        self._pace = Pace(time.monotonic(), 0)

    def update(self, **changes: Any) -> None:
        """Change fields of the beat and write it at once.

        Parameters
        ----------
        **changes
            Fields of `Beat`.
        """
        self._beat = dataclasses.replace(self._beat, **changes, updated=_now())
        self._written = time.monotonic()
        with contextlib.suppress(OSError, ValueError):
            write_json(_shown(vars(self._beat)), self._path, durable=False)

    def begin(self, total: int, unit: str, done: int = 0) -> None:
        """Start to count.

        Parameters
        ----------
        total : int
            Units in all.
        unit : str
            Name of one unit, such as ``instrument``.
        done : int
            Units that were finished before; they do not count for the rate.
        """
        self._pace = Pace(time.monotonic(), done)
        self.update(total=total, unit=unit, done=done, rate=None, left_seconds=None, note="", facts={})

    def reuse(self, units: int) -> None:
        """Leave units that were finished earlier out of the rate.

        Parameters
        ----------
        units : int
            How many more of them were found.
        """
        self._pace.reuse(units)

    def extend(self, total: int) -> None:
        """Change the number of units in all; the file has it with the next count.

        Parameters
        ----------
        total : int
        """
        self._beat = dataclasses.replace(self._beat, total=total)

    def count(self, done: int, note: str = "", facts: Callable[[], Facts] | None = None, *, now: bool = False) -> None:
        """Report how many units are finished; the file is written every two seconds at most.

        Parameters
        ----------
        done : int
            Finished units.
        note : str
            Shown beside the count.
        facts : callable, optional
            Called for `Beat.facts` only if the file is written.
        now : bool
            Write even if the last write was less than two seconds ago.
        """
        moment = time.monotonic()
        if moment - self._written < _WRITE_SECONDS and not now:
            return
        rate = self._pace.rate(moment, done)
        total = self._beat.total or 0
        left = max(total - done, 0) / rate if rate else None
        more = {} if facts is None else {"facts": facts()}
        self.update(done=done, note=note, rate=rate, left_seconds=left, **more)

    def remove(self) -> None:
        """Remove the file, unless it says how the command ended."""
        if self._beat.ended is None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def beating(verb: str, dataset: str, root: Path, command: str) -> Iterator[Heartbeat]:
    """Keep a file for a command while the block runs.

    Files that ended commands left for the same verb and dataset are removed first.

    Parameters
    ----------
    verb, dataset : str
    root : Path
        Folder of the data.
    command : str
        The command line, shown to people.
    """
    for path, beat in _files():
        if (beat.verb, beat.dataset) == (verb, dataset) and not beat.alive:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    pid = os.getpid()
    process: dict[str, Any] = {"pid": pid, "process_start": process_start(pid)}
    machine: dict[str, Any] = {"machine": host_tag(), "host": platform.node()}
    beat = Beat(verb, dataset, _place(root), **process, **machine, command=command, started=_now())
    heart = Heartbeat(beat, _folder() / f"{verb}-{dataset}-{pid}.json")
    heart.update()
    _current.append(heart)
    try:
        yield heart
    finally:
        _current.remove(heart)
        heart.remove()


def current() -> Heartbeat | None:
    """Heartbeat of the command that this process runs.

    Returns
    -------
    Heartbeat or None
        None in worker processes, and wherever no command runs.
    """
    return _current[-1] if _current else None


def beats(dataset: str | None = None, root: Path | None = None) -> list[Beat]:
    """Beats of all commands that run, and of those that ended badly.

    Parameters
    ----------
    dataset : str, optional
        Only commands on this dataset.
    root : Path, optional
        Only commands on the data in this folder. Commands on other machines always count, because the name of their
        folder can't be compared.

    Returns
    -------
    list of Beat
        The earliest first.
    """
    place = None if root is None else _place(root)
    matches = [
        beat
        for _, beat in _files()
        if dataset in (None, beat.dataset) and (place in (None, beat.root) or beat.machine != host_tag())
    ]
    return sorted(matches, key=lambda beat: (beat.started, beat.verb))


def _files() -> Iterator[tuple[Path, Beat]]:
    names = {field.name for field in dataclasses.fields(Beat)}
    for path in sorted(_folder().glob("*.json")):
        try:
            content = read_json(path)
            yield path, Beat(**{name: value for name, value in content.items() if name in names})
        except (OSError, ValueError, TypeError, AttributeError):
            continue  # removed meanwhile, or damaged


def _place(root: Path) -> str:
    place = Path(root).absolute()
    with contextlib.suppress(ValueError):
        return place.relative_to(paths.main_root()).as_posix()
    return str(place)


def _folder() -> Path:
    return paths.heartbeats()


def _shown(value: Any) -> Any:
    """The beat's content as others may read it: without secrets and hidden characters."""
    if isinstance(value, Mapping):
        return {str(key): _shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return shown(value) if isinstance(value, str) else value


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
