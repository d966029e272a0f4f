"""What a repeated grade follows from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GradeBasis:
    """What a repeated grade was computed from, beside the stored row and the run's record.

    Attributes
    ----------
    sessions : tuple of str
        Sessions whose recorded settings were looked at.
    last_year : int
        Year of the last bar.
    is_relative : bool
        Whether the label compares with bars of other instruments.
    """

    sessions: tuple[str, ...]
    last_year: int
    is_relative: bool
