"""Yahoo's JSON, which may be truncated, not JSON at all, or contain numbers that JSON does not have."""

from __future__ import annotations

import json
from typing import Any

import orjson
import polars as pl

from src.fetching.provider import Malformed, Unavailable

_NAMED = {"infinity": float("inf"), "-infinity": float("-inf"), "nan": float("nan")}


def loaded(content: bytes, who: str) -> dict[str, Any]:
    """Parse the body of an answer.

    Parameters
    ----------
    content : bytes
        The body.
    who : str
        Beginning of the message of an error, such as ``query1.finance.yahoo.com answered status 200``.

    Returns
    -------
    dict
        The JSON object.

    Raises
    ------
    Unavailable
        If the body is empty or truncated.
    Malformed
        If it is not a JSON object.
    """
    text = content.strip()
    if not text:
        raise Unavailable(f"{who} with an empty body")
    if not text.startswith(b"{"):
        if b"Will be right back" in text:
            raise Unavailable(f"{who} with a page that says: Will be right back")
        raise Malformed(f"{who} without JSON: {' '.join(text[:300].decode('utf-8', 'replace').split())[:100]}")
    try:
        body = _parsed(text)
    except ValueError as error:
        raise Unavailable(f"{who} with JSON truncated after {len(text):,} bytes") from error
    return body


def numbers(values: Any, name: str) -> pl.Series:
    """Convert a list of numbers.

    Parameters
    ----------
    values : object
        As parsed from JSON.
    name : str
        Name of the series, also for the message.

    Returns
    -------
    Series of Float64
        Null, NaN and infinities are kept.

    Raises
    ------
    Malformed
        If it is not a list, or has anything but numbers and nulls.
    """
    if not isinstance(values, list):
        raise Malformed(f"{name} must be a list of numbers, got {type(values).__name__}")
    try:
        return pl.Series(name, values, dtype=pl.Float64, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [number(value, name) for value in values], dtype=pl.Float64)


def number(value: Any, name: str) -> float | None:
    """Convert a number, which may be the text ``Infinity``, ``-Infinity`` or ``NaN``.

    Parameters
    ----------
    value : object
        As parsed from JSON.
    name : str
        For the message.

    Returns
    -------
    float or None
        None for null.

    Raises
    ------
    Malformed
        If it is anything else.
    """
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.lower() in _NAMED:
        return _NAMED[value.lower()]
    raise Malformed(f"{name} must be a number, got {str(value)[:40]!r}")


def _parsed(text: bytes) -> dict[str, Any]:
    """Orjson is six times faster than json, but refuses NaN and Infinity, which Yahoo sends at times."""
    try:
        body: dict[str, Any] = orjson.loads(text)
    except ValueError:
        body = json.loads(text)
    return body
