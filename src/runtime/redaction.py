"""Mask secrets in everything that is shown: logs, runs, reports and the terminal."""

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
    """Replace secrets in a text by ``***``.

    Parameters
    ----------
    text : str
        Any text: a log line, a traceback, a page.

    Returns
    -------
    str
        Without user names and passwords inside addresses, and without secrets among ``key=value`` arguments.
    """
    return _ARGUMENT.sub(r"\1***", _LOGIN.sub(r"\1***@", text))


def masked_address(uri: str) -> str:
    """Replace secrets in one address by ``***``.

    Parameters
    ----------
    uri : str
        An address from the settings, alone. SQLAlchemy takes the address of a database apart, so a password may hold
        anything; inside a longer text, `masked` has to guess where a password with spaces ends.

    Returns
    -------
    str
        The address without user name and password.
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
