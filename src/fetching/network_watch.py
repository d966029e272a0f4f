"""Whether the network is there at all: what all providers of a run have in common when none of them answers.

A fault between this machine and a host says nothing about the instrument that was asked for, and little about the
provider while no other host answers either. The watch hears of every request of a run. It tells three cases apart: the
network (no host answers), one provider (it alone is not reached), and neither (a fault of one request).
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from src.config.commands import command
from src.fetching.obstacle import REMEDIES
from src.fetching.provider import ProviderError, Unreachable, WebPage

ABSENT_SECONDS = 25.0  # since the first request, without any sign of life: then the run ends
BLOCKED_SECONDS = 300.0  # the same of one provider, while others answer: then it alone is given up
_FAULTS = 3  # in a row without a sign of life from any provider in use: an absence
_FAULTS_ALONE = 6  # in a row of one provider, while others answer


def doctor_hint(source: str = "auto") -> str:
    """Say which command looks at each host.

    Parameters
    ----------
    source : str
        A file of conf/source whose hosts are meant.
    """
    return f"`{command('doctor', f'source={source}')}` looks at each host"


@dataclass
class _Line:
    """What one provider's requests met."""

    since: float  # its first request
    reached: bool = False
    busy: int = 0  # requests under way
    faults: int = 0  # in a row
    latest: Unreachable | WebPage | None = None

    @property
    def proven(self) -> bool:
        """Whether its faults can be no matter of load."""
        return self.latest is not None and (REMEDIES[self.latest.obstacle].certain or self.faults >= _FAULTS)


class NetworkWatch:
    """Hears how every request of a run ended; used by several threads.

    Parameters
    ----------
    clock : callable
        Monotonic time in seconds.
    now : callable
        Time of day in UTC, for messages alone.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._clock, self._now = clock, now
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._streak = 0  # faults since the latest sign of life of any provider
        self._since: dt.datetime | None = None  # of an absence

    def expect(self, provider: str) -> None:
        """Count a provider among those that will be asked: the network is not absent before it was.

        Parameters
        ----------
        provider : str
            Its name.
        """
        with self._lock:
            self._lines.setdefault(provider, _Line(self._clock()))

    @contextmanager
    def asking(self, provider: str) -> Iterator[None]:
        """Watch one request.

        Parameters
        ----------
        provider : str
            Its name. `Unreachable` and `WebPage` raised within are no sign of life; any other answer of the provider's,
            good or bad, is one; what is no `ProviderError` says nothing.
        """
        with self._lock:
            self._lines.setdefault(provider, _Line(self._clock())).busy += 1
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            with self._lock:
                self._note(self._lines[provider], error)

    @property
    def absent_since(self) -> dt.datetime | None:
        """Since when no provider gives any sign of life (UTC); None while one does."""
        with self._lock:
            return self._since

    def reached(self, provider: str | None = None) -> bool:
        """Whether a provider, or any, has given a sign of life in this run.

        Parameters
        ----------
        provider : str or None
            Its name.
        """
        with self._lock:
            return any(line.reached for name, line in self._lines.items() if provider in (None, name))

    def never_there(self) -> str:
        """Why the run should end: no host has answered since it began.

        Returns
        -------
        str
            What was met at which host, and what to do; empty while there is hope.
        """
        with self._lock:
            lines = self._lines
            if not lines or any(line.reached for line in lines.values()):
                return ""
            began = min(line.since for line in lines.values())
            if self._clock() - began < ABSENT_SECONDS or not all(line.proven for line in lines.values()):
                return ""
            met = f"no host has answered ({_met(lines)})"
            return f"the network is absent, or closed to this machine: {met}: {_advice(lines)}"

    def blocked(self) -> dict[str, str]:
        """Providers that alone are not reached.

        Returns
        -------
        dict of str to str
            What was met and what to do, by provider.
        """
        with self._lock:
            others = " and ".join(name for name, line in self._lines.items() if line.reached and not line.faults)
            alone = {n: line for n, line in self._lines.items() if others and line.faults >= _FAULTS_ALONE}
            return {
                name: f"{name} can't be reached, while {others} can ({_met({name: line})}): {_advice({name: line})}"
                for name, line in alone.items()
            }

    def hopeless(self, provider: str) -> bool:
        """Whether to give up a provider that was never reached, while others are.

        Parameters
        ----------
        provider : str
            Its name.
        """
        with self._lock:
            line = self._lines[provider]
            return not line.reached and line.proven and self._clock() - line.since >= BLOCKED_SECONDS

    def described(self) -> str:
        """The present absence in short, for a progress line; empty without one."""
        with self._lock:
            if self._since is None:
                return ""
            return f"network absent since {self._since:%H:%M} UTC ({_met(self._lines)})"

    def _note(self, line: _Line, error: BaseException | None) -> None:
        line.busy -= 1
        if isinstance(error, Unreachable | WebPage):
            self._streak += 1
            line.faults += 1
            line.latest = error
            lines = self._lines.values()
            heard = all(each.faults or (each.reached and not each.busy) for each in lines)  # each one was asked
            alone = any(each.reached for each in lines) and not any(each.reached and each.faults for each in lines)
            if self._since is None and heard and not alone and self._streak >= _FAULTS:
                self._since = self._now()
        elif error is None or isinstance(error, ProviderError):
            line.reached, line.faults, line.latest = True, 0, None
            self._streak, self._since = 0, None


def _met(lines: dict[str, _Line]) -> str:
    """What was met, by obstacle, with its hosts."""
    hosts: dict[str, list[str]] = {}
    for name, line in sorted(lines.items()):
        if line.latest is not None:
            hosts.setdefault(line.latest.obstacle, []).append(line.latest.host or name)
    return "; ".join(f"{', '.join(dict.fromkeys(each))}: {REMEDIES[kind].words}" for kind, each in hosts.items())


def _advice(lines: dict[str, _Line]) -> str:
    met = {line.latest.obstacle for line in lines.values() if line.latest is not None}
    return "; ".join(remedy.action for kind, remedy in REMEDIES.items() if kind in met)
