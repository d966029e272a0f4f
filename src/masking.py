"""Secrets never reach a log, a run, a report or a terminal: what is shown passes through here."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(\w+://)(?:[^/\s]+|[^/\s:@]*:[^\s@]*)@")  # a password may hold a slash, or an @
_ARGUMENT = re.compile(r"((?:[?&\s]|^)(?:password|passfile|sslpassword)=)[^&\s'\"]+", re.IGNORECASE)


def masked(text: str) -> str:
    """`text` with user names and passwords inside addresses replaced by ``***``."""
    return _ARGUMENT.sub(r"\1***", _LOGIN.sub(r"\1***@", text))
