"""Files that appear whole or not at all, and the folder that owns what is shared between working copies."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.errors import StageError
from src.core.process import host_tag, is_alive, process_start

if TYPE_CHECKING:
    import polars as pl

_PREFIX = ".tmp-"
_FOREIGN_AGE = 24 * 3600.0  # seconds after which another machine's temporary file counts as left behind
_COUNTER = itertools.count()
_REPLACE_TRIES = 8


@contextlib.contextmanager
def told(path: Path, remedy: str) -> Iterator[None]:
    """Name the file and the remedy where it can't be read; one that is gone stays a `FileNotFoundError`.

    Raises
    ------
    StageError
        For whatever reading a table may raise.
    """
    import polars as pl

    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StageError(f"{path.as_posix()} can't be read ({cause}): {remedy}") from error


def write_atomic(path: Path, write: Callable[[Path], None], *, durable: bool = True, settled: bool = True) -> None:
    """Let `write` fill a temporary file of the same name and put it in place of `path` in one step.

    The temporary file stands in a folder of its own beside `path` (``.tmp-...``), so it keeps the name and suffix that
    writers look at, and no ``*.parquet`` pattern finds it. Parent folders are made. When `write` raises, or the process
    is killed, `path` is as it was before; `sweep` removes what a killed process left. What need not outlive a power cut
    is written with `durable` false, which waits for no disk. Of many files in one folder each is written with `settled`
    false, and `settle` is called once after the last.

    Raises
    ------
    OSError
        Where the folder can't be written or the disk is full; `path` is untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent / f"{_PREFIX}{_process_tag()}-{next(_COUNTER)}"
    folder.mkdir()
    try:
        temporary = folder / path.name
        write(temporary)
        if durable:
            _flush(temporary)
        _replace(temporary, path)
        folder.rmdir()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if durable and settled:
        settle(path.parent)


def write_text(text: str, path: Path, *, durable: bool = True) -> None:
    """Write UTF-8 text with plain line feeds on every system."""
    write_atomic(path, lambda temporary: _write_text(text, temporary), durable=durable)


def write_parquet(
    frame: pl.DataFrame, path: Path, metadata: dict[str, str] | None = None, *, settled: bool = True
) -> None:
    """Write a Polars frame as zstd Parquet with statistics, and texts of one's own in its metadata."""
    write_atomic(
        path,
        lambda temporary: frame.write_parquet(temporary, compression="zstd", statistics=True, metadata=metadata),
        settled=settled,
    )


def write_json(value: Any, path: Path, *, durable: bool = True) -> None:
    """Write JSON (dates as ISO text, paths with forward slashes, NumPy scalars as numbers).

    Raises
    ------
    ValueError
        On NaN or an infinity: a value that is not defined is written as null by whoever knows why.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    write_text(text + "\n", path, durable=durable)


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def left_behind(folder: Path) -> list[Path]:
    """Temporary files under `folder` that dead processes left.

    Files of living processes are not among them, nor those of another machine (on a shared disk) until they are a day
    old.
    """
    return [found for found in sorted(Path(folder).rglob(f"{_PREFIX}*")) if _is_left_behind(found)]


def sweep(folder: Path) -> int:
    """Remove what is `left_behind` under `folder`, and count it."""
    left = left_behind(folder)
    for found in left:
        shutil.rmtree(found, ignore_errors=True)
    return sum(not found.exists() for found in left)


def tree(folder: Path, pattern: str = "*") -> Iterator[tuple[Path, int]]:
    """Yield each file under `folder` that matches, with its size in bytes; nothing where the folder is absent."""
    for found in sorted(Path(folder).rglob(pattern)):
        if found.is_file():
            yield found, found.stat().st_size


def _write_text(text: str, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def _flush(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def settle(folder: Path) -> None:
    """Make renames in a folder durable where the system can open a folder (Windows can't)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse it; the rename itself has happened
            os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file that may be gone, waiting as `write_atomic` does where Windows refuses because it is being read."""
    _patiently(lambda: path.unlink(missing_ok=True))


def _replace(temporary: Path, path: Path) -> None:
    _patiently(lambda: temporary.replace(path))


def _patiently(act: Callable[[], object]) -> None:
    """Change a file, waiting a little where Windows refuses because a reader has it open."""
    for attempt in range(_REPLACE_TRIES):
        try:
            act()
        except PermissionError:
            if os.name != "nt" or attempt == _REPLACE_TRIES - 1:
                raise
            time.sleep(0.05 * 2**attempt)
        else:
            return


def _process_tag() -> str:
    pid = os.getpid()
    return f"{host_tag()}-{pid}-{process_start(pid)}"


def _is_left_behind(found: Path) -> bool:
    parts = found.name.removeprefix(_PREFIX).split("-")
    if len(parts) != 4 or not (parts[1].isdigit() and parts[2].isdigit()):
        return False
    if parts[0] != host_tag():
        with contextlib.suppress(OSError):
            return time.time() - found.stat().st_mtime > _FOREIGN_AGE
        return False
    return not is_alive(int(parts[1]), int(parts[2]))
