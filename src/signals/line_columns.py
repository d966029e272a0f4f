"""Collects the columns of lines, several lines of one champion at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.signals.tables import LINES

if TYPE_CHECKING:
    from src.tracking.crowned_versions import CrownedVersion

GRADED = (
    "auc", "accuracy", "sharpe", "max_drawdown", "n_oos", "p_value", "q_value", "luck_rate", "deflated_sharpe",
)  # fmt: skip
"""Columns of a line that come from the champion's grade."""


_MOST = 20_000
"""Lines that are kept as Python's own objects, which take several times the memory of a table."""


class LineColumns:
    """Columns of `src.signals.tables.LINES` that grow."""

    def __init__(self) -> None:
        self._tables: list[pl.DataFrame] = []
        self._columns: dict[str, list[Any]] = {name: [] for name in LINES}

    def add(self, count: int, values: Mapping[str, Any]) -> None:
        """Add lines.

        Parameters
        ----------
        count : int
        values : mapping
            By column: one value for all lines, or a sequence or array of `count`; what is left out is null.
        """
        for name, column in self._columns.items():
            value = values.get(name)
            if isinstance(value, np.ndarray):
                column.extend(value.tolist())
            elif isinstance(value, Sequence) and not isinstance(value, str):
                column.extend(value)
            else:
                column.extend([value] * count)

        if len(self._columns["book_date"]) >= _MOST:
            self._close()

    def frame(self) -> pl.DataFrame:
        """The table so far; an undefined number is null, never NaN."""
        self._close()
        return pl.concat(self._tables)

    def _close(self) -> None:
        """Make a table of what was added since the last one."""
        columns = [pl.Series(name, self._columns[name], dtype=dtype) for name, dtype in LINES.items()]
        self._tables.append(pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None)))
        self._columns = {name: [] for name in LINES}


def of_version(version: CrownedVersion, scope: str) -> dict[str, Any]:
    """Columns that all lines of a champion share.

    Parameters
    ----------
    version : CrownedVersion
    scope : {'instrument', 'pooled'}
    """
    about = {"name": version.name, "version": version.version, "scope": scope, "record_id": version.record_id}
    about |= {"model_sha256": version.model_sha256, "family": version.grade.get("family")}
    return about | {name: version.grade.get(name) for name in GRADED}
