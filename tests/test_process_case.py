"""What a test starts ends with it, with all that descends from it, and what is left all the same is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest

from tests import conftest, process_case
from tests.process_case import HANG, run, started, still_running, until

HANGING = "from tests.process_case import hang; hang()"
FAMILY = (
    "import subprocess, sys\n"
    f"child = subprocess.Popen([sys.executable, '-c', {HANGING!r}], start_new_session={{session}})\n"
    "print(child.pid, flush=True)\n"
    "{then}\n"
)


def family(then: str, session: bool = False) -> list[str]:
    """A command that starts one that hangs, which may leave its group; prints its number."""
    return [sys.executable, "-c", FAMILY.format(then=then, session=session)]


@pytest.mark.parametrize("session", [False, True])
def test_a_group_ends_with_its_block_though_the_test_fails(session: bool) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        started(family(HANGING, session), stdout=subprocess.PIPE, text=True) as process,
    ):
        child = psutil.Process(int(process.stdout.readline()))
        raise ZeroDivisionError
    assert process.returncode is not None and not still_running([child], HANG)


@pytest.mark.skipif(os.name == "nt", reason="Windows starts a process with its environment")
def test_a_descendant_whose_program_is_just_being_loaded_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[int] = set()

    class Loading(psutil.Process):
        def environ(self) -> dict[str, str]:
            return super().environ() if self.pid in seen else {}

        def cmdline(self) -> list[str]:
            return super().cmdline() if self.pid in seen else []

    with started(family(HANGING, session=True), stdout=subprocess.PIPE, text=True) as process:
        child = psutil.Process(int(process.stdout.readline()))
        until(child.environ)
        actual = psutil.process_iter

        def looked_at() -> Iterator[psutil.Process]:
            for each in actual():
                yield Loading(child.pid) if each.pid == child.pid else each
            seen.add(child.pid)  # the first whole look finds it being loaded

        monkeypatch.setattr(psutil, "process_iter", looked_at)
    assert not still_running([child], HANG)


def test_a_command_that_leaves_a_process_behind_is_named_and_what_it_left_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_case, "_LAST_MOMENTS", 0.0)
    with pytest.raises(AssertionError, match=r"ended and left running: process \d+, .*hang\(\)"):
        run(family("pass", session=True), stdout=subprocess.DEVNULL)
    assert left() == []


def test_a_command_that_runs_out_of_time_ends_with_its_group() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run(family(HANGING), stdout=subprocess.DEVNULL, limit=0.1)
    assert left() == []


def left() -> list[psutil.Process]:
    """Processes of this test that do not end: one that was killed takes a moment on a busy machine."""
    marked = process_case.marked("PYTEST_CURRENT_TEST", os.environ["PYTEST_CURRENT_TEST"])
    return process_case.still_running(marked, HANG)


def test_a_run_of_the_tests_that_leaves_a_process_fails_and_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(process_case.RUN, uuid.uuid4().hex)
    monkeypatch.setattr(conftest, "LAST_MOMENTS", 0.0)
    session = SimpleNamespace(config=SimpleNamespace(stash={}), exitstatus=pytest.ExitCode.OK)
    conftest.pytest_sessionfinish(session)  # type: ignore[arg-type]
    assert session.exitstatus == pytest.ExitCode.OK
    orphan = process_case.Command([sys.executable, "-c", HANGING])
    conftest.pytest_sessionfinish(session)  # type: ignore[arg-type]
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
    (line,) = session.config.stash[conftest.LEFT]
    assert f"process {orphan.pid}" in line and "started by tests/test_process_case.py::" in line
    assert orphan.wait(HANG) is not None


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_ctrl_c_reaches_a_command_though_the_tests_run_in_the_background() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell starts a command with & at its end
    try:
        with started([sys.executable, "-c", f"print(1, flush=True)\n{HANGING}"], stdout=-1, stderr=-1) as process:
            assert process.stdout.readline() == b"1\n"
            process.send_signal(signal.SIGINT)
            assert b"KeyboardInterrupt" in process.communicate(timeout=HANG)[1]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
