"""Commands that tests start: one limit for all, and each command with all that it started ends with its block.

A machine may be busy: a test waits for an event, and a limit only catches a hang. This is the one module of the tests
that reads the clock to wait, and that starts processes (`tests/test_clock.py`).
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psutil

HANG = 900.0
"""Seconds after which a command, an answer or another thread counts as hung: far beyond what a busy machine takes."""
RUN, COMMAND = "ALPHA_LOOP_TEST_RUN", "ALPHA_LOOP_TEST_COMMAND"
"""Variables that every process of a run of the tests, and every process of one command, inherits."""
_LAST_MOMENTS = 60.0  # seconds that the processes of a command that ended by itself may take to end too
_LOADING = 60.0  # seconds that a busy machine may take to load a program
_LOOK_EVERY = 0.02
_CLOCK_TICK = 1.0  # seconds by which a process may seem older than it is
_CREATED = psutil.Process().create_time()
_WINDOWS = sys.platform == "win32"
_begun: list[Command] = []


class Command(subprocess.Popen[Any]):
    """A process in a group of its own; `end_group` ends all that descends from it."""

    def __init__(self, command: Any, *, env: Mapping[str, str] | None = None, **settings: Any) -> None:
        self.token, self.began = uuid.uuid4().hex, time.monotonic()
        environment = {**(os.environ if env is None else env), COMMAND: self.token}
        with _interruptible():
            group = {"creationflags": _new_group()} if _WINDOWS else {"start_new_session": True}
            super().__init__(command, env=environment, **{**group, **settings})

    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self.began

    def end_group(self) -> None:
        """Kill the process and its descendants, also those that left its group or lost their parent."""
        if not _WINDOWS:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for each in marked(COMMAND, self.token):
            with contextlib.suppress(psutil.Error):
                each.kill()
        self.wait(HANG)
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()


@contextlib.contextmanager
def started(command: Any, **settings: Any) -> Iterator[Command]:
    """Start a command as `subprocess.Popen` does; its group ends with the block, however the block is left.

    Raises
    ------
    AssertionError
        If the command ended by itself and left a process behind.
    """
    process = Command(command, **settings)
    try:
        yield process
        if process.poll() is not None and process.returncode >= 0:
            left = still_running(marked(COMMAND, process.token), _LAST_MOMENTS)
            assert not left, f"{process.args} ended and left running: {'; '.join(map(shown, left))}"
    finally:
        process.end_group()


def begin(command: Any, **settings: Any) -> Command:
    """Start a command whose end is waited for elsewhere; its group ends with the test at the latest."""
    process = Command(command, **settings)
    _begun.append(process)
    return process


def end_begun() -> None:
    """End the groups of all commands of `begin`; each test calls it when it is over (`tests/conftest.py`)."""
    while _begun:
        _begun.pop().end_group()


def run(
    command: Any,
    *,
    input: Any = None,
    capture_output: bool = False,
    check: bool = False,
    limit: float = HANG,
    **settings: Any,
) -> subprocess.CompletedProcess[Any]:
    """Run a command to its end as `subprocess.run` does, with the limit of all; its group ends with it."""
    if capture_output:
        settings.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if input is not None:
        settings["stdin"] = subprocess.PIPE
    with started(command, **settings) as process:
        out, error = process.communicate(input, timeout=limit)
    done = subprocess.CompletedProcess(process.args, process.returncode, out, error)
    if check:
        done.check_returncode()
    return done


def until(holds: Callable[[], Any], process: subprocess.Popen[Any] | None = None) -> None:
    """Wait until a condition holds that no event tells of; fail if `process` ends before."""
    end = time.monotonic() + HANG
    while not holds():
        assert process is None or process.poll() is None or holds(), "the process ended before it came about"
        assert time.monotonic() < end, "it never came about"
        time.sleep(_LOOK_EVERY)


def hang() -> None:
    """Do nothing until the process is ended from outside, in short sleeps: see `answer`."""
    while True:
        time.sleep(_LOOK_EVERY)


def answer() -> str:
    """The next line of standard input, waited for in short looks (POSIX).

    A signal that arrives just before a read or a sleep begins is handled only when that returns.
    """
    while not select.select([sys.stdin], [], [], _LOOK_EVERY)[0]:
        pass
    return sys.stdin.readline()


def free_port() -> int:
    """A port of the loopback that is free, below those that systems choose from, which another program may be given."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def pause(seconds: float) -> None:
    """Let a part of a second pass, to reach a random moment of another process; nothing may depend on its length."""
    time.sleep(seconds)


def marked(variable: str, value: str) -> list[psutil.Process]:
    """Processes, this one left out, that inherited a variable: descendants, also those that lost their parent."""
    end = time.monotonic() + _LOADING
    while True:
        loading = _is_any_loading()  # before the look: what has been loaded by then bears its variables
        found = []
        for each in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if each.pid != os.getpid() and each.environ().get(variable) == value and _lives(each):
                    found.append(each)
        if not loading or time.monotonic() > end:
            return found
        time.sleep(_LOOK_EVERY)


def _is_any_loading() -> bool:
    """Whether the program of any process younger than this one is being loaded: it has no environment for a moment."""
    for each in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            young = each.create_time() >= _CREATED - _CLOCK_TICK
            if young and not each.environ() and not each.cmdline() and each.exe() and _lives(each):
                return True
    return False


def still_running(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that do not end by themselves within some seconds."""
    end = time.monotonic() + seconds
    while processes := [each for each in processes if _lives(each)]:
        if time.monotonic() > end:
            break
        time.sleep(_LOOK_EVERY)
    return processes


def shown(process: psutil.Process) -> str:
    """A process by its number, its command line, and the test that started it."""
    try:
        words, test = " ".join(process.cmdline()), process.environ().get("PYTEST_CURRENT_TEST", "")
    except (psutil.Error, OSError):
        words, test = "", ""
    return f"process {process.pid}, {words[:200]!r}" + (f", started by {test.rpartition(' ')[0]}" if test else "")


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _new_group() -> int:
    return int(getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0))


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let a child start with Ctrl+C enabled, which a command in the background ignores, and its children with it."""
    try:
        ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        if ignored:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # replaced by the default when the child begins
    except ValueError:  # not the main thread
        ignored = False
    try:
        yield
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
