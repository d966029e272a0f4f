"""The order of the tests, which decides how long the whole takes (see LONGEST), and a run that shows failures alone."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LONGEST = (
    "test_train.py", "hydration/live/test_hydration_end_to_end.py", "training/test_session.py", "engine/test_ray.py",
    "test_pipeline.py",
)  # fmt: skip
"""Files that take minutes: begun first, so that none is left alone with one processor when all the rest has ended."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failures-only", action="store_true", help="show failures and the summary, no progress")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    workers: Any = session.config.pluginmanager.get_plugin("terminaldistreporter")  # how pytest-xdist's workers start
    if workers is not None and session.config.getoption("failures_only"):
        workers.write_line = workers.rewrite = lambda *_arguments, **_settings: None


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any, config: pytest.Config) -> tuple[str, str, str] | None:
    """Count what passes and skips without a letter for each."""
    quiet = config.getoption("failures_only") and not hasattr(report, "wasxfail")
    if quiet and report.when == "call" and report.passed:
        return "passed", "", "PASSED"
    return ("skipped", "", "SKIPPED") if quiet and report.skipped else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {HERE / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates in captured logs: a report that can't be encoded ends the worker."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
