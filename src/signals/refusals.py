"""Why a line is refused while the others stand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LineRefusal:
    """A reason against a line.

    Attributes
    ----------
    reason : str
        With the remedy, where there is one.
    holds : bool
        Whether data is missing or late, so that the weight stays; else the champion can't be vouched for.
    """

    reason: str
    holds: bool = False


class RefusedLine(Exception):
    """A champion that can't be vouched for; the message gives the reason and, where there is one, the remedy."""
