"""The error of a file, or of a column, that can't be read as bars."""

from __future__ import annotations


class ColumnError(ValueError):
    """A file that can't be read as bars.

    Parameters
    ----------
    message : str
        Becomes the reason of its instrument.
    state : str
        State of its instrument: ``failed`` or ``quarantined``.
    """

    def __init__(self, message: str, state: str = "failed") -> None:
        super().__init__(message)
        self.state = state
