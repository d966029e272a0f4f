"""Results of tests that take long, kept beside the monitor's tables under a hash of all that they were made of.

Arrays, settings, seed and code are hashed as they are used, after journal, bars, runs and registry were read: whatever
changed in one of these changes the hash, and the test is made again. What was not asked for is forgotten.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.core.code_hash import code_digest
from src.core.errors import StageError
from src.storage import atomic

_COLUMNS = {"key": pl.String(), "result": pl.String()}
_REMEDY = "move it away, and it is made again"


class KeptResults:
    """Results of one function by the hash of its arguments.

    Parameters
    ----------
    path : Path
        A Parquet file; it need not exist, and one that can't be read counts as absent.
    function : callable
        Whose code decides the results, with all that it calls.
    """

    def __init__(self, path: Path, function: Callable[..., Any]) -> None:
        self._path, self._code = path, functools.partial(code_digest, function)
        self._known = _read(path)
        self._asked: dict[str, str] = {}

    def of(self, parts: object, make: Callable[[], Any]) -> Any:
        """Take the result for some parts, or make it.

        Parameters
        ----------
        parts : object
            All that decides it: arrays, dataclasses, mappings, lists, texts and numbers.
        make : callable
            Its result must have a JSON form.

        Returns
        -------
        object
            What JSON gives back, whether it was kept or made.
        """
        digest = hashlib.blake2b(self._code().encode(), digest_size=16)
        _feed(digest, parts)
        key = digest.hexdigest()
        text = self._known.get(key)
        self._asked[key] = json.dumps(make()) if text is None else text
        return json.loads(self._asked[key])

    def write(self) -> None:
        """Keep what was asked for, unless the file holds just that."""
        if self._asked == self._known:
            return
        rows = sorted(self._asked.items())
        atomic.write_parquet(pl.DataFrame(rows, schema=_COLUMNS, orient="row"), self._path)


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        with atomic.read_errors(path, _REMEDY):
            return dict(pl.read_parquet(path, glob=False).select(*_COLUMNS).iter_rows())
    except (StageError, pl.exceptions.PolarsError):  # it is made again
        return {}


def _feed(digest: hashlib.blake2b, value: object) -> None:
    """Add a value to a hash, with its kind and its length, so that no two values read alike."""
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype.str} {value.shape};".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _feed(digest, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif isinstance(value, Mapping):
        _feed(digest, [part for pair in sorted(value.items()) for part in pair])
    elif isinstance(value, list | tuple):
        digest.update(f"list {len(value)};".encode())
        for part in value:
            _feed(digest, part)
    else:
        text = repr(value)
        digest.update(f"{type(value).__name__} {len(text)} {text};".encode())
