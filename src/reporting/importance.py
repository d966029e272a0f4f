"""What the models look at: each feature family's share of the gain, held against its share of the columns."""

from __future__ import annotations

import polars as pl

from src.models.registry import FAMILIES
from src.reporting.formatting import listed, share
from src.reporting.rendering import render
from src.reporting.session_data import Material
from src.reporting.tables import Column, Row, table

MOST_FEATURES = 15
ALL = "all runs"


def importance(material: Material) -> str:
    """Write the shares by feature family and the leading features; nothing where no run carries any."""
    gains = material.importance
    if gains.is_empty():
        return ""
    families = by_family(gains)
    models = [name for name in (*FAMILIES, ALL) if name in families.columns]
    columns = [
        Column("feature family", lambda r: r["group"]),
        Column("columns", lambda r: str(r["columns"]), lambda r: r["columns"]),
        Column("of all columns", lambda r: share(r["even"]), lambda r: r["even"]),
        *(_share_column(name) for name in models),
    ]
    leading = gains.sort(ALL, "feature", descending=[True, False]).head(MOST_FEATURES)
    names = [f"{row['feature']} {share(row[ALL])}" for row in leading.iter_rows(named=True)]
    return render(
        "importance",
        families=table(columns, families.iter_rows(named=True), "Share of the gain by feature family"),
        leading=listed(names, MOST_FEATURES),
    )


def by_family(gains: pl.DataFrame) -> pl.DataFrame:
    """Sum the shares of the features of each family.

    Parameters
    ----------
    gains : DataFrame
        feature, group (its family), and a share for each model family and for all runs.

    Returns
    -------
    DataFrame
        group, columns (number of features), even (their share of all), and the summed shares, the largest first.
    """
    shares = [name for name in gains.columns if name not in ("feature", "group")]
    found = gains.group_by("group").agg(pl.len().alias("columns"), pl.col(shares).sum())
    even = (pl.col("columns") / gains.height).alias("even")
    return found.with_columns(even).sort(ALL, "group", descending=[True, False])


def _share_column(name: str) -> Column:
    def value(row: Row) -> float | None:
        found: float | None = row[name]
        return found

    return Column(name, lambda row: share(value(row)), value)
