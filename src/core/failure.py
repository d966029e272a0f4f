"""A piece of work that could not be done, as it travels from where it failed to where it is shown."""

from __future__ import annotations

import traceback as tracebacks
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why a piece of work could not be done.

    Attributes
    ----------
    reason : str
        One line for a person.
    traceback : str
        Tracebacks of what was tried; empty where nothing was raised.
    final : bool
        Whether another try is useless: the work was tried twice, or would fail the same way again.
    """

    reason: str
    traceback: str = ""
    final: bool = False

    @classmethod
    def of(cls, error: BaseException, *, final: bool = False) -> Failure:
        """Failure that an exception means: its type and message, and its traceback."""
        text = "".join(tracebacks.format_exception(error))
        return cls(f"{type(error).__name__}: {error}", text, final)
