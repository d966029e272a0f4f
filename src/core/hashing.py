"""Digests of text, JSON and tables: the same on every machine and in every process."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

KEY_LENGTH = 24
"""Hexadecimal digits of a key: 96 bits, no collision among 10^9 runs to be expected (birthday bound 6e-12)."""


def text_digest(*parts: object) -> str:
    """Hash the text of the parts, in their order, by BLAKE2.

    Parameters
    ----------
    *parts : object
        Converted by `str`.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return hashlib.blake2b("\x1f".join(str(part) for part in parts).encode(), digest_size=16).hexdigest()


def json_digest(parts: Any) -> str:
    """Hash a value that JSON can hold, independently of the order of keys.

    Parameters
    ----------
    parts : object
        Mappings, lists, texts, numbers; anything else counts as its text.

    Returns
    -------
    str
        `KEY_LENGTH` hexadecimal digits.

    Raises
    ------
    ValueError
        On NaN or an infinity.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str, allow_nan=False)
    return hashlib.blake2b(text.encode("utf-8"), digest_size=KEY_LENGTH // 2).hexdigest()


def table_digest(table: pl.DataFrame) -> str:
    """Hash a table's values, independently of how it is chunked or stored.

    Parameters
    ----------
    table : DataFrame
        Without nulls in columns of text.

    Returns
    -------
    str
        `KEY_LENGTH` hexadecimal digits.
    """
    import polars as pl

    state = hashlib.blake2b(digest_size=KEY_LENGTH // 2)
    for name in sorted(table.columns):
        values = table[name]
        content = "\0".join(values.to_list()).encode() if values.dtype == pl.String else values.to_numpy().tobytes()
        state.update(name.encode() + content)
    return state.hexdigest()
