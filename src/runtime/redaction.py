"""Mask secrets in everything that is shown: logs, runs, reports and the terminal.

Three nets, one behind the other: settings that are declared ``secret`` and keys that sound like one are masked by
their name; the values of such settings and of such variables of the environment are masked wherever they occur; and
what looks like a secret is masked by its form (`src.runtime.secret_forms`).
"""

from __future__ import annotations

import dataclasses
import os
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from src.core.field_rules import is_private, is_secret, sounds_secret
from src.core.text import escaped
from src.runtime import secret_forms as forms

MASK = "***"
_SHORTEST = 4  # of a setting's value; below, it would be found in every other word
_SHORTEST_VARIABLE = 6
_LONG = 12  # letters that no plain word of an address has
_COMMON = frozenset(
    [
        "true",
        "false",
        "none",
        "null",
        "demo",
        "test",
        "quick",
        "full",
        "user",
        "admin",
        "root",
        "local",
        "default",
        "postgres",
        "mlflow",
        "guest",
        "example",
        "password",
        "secret",
        "token",
        "https",
        "http",
        "localhost",
    ]
)
"""Words that stand in too many texts: as a secret they are masked in their place alone."""
PRIVATE_ADDRESSES = ("ALPHA_LOOP_NOTIFY", "ALPHA_LOOP_HEARTBEAT_URL")
"""Variables that hold addresses which are secrets as a whole: who knows one can write to it."""
_known: dict[str, re.Pattern[str]] = {}


def masked(text: str) -> str:
    """Replace secrets in a text by ``***``.

    Parameters
    ----------
    text : str
        Any text: a log line, a traceback, a page.

    Returns
    -------
    str
        Without values that `remember` was given, user names and passwords of addresses, values of keys that sound
        secret, authorizations, signatures, tokens and private keys.
    """
    for pattern in _known.values():
        text = pattern.sub(MASK, text)
    if forms.LOOKS.search(text):
        text = forms.WHOLE.sub(MASK, text)
    if "://" in text and "@" in text:
        text = forms.LOGIN.sub(rf"\1{MASK}@", text)
    text = forms.BEARER.sub(rf"\1{MASK}", text)
    if forms.TRIGGER.search(text):
        text = forms.QUOTED_KEY.sub(rf"\1\2{MASK}\2", text)
        for pattern in (forms.SCHEME, forms.ASSIGNED, forms.OPTION, forms.LINE, forms.INLINE):
            text = pattern.sub(rf"\1{MASK}", text)
    if forms.TOOLS.search(text):
        text = forms.TOOL.sub(rf"\1{MASK}", text)
    if "/" in text:
        text = forms.WEBHOOK.sub(rf"\1{MASK}", text)
    return forms.BARE_LOGIN.sub(f"{MASK}@", text) if "@" in text else text


def shown(text: str) -> str:
    """Prepare one line for a terminal, a log or a status file.

    Parameters
    ----------
    text : str
        Any text, perhaps from outside.

    Returns
    -------
    str
        Without secrets, and with control characters, line ends and invisible marks escaped.
    """
    return escaped(masked(text))


def shown_lines(text: str) -> str:
    """Prepare a text of several lines, such as a table of our own.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        As `shown`, but line feeds stay.
    """
    return escaped(masked(text), keep="\n")


