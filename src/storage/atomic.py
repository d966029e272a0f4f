"""Files that appear whole or not at all, and the errors of reading them."""

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
def read_errors(path: Path, remedy: str) -> Iterator[None]:
    """Turn an error of reading `path` into one that names the file and the remedy.

    Parameters
    ----------
    path : Path
        The file or folder that is read inside the ``with`` block.
    remedy : str
        What the user can do, as the end of a sentence.

    Raises
    ------
    StageError
        If reading fails. A file that is missing still raises `FileNotFoundError`.
    """
    import polars as pl

    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StageError(f"{path.as_posix()} can't be read ({cause}): {remedy}") from error


def write_atomic(path: Path, write: Callable[[Path], None], *, durable: bool = True, sync: bool = True) -> None:
    """Let `write` fill a temporary file, then move it to `path` in one step.

    The temporary file has the same name and stands in a folder of its own beside `path` (``.tmp-...``): writers see
    the suffix they expect, and no ``*.parquet`` pattern matches it. If `write` raises or the process is killed, `path`
    stays as it was; `remove_temporaries` deletes what a killed process left.

    Parameters
    ----------
    path : Path
        The target; parent folders are created.
    write : callable
        Gets the path of the temporary file and writes it.
    durable : bool
        Wait until the content is on disk, so that it survives a power cut.
    sync : bool
        Also make the rename durable. When many files of one folder are written, pass False and call `sync_folder` once
        after the last.

    Raises
    ------
    OSError
        If the folder can't be written or the disk is full; `path` is untouched.
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
    if durable and sync:
        sync_folder(path.parent)


def write_text(text: str, path: Path, *, durable: bool = True) -> None:
    """Write UTF-8 text with ``\\n`` line ends on every system.

    Parameters
    ----------
    text : str
        The content.
    path : Path
        The target; see `write_atomic`.
    durable : bool
        Whether to wait for the disk.
    """
    write_atomic(path, lambda temporary: _write_text(text, temporary), durable=durable)


def write_parquet(
    frame: pl.DataFrame, path: Path, metadata: dict[str, str] | None = None, *, sync: bool = True
) -> None:
    """Write a frame as Parquet, compressed with zstd.

    Parameters
    ----------
    frame : DataFrame
        The rows.
    path : Path
        The target; see `write_atomic`.
    metadata : dict of str to str, optional
        Entries for the metadata of the file.
    sync : bool
        Whether to make the rename durable.
    """
    write_atomic(
        path,
        lambda temporary: frame.write_parquet(temporary, compression="zstd", statistics=True, metadata=metadata),
        sync=sync,
    )


def write_json(value: Any, path: Path, *, durable: bool = True) -> None:
    """Write JSON: dates as ISO text, paths with forward slashes, NumPy scalars as numbers.

    Parameters
    ----------
    value : object
        What `json` can write, with the types above.
    path : Path
        The target; see `write_atomic`.
    durable : bool
        Whether to wait for the disk.

    Raises
    ------
    ValueError
        If a number is NaN or infinite: write an undefined value as null.
    TypeError
        If a value has no JSON form.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=jsonable)
    write_text(text + "\n", path, durable=durable)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    object
        The value as `json` reads it.

    Raises
    ------
    FileNotFoundError
        If the file is absent.
    ValueError
        If it isn't JSON.
    """
    return json.loads(Path(path).read_text(encoding="utf-8"))


def stale_temporaries(folder: Path, *, below: bool = True) -> list[Path]:
    """Temporary files under `folder` whose process no longer runs.

    Parameters
    ----------
    folder : Path
        Where to search.
    below : bool
        Whether all its subfolders are searched too.

    Returns
    -------
    list of Path
        Sorted. Files of running processes are left out, and files of another machine (on a shared disk) until they are
        a day old.
    """
    return [path for path in sorted(Path(folder).glob(f"{'**/' if below else ''}{_PREFIX}*")) if _is_stale(path)]


def remove_temporaries(folder: Path, *, below: bool = True) -> int:
    """Delete the `stale_temporaries` under `folder`.

    Parameters
    ----------
    folder : Path
        Where to search.
    below : bool
        Whether all its subfolders are searched too.

    Returns
    -------
    int
        How many were deleted.
    """
    stale = stale_temporaries(folder, below=below)
    for path in stale:
        shutil.rmtree(path, ignore_errors=True)
    return sum(not path.exists() for path in stale)


def files_with_sizes(folder: Path, pattern: str = "*") -> Iterator[tuple[Path, int]]:
    """Yield each file under `folder` that matches, with its size.

    Parameters
    ----------
    folder : Path
        Searched with all its subfolders; it may be absent.
    pattern : str
        Glob pattern of the file names.

    Yields
    ------
    tuple of (Path, int)
        The file and its size in bytes, sorted by path.
    """
    for path in sorted(Path(folder).rglob(pattern)):
        if path.is_file():
            yield path, path.stat().st_size


def _write_text(text: str, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)


def jsonable(value: Any) -> Any:
    """Give JSON's form of a date, a path or a number of NumPy's, as ``default`` of `json.dumps`.

    Raises
    ------
    TypeError
        If it has none.
    """
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


def sync_folder(folder: Path) -> None:
    """Make the renames in a folder durable; Windows can't open folders, so nothing happens there.

    Parameters
    ----------
    folder : Path
        An existing folder.
    """
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems refuse it; the rename itself has happened
            os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Delete a file if it exists; on Windows wait a little for a reader that has it open.

    Parameters
    ----------
    path : Path
        The file; it may be absent.
    """
    _retry_on_windows(lambda: path.unlink(missing_ok=True))


def _replace(temporary: Path, path: Path) -> None:
    _retry_on_windows(lambda: temporary.replace(path))


def _retry_on_windows(act: Callable[[], object]) -> None:
    """Change a file; try again for some seconds where Windows refuses because a reader has it open."""
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


def _is_stale(path: Path) -> bool:
    parts = path.name.removeprefix(_PREFIX).split("-")
    if len(parts) != 4 or not (parts[1].isdigit() and parts[2].isdigit()):
        return False
    if parts[0] != host_tag():
        with contextlib.suppress(OSError):
            return time.time() - path.stat().st_mtime > _FOREIGN_AGE
        return False
    return not is_alive(int(parts[1]), int(parts[2]))
