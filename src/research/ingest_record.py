"""What `ingest` did last, for `status`: one small file beside the states."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from src.storage.atomic import read_json, write_json


def record_ingest(path: Path, collected: str, derived: str) -> None:
    """Write what the command did.

    Parameters
    ----------
    path : Path
        ``data/states/<dataset>/ingest.json``.
    collected, derived : str
        The two halves of its closing line; the former is empty where no source was asked, and the last collection
        stays on record.
    """
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    record = last_ingest(path) or {"collected": None, "collected_at": None}
    if collected:
        record |= {"collected": collected, "collected_at": now}
    write_json(record | {"derived": derived, "derived_at": now}, path)


def last_ingest(path: Path) -> dict[str, Any] | None:
    """Read what the command did last.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict or None
        ``collected``, ``derived`` and when (``collected_at``, ``derived_at``, UTC); None before any.
    """
    try:
        content: dict[str, Any] = read_json(path)
    except (OSError, ValueError):
        return None
    return content
