"""The frame of every verb: configuration, log file, turn, one closing line, and an exit status that tells the truth.

A stage is ``def train(config: Config) -> str`` and, below it, ``if __name__ == "__main__": main("train", train)``. The
string it returns is the stage's closing line. Exit status: 0 done, 1 failed, 2 wrong usage or configuration,
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
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from src.config.constraints import check
from src.config.schema import Config
from src.core.errors import ConfigError, StageError
from src.core.project import ROOT
from src.runtime import heartbeat
from src.runtime.lock import command, turn
from src.runtime.redaction import masked

__all__ = ["StageError", "main", "plain"]

_LOG_NAMES = {"train": "training"}
_LOG_BYTES = 10_000_000  # a larger log is set aside as .1 when the next command starts
_LOG_KEPT = 3
_HARD_STOP = 3  # the Ctrl+C that no longer waits for the work in hand
_SAID = {"said": True}  # marks a log record that the terminal has already shown in words
_FULL_DISK = ("No space left on device", "database or disk is full", "os error 112", "Disk quota exceeded")

log = logging.getLogger("src.runtime.command")


def main(verb: str, task: Callable[[Config], str]) -> None:
    """Run `task` as the command ``python -m src.<verb>`` and exit with its status."""
    plain(lambda _arguments: run(verb, task), unread=1)


def plain(task: Callable[[list[str]], int], unread: int = 0) -> None:
    """Run what takes the command line's words and returns an exit status; `unread` where the reader has gone (head)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a Windows console that lacks a letter must not end the run
    os.chdir(ROOT)
    try:
        status = task(sys.argv[1:])
        sys.stdout.flush()
    except StageError as error:
        _say(str(error))
        status = 1
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = unread
    sys.exit(status)


def run(verb: str, task: Callable[[Config], str]) -> int:
    """Compose and check the configuration from the command line, run `task`, return the exit status."""
    from src.config.compose import configurations

    try:
        chosen = configurations(verb)
        for config in chosen:
            check(config)
            _refuse_unheeded(verb, config)
        return next((status for config in chosen if (status := _attempt(verb, task, config))), 0)
    except ConfigError as error:
        _say(_named(verb, str(error)))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:  # the task's own failures end in its log; this is about the log itself
        _say(f"{verb}: can't write the log: {error}; change data.logs or the folder's owner")
        return 1


def _attempt(verb: str, task: Callable[[Config], str], config: Config) -> int:
    if verb == "train" and config.follow:
        verb = "follow"  # has a turn and a log of its own: each round starts training, which takes the turn of `train`
    path = Path(config.data.logs) / f"{_LOG_NAMES.get(verb, verb)}.log"
    beating = heartbeat.beating(verb, config.dataset, Path(config.data.root), command())
    with _logging(path), _interrupts(verb), beating as beat:
        try:
            with turn(verb, config.dataset, lambda words: _wait(beat, words)):
                beat.say(phase="working", note="")
                log.info("started: %s (process %d)", command(), os.getpid())
                line = task(config)
        except KeyboardInterrupt:
            return _end(
                beat, 130, f"{verb} interrupted; what was finished is saved, the same command goes on from there"
            )
        except ConfigError as error:
            return _end(beat, 2, _named(verb, str(error)))
        except StageError as error:
            return _end(beat, 1, _named(verb, str(error)))
        except Exception as error:
            log.error("unexpected failure", exc_info=error, extra=_SAID)
            return _end(beat, 1, f"{_in_words(verb, error)} (details: {path})")
        log.info("%s", line)
    _hint(verb, config)
    print(line, flush=True)  # noqa: T201 (the closing line is the command's answer)
    return 0


def _refuse_unheeded(verb: str, config: Config) -> None:
    """Refuse what this verb would pass over in silence."""
    if config.follow and verb != "train":
        raise ConfigError(f"follow=true is for train alone, and {verb} would pass over it: leave it out")
    if config.retry and verb != "hydrate":
        raise ConfigError(f"retry={config.retry} is for hydrate alone, and {verb} would pass over it: leave it out")


