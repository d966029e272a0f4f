"""Points of a command at which a disk may fail: writes, renames, removals and commits, counted and failed on demand.

`install` replaces the functions of the standard library, of sqlite3 and of Polars through which the project writes.
Product code knows nothing of it. `Faults.first` is the number of the point that fails, and `Faults.kind` how:

``eio``
    that one operation raises ``OSError(EIO)``, or ``disk I/O error`` from a commit; a write leaves half of its bytes.
``enospc``
    from that point on each write, new file, new folder and commit fails as on a full disk; renames and removals work.
``kill``
    the process ends there at once, as by ``kill -9``; a write leaves half of its bytes.
``interrupt``
    Ctrl+C comes just before the operation.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KILLED = 137
GROWING = {"open", "write", "mkdir", "commit", "fsync"}
"""Operations that need space on the disk; cutting a file needs none."""


def _nothing() -> None:
    pass


@dataclass
class Faults:
    """Which point fails, and what was passed so far.

    Attributes
    ----------
    root : Path
        Operations on paths below it count; locks, heartbeats and everything outside do not.
    first : int
        Number of the point that fails, from 1; 0: none.
    kind : str
        ``eio``, ``enospc``, ``kill`` or ``interrupt``.
    log : Path or None
        Gets one line a point.
    """

    root: Path
    first: int = 0
    kind: str = "eio"
    log: Path | None = None
    count: int = 0
    hit: str = ""
    _guard: threading.RLock = field(default_factory=threading.RLock)

    def counts(self, path: Any, folder: int | None = None) -> bool:
        """Whether an operation on this path is a point."""
        try:
            place = Path(os.fsdecode(os.fspath(path)))
            if folder is not None:
                place = Path(f"/proc/self/fd/{folder}").readlink() / place
        except (TypeError, OSError):
            return False
        return place.absolute().is_relative_to(self.root) and not {".locks", ".progress"} & set(place.parts)

    def passes(self, operation: str, path: Any, tear: Callable[[], object] = _nothing) -> None:
        """Count a point, and fail it if it is due; `tear` then leaves half of what is written.

        Raises
        ------
        OSError
            With EIO or ENOSPC; a commit raises sqlite's own error.
        """
        with self._guard:
            self.count += 1
            if self.log is not None:
                self._note(operation, path)
            full = self.kind == "enospc" and self.first and self.count >= self.first and operation in GROWING
            if self.count != self.first and not full:
                return
            if self.kind == "enospc" and not full:
                return
            self.hit = self.hit or f"{operation} {path}"
            if self.kind == "interrupt":
                signal.raise_signal(signal.SIGINT)
                return
            with contextlib.suppress(OSError):
                tear()
            if self.kind == "kill":
                os._exit(KILLED)
        if operation == "commit":
            raise sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
        code = errno.ENOSPC if full else errno.EIO
        raise OSError(code, os.strerror(code), str(path))

    def _note(self, operation: str, path: Any) -> None:
        assert self.log is not None
        handle = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(handle, f"{self.count} {operation} {path}\n".encode())
        finally:
            os.close(handle)


def install(faults: Faults) -> None:
    """Put the points into this process, for its whole life."""
    _install_files(faults)
    _install_folders(faults)
    _install_sqlite(faults)
    _install_polars(faults)


def _install_files(faults: Faults) -> None:
    real_open = builtins.open

    class FailingFile(io.FileIO):
        def write(self, content: Any) -> int:
            view = memoryview(content).cast("B")
            faults.passes("write", self.name, lambda: io.FileIO.write(self, view[: len(view) // 2]))
            return super().write(content)

        def truncate(self, size: int | None = None) -> int:
            faults.passes("truncate", self.name)
            return super().truncate(size)

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        newline: str | None = None, closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        writes = set(mode) & set("wax+")
        if not writes or isinstance(file, int) or opener is not None or not faults.counts(file):
            return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if set(mode) & set("wax"):
            faults.passes("open", file)
        raw = FailingFile(file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode  # type: ignore[misc]
        return text

    builtins.open = io.open = opened  # type: ignore[assignment]
    real_fsync = os.fsync

    def fsync(handle: int) -> None:
        faults.passes("fsync", handle)
        real_fsync(handle)

    os.fsync = fsync


def _install_folders(faults: Faults) -> None:
    def one_path(name: str) -> None:
        real = getattr(os, name)

        def failing(path: Any, *arguments: Any, dir_fd: int | None = None, **settings: Any) -> Any:
            if faults.counts(path, dir_fd):
                faults.passes(name, path)
            extra = {} if dir_fd is None else {"dir_fd": dir_fd}
            return real(path, *arguments, **extra, **settings)

        setattr(os, name, failing)

    def two_paths(name: str) -> None:
        real = getattr(os, name)

        def failing(source: Any, target: Any, **settings: Any) -> Any:
            if faults.counts(target):
                faults.passes(name, target)
            return real(source, target, **settings)

        setattr(os, name, failing)

    for name in ("mkdir", "unlink", "remove", "rmdir"):
        one_path(name)
    for name in ("rename", "replace"):
        two_paths(name)


def _install_sqlite(faults: Faults) -> None:
    real_connect = sqlite3.connect

    class FailingCursor(sqlite3.Cursor):
        def execute(self, statement: str, *arguments: Any) -> Any:
            if statement.strip().upper().startswith(("COMMIT", "END")):
                faults.passes("commit", "database")
            return super().execute(statement, *arguments)

    class FailingConnection(sqlite3.Connection):
        def cursor(self, factory: Any = FailingCursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            if self.in_transaction:
                faults.passes("commit", "database")
            super().commit()

        def __exit__(self, kind: Any, *rest: Any) -> Any:
            if kind is None:
                try:
                    self.commit()
                except sqlite3.Error:
                    self.rollback()
                    raise
                return False
            return super().__exit__(kind, *rest)

    def connect(database: Any, *arguments: Any, **settings: Any) -> Any:
        if faults.counts(str(database).removeprefix("file:").partition("?")[0]) and "factory" not in settings:
            settings["factory"] = FailingConnection
        return real_connect(database, *arguments, **settings)

    sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[attr-defined]


def _install_polars(faults: Faults) -> None:
    """Polars writes in Rust: its file counts as one write, which leaves the first half of the bytes."""
    import polars as pl

    inside = threading.local()

    def torn(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def failing(self: Any, target: Any, *arguments: Any, **settings: Any) -> Any:
            if getattr(inside, "writing", False) or not faults.counts(target):
                return real(self, target, *arguments, **settings)

            def tear() -> None:
                real(self, target, *arguments, **settings)
                os.truncate(target, Path(target).stat().st_size // 2)

            inside.writing = True
            try:
                faults.passes("write", target, tear)
                return real(self, target, *arguments, **settings)
            finally:
                inside.writing = False

        setattr(owner, name, failing)

    for owner, name in ((pl.DataFrame, "write_parquet"), (pl.DataFrame, "write_ipc"), (pl.LazyFrame, "sink_parquet")):
        torn(owner, name)