def masked_address(uri: str) -> str:
    """Replace secrets in one address by ``***``.

    Parameters
    ----------
    uri : str
        An address from the settings, alone. SQLAlchemy takes the address of a database apart, so a password may hold
        anything; inside a longer text, `masked` has to guess where a password with spaces ends. Without a scheme,
        what stands before the last @ is a user with a password.

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
    if "://" not in uri and "@" in uri:
        return masked(f"{MASK}@{uri.rpartition('@')[2]}")
    return masked(uri)


def masked_setting(key: str, value: str) -> str:
    """Replace secrets in the value of one setting or variable.

    Parameters
    ----------
    key : str
        Its name, such as ``source.live.proxy`` or ``AWS_SECRET_ACCESS_KEY``.
    value : str
        Its value as text.

    Returns
    -------
    str
        An address without its login, ``***`` for a value whose key sounds secret, else the value by its forms.
    """
    name = key.lstrip("+~-").rpartition(".")[2]
    if value and _declared_fields().get(name):
        return MASK
    if name in _declared_fields() or "://" in value:
        return masked_address(value)
    if value and sounds_secret(key):
        return MASK
    return masked(value)


def masked_values(value: Any, key: str = "") -> Any:
    """Replace secrets in nested settings, by their keys and by their forms.

    Parameters
    ----------
    value : mapping, list, dataclass or scalar
        A configuration or a part of it.
    key : str
        Its name in what holds it.

    Returns
    -------
    dict, list or scalar
        The same, with dataclasses as dicts.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: masked_values(getattr(value, name), name) for name in names}
    if isinstance(value, Mapping):
        return {name: masked_values(each, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked_values(each, key) for each in value]
    return masked_setting(key, value) if isinstance(value, str) else value


def remember(values: Iterable[str], shortest: int = _SHORTEST) -> None:
    """Mask values wherever they occur from now on, in this process.

    Parameters
    ----------
    values : iterable of str
        Secrets. Words that every project uses, and values that are too short, are left out: their places are masked,
        not each of their occurrences.
    shortest : int
        Fewest characters of a value.
    """
    for value in values:
        for form in {value, quote(value, safe=""), unquote(value), escaped(value)}:
            if len(form) >= shortest and form.lower() not in _COMMON and form not in _known:
                _known[form] = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(form)}(?![A-Za-z0-9_])")


def remember_settings(config: Any) -> None:
    """Remember the secrets of a configuration: of fields that are declared secret, and of keys that sound like one.

    Parameters
    ----------
    config : dataclass
        The configuration, or a section of it.
    """
    remember(_secrets(config, ""))


def remember_environment() -> None:
    """Remember the secrets of the environment: variables whose names sound secret, and logins of addresses."""
    for name, value in os.environ.items():
        if name in PRIVATE_ADDRESSES:
            remember(_parts(value), _SHORTEST_VARIABLE)
        elif "://" in value or "proxy" in name.lower():
            remember(_of_address(value))
        elif sounds_secret(name) and not _is_path(value):
            remember([value], _SHORTEST_VARIABLE)


def remember_arguments(arguments: Iterable[str]) -> None:
    """Remember the secrets of a command line, before its settings are checked.

    Parameters
    ----------
    arguments : iterable of str
        As typed; those of the form ``key=value`` count.
    """
    for argument in arguments:
        key, _, value = argument.partition("=")
        remember(_secrets(value.strip("'\""), key.rpartition(".")[2]))


def forget() -> None:
    """Forget every value that `remember` was given."""
    _known.clear()


def _secrets(value: Any, key: str) -> Iterator[str]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _secrets(getattr(value, field.name), field.name)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _secrets(each, str(name))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secrets(each, key)
    elif isinstance(value, str) and value:
        if _declared_fields().get(key):
            yield value
        elif "://" in value or key in _declared_fields():
            yield from _of_address(value)
        elif sounds_secret(key):
            yield value


def _of_address(address: str) -> Iterator[str]:
    """The password, the user that stands alone, and the secret arguments of an address."""
    rest = address.partition("://")[2] or address
    before, at, _ = rest.partition("?")[0].rpartition("@")
    if at and "://" not in before:
        user, colon, password = before.partition(":")
        yield password if colon else user
    try:
        query = urlsplit(address).query
    except ValueError:
        return
    yield from (value for name, value in parse_qsl(query) if sounds_secret(name) or name in ("sig", "key"))


def _parts(addresses: str) -> Iterator[str]:
    """Private addresses, their logins, and what stands between their slashes unless it is a plain word or a host."""
    for address in addresses.split():
        rest = address.partition("://")[2]
        yield from (address, rest, *_of_address(address))
        for part in re.split(r"[/?&=#:@,+]+", rest):
            if "." not in part and (len(part) >= _LONG or re.search(r"\d", part)):
                yield part


def _is_path(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):
        return False


def _declared_fields() -> dict[str, bool]:
    """Names of the settings that are declared secret, and whether as a whole; of the others the login is."""
    global _declared  # noqa: PLW0603 - found once
    if _declared is None:
        from src.config.schema import Config

        _declared = dict(_declared_secret(Config))
    return _declared


_declared: dict[str, bool] | None = None


def _declared_secret(section: type) -> Iterator[tuple[str, bool]]:
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        if is_secret(field):
            yield field.name, is_private(field)
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _declared_secret(hints[field.name])
