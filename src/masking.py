"""Secrets never reach a log, a run, a report or a terminal: what is shown passes through here."""

from __future__ import annotations

import re


def masked(text: str) -> str:
    """`text` with user names and passwords inside addresses replaced by ``***``."""
    return re.sub(r"(\w+://)[^/\s]+@", r"\1***@", text)
