"""Variables of the environment, and of the git-ignored file .env where the environment lacks them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from src.runtime.redaction import remember

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*?)[ \t\r]*")
_SHORTEST = 6  # characters of a value that is masked wherever it occurs


def variable(name: str, file: Path) -> str:
    """Read a secret, which is masked in everything that is shown from then on.

    Parameters
    ----------
    name : str
        Such as REDDIT_CLIENT_ID.
    file : Path
        ``.env`` of the main checkout; it need not exist.

    Returns
    -------
    str
        The value of the environment, else that of the file without its quotes; empty if neither has one.
    """
    value = os.environ.get(name, "").strip() or _lines(file).get(name, "")
    remember([value], _SHORTEST)
    return value


def _lines(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    text = file.read_bytes().decode("utf-8-sig", errors="replace")
    pairs = [match.groups() for line in text.splitlines() if (match := _LINE.fullmatch(line))]
    return {name: _unquoted(value) for name, value in pairs}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] in "'\"" and value[-1] == value[0] else value
