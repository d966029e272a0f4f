"""Commands of Python in processes of their own that are forked from one whose libraries are imported already.

For tests in which the start of Python is not the point: it takes most of the seconds of a small command. Whatever else
makes a process is as usual: its module or program as ``__main__``, arguments, environment, folder, streams and status.
Where the system can't fork, and on macOS, whose libraries don't bear it, commands start as they stand.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    "catboost", "dvc.cli", "dvc.repo.reproduce", "hydra.core.hydra_config", "hydra.utils", "lightgbm",
    "mlflow.store.tracking.sqlalchemy_store", "numpy", "pandas", "polars", "pyarrow.parquet", "rich.progress",
    "scipy.stats", "sklearn.ensemble", "talib", "xgboost",
)  # fmt: skip
_AT_IMPORT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "OPENBLAS_NUM_THREADS": "1"}
"""What libraries read when they are imported: no threads, which a fork would leave behind."""
FINISHED = {Path(__file__).resolve().parents[1]}
"""Folders whose code no test changes any more, that of the project first: their commands are prepared before a fork."""
_servers: dict[Path, Any] = {}


def run(
    words: list[str],
    code: Path,
    env: Mapping[str, str] | None = None,
    *,
    before: str = "",
    given: str = "",
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``python`` with these words; what it wrote is captured.

    Parameters
    ----------
    words : list of str
        ``-m module``, ``-c program`` or a file, and the arguments.
    code : Path
        Folder of ``src``, that of the project or of a copy.
    env : mapping, optional
        The whole environment; that of this process by default.
    before : str
        A program that runs first in the same process.
    given : str
        What the command reads from its input.
    cwd : Path, optional
        The folder that the command runs in; `code` by default.
    """
    from tests import process_case

    env, cwd = dict(os.environ if env is None else env), cwd or code
    if sys.platform != "linux":
        if before:
            module = f"import runpy; runpy.run_module({words[1]!r}, None, '__main__', True)"
            words = ["-c", f"{before}\n{module if words[0] == '-m' else words[1]}", *words[2:]]
        return process_case.run(
            [sys.executable, *words], cwd=cwd, env=env, input=given, capture_output=True, text=True, encoding="utf-8"
        )
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("in", "out", "error")]
        streams[0].write_text(given, encoding="utf-8")
        asked = {"words": words, "env": env, "before": before, "cwd": str(cwd), "streams": [*map(str, streams)]}
        server = _server(code)
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, f"the process that forks has ended with {server.poll()}"
        out, error = (path.read_text(encoding="utf-8", errors="replace") for path in streams[1:])
    return subprocess.CompletedProcess(words, int(answer), out, error)


def _server(code: Path) -> Any:
    """The process that forks, one for each copy of the project."""
    from tests import process_case

    if code not in _servers:
        hidden = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        env = {name: value for name, value in os.environ.items() if name not in hidden} | _AT_IMPORT
        prepared = "prepared" if code in FINISHED else ""
        command = [sys.executable, "-P", __file__, str(code), prepared, *LIBRARIES]
        pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
        _servers[code] = process_case.Command(command, cwd=code, env=env, text=True, encoding="utf-8", **pipes)
    return _servers[code]


def end() -> None:
    """End the processes that fork, when all tests are over."""
    while _servers:
        _servers.popitem()[1].end_group()


def _serve() -> dict[str, Any] | None:
    """Fork for every line of the input; in the child, return what was asked."""
    while line := sys.stdin.readline():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads that clean up after Polars and are not needed in the child
            child = os.fork()
        if not child:
            return dict(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return None


def _prepare() -> None:
    """Do what each command of the project would do again: import its packages, compose, hash the code of a run."""
    import src

    for module in pkgutil.walk_packages(src.__path__, "src."):
        if module.ispkg or module.name.count(".") > 1:  # a verb is run as a program
            importlib.import_module(module.name)
    from src.config.compose import compose
    from src.features import catalog, registry
    from src.models.registry import PARAMS
    from src.training import code_keys

    config = compose()
    for name in PARAMS:
        code_keys.fit_code(name, config.label.kind)
    code_keys.grade_code()
    for item in [*registry.FEATURES.values()]:
        catalog.code_hash(item)


def _leave_after(command: Callable[[], None]) -> NoReturn:
    """Carry out a command and end as Python does, without taking every library apart, which takes longer than most."""
    status: Any = 0
    try:
        command()
    except SystemExit as end:
        status = end.code
    except KeyboardInterrupt:
        raise  # Python ends by the signal
    except BaseException:  # noqa: BLE001 (whatever ends a program is shown as Python shows it)
        sys.excepthook(*sys.exc_info())
        status = 1
    if status is not None and not isinstance(status, int):
        sys.stderr.write(f"{status}\n")
        status = 1
    private: Any = (threading, atexit)
    private[0]._shutdown()
    private[1]._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit((status or 0) & 0xFF)


def _become(
    words: list[str], env: dict[str, str], before: str, cwd: str, streams: list[str], library: list[str]
) -> None:
    """Be the command: its streams, environment, path of modules and arguments, then its program."""
    os.setpgid(0, 0)
    for number, path in enumerate(streams):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    here = str(Path(words[0]).parent) if words[0] not in ("-m", "-c") else cwd
    sys.path[:] = [here, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *library]
    exec(compile(before, "<before>", "exec"), {})
    kind, rest = (words[0], words[1:]) if words[0] in ("-m", "-c") else ("", words)
    sys.argv = [rest[0] if kind != "-c" else "-c", *rest[1:]]
    if kind == "-m":
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        runpy.run_path(rest[0], run_name="__main__")


if __name__ == "__main__":
    gc.set_threshold(50_000)  # as in the tests themselves
    library = list(sys.path)
    sys.path.insert(0, sys.argv[1])  # MLflow imports the project's stores
    for name in sys.argv[3:]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if sys.argv[2]:
        _prepare()
    gc.freeze()
    if asked := _serve():
        _leave_after(lambda: _become(**asked, library=library))
