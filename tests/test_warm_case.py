"""A command that is forked does what the same command does when it is started."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import process_case, warm_case

PROGRAM = """
import atexit, json, os, sys
atexit.register(print, "at the end", file=sys.stderr)
found = {"name": __name__, "main": sys.modules["__main__"].__name__, "arguments": sys.argv, "first": sys.path[0]}
found |= {"folder": os.getcwd(), "given": sys.stdin.read()}
found |= {name: os.environ.get(name) for name in ("ADDED", "LEFT_OUT", "BEFORE")}
print(json.dumps(found))
sys.exit(3)
"""


@pytest.fixture
def _without_libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(warm_case, "LIBRARIES", ())
        patch.setattr(warm_case, "_servers", {})
        patch.setenv("LEFT_OUT", "yes")
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        yield
        warm_case.end()


@pytest.mark.usefixtures("_without_libraries")
def test_a_forked_command_is_as_a_started_one(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "planted.py").write_text(PROGRAM, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if name != "LEFT_OUT"} | {"ADDED": "\u00e9"}
    for words in (["-m", "planted", "a", "-b"], ["-c", PROGRAM, "a"], [str(here / "planted.py"), "x=1"]):
        forked = warm_case.run(words, tmp_path, env, given="typed\n", cwd=here)
        begun = process_case.run(
            [sys.executable, *words], cwd=here, env=env, input="typed\n", capture_output=True, text=True
        )
        found, expected = json.loads(forked.stdout), json.loads(begun.stdout)
        expected["first"] = expected["first"] or str(here)
        assert found == expected
        assert (forked.returncode, forked.stderr) == (begun.returncode, begun.stderr) == (3, "at the end\n")
    before = warm_case.run(["-c", PROGRAM], tmp_path, env, before="import os; os.environ['BEFORE'] = 'first'")
    assert json.loads(before.stdout)["BEFORE"] == "first"


@pytest.mark.usefixtures("_without_libraries")
def test_a_forked_command_that_dies_of_a_signal_or_an_error_says_so(tmp_path: Path) -> None:
    assert warm_case.run(["-c", "import os; os._exit(9)"], tmp_path).returncode == 9
    failed = warm_case.run(["-c", "1 / 0"], tmp_path)
    assert failed.returncode == 1 and "ZeroDivisionError" in failed.stderr


ENDS = {
    "sys.exit('in words')": 1,
    "sys.exit(False)": 0,
    "print('without a line end', end='')": 0,
    "threading.Thread(target=lambda: (go.wait(0.1), print('another thread'))).start()": 0,
    "futures.ThreadPoolExecutor().submit(print, 'a pool')": 0,
    "raise KeyboardInterrupt": -signal.SIGINT,
}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.usefixtures("_without_libraries")
@pytest.mark.parametrize("end", ENDS)
def test_a_forked_command_ends_as_a_started_one(end: str, tmp_path: Path) -> None:
    program = f"import concurrent.futures as futures, sys, threading; go = threading.Event(); {end}"
    forked = warm_case.run(["-c", program], tmp_path)
    begun = process_case.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (forked.returncode, forked.stdout) == (begun.returncode, begun.stdout)
    assert forked.returncode == ENDS[end]
    assert forked.stderr.splitlines()[-1:] == begun.stderr.splitlines()[-1:]
