"""Which features the models use: each feature family's share of the gain beside its share of the columns."""

from __future__ import annotations

import polars as pl

from src.models.registry import FAMILIES
from src.reporting.formatting import joined, percent
from src.reporting.loading import ALL_RUNS
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.tables import Column, table

MOST_FEATURES = 15


def importance_section(data: ReportData) -> str:
    """Write the shares of the gain by feature family, and the leading features.

    Returns
    -------
    str
        HTML; empty if no run has stored importances.
    """
    gains = data.importance
    if gains.is_empty():
        return ""
    families = by_feature_family(gains)
    models = [name for name in (*FAMILIES, ALL_RUNS) if name in families.columns]
    columns = [
        Column("feature family", lambda r: r["group"]),
        Column("columns", lambda r: str(r["columns"]), lambda r: r["columns"]),
        Column("share of columns", lambda r: percent(r["column_share"]), lambda r: r["column_share"]),
        *(_gain_column(name) for name in models),
    ]
    leading = gains.sort(ALL_RUNS, "feature", descending=[True, False]).head(MOST_FEATURES)
    names = [f"{row['feature']} {percent(row[ALL_RUNS])}" for row in leading.iter_rows(named=True)]
    return render(
        "importance",
        families=table(columns, families.iter_rows(named=True), "Share of the gain by feature family"),
        leading=joined(names, MOST_FEATURES),
    )


def by_feature_family(gains: pl.DataFrame) -> pl.DataFrame:
    """Sum the shares of the features of each family.

    Parameters
    ----------
    gains : DataFrame
        feature, group (its family), and a share of the gain for each model family and for all runs.

    Returns
    -------
    DataFrame
        group, columns (number of features), column_share (their share of all features), and the summed shares of the
        gain, the largest first.
    """
    shares = [name for name in gains.columns if name not in ("feature", "group")]
    summed = gains.group_by("group").agg(pl.len().alias("columns"), pl.col(shares).sum())
    column_share = (pl.col("columns") / gains.height).alias("column_share")
    return summed.with_columns(column_share).sort(ALL_RUNS, "group", descending=[True, False])


def _gain_column(name: str) -> Column:
    return Column(name, lambda row: percent(row[name]), lambda row: row[name])
