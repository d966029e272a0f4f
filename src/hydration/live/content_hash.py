"""Hashes of raw bars and events: the same for the same values, on every machine and in every version of Polars."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from src.core.instruments import KEY


def frame_hash(frame: pl.DataFrame) -> str:
    """Hash of all columns, in the order of the rows.

    Parameters
    ----------
    frame : DataFrame
        Numbers, dates and texts; null and NaN hash differently.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return _digest(_columns(frame), 0, frame.height)


def sums(bars: pl.DataFrame, events: pl.DataFrame, keys: Iterable[tuple[str, str]] | None = None) -> dict[Any, Any]:
    """Rows, dates and hash of each instrument's content, for the ledger.

    Parameters
    ----------
    bars, events
        As stored: the rows of an instrument stand together.
    keys
        Which instruments; None takes all that have bars or events.

    Returns
    -------
    dict
        By (asset_class, symbol): rows, first, last (of its bars; None without bars), content_hash.
    """
    places = [_places(frame) for frame in (bars, events)]
    columns = [_columns(frame.drop(KEY)) for frame in (bars, events)]
    ranges = {(row[0], row[1]): row[2:] for row in bars.group_by(KEY).agg(_first(), _last()).rows()}
    found: dict[Any, Any] = {}
    for key in set(keys) if keys is not None else {*places[0], *places[1]}:
        spans = [place.get(key, (0, 0)) for place in places]
        texts = [_digest(parts, start, n) for parts, (start, n) in zip(columns, spans, strict=True)]
        first, last = ranges.get(key, (None, None))
        content = text_hash(" ".join(texts)) if any(n for _, n in spans) else ""
        found[key] = {"rows": spans[0][1], "first": first, "last": last, "content_hash": content}
    return found


def text_hash(text: str) -> str:
    """Hash of a text.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _first() -> pl.Expr:
    return pl.col("date").min().alias("first")


def _last() -> pl.Expr:
    return pl.col("date").max().alias("last")


def _places(frame: pl.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """First row and count of each instrument."""
    counts = frame.group_by(KEY, maintain_order=True).agg(pl.len()).rows()
    starts = np.cumsum([0, *(n for *_, n in counts)]).tolist()
    return {(kind, symbol): (start, n) for (kind, symbol, n), start in zip(counts, starts, strict=False)}


def _columns(frame: pl.DataFrame) -> list[tuple[str, Any]]:
    """Name and raw content of each column: arrays of numbers with their nulls, texts as they are."""
    made: list[tuple[str, Any]] = []
    for name, column in zip(frame.columns, frame, strict=True):
        if column.dtype == pl.String:
            made.append((name, column))
            continue
        kind, fill = (pl.Float64, 0.0) if column.dtype.is_float() else (pl.Int64, 0)
        physical = column if column.dtype == kind else column.to_physical().cast(kind)
        gone = np.ascontiguousarray(column.is_null().to_numpy()) if column.null_count() else None
        values = np.ascontiguousarray((physical if gone is None else physical.fill_null(fill)).to_numpy())
        made.append((name, (values.astype("<f8" if kind == pl.Float64 else "<i8", copy=False), gone)))
    return made


def _digest(columns: list[tuple[str, Any]], start: int, n: int) -> str:
    digest = hashlib.blake2b(f"{n}".encode(), digest_size=16)
    for name, content in columns:
        digest.update(f"\n{name}:".encode())
        if isinstance(content, pl.Series):
            runs = content.slice(start, n).rle().struct.unnest()
            digest.update("\n".join(f"{text}\t{long}" for long, text in runs.rows()).encode())
            continue
        values, gone = content
        digest.update(values[start : start + n].data)
        nulls = None if gone is None else gone[start : start + n]
        if nulls is not None and nulls.any():
            digest.update(b"nulls" + np.packbits(nulls).tobytes())
    return digest.hexdigest()
