"""Run a verb: configuration, log file, heartbeat, lock, one closing line and an exit status.

A stage is ``def train(config: Config) -> str`` followed by ``if __name__ == "__main__": main("train", train)``. The
string that it returns is the closing line. Exit status: 0 done, 1 failed, 2 wrong usage or configuration,
130 interrupted with the state saved.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

from src.config.commands import command
from src.config.constraints import check
from src.config.paths import heartbeats, locks
from src.config.schema import Config
from src.core.errors import ConfigError, Incomplete, StageError
from src.core.project import ROOT
from src.core.text import escaped
from src.runtime import heartbeat
from src.runtime.lock import command_line, dataset_lock
from src.runtime.log_file import SHOWN, log_file
from src.runtime.redaction import remember_arguments, remember_environment, remember_settings, shown, shown_lines
from src.runtime.terminal import answer, notice
from src.storage.atomic import remove_temporaries

__all__ = ["StageError", "main", "run_command", "run_verb"]

_LOG_NAMES = {"train": "training"}
# Verbs that know neither parts nor a fresh start.
_WHOLE = ("compare", "daily", "ingest", "report", "promote", "predict", "monitor", "sync", "enlist", "clean")
_FORCED_STOP = 3  # the Ctrl+C that ends the process at once
_FULL_DISK = ("No space left on device", "database or disk is full", "os error 112", "Disk quota exceeded")

log = logging.getLogger("src.runtime.command")


def main(verb: str, task: Callable[[Config], str]) -> None:
    """Run a stage as the command ``python -m src.<verb>`` and exit with its status.

    Parameters
    ----------
    verb : str
    task : callable
        Takes the configuration and returns the closing line.
    """
    run_command(lambda _arguments: run_verb(verb, task), broken_pipe_status=1)


def run_command(task: Callable[[list[str]], int], broken_pipe_status: int = 0) -> None:
    """Run a command in the project's folder and exit with its status.

    Parameters
    ----------
    task : callable
        Takes the arguments of the command line and returns the exit status. A `StageError` that it raises is shown as
        one line.
    broken_pipe_status : int
        Exit status if the reader of the output (``head``, ``less``) has closed it.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a Windows console that lacks a letter must not end the run
    os.chdir(ROOT)
    remember_environment()
    remember_arguments(sys.argv[1:])
    sys.excepthook = _show_unexpected
    try:
        status = task(sys.argv[1:])
        sys.stdout.flush()
    except StageError as error:
        notice(str(error))
        status = 1
    except KeyboardInterrupt:
        notice("interrupted")
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = broken_pipe_status
    sys.exit(status)


def run_verb(verb: str, task: Callable[[Config], str]) -> int:
    """Compose and check the configuration from the command line, then run a stage.

    Parameters
    ----------
    verb : str
    task : callable
        Takes the configuration and returns the closing line. It runs once for each configuration of a multirun.

    Returns
    -------
    int
        The exit status.
    """
    from src.config.compose import configurations

    try:
        configs = configurations(verb, answer)
        for config, _words in configs:
            remember_settings(config)
            check(config)
            _refuse_ignored_settings(verb, config)
        return next((status for config, words in configs if (status := _alone(verb, task, config, words))), 0)
    except ConfigError as error:
        notice(_with_verb(verb, str(error)))
        return 2
    except KeyboardInterrupt:
        notice(f"{verb} interrupted before its work began; nothing was changed")
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:  # the task's own failures end in its log; this is about the log itself
        full = _full_disk(verb, error)
        notice(full or f"{verb}: can't write the log: {error}; change data.logs or the folder's owner")
        return 1


def _alone(verb: str, task: Callable[[Config], str], config: Config, words: list[str]) -> int:
    """Run one configuration; of a multirun, hints and workers see the settings of this one alone."""
    before, sys.argv[1:] = sys.argv[1:], words
    try:
        return _attempt(verb, task, config)
    finally:
        sys.argv[1:] = before


def _attempt(verb: str, task: Callable[[Config], str], config: Config) -> int:
    if verb == "train" and config.follow:
        verb = "follow"  # has a lock and a log of its own: each round starts training, which takes the lock of `train`
    path = Path(config.data.logs) / f"{_LOG_NAMES.get(verb, verb)}.log"
    beating = heartbeat.beating(verb, config.dataset, Path(config.data.root), command_line())
    with log_file(path), _interrupts(verb), beating as beat:
        try:
            with dataset_lock(verb, config.dataset, lambda message: _show_wait(beat, message)):
                beat.update(phase="working", note="")
                log.info("started: %s (process %d)", command_line(), os.getpid())
                _remove_leftovers(config)
                closing_line = task(config)
        except KeyboardInterrupt:
            return _end(beat, 130, f"{verb} interrupted; finished work is saved, run the same command to continue")
        except ConfigError as error:
            return _end(beat, 2, _with_verb(verb, str(error)))
        except Incomplete as error:
            log.warning("%s", error, extra=SHOWN)
            beat.update(ended="failed", message=shown(str(error)))
            answer(escaped(str(error)))
            return 1
        except StageError as error:
            return _end(beat, 1, _with_verb(verb, str(error)))
        except Exception as error:
            log.error("unexpected failure", exc_info=error, extra=SHOWN)
            return _end(beat, 1, f"{_explain(verb, error)} (details: {path})")
        log.info("%s", closing_line)
    _show_dvc_hint(verb, config)
    answer(escaped(closing_line))
    return 0


