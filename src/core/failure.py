"""The failure of a piece of work, as a value that travels from where it failed to where it is shown."""

from __future__ import annotations

import traceback as tracebacks
from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why a piece of work failed.

    Attributes
    ----------
    reason : str
        One line for a person.
    traceback : str
        Tracebacks of all tries; empty if nothing was raised.
    final : bool
        Whether another try is useless: the work was tried twice already, or would fail the same way again.
    """

    reason: str
    traceback: str = ""
    final: bool = False

    @classmethod
    def of(cls, error: BaseException, *, final: bool = False) -> Failure:
        """Turn an exception into a failure.

        Parameters
        ----------
        error : BaseException
            The exception, with its traceback.
        final : bool
            Whether another try is useless.

        Returns
        -------
        Failure
            Its reason is the exception's type and message.
        """
        text = "".join(tracebacks.format_exception(error))
        return cls(f"{type(error).__name__}: {error}", text, final)
