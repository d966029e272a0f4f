"""Lines of the champions of the pooled scope: one for each instrument that the portfolio holds or ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from src.signals.dataset import SignalDataset
    from src.signals.days import BookDays
    from src.tracking.crowned_versions import CrownedVersion


def pooled_lines(
    champions: Sequence[CrownedVersion], dataset: SignalDataset, days: BookDays, *, explain: bool = True
) -> pl.DataFrame:
    """Decide for each pooled champion on each day.

    Parameters
    ----------
    champions : sequence of CrownedVersion
        Of scope=pooled.
    dataset : SignalDataset
    days : BookDays
    explain : bool
        Whether the features that moved each score are found.

    Returns
    -------
    DataFrame
        Columns of `src.signals.tables.LINES`, sorted by book_date, name and symbol: one row for each instrument that is
        ranked, held or just left; one row with an empty symbol where the whole champion is refused.
    """
    raise NotImplementedError