def _remove_leftovers(config: Config) -> None:
    """Remove temporary files of processes that were killed while they wrote results."""
    for folder in (*config.paths.result_folders, locks(), heartbeats()):
        remove_temporaries(folder)
    for store in (config.paths.bars, config.paths.features, config.paths.runs):
        remove_temporaries(store, below=False)  # those of its large tables are removed where these are written


def _refuse_ignored_settings(verb: str, config: Config) -> None:
    """Refuse a setting that this verb would ignore silently."""
    follow, retry = config.follow, config.retry
    if config.only and verb in _WHOLE:
        raise ConfigError(f"only={config.only} restricts hydrate, featurize, train and quote: leave it out for {verb}")
    if config.fresh and verb in _WHOLE:
        raise ConfigError(f"fresh=true is for hydrate, featurize, train and quote: leave it out for {verb}")
    if follow and verb != "train":
        raise ConfigError(f"follow=true is for train only: leave it out for {verb}")
    if retry and verb != "hydrate":
        raise ConfigError(f"retry={retry} is for hydrate only: leave it out for {verb}")


def _show_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write the traceback of an error that no command expected, without secrets."""
    sys.stderr.write(shown_lines("".join(traceback.format_exception(kind, error, trace))))


def _show_wait(beat: heartbeat.Heartbeat, message: str) -> None:
    """Show which command holds the lock, on the terminal and in the heartbeat."""
    notice(message)
    beat.update(note=shown(message))


def _end(beat: heartbeat.Heartbeat, status: int, message: str) -> int:
    beat.update(ended="interrupted" if status == 130 else "failed", message=shown(message))
    log.warning("%s", message, extra=SHOWN)
    notice(message)
    return status


def _with_verb(verb: str, message: str) -> str:
    return message if message.startswith(f"{verb}:") else f"{verb}: {message}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, the errors that it groups, and the errors that it was raised from."""
    while error is not None:
        yield error
        for grouped in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
            yield from _chain(grouped)
        error = error.__cause__ or error.__context__


def _explain(verb: str, error: BaseException) -> str:
    """One line for an unexpected failure; the common causes get a remedy."""
    for cause in _chain(error):
        if full := _full_disk(verb, cause):
            return full
        if isinstance(cause, MemoryError):
            return f"{verb}: out of memory; lower engine.workers or engine.batch_size and run the same command"
        if isinstance(cause, PermissionError) and cause.filename:
            folder = Path(str(cause.filename)).parent
            return f"{verb}: no permission to write in {folder} (another owner, or a read-only disk): change that first"
        if isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause):
            return f"{verb}: the MLflow database is locked by another program; close it and run the same command"
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{verb} failed: {type(error).__name__}: {first}"


def _full_disk(verb: str, error: BaseException) -> str:
    """What to say if an error means that the disk is full; empty if it means something else."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
    if not full and not any(sign in str(error) for sign in _FULL_DISK):
        return ""
    return f"{verb}: disk full; make room ({command('clean')} shows what can go) and run the same command"


def _show_dvc_hint(verb: str, config: Config) -> None:
    """After a run by hand, show the command that records the new files in DVC."""
    if "DVC_STAGE" in os.environ or not (ROOT / ".dvc").is_dir():
        return
    from src.config.dvc_hint import dvc_hint

    hint = dvc_hint(verb, config)
    if hint:
        notice(hint)


@contextlib.contextmanager
def _interrupts(verb: str) -> Iterator[None]:
    """On the first Ctrl+C (or SIGTERM) finish cleanly; answer the second one; end at once on the third."""
    count = 0

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count == 1:
            raise KeyboardInterrupt
        if count >= _FORCED_STOP:
            os._exit(130)
        notice(f"{verb}: saving and stopping, one moment (once more stops at once)")

    names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    handlers = {name: signal.signal(getattr(signal, name), interrupted) for name in names}
    try:
        yield
    finally:
        for name, handler in handlers.items():
            signal.signal(getattr(signal, name), handler)
