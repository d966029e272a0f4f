"""Which features the models use: each feature family's share of the gain beside its share of the columns."""

from __future__ import annotations

import polars as pl

from src.models.registry import FAMILIES
from src.reporting.importance_chart import families_chart, features_chart
from src.reporting.loading import ALL_RUNS
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.vega import figure


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
    return render(
        "importance",
        families=figure(families_chart(families, models)),
        features=figure(features_chart(gains, models, families["group"].to_list())),
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
