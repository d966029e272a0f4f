"""Which text of a document is searched."""

from __future__ import annotations

import json
import re

from src.documents.text import decoded, text_of

MOST = 1_000_000  # characters of one document that are searched
_TABLES = frozenset(["index", "submissions", "companyfacts", "tickers", "insider-set"])  # of numbers and names of many
_ARCHIVE = (b"PK\x03\x04", b"\x1f\x8b")
_MARKUP = re.compile(r"<[^<>]{0,4000}>")
_TEXTUAL = frozenset(["article", "post", "paper"])


def searchable_text(kind: str, name: str, body: bytes) -> str:
    """Text of a document for search.

    Parameters
    ----------
    kind, name : str
        Kind, and what `file_name` gives.
    body : bytes

    Returns
    -------
    str
        At most `MOST` characters; XML without its tags. Empty for tables that sources serve for many companies, and for
        archives.
    """
    if kind in _TABLES:
        return ""
    if kind in _TEXTUAL:
        return decoded(body)[:MOST]
    if body.startswith(_ARCHIVE) and kind != "file":
        return ""
    text = text_of(body, name)
    if text.startswith("<?xml") or name.lower().endswith(".xml"):
        text = " ".join(_MARKUP.sub(" ", text).split())
    return text[:MOST]


def file_name(id: str, fields: str) -> str:
    """Name whose ending says what a body is.

    Parameters
    ----------
    id : str
    fields : str
        JSON object, whose ``primary_document`` names a filing's file.

    Returns
    -------
    str
        The id where nothing else is known.
    """
    try:
        name = json.loads(fields).get("primary_document")
    except (ValueError, AttributeError):
        return id
    return name if isinstance(name, str) and name else id
