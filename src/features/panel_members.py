"""What the pinned panel's members measured each day: against it an instrument is ranked.

A day's values are those of the members of its class that traded on it, each from its own bars up to that day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.code_hash import code_digest
from src.core.hashing import text_digest
from src.features.catalog import code_hash, declared
from src.features.compute import COLUMNS, PanelLookup, evaluate
from src.features.graph import FeatureGraph
from src.features.ingredients import dollar_volume_growth
from src.features.registry import MEMBERS, Feature
from src.market.bars import tradable
from src.market.panel import MIN_MEMBERS

if TYPE_CHECKING:
    from src.market.bars import BarStore

POINTS = 127  # members kept of each day, ascending; of more, as many quantiles: 2^7 - 1 are searched in 7 steps


def with_standings(table: pl.DataFrame, store: BarStore) -> pl.DataFrame:
    """Add to the panel's daily table the members' measures, one column a measure.

    Buckets are read one after the other and the members' measures alone are kept, so memory grows with the panel, not
    with the universe.

    Returns
    -------
    DataFrame
        The rows of `table`, with columns of 127 Float32 a day, ascending, NaN after the last; all NaN on days for which
        fewer than five members have a value.
    """
    members = store.panel()
    names = ["asset_class", "symbol", "date", *COLUMNS.values()]
    values = [member_values(store.read_bucket(b, names, members)) for b in store.buckets()] if members else []
    return joined(table, pl.concat(values)) if values else table


def member_values(bars: pl.DataFrame) -> pl.DataFrame:
    """Measures of tradable bars: asset_class, date and a column for each, NaN where undefined."""
    values, _ = evaluate(bars, FeatureGraph(_measures()), PanelLookup(None))
    columns = [pl.col(item.name).fill_null(float("nan")).alias(name) for name, item in _by_name().items()]
    return values.with_columns(traded=bars.select(tradable()).to_series()).filter("traded").select(
        "asset_class", "date", *columns
    )  # fmt: skip


def joined(table: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """Table with the sorted values of its days; the order of the members doesn't matter."""
    days = table.select("asset_class", "date").with_row_index("row")
    at = values.join(days, on=["asset_class", "date"])
    rows = at["row"].to_numpy()
    columns = [
        pl.Series(name, sorted_by_day(rows, at[name].to_numpy(), table.height), dtype=pl.Array(pl.Float32, POINTS))
        for name in MEMBERS
    ]
    return table.with_columns(columns)


def sorted_by_day(rows: NDArray[np.uint32], values: NDArray[np.float32], days: int) -> NDArray[np.float32]:
    """Values of each day, or quantiles where they are more, shape (days, 127), ascending, NaN after the last."""
    finite = np.isfinite(values)
    order = np.lexsort((values[finite], rows[finite]))
    rows, values = rows[finite][order], values[finite][order]
    counts = np.bincount(rows, minlength=days)
    starts = np.cumsum(counts) - counts
    out = np.full((days, POINTS), np.nan, dtype=np.float32)
    for day in np.flatnonzero(counts >= MIN_MEMBERS):
        own = values[starts[day] : starts[day] + counts[day]]
        kept = own if len(own) <= POINTS else own[((np.arange(POINTS) + 0.5) * len(own) / POINTS).astype(np.int64)]
        out[day, : len(kept)] = kept
    return out


def standings_code() -> str:
    """Hash of all that decides the columns besides the bars."""
    return text_digest(code_digest(with_standings), *(code_hash(item) for item in _measures()))


def _measures() -> list[Feature]:
    return list(_by_name().values())


def _by_name() -> dict[str, Feature]:
    """What is measured, by the name of the input that ranks are taken from."""
    every = declared()
    growth = Feature("dollar_volume_growth", "volume", dollar_volume_growth, None, 126, "none", 0.0, "definition")
    return {f"members_{item.name}": item for item in (*(every[name] for name in _DECLARED), growth)}


_DECLARED = tuple(name.removeprefix("members_") for name in MEMBERS[:-1])
