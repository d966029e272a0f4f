"""Send the large parts of an item apart from it, through a folder that all machines share or object storage.

A table or a matrix of an item becomes a file named by its content, in this command's own folder below ``engine.data``.
It is written once, read by the worker that does the item, and removed with the last item that needs it. A later command
removes what a killed one left there.
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

_SMALL = 50_000  # bytes that travel within an item
_PREFIX = "alpha-loop-"
_LEFT_BEHIND = 48 * 3600.0  # seconds after which a folder counts as left by a killed command


@dataclasses.dataclass(frozen=True)
class Staged:
    """Address of a part's file, which is named by its content."""

    url: str


def split(item: Item) -> tuple[Item, dict[str, Part]]:
    """Take the large tables and matrices out of a dataclass; anything else stays whole.

    Parameters
    ----------
    item : object
        Any item.

    Returns
    -------
    (item, dict)
        The item with None in their place, and the parts by field name.
    """
    if not dataclasses.is_dataclass(item) or isinstance(item, type):
        return item, {}
    values = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    parts = {name: value for name, value in values.items() if _size(value) > _SMALL}
    if not parts:
        return item, {}
    return dataclasses.replace(item, **dict.fromkeys(parts)), parts


def joined(item: Item, parts: dict[str, Part]) -> Item:
    """Put the parts back: the inverse of `split`.

    Parameters
    ----------
    item : object
        The item without its large parts.
    parts : dict
        Parts by field name.

    Returns
    -------
    item
        The whole item.
    """
    return dataclasses.replace(item, **parts) if parts else item  # type: ignore[type-var]


class SharedFolder:
    """Parts in a folder or bucket that every machine reaches under the same address.

    Parameters
    ----------
    url : str
        A path, or any address that fsspec knows (``s3://bucket/prefix``).

    Raises
    ------
    StageError
        If it can't be opened.
    """

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else str(ROOT / url)
        self._held: Counter[str] = Counter()
        try:
            self._files, self._root = _opened(self.url)
            self._sweep()
            self._own = f"{self._root.rstrip('/')}/{_PREFIX}{uuid.uuid4().hex[:12]}"
            self._files.makedirs(self._own, exist_ok=True)
        except Exception as error:
            raise self._refusal(error) from error

    def put(self, part: Part) -> Staged:
        """Write a part, unless an item in flight has the same, and hold it.

        Parameters
        ----------
        part : DataFrame or array
            The part.

        Returns
        -------
        Staged
            Its address.

        Raises
        ------
        StageError
            If it can't be written.
        """
        content, suffix = _encoded(part)
        path = f"{self._own}/{hashlib.sha256(content).hexdigest()[:32]}{suffix}"
        if not self._held[path]:
            try:
                self._files.pipe_file(path, content)
            except Exception as error:
                raise self._refusal(error) from error
        self._held[path] += 1
        return Staged(str(self._files.unstrip_protocol(path)))

    def hold(self, staged: Staged) -> None:
        """Hold a part once more."""
        self._held[self._path(staged)] += 1

    def release(self, staged: Staged) -> None:
        """Release a part; the last release removes the file."""
        path = self._path(staged)
        self._held[path] -= 1
        if not self._held[path]:
            del self._held[path]
            self._files.rm_file(path)

    def close(self) -> None:
        """Remove this command's folder with everything in it."""
        if self._files.exists(self._own):
            self._files.rm(self._own, recursive=True)

    def _path(self, staged: Staged) -> str:
        return str(self._files._strip_protocol(staged.url))

    def _sweep(self) -> None:
        """Remove the folders of killed commands, by the age of the file that they wrote last."""
        self._files.invalidate_cache()
        if not self._files.exists(self._root):
            return
        for folder in self._files.ls(self._root, detail=False):
            if folder.rstrip("/").rsplit("/", 1)[-1].startswith(_PREFIX):
                written = [_written(info) for info in self._files.find(folder, detail=True).values()]
                if written and time.time() - max(written) > _LEFT_BEHIND:
                    self._files.rm(folder, recursive=True)

    def _refusal(self, error: Exception) -> StageError:
        first = (str(error).strip() or "no message").splitlines()[0]
        return StageError(
            f"engine.data={self.url} must be a folder or bucket that this machine may write, got "
            f"{type(error).__name__}: {first}; name another, or leave it out to send data through Ray"
        )


def read(staged: Staged) -> Part:
    """Read a part, on any machine.

    Parameters
    ----------
    staged : Staged
        Its address.

    Returns
    -------
    DataFrame or array
        The same bits as were written.
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
    """Encode a table as Arrow and a matrix in NumPy's own format: both give back every bit."""
    stream = io.BytesIO()
    if isinstance(part, pl.DataFrame):
        part.write_ipc(stream, compression="zstd")
        return stream.getvalue(), ".arrow"
    np.save(stream, part, allow_pickle=False)
    return stream.getvalue(), ".npy"


def _opened(url: str) -> tuple[Any, str]:
    """File system and path of an address; fsspec asks for the package that a protocol needs."""
    import fsspec

    if "://" not in url:
        url = Path(url).as_uri()
    files, path = fsspec.core.url_to_fs(url)
    return files, str(path)


def _written(info: dict[str, Any]) -> float:
    """Return when a file was written; now for a file without such a time, so that it is kept."""
    moment = info.get("mtime", info.get("LastModified"))
    if moment is None:
        return time.time()
    return float(moment) if isinstance(moment, int | float) else float(moment.timestamp())
