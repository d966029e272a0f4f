"""Constraints of settings, declared on the fields of dataclasses as metadata.

A field is declared as ``min_auc: float = ranged(0.52, low=0, high=1)``; `constraint_of` reads the constraint back.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from copy import copy
from dataclasses import Field, dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

T = TypeVar("T")
_SECRET_NAME = re.compile(
    r"(?:pass(?:word|wd|phrase|code)s?|(?<![a-z])pwd|secrets?|(?<![a-z])token|api[_-]?keys?|credentials?|signature"
    r"|(?:access|secret|private|account|shared|signing|encryption|auth|client|master|license)[_-]?key(?:[_-]?id)?"
    r"|authorization|cookies?|crumb|proxy|webhook(?:[_-]?url)?|dsn)$",
    re.IGNORECASE,
)
_CONSTRAINT, _REMEDY, _SECRET = "constraint", "remedy", "secret"


class Constraint(Protocol):
    """A set of allowed values; its text completes the sentence "the setting must be ..."."""

    def __contains__(self, value: Any) -> bool: ...

    def __str__(self) -> str: ...


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; without `low` itself if `above` is set. NaN is in no range."""

    low: float
    high: float
    unit: str = ""
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        start = f"above {self.low:g} and at most" if self.above else f"from {self.low:g} to"
        return f"{start} {self.high:,.12g}{' ' + self.unit if self.unit else ''}"


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    options: tuple[str, ...]

    def __contains__(self, value: str) -> bool:
        return value in self.options

    def __str__(self) -> str:
        return f"one of {', '.join(self.options)}"


@dataclass(frozen=True)
class Pattern:
    """Text that matches a regular expression as a whole."""

    expression: re.Pattern[str]
    description: str

    def __contains__(self, value: str) -> bool:
        return self.expression.fullmatch(value) is not None

    def __str__(self) -> str:
        return self.description


class CalendarDate:
    """A date that exists, written YYYY-MM-DD."""

    def __contains__(self, value: str) -> bool:
        try:
            return dt.date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False

    def __str__(self) -> str:
        return "a date YYYY-MM-DD"


class TimeZone:
    """A time zone of the IANA database, by its name."""

    def __contains__(self, value: str) -> bool:
        try:
            return value == "UTC" or ("/" in value and ZoneInfo(value).key == value)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            return False

    def __str__(self) -> str:
        return "the name of a time zone, such as Europe/Paris, America/New_York or UTC"


TIME_ZONE = TimeZone()
"""Names of time zones; abbreviations such as EST, which know no summer time, are refused."""
FILE_NAME = Pattern(
    re.compile(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}"),
    "letters, digits, - and _ (it becomes a file name on every system)",
)
"""Names that can be part of a file's or a registered model's name on every system."""
OPTION_NAME = Pattern(
    re.compile(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)$)[A-Za-z0-9][A-Za-z0-9_+-]{0,63}"),
    "letters, digits, -, _ and + (it becomes a file name on every system)",
)
"""Names of options that combine others and become part of no other name."""


def ranged(default: T, *, low: float, high: float, unit: str = "", above: bool = False, remedy: str = "") -> T:
    """Declare a number, or a mapping of numbers, within a range.

    Parameters
    ----------
    default : int, float, None or dict
        Default value of the field. The range of a mapping applies to each of its values. None is allowed if the type
        allows it.
    low, high : float
        Ends of the range, both allowed.
    unit : str
        Unit of the number, for the error message.
    above : bool
        Whether `low` itself is refused.
    remedy : str
        What to suggest for a value out of range, instead of the default value.

    Returns
    -------
    dataclasses.Field
        Typed as the default value, because a dataclass expects a value of the field's type there.

    Examples
    --------
    >>> @dataclass
    ... class Gate:
    ...     min_auc: float = ranged(0.52, low=0, high=1)
    >>> print(constraint_of(Gate.__dataclass_fields__["min_auc"]))
    from 0 to 1
    """
    return constrained(default, Range(low, high, unit, above), remedy)


def one_of(default: T, options: Collection[str]) -> T:
    """Declare a text with a few allowed values.

    Parameters
    ----------
    default : str or None
        Default value of the field.
    options : collection of str
        Allowed values.

    Returns
    -------
    dataclasses.Field
        Typed as the default value.
    """
    return constrained(default, Choice(tuple(options)))


def dated(default: T) -> T:
    """Declare a date, written YYYY-MM-DD.

    Parameters
    ----------
    default : str or None
        Default value of the field.

    Returns
    -------
    dataclasses.Field
        Typed as the default value.
    """
    return constrained(default, CalendarDate())


def named(default: T) -> T:
    """Declare a name that becomes part of a file name.

    Parameters
    ----------
    default : str or None
        Default value of the field.

    Returns
    -------
    dataclasses.Field
        Typed as the default value.
    """
    return constrained(default, FILE_NAME)


def secret(default: T, *, whole: bool = False) -> T:
    """Declare an address or text that may hold a secret: it is masked wherever the configuration is shown.

    Parameters
    ----------
    default : str or None
        Default value of the field.
    whole : bool
        Whether all of it is private, as a person's e-mail address; else its login alone.

    Returns
    -------
    dataclasses.Field
        Typed as the default value.
    """
    return field(default=default, metadata={_SECRET: "whole" if whole else "login"})


def is_secret(declared: Field[Any]) -> bool:
    """Whether a field was declared with `secret`.

    Parameters
    ----------
    declared : dataclasses.Field
        A field of a dataclass.

    Returns
    -------
    bool
    """
    return bool(declared.metadata.get(_SECRET, False))


def is_private(declared: Field[Any]) -> bool:
    """Whether a field was declared as a secret as a whole.

    Parameters
    ----------
    declared : dataclasses.Field
        A field of a dataclass.

    Returns
    -------
    bool
    """
    return declared.metadata.get(_SECRET) == "whole"


def sounds_secret(name: str) -> bool:
    """Whether the value of a setting or variable of this name is a secret.

    Parameters
    ----------
    name : str
        Such as ``api_key``, ``AWS_SECRET_ACCESS_KEY`` or ``label.params.token``.

    Returns
    -------
    bool
    """
    return _SECRET_NAME.search(name) is not None


def constrained(default: T, constraint: Constraint, remedy: str = "") -> T:
    """Declare a field with a constraint.

    Parameters
    ----------
    default : object
        Default value of the field; a list or a mapping is copied for each instance.
    constraint : Constraint
        Allowed values.
    remedy : str
        What to suggest for a value that is not allowed, instead of the default value.

    Returns
    -------
    dataclasses.Field
        Typed as the default value.
    """
    metadata = {_CONSTRAINT: constraint, _REMEDY: remedy}
    if isinstance(default, dict | list):
        return cast(T, field(default_factory=partial(copy, default), metadata=metadata))
    return field(default=default, metadata=metadata)


def constraint_of(declared: Field[Any]) -> Constraint | None:
    """Return the constraint of a field, or None if every value of its type is allowed.

    Parameters
    ----------
    declared : dataclasses.Field
        A field of a dataclass.

    Returns
    -------
    Constraint or None
    """
    return declared.metadata.get(_CONSTRAINT)


def remedy_of(declared: Field[Any]) -> str:
    """Return the remedy that a field was declared with, or an empty text.

    Parameters
    ----------
    declared : dataclasses.Field
        A field of a dataclass.

    Returns
    -------
    str
    """
    return str(declared.metadata.get(_REMEDY, ""))
