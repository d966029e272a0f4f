"""What holds for all tests: their order (see LONGEST), a run that shows failures alone, and a quiet end.

No test depends on the clock, and the run fails if a process that a test started is left when all is over.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests import process_case, warm_case

HERE = Path(__file__).parent
LONGEST = (
    "test_train.py", "hydration/live/test_hydration_end_to_end.py", "training/test_session.py", "engine/test_ray.py",
    "test_pipeline.py",
)  # fmt: skip
"""Files that take minutes: begun first, so that none is left alone with one processor when all the rest has ended."""

OF_PYTHON = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
"""Processes of Python itself, which end when the process of the tests does."""
LEFT = pytest.StashKey[list[str]]()
LAST_MOMENTS = 30.0  # seconds that a process may take to end after the last test

OBJECTS = 50_000
"""Objects between two searches for garbage: at Python's 700 a tenth of all imports and compositions is searching."""

settings.register_profile(
    "tests", deadline=None, derandomize=bool(os.environ.get("CI")), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failures-only", action="store_true", help="show failures and the summary, no progress")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    workers: Any = session.config.pluginmanager.get_plugin("terminaldistreporter")  # how pytest-xdist's workers start
    if workers is not None and session.config.getoption("failures_only"):
        workers.write_line = workers.rewrite = lambda *_arguments, **_settings: None


def pytest_configure(config: pytest.Config) -> None:
    """Mark every process that the tests start, and let an interruption of any kind end them with their groups."""
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist keeps the mark of the run
        os.environ[process_case.RUN] = uuid.uuid4().hex
    gc.set_threshold(OBJECTS)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a command in the background; its children inherit that
            signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _commands_end_with_their_test() -> Iterator[None]:
    yield
    process_case.end_begun()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    process_case.end_begun()  # by a fixture of several tests that was interrupted
    warm_case.end()
    if hasattr(session.config, "workerinput"):  # of pytest-xdist: the process that started it looks when all have ended
        return
    started = process_case.marked(process_case.RUN, os.environ[process_case.RUN])
    left = process_case.still_running([each for each in started if not of_python(each)], LAST_MOMENTS)
    session.config.stash[LEFT] = [process_case.shown(each) for each in left]
    for each in left:
        with contextlib.suppress(psutil.Error):
            each.kill()
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for line in config.stash.get(LEFT, []):
        terminalreporter.write_line(f"left running by the tests, now ended: {line}", red=True)


def of_python(process: psutil.Process) -> bool:
    try:
        return process.ppid() == os.getpid() and any(name in " ".join(process.cmdline()) for name in OF_PYTHON)
    except psutil.Error:
        return True


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any, config: pytest.Config) -> tuple[str, str, str] | None:
    """Count what passes and skips without a letter for each."""
    quiet = config.getoption("failures_only") and not hasattr(report, "wasxfail")
    if quiet and report.when == "call" and report.passed:
        return "passed", "", "PASSED"
    return ("skipped", "", "SKIPPED") if quiet and report.skipped else None


def pytest_collection() -> None:
    gc.disable()  # until all is collected: what is imported and collected stays to the end


def pytest_collection_finish() -> None:
    """Leave what was collected out of every later search for garbage, which would take most of its time."""
    gc.enable()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {HERE / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured logs: a report that can't be encoded ends the worker."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
