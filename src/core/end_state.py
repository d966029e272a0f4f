"""How an instrument ended a stage: the one value of every stage, from where it is decided to where it is shown."""

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
        Why, for a person; empty where the instrument is done and there is nothing to add.
    rows : int
        Number of rows that the stage has of the instrument.
    first, last : date, optional
        First and last day of those rows.
    """

    asset_class: str
    symbol: str
    state: str
    reason: str = ""
    rows: int = 0
    first: dt.date | None = None
    last: dt.date | None = None

    @property
    def key(self) -> Key:
        """Asset class and symbol."""
        return self.asset_class, self.symbol
