"""Lines of the champions of single instruments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from src.signals.dataset import SignalDataset
    from src.signals.days import BookDays
    from src.tracking.crowned_versions import CrownedVersion


def instrument_lines(
    champions: Sequence[CrownedVersion], dataset: SignalDataset, days: BookDays, *, explain: bool = True
) -> pl.DataFrame:
    """Decide for each champion on each day.

    Parameters
    ----------
    champions : sequence of CrownedVersion
        Of scope=instrument.
    dataset : SignalDataset
    days : BookDays
    explain : bool
        Whether the features that moved each score are found.

    Returns
    -------
    DataFrame
        Columns of `src.signals.tables.LINES`, sorted by book_date and name: one row a champion and book, refused
        lines included.
    """
    raise NotImplementedError
