"""One verb in a child process, with faults at its writes; see `tests.soak.fault_points`."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak.fault_points import Faults, install

TIMEOUT = 240.0  # seconds for one verb


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    error: str
    points: int  # number of points passed, if it ended by itself
    hit: str  # the operation that failed, empty if none


def context(preload: str) -> Any:
    """Processes that start with the imports done where the system can fork a clean server, else spawned."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload([preload])
    return made


def run(verb: str, arguments: list[str], faults: Faults, scratch: Path, preload: str) -> Ended:
    """Run a verb in a process of its own and wait for it; `preload` is the module that its server imports first."""
    paths = [scratch / name for name in ("out", "error", "end")]
    for path in paths:
        path.unlink(missing_ok=True)
    given = (str(faults.root), faults.first, faults.kind, str(faults.log or ""))
    process = context(preload).Process(target=_command, args=(verb, arguments, given, str(scratch), dict(os.environ)))
    process.start()
    process.join(TIMEOUT)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"{verb} hangs: {paths[1].read_text(encoding='utf-8')}")
    out, error, end = (path.read_text(encoding="utf-8") if path.exists() else "" for path in paths)
    points, _, hit = end.partition(" ")
    return Ended(process.exitcode, out, error, int(points or 0), hit)


def _command(
    verb: str, arguments: list[str], given: tuple[str, int, str, str], scratch: str, env: dict[str, str]
) -> None:
    root, first, kind, log = given
    os.environ.clear()
    os.environ.update(env)
    os.environ.update({"DVC_STAGE": "test", "DVC_ROOT": root})
    for name, stream in (("out", sys.stdout), ("error", sys.stderr)):
        handle = os.open(Path(scratch, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1 if stream is sys.stdout else 2)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=1)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1)
    sys.argv = [str(Path(__file__).parents[2] / "src" / f"{verb}.py"), *arguments]
    faults = Faults(Path(root), first, kind, Path(log) if log else None)
    work_in_this_process()
    end = os.open(Path(scratch, "end"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    install(faults)
    try:
        _main(verb)
    finally:
        os.write(end, f"{faults.count} {faults.hit}".encode())


def _main(verb: str) -> None:
    from src.runtime import command

    module = importlib.import_module(f"src.{verb}")
    if verb == "promote":
        command.main(verb, lambda config: module.promote(config, {}))
    else:
        command.main(verb, getattr(module, verb))


def work_in_this_process() -> None:
    """Let the engine work in this process, so that each point has one place in one order."""
    import contextlib

    from src.core.failure import Failure
    from src.engine import local
    from src.engine.outcome import Outcome

    @contextlib.contextmanager
    def opened(task: Callable[[Any], Any], _config: Any) -> Iterator[Callable[[Iterable[Any]], Iterator[Any]]]:
        def outcomes(items: Iterable[Any]) -> Iterator[Any]:
            for item in items:
                try:
                    result = task(item)
                except Exception as error:  # noqa: BLE001 - as a worker process does
                    result = Failure.of(error)
                yield Outcome(item, result)

        yield outcomes

    local.opened = opened  # type: ignore[assignment]
