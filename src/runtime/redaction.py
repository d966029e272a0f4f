"""Secrets never reach a log, a run, a report or a terminal: what is shown passes through here."""

from __future__ import annotations

import re

# A user, and a password that may hold an @, a slash, quotes or spaces, up to the @ before the host. Digits after the
# colon are a port, unless an @ follows before the next slash or space.
_LOGIN = re.compile(
    r"""(\w[\w+.-]*://)
    (?: [^/\s\[:'"]* @                                     # a user or a token alone
      | [^/\s\[]* : (?!\d{1,5}['"]) [^/\s]* @               # and a password without slash or space
      | [^/\s\[:]* : (?!\d{1,5}(?:[^\w@]|$)) (?:(?!://)[^\s@])* @ (?:[^/\s@]*@)*
      | [^/\s\[:]* : (?!\d{1,5}(?:[^\w@]|$)) (?=\S) (?:(?!://)[^\n@])* @ (?:[^/\s@]*@)* (?=[\w\[/.]) )""",
    re.VERBOSE,
)
_SECRET = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|passfile|secret|token|api[_-]?key|access[_-]?key|signature|credential)"
)
_ARGUMENT = re.compile(
    rf"""((?:[?&;\s,('"]|^) {_SECRET} | (?<=[?&])key) \s?=\s?)
    (?: '(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" | [^&\s#]*[^&\s#'"),;\]}}] )""",
    re.VERBOSE | re.IGNORECASE,
)


def masked(text: str) -> str:
    """`text` with user names and passwords inside addresses, and secrets among arguments, replaced by ``***``."""
    return _ARGUMENT.sub(r"\1***", _LOGIN.sub(r"\1***@", text))


def masked_address(uri: str) -> str:
    """An address of the settings, masked as SQLAlchemy takes it apart where it names a database.

    Alone it is known where it ends; inside a text a password with spaces is told by how it looks.
    """
    if uri.startswith("postgresql"):
        from sqlalchemy import exc, make_url

        try:
            parts = make_url(uri)
            if parts.username is not None:
                parts = parts.set(username="user")
            return masked(parts.render_as_string(hide_password=True)).replace("%2F", "/")
        except (exc.ArgumentError, ValueError):
            pass
    return masked(uri)
