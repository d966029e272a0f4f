"""How an instrument ended a stage: the value that every stage uses, from the decision to the display."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from src.core.instruments import Key


@dataclass(frozen=True)
class EndState:
    """State in which one instrument ended a stage; the fields are the columns of the stage's states table.

    Attributes
    ----------
    asset_class, symbol : str
        Key of the instrument.
    state : str
        ``done``, ``skipped``, ``failed`` or ``quarantined``.
    reason : str
        Why, for a person; may be empty if the instrument is done.
    rows : int
        Number of rows that the stage has for the instrument.
    first, last : date, optional
        First and last day of those rows.
    rule : str
        Short name of the reason's kind, by which it is counted; not a column of the states.
    """

    asset_class: str
    symbol: str
    state: str
    reason: str = ""
    rows: int = 0
    first: dt.date | None = None
    last: dt.date | None = None
    rule: str = ""

    @property
    def key(self) -> Key:
        """Key of the instrument.

        Returns
        -------
        tuple of (str, str)
            Asset class and symbol.
        """
        return self.asset_class, self.symbol