def _say(words: str) -> None:
    """Write one line for the person at the terminal; a progress bar that is drawn there moves below it."""
    sys.stderr.write(masked(words) + "\n")
    sys.stderr.flush()


def _wait(beat: heartbeat.Heartbeat, words: str) -> None:
    """Say that another command has the turn, here and to whoever looks."""
    _say(words)
    beat.say(note=masked(words))


def _end(beat: heartbeat.Heartbeat, status: int, words: str) -> int:
    beat.say(ended="interrupted" if status == 130 else "failed", words=masked(words))
    log.warning("%s", words, extra=_SAID)
    _say(words)
    return status


def _named(verb: str, words: str) -> str:
    return words if words.startswith(f"{verb}:") else f"{verb}: {words}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it groups and what it was raised from."""
    while error is not None:
        yield error
        for each in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
            yield from _chain(each)
        error = error.__cause__ or error.__context__


def _in_words(verb: str, error: BaseException) -> str:
    """One line for a failure nobody foresaw, in plain words for the two that happen to everyone."""
    for each in _chain(error):
        full = isinstance(each, OSError) and each.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
        if full or any(sign in str(each) for sign in _FULL_DISK):
            return f"{verb}: disk full; make room (python -m src.clean shows what can go) and run the same command"
        if isinstance(each, MemoryError):
            return f"{verb}: out of memory; lower engine.workers or engine.batch_size and run the same command"
        if isinstance(each, PermissionError) and each.filename:
            place = Path(str(each.filename)).parent
            return f"{verb}: no right to write in {place} (its owner, or a read-only disk): give it and run this again"
        if isinstance(each, sqlite3.OperationalError) and "locked" in str(each):
            return f"{verb}: the MLflow database is locked by another program; close it and run the same command"
    first = (str(error).strip() or "no message").splitlines()[0]
    return f"{verb} failed: {type(error).__name__}: {first}"


def _hint(verb: str, config: Config) -> None:
    """After a hand run, the words that make DVC agree with what is now on disk."""
    if "DVC_STAGE" in os.environ or not (ROOT / ".dvc").is_dir():
        return
    from src.config.compose import dvc_hint

    words = dvc_hint(verb, config)
    if words:
        _say(words)


class _Masked(logging.Formatter):
    """A formatter through which no password passes, in a message or in a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class _ToPerson(logging.Handler):
    """Hands each record to whatever standard error is by then: a StreamHandler would write through a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as one line."""
        try:
            _say(self.format(record))
        except (OSError, ValueError):  # standard error is gone
            self.handleError(record)


@contextlib.contextmanager
def _logging(path: Path) -> Iterator[None]:
    """Append to the verb's log file; only our own warnings go to the terminal as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _set_aside(path)
    to_file = logging.FileHandler(path, encoding="utf-8")
    to_file.setFormatter(_Masked("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    to_person = _ToPerson()
    to_person.setLevel(logging.WARNING)
    to_person.addFilter(lambda record: record.name.startswith("src.") and not hasattr(record, "said"))
    to_person.setFormatter(_Masked("%(message)s"))
    root, ours = logging.getLogger(), logging.getLogger("src")
    level = ours.level
    root.addHandler(to_file)
    root.addHandler(to_person)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        root.removeHandler(to_person)
        root.removeHandler(to_file)
        to_file.close()


def _set_aside(path: Path) -> None:
    """Rotate between commands, never within one: on Windows an open log can't be renamed."""
    try:
        if path.stat().st_size < _LOG_BYTES:
            return
        for number in range(_LOG_KEPT - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))
    except OSError:
        return  # absent, or open in another process: append to it


@contextlib.contextmanager
def _interrupts(verb: str) -> Iterator[None]:
    """First Ctrl+C (or a polite kill): finish cleanly. A later one is answered, the third ends at once."""
    seen = 0

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            raise KeyboardInterrupt
        if seen >= _HARD_STOP:
            os._exit(130)
        _say(f"{verb}: saving and stopping, one moment (once more stops at once)")

    names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), interrupted) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
