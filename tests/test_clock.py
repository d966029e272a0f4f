"""No test depends on the clock: waits are for events, limits only catch a hang, and no process outlives its test.

Held for the syntax of every file of the tests, and for the programs that they keep in strings. Benchmarks measure the
clock by purpose, and the soak kills at moments of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from src.core.project import ROOT
from tests.process_case import HANG

TESTS = ROOT / "tests"
BY_THE_CLOCK = {
    "process_case.py": "the one place that waits and starts processes",
    "benchmarks": "measure the clock by purpose",
    "soak": "kills at random moments, for hours",
}
ALLOWED = {
    "engine/test_dispatch.py": {"time.monotonic_ns": "makes an error's text differ each time"},
    "fetching/test_rate_gate.py": {
        "time.monotonic": "a lower bound, which a slow machine only keeps better",
        "timeout": "seconds of a clock that is turned by hand",
    },
    "hydration/live/hydration_case.py": {"time.sleep": "between two looks at the memory of a long run"},
    "loopback/server.py": {
        "asyncio.sleep": "lets data arrive before the reset",
        "wait_for(seconds)": "a connection that does not close in time is dropped",
    },
    "reporting/test_large_page.py": {"time.perf_counter": "printed, and nothing is asserted of it"},
    "signals/daily_case.py": {"timeout": "a setting of the source, for requests that are answered"},
    "sources/yahoo/test_session.py": {"timeout": "the answer never comes"},
    "test_clock.py": dict.fromkeys(("sleep of a program", "clock of a program"), "planted"),
}
"""What a file may read of the clock, and why nothing depends on how busy the machine is."""
TIME_OF_DAY = {
    "fetching/proxy_case.py": "certificates are valid around it",
    "inspection/test_invariants.py": "the page shows counts",
    "loopback/__main__.py": "a world at the moment that it is given, or else now",
    "loopback/world.py": "the clock that its client reads",
    "market/test_calendar.py": "a program that asks for any session",
    "research/sources/test_feeds_collected.py": "a world that lies hours behind the command",
    "research/test_collection.py": "what is due in hours",
    "sources/yahoo/test_options.py": "between two readings",
    "sources/yahoo/test_session.py": "between two readings",
    "sources/yahoo/test_source.py": "a distance of 730 days, give or take one",
    "test_clock.py": "planted",
    "training/test_session.py": "the page shows counts",
}
"""Files that read what time it is, and why they pass at any: others set the clock (`tests/moment_case.py`)."""
CLOCKS = {
    f"time.{name}" for name in ("sleep", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time")
} | {"asyncio.sleep", "os.times"}  # fmt: skip
PROCESSES = {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output")} | {"os.system"}
WAITS = {"wait", "join", "result", "communicate", "wait_procs", "wait_for", "acquire", "Timer", "timeout"}
MOMENTS = {"now", "today", "utcnow", "time", "time_ns", "getpid", "urandom", "uuid1", "uuid4", "mkdtemp", "default_rng"}
SETTINGS_OF_THE_PROFILE = {"deadline", "suppress_health_check"}


def files() -> list[Path]:
    found = sorted(TESTS.rglob("*.py"))
    return [path for path in found if not set(path.relative_to(TESTS).parts) & set(BY_THE_CLOCK)]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(TESTS).as_posix()


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def seconds(node: ast.expr) -> float | None:
    return node.value if isinstance(node, ast.Constant) and type(node.value) in (int, float) else None


def clock_reads(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """What a module reads of the clock: the rule's name, and the line."""
    renamed = {
        each.asname or each.name: f"{node.module}.{each.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            called = renamed.get(called, called)
            if called in CLOCKS | PROCESSES:
                yield called, node.lineno
            yield from ((rule, node.lineno) for rule in call_limits(called, node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((rule, node.lineno) for rule in program_waits(node.value))


def moments_in_parameters(tree: ast.Module) -> Iterator[int]:
    """Lines of parameters that differ from process to process: those of pytest-xdist then collect different tests."""
    for function in ast.walk(tree):
        for decorator in getattr(function, "decorator_list", []):
            for node in (each for each in ast.walk(decorator) if isinstance(each, ast.Call)):
                called = dotted(node.func)
                unstamped = called == "gzip.compress" and all(word.arg != "mtime" for word in node.keywords)
                if unstamped or called.rpartition(".")[2] in MOMENTS or called.startswith(("random.", "secrets.")):
                    yield node.lineno


def reads_of_the_day(tree: ast.Module) -> Iterator[int]:
    """Lines that read what time it is, in code or in a program that is kept in a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and re.search(r"(datetime|date)\.(now|today|utcnow)$", dotted(node.func)):
            yield node.lineno
        kept = isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value
        if kept and re.search(r"\b(datetime|date)\.(now|today|utcnow)\(", kept):
            yield node.lineno


def call_limits(called: str, node: ast.Call) -> Iterator[str]:
    """Limits of a call that are numbers: the limit of all is `HANG`, by its name."""
    last = called.rpartition(".")[2]
    for keyword in node.keywords:
        limit = seconds(keyword.value)
        if keyword.arg == "timeout" and limit is not None and limit < HANG:
            yield "timeout"
        if last == "settings" and keyword.arg in SETTINGS_OF_THE_PROFILE:
            yield f"settings({keyword.arg})"
    positional = [seconds(each) for each in node.args]
    if called != "clock.wait" and last in WAITS and any(limit is not None and limit < HANG for limit in positional):
        yield f"{last}(seconds)"


def program_waits(text: str) -> Iterator[str]:
    """Sleeps of a program that a test starts: one that waits to be ended calls `hang`."""
    if "import" in text and re.search(r"\bsleep\(", text):
        yield "sleep of a program"
    if "import" in text and re.search(r"\btime\.(monotonic|perf_counter)\(", text):
        yield "clock of a program"


def refused(path: Path) -> list[str]:
    allowed = ALLOWED.get(name(path), {})
    found = clock_reads(tree(path))
    return [f"{name(path)}:{line}: {rule}" for rule, line in found if rule not in allowed]


def test_every_process_collects_the_same_tests() -> None:
    found = {name(path): list(moments_in_parameters(tree(path))) for path in files()}
    assert {place: lines for place, lines in found.items() if lines} == {}


def test_a_moment_in_a_parameter_is_seen() -> None:
    code = "@parametrize('x', [gzip.compress(b''), dt.datetime.now()])\ndef test(x): gzip.compress(b'')"
    assert list(moments_in_parameters(ast.parse(code))) == [1, 1]
    assert not [*moments_in_parameters(ast.parse("@parametrize('x', [gzip.compress(b'', mtime=0)])\ndef test(x): ..."))]


def test_a_test_waits_for_events_and_not_for_time() -> None:
    assert len(files()) > 400
    assert [each for path in files() for each in refused(path)] == []


def test_no_test_depends_on_the_time_of_day() -> None:
    found = {name(path) for path in files() if any(reads_of_the_day(tree(path)))}
    assert found == set(TIME_OF_DAY)


@pytest.mark.parametrize("code", ["dt.datetime.now(dt.UTC)", "date.today()", "RUN = 'print(dt.datetime.utcnow())'"])
def test_a_reading_of_the_time_is_seen(code: str) -> None:
    assert list(reads_of_the_day(ast.parse(code))) == [1]
    assert not list(reads_of_the_day(ast.parse("case.now()\ndt.datetime.fromisoformat(text)")))


def test_what_is_allowed_is_still_there() -> None:
    for place, rules in ALLOWED.items():
        found = {rule for rule, _ in clock_reads(ast.parse((TESTS / place).read_text(encoding="utf-8")))}
        assert set(rules) <= found, f"{place} no longer needs {set(rules) - found}"
    assert all((TESTS / place).exists() for place in BY_THE_CLOCK)


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import time\ntime.sleep(0.1)", "time.sleep"),
        ("from time import sleep\nsleep(0.1)", "time.sleep"),
        ("from time import perf_counter as now\nassert now() < 3", "time.perf_counter"),
        ("import subprocess\nsubprocess.run(['true'])", "subprocess.run"),
        ("from subprocess import Popen\nPopen(['true'])", "subprocess.Popen"),
        ("process.communicate(timeout=20)", "timeout"),
        ("process.wait(10)", "wait(seconds)"),
        ("pytest.mark.timeout(60)", "timeout(seconds)"),
        ("future.result(5)", "result(seconds)"),
        ("threading.Timer(0.05, close)", "Timer(seconds)"),
        ("@settings(max_examples=3, deadline=None)\ndef test(): ...", "settings(deadline)"),
        ("PROGRAM = 'import time; time.sleep(60)'", "sleep of a program"),
        ("PROGRAM = 'import time; print(time.monotonic())'", "clock of a program"),
    ],
)
def test_a_wait_for_time_is_seen(code: str, rule: str) -> None:
    assert [found for found, _ in clock_reads(ast.parse(code))] == [rule]


def test_waits_for_events_pass() -> None:
    code = "process.wait(HANG)\n', '.join(names)\nqueue.get()\nuntil(lambda: port)\ncommunicate(timeout=HANG)"
    assert list(clock_reads(ast.parse(code))) == []
