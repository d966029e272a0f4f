"""What runs now, and how far it is, for whoever looks from another terminal.

Each command keeps one small file under ``data/.progress`` while it works, written at most every two seconds, and
removes it when it is done. An interruption or a failure leaves its words in the file until the same verb starts again
on the same dataset; a killed command leaves it as it was, and a reader sees that its process is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.config.paths import main_root
from src.core.process import host_tag, is_alive, process_start
from src.storage.atomic import read_json, write_json

Facts = dict[str, Any]
_EVERY = 2.0  # seconds between two writes
_WINDOW = 600.0  # seconds of which the rate is the mean
_current: list[Heartbeat] = []


@dataclass(frozen=True)
class Beat:
    """What a command said last.

    Attributes
    ----------
    root : str
        Folder of the data that it works on, for the same dataset may exist in two places: as seen from the project's
        folder where it lies therein (so a copy of both tells the same), else its absolute path.
    phase : str
        waiting (its turn) or working.
    done, total : int
        Finished units and units in all; a total of null where the command does not count.
    rate : float
        Units a second over the last ten minutes; null before any was finished.
    facts : dict
        What else the command knows: ``states`` by asset class, ``runs`` by model family.
    ended : str
        interrupted or failed, with `words`; null while it works, and for ever where it was killed.
    """

    verb: str
    dataset: str
    root: str
    pid: int
    born: int
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
    words: str = ""

    @property
    def state(self) -> str:
        """Running, waiting, interrupted, failed or died; elsewhere where another machine would have to be asked."""
        if self.ended is not None:
            return self.ended
        if self.machine != host_tag():
            return "elsewhere"
        if not is_alive(self.pid, self.born):
            return "died"
        return "running" if self.phase == "working" else "waiting"

    @property
    def alive(self) -> bool:
        """Whether the command still works or waits, as far as this machine can tell."""
        return self.state in ("running", "waiting", "elsewhere")


class Pace:
    """Units finished a second, over the last ten minutes.

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
        """Count units that turn out to have been finished before: they say nothing about the rate."""
        self._before += units

    def rate(self, moment: float, done: int) -> float | None:
        """Give the rate at a moment when `done` are finished; null before any was."""
        while len(self._samples) > 1 and moment - self._samples[0][0] > _WINDOW:
            self._samples.popleft()
        fresh = done - self._before
        self._samples.append((moment, fresh))
        since, before = self._samples[0]
        return (fresh - before) / (moment - since) if moment > since and fresh > before else None


class Heartbeat:
    """Keeps the file of one command up to date. A disk that refuses it never stops the work."""

    def __init__(self, beat: Beat, path: Path) -> None:
        self._beat, self._path = beat, path
        self._written = float("-inf")
        self._pace = Pace(time.monotonic(), 0)

    def say(self, **changes: Any) -> None:
        """Change some fields of the beat and write it at once."""
        self._beat = dataclasses.replace(self._beat, **changes, updated=_now())
        self._written = time.monotonic()
        with contextlib.suppress(OSError, ValueError):
            write_json(vars(self._beat), self._path, durable=False)

    def begin(self, total: int, unit: str, done: int = 0) -> None:
        """Start to count: `done` of the `total` were finished before and say nothing about the rate."""
        self._pace = Pace(time.monotonic(), done)
        self.say(total=total, unit=unit, done=done, rate=None, left_seconds=None, note="", facts={})

    def reuse(self, units: int) -> None:
        """Count units that turn out to have been finished before: they say nothing about the rate."""
        self._pace.reuse(units)

    def count(self, done: int, note: str = "", facts: Callable[[], Facts] | None = None, *, now: bool = False) -> None:
        """Say how many are finished; written where two seconds have passed since the last time, or `now`."""
        moment = time.monotonic()
        if moment - self._written < _EVERY and not now:
            return
        rate = self._pace.rate(moment, done)
        total = self._beat.total or 0
        left = max(total - done, 0) / rate if rate else None
        said = {} if facts is None else {"facts": facts()}
        self.say(done=done, note=note, rate=rate, left_seconds=left, **said)

    def remove(self) -> None:
        """Take the file away, unless it holds the words of an end."""
        if self._beat.ended is None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def beating(verb: str, dataset: str, root: Path, command: str) -> Iterator[Heartbeat]:
    """Keep a file for a command while the block runs; what an earlier one left for the same work is removed."""
    for path, beat in _files():
        if (beat.verb, beat.dataset) == (verb, dataset) and not beat.alive:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    pid = os.getpid()
    who: dict[str, Any] = {"pid": pid, "born": process_start(pid), "machine": host_tag(), "host": platform.node()}
    beat = Beat(verb, dataset, _place(root), **who, command=command, started=_now())
    heart = Heartbeat(beat, _folder() / f"{verb}-{dataset}-{pid}.json")
    heart.say()
    _current.append(heart)
    try:
        yield heart
    finally:
        _current.remove(heart)
        heart.remove()


def current() -> Heartbeat | None:
    """The heartbeat of the command that this process runs; None in tests and in worker processes."""
    return _current[-1] if _current else None


def beats(dataset: str | None = None, root: Path | None = None) -> list[Beat]:
    """Every command that runs, and the last words of those that ended badly, the earliest first.

    Parameters
    ----------
    dataset, root
        Only those that work on this dataset, on the data in this folder. What another machine calls its folder says
        nothing here, so all of its commands count.
    """
    place = None if root is None else _place(root)
    found = [
        beat
        for _, beat in _files()
        if dataset in (None, beat.dataset) and (place in (None, beat.root) or beat.machine != host_tag())
    ]
    return sorted(found, key=lambda beat: (beat.started, beat.verb))


def _files() -> Iterator[tuple[Path, Beat]]:
    names = {each.name for each in dataclasses.fields(Beat)}
    for path in sorted(_folder().glob("*.json")):
        try:
            content = read_json(path)
            yield path, Beat(**{name: value for name, value in content.items() if name in names})
        except (OSError, ValueError, TypeError, AttributeError):
            continue  # gone meanwhile, or damaged from outside


def _place(root: Path) -> str:
    place = Path(root).absolute()
    with contextlib.suppress(ValueError):
        return place.relative_to(main_root()).as_posix()
    return str(place)


def _folder() -> Path:
    return main_root() / "data" / ".progress"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
