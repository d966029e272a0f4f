"""Yahoo's JSON as it comes: cut short, not JSON at all, or with numbers that JSON does not have."""

from __future__ import annotations

import json
from typing import Any

import orjson
import polars as pl

from src.fetching.provider import Malformed, Unavailable

_WORDS = {"infinity": float("inf"), "-infinity": float("-inf"), "nan": float("nan")}


def loaded(content: bytes, who: str) -> dict[str, Any]:
    """Parse a body; `who` begins the words of the error.

    Raises
    ------
    Unavailable
        Where it is empty or cut short.
    Malformed
        Where it is something else than a JSON object.
    """
    text = content.strip()
    if not text:
        raise Unavailable(f"{who} with an empty body")
    if not text.startswith(b"{"):
        if b"Will be right back" in text:
            raise Unavailable(f"{who} with a page that says: Will be right back")
        raise Malformed(f"{who} with no JSON: {' '.join(text[:300].decode('utf-8', 'replace').split())[:100]}")
    try:
        body = _parsed(text)
    except ValueError as error:
        raise Unavailable(f"{who} with JSON cut short after {len(text):,} bytes") from error
    return body


def numbers(values: Any, name: str) -> pl.Series:
    """A list of numbers as float64; null stays null, NaN and infinities stay what they are.

    Raises
    ------
    Malformed
        Where it is no list, or holds something else.
    """
    if not isinstance(values, list):
        raise Malformed(f"{name} must be a list of numbers, got {type(values).__name__}")
    try:
        return pl.Series(name, values, dtype=pl.Float64, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [number(value, name) for value in values], dtype=pl.Float64)


def number(value: Any, name: str) -> float | None:
    """A number as float64, also where it is written as text (``"Infinity"``); None stays None.

    Raises
    ------
    Malformed
        Where it is something else.
    """
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    raise Malformed(f"{name} must be a number, got {str(value)[:40]!r}")


def _parsed(text: bytes) -> dict[str, Any]:
    """Orjson is six times faster and refuses NaN and Infinity, which Yahoo sends now and then."""
    try:
        body: dict[str, Any] = orjson.loads(text)
    except ValueError:
        body = json.loads(text)
    return body
