"""The runs of an instrument as one record of a log: what is durable of a bucket in work until it is compacted.

A record is a head of JSON with the columns of `RUN_SCHEMA`, then the arrays that it refers to. The families of an
instrument share dates, labels and returns, so most arrays are written once. A column in which every value is None, such
as the labels of the pooled scope, has its length in the head.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from src.storage.atomic import jsonable
from src.training.run_tables import IMPORTANCE, OOS_SCHEMA, RUN_SCHEMA

_NUMBERS = {"oos_date": "<M8[us]", "oos_stamp": "<M8[us]", "oos_fold": "<i4", "importance": "<f4"}
_LISTS = IMPORTANCE | OOS_SCHEMA
_ARRAYS = {name: np.dtype(_NUMBERS.get(name, "<f8")) for name in _LISTS}
_LENGTH = 4  # bytes of the number that says how long the head is


def encoded(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Make a record of new runs.

    Parameters
    ----------
    rows : iterable of mapping
        See `src.training.run_tables.run_table`.

    Returns
    -------
    bytes
    """
    places: dict[bytes, int] = {}
    runs = []
    for row in rows:
        arrays, undefined = {}, {}
        for name, dtype in _ARRAYS.items():
            if all(value is None for value in row[name]):
                undefined[name] = len(row[name])
            else:
                content = np.ascontiguousarray(row[name], dtype=dtype).tobytes()
                arrays[name] = places.setdefault(content, len(places))
        columns = {name: row[name] for name in RUN_SCHEMA}
        runs.append({"columns": columns, "arrays": arrays, "undefined": undefined})
    head = json.dumps({"runs": runs, "sizes": [len(part) for part in places]}, default=jsonable).encode()
    return b"".join((len(head).to_bytes(_LENGTH, "little"), head, *places))


def decoded(records: Sequence[bytes]) -> list[dict[str, Any]]:
    """Read the runs of records.

    Parameters
    ----------
    records : sequence of bytes
        What `encoded` made.

    Returns
    -------
    list of dict
        Rows as `src.training.run_tables.run_table` takes them.
    """
    return [row for record in records for row in _rows(record)]


def columns(records: Sequence[bytes]) -> list[dict[str, Any]]:
    """Read the runs of records without their arrays, which are nearly all of a log.

    Parameters
    ----------
    records : sequence of bytes
        What `encoded` made.

    Returns
    -------
    list of dict
        Columns of `RUN_SCHEMA`, as JSON has them.
    """
    return [run["columns"] for record in records for run in _head(record)[0]["runs"]]


def _head(record: bytes) -> tuple[dict[str, Any], int]:
    """The head of a record, and where its arrays start."""
    start = _LENGTH + int.from_bytes(record[:_LENGTH], "little")
    return json.loads(record[_LENGTH:start]), start


def _rows(record: bytes) -> list[dict[str, Any]]:
    head, start = _head(record)
    ends = start + np.cumsum([0, *head["sizes"]])
    rows = []
    for run in head["runs"]:
        row = {name: run["columns"].get(name) for name in RUN_SCHEMA}
        row["created_at"] = dt.datetime.fromisoformat(row["created_at"])
        for name, size in run["undefined"].items():
            row[name] = pl.Series([None] * size, dtype=_LISTS[name].inner)
        for name, place in run["arrays"].items():
            row[name] = np.frombuffer(record[ends[place] : ends[place + 1]], _ARRAYS[name])
        rows.append(row)
    return rows
