"""Send the large parts of an item separately, through a folder that all machines share or through object storage.

A large table or matrix of an item becomes a file whose name is a hash of its content. It lies in a folder that belongs
to this command, below ``engine.data``. It is written once, read by the worker that does the item, and removed with the
last item that needs it. Folders left by killed commands are removed by a later command.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from src.core.errors import StageError
from src.core.project import ROOT

Item = TypeVar("Item")
Part = pl.DataFrame | np.ndarray[Any, Any]

_MAX_INLINE = 50_000  # bytes; larger parts do not travel within the item
_PREFIX = "alpha-loop-"
_ABANDONED_AFTER = 48 * 3600.0  # seconds without a write, after which a folder belongs to a killed command


@dataclasses.dataclass(frozen=True)
class Staged:
    """Reference to a staged part.

    Attributes
    ----------
    url : str
        Address of the file; its name is a hash of the content.
    """

    url: str


def split(item: Item) -> tuple[Item, dict[str, Part]]:
    """Take the large tables and matrices out of a dataclass.

    Parameters
    ----------
    item : object
        A dataclass instance; anything else is returned whole.

    Returns
    -------
    item : object
        The item with None in place of each part.
    parts : dict of str to DataFrame or ndarray
        Fields of more than 50,000 bytes, by name.
    """
    if not dataclasses.is_dataclass(item) or isinstance(item, type):
        return item, {}
    values = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    parts = {name: value for name, value in values.items() if _size(value) > _MAX_INLINE}
    if not parts:
        return item, {}
    return dataclasses.replace(item, **dict.fromkeys(parts)), parts


def joined(item: Item, parts: dict[str, Part]) -> Item:
    """Put the parts back into their item: the inverse of `split`.

    Parameters
    ----------
    item : object
        An item as `split` returned it.
    parts : dict of str to DataFrame or ndarray
        Its parts by field name.

    Returns
    -------
    object
        The whole item.
    """
    return dataclasses.replace(item, **parts) if parts else item  # type: ignore[type-var]


class SharedFolder:
    """Parts in a folder or bucket that every machine reaches at the same address.

    Parameters
    ----------
    url : str
        A path (relative ones are below the project's folder), or any address that fsspec supports
        (``s3://bucket/prefix``).

    Raises
    ------
    StageError
        If it can't be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else str(ROOT / url)
        self._holders: Counter[str] = Counter()
        try:
            self._files, self._root = _opened(self.url)
            self._sweep()
            self._own = f"{self._root.rstrip('/')}/{_PREFIX}{uuid.uuid4().hex[:12]}"
            self._files.makedirs(self._own, exist_ok=True)
        except Exception as error:
            raise self._refusal(error) from error

    def put(self, part: Part) -> Staged:
        """Write a part, unless an item in flight already has the same one, and count its first holder.

        Parameters
        ----------
        part : DataFrame or ndarray
            A table, or a matrix of numbers.

        Returns
        -------
        Staged
            Reference that `read` accepts on any machine.

        Raises
        ------
        StageError
            If it can't be written.
        """
        content, suffix = _encoded(part)
        path = f"{self._own}/{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
        if not self._holders[path]:
            try:
                self._files.pipe_file(path, content)
            except Exception as error:
                raise self._refusal(error) from error
        self._holders[path] += 1
        return Staged(str(self._files.unstrip_protocol(path)))

    def hold(self, staged: Staged) -> None:
        """Count one more holder of a part."""
        self._holders[self._path(staged)] += 1

    def release(self, staged: Staged) -> None:
        """Count one holder fewer; without any, the file is removed."""
        path = self._path(staged)
        self._holders[path] -= 1
        if not self._holders[path]:
            del self._holders[path]
            self._files.rm_file(path)

    def close(self) -> None:
        """Remove this command's folder and everything in it."""
        if self._files.exists(self._own):
            self._files.rm(self._own, recursive=True)

    def _path(self, staged: Staged) -> str:
        return str(self._files._strip_protocol(staged.url))

    def _sweep(self) -> None:
        """Remove the folders of killed commands, recognised by the age of their newest file."""
        self._files.invalidate_cache()
        if not self._files.exists(self._root):
            return
        for folder in self._files.ls(self._root, detail=False):
            if folder.rstrip("/").rsplit("/", 1)[-1].startswith(_PREFIX):
                modified = [_modified(info) for info in self._files.find(folder, detail=True).values()]
                if modified and time.time() - max(modified) > _ABANDONED_AFTER:
                    self._files.rm(folder, recursive=True)

    def _refusal(self, error: Exception) -> StageError:
        first = (str(error).strip() or "no message").splitlines()[0]
        return StageError(
            f"engine.data={self.url} must be a folder or bucket that this machine may write to, got "
            f"{type(error).__name__}: {first}; name another one, or leave out engine.data to send data through Ray"
        )


def read(staged: Staged) -> Part:
    """Read a staged part, on any machine.

    Parameters
    ----------
    staged : Staged
        What `SharedFolder.put` returned.

    Returns
    -------
    DataFrame or ndarray
        The part, equal to the last bit.
    """
    files, path = _opened(staged.url)
    content = files.cat_file(path)
    if path.endswith(".npy"):
        matrix: np.ndarray[Any, Any] = np.load(io.BytesIO(content), allow_pickle=False)
        return matrix
    return pl.read_ipc(io.BytesIO(content))


def _size(value: Any) -> int:
    if isinstance(value, pl.DataFrame):
        return int(value.estimated_size())
    return value.nbytes if isinstance(value, np.ndarray) and value.dtype != object else 0


def _encoded(part: Part) -> tuple[bytes, str]:
    """Arrow for a table, NumPy's format for a matrix: both preserve every bit."""
    stream = io.BytesIO()
    if isinstance(part, pl.DataFrame):
        part.write_ipc(stream, compression="zstd")
        return stream.getvalue(), ".arrow"
    np.save(stream, part, allow_pickle=False)
    return stream.getvalue(), ".npy"


def _opened(url: str) -> tuple[Any, str]:
    """File system and path of an address; fsspec's error names the package that a protocol needs."""
    import fsspec

    if "://" not in url:
        url = Path(url).as_uri()
    files, path = fsspec.core.url_to_fs(url)
    return files, str(path)


def _modified(info: dict[str, Any]) -> float:
    """When a file was last modified, in seconds since 1970; now if unknown, so that it is kept."""
    modified = info.get("mtime", info.get("LastModified"))
    if modified is None:
        return time.time()
    return float(modified) if isinstance(modified, int | float) else float(modified.timestamp())
