"""Charts of what the models use: each feature family's share of the gain beside its share of the columns, and features.

The colours of feature families are those of Vega's ``tableau20``, in the order of their gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from src.reporting.formatting import percent
from src.reporting.loading import ALL_RUNS
from src.reporting.vega import Chart

MOST_FEATURES = 25
ROW = 20
"""Height of a bar in pixels."""
PADDING = {"left": 14, "right": 8, "top": 5, "bottom": 5}
_GROUP = "feature family"


def families_chart(families: pl.DataFrame, models: Sequence[str]) -> Chart:
    """Chart the share of the gain by feature family: a point a model family, beside the share of the columns.

    Parameters
    ----------
    families : DataFrame
        From `by_feature_family`: group, columns, column_share, and a share of the gain for each of `models`.
    models : sequence of str
        Model families, and all runs.

    Returns
    -------
    Chart
    """
    long = families.unpivot(
        models, index=["group", "columns", "column_share"], variable_name="model", value_name="gain"
    )
    order = families["group"].to_list()
    y = {"field": "group", "type": "nominal", "sort": order, "title": None}
    x = {"field": "gain", "type": "quantitative", "title": "share of gain", "axis": {"format": "%", "tickCount": 5}}
    columns = {**x, "field": "column_share"}
    tips = [
        {"field": "group", "title": _GROUP}, {"field": "model", "title": "models"}, _percent("gain", "share of gain"),
        _percent("column_share", "share of columns"), {"field": "columns", "type": "quantitative"},
    ]  # fmt: skip
    spec = {
        "width": "container", "height": ROW * families.height, "data": {"name": "families"}, "padding": PADDING,
        "layer": [
            {"mark": {"type": "tick", "thickness": 3, "size": 15, "color": "var(--ink)"},
             "encoding": {"y": y, "x": columns, "tooltip": tips}},
            {"mark": {"type": "point", "filled": True, "size": 70}, "params": [_legend("model")],
             "encoding": {"y": y, "x": x, "tooltip": tips, "opacity": _chosen(),
                          "color": {"field": "model", "type": "nominal", "sort": list(models), "title": None}}},
        ],
    }  # fmt: skip
    first = families.row(0, named=True)
    shown = (
        f"Share of the gain by feature family beside its share of the columns. {first['group']} has the largest: "
        f"{percent(first[ALL_RUNS])} of the gain with {percent(first['column_share'])} of the columns."
    )
    return Chart("importance-families", spec, shown, {"families": long})


def features_chart(gains: pl.DataFrame, models: Sequence[str], groups: Sequence[str]) -> Chart:
    """Chart the features with the largest share of the gain, coloured by family, for the models chosen.

    Parameters
    ----------
    gains : DataFrame
        feature, group, and a share of the gain for each of `models`.
    models : sequence of str
        All runs last.
    groups : sequence of str
        Feature families, in the order of their colours.

    Returns
    -------
    Chart
    """
    parts = [_leading(gains, name) for name in models]
    rows = pl.concat(parts)
    known = [group for group in groups if group in set(rows["group"])]
    chosen: dict[str, Any] = {"name": "models", "value": ALL_RUNS}
    if len(models) > 2:
        chosen["bind"] = {"input": "select", "options": [ALL_RUNS, *(m for m in models if m != ALL_RUNS)],
                          "name": "models "}  # fmt: skip
    y = {"field": "feature", "type": "nominal", "sort": {"field": "rank", "op": "min"}, "title": None,
         "axis": {"labelLimit": 135}}  # fmt: skip
    x = {"field": "gain", "type": "quantitative", "title": "share of gain", "axis": {"format": ".1%", "tickCount": 5}}
    colour = {"field": "group", "type": "nominal", "sort": known, "scale": {"scheme": "tableau20"}, "title": None,
              "legend": {"orient": "bottom", "columns": 2, "labelLimit": 130}}  # fmt: skip
    tips = [{"field": "feature", "type": "nominal"}, {"field": "group", "type": "nominal", "title": _GROUP},
            {"field": "model", "type": "nominal", "title": "models"},
            _percent("gain", "share of gain"), {"field": "rank", "type": "quantitative"}]  # fmt: skip
    spec = {
        "width": "container", "height": ROW * parts[0].height, "data": {"name": "features"}, "padding": PADDING,
        "params": [chosen, _legend("group")], "transform": [{"filter": "datum.model === models"}],
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {"y": y, "x": x, "color": colour, "opacity": _chosen(), "tooltip": tips},
    }  # fmt: skip
    leading = rows.filter(pl.col("model") == ALL_RUNS).head(5)
    named = ", ".join(f"{row['feature']} {percent(row['gain'])}" for row in leading.iter_rows(named=True))
    return Chart(
        "importance-features", spec, f"Features with the largest share of the gain: {named}.", {"features": rows}
    )


def _leading(gains: pl.DataFrame, name: str) -> pl.DataFrame:
    ordered = gains.sort(name, "feature", descending=[True, False]).head(MOST_FEATURES)
    rank = pl.int_range(1, ordered.height + 1, eager=True)
    return ordered.select("feature", "group", pl.col(name).cast(pl.Float64).alias("gain")).with_columns(
        model=pl.lit(name), rank=rank
    )


def _percent(field: str, title: str) -> dict[str, str]:
    return {"field": field, "type": "quantitative", "format": ".2%", "title": title}


def _legend(field: str) -> dict[str, Any]:
    """Choose by a click in the legend; a double click shows all again."""
    return {"name": "shown", "select": {"type": "point", "fields": [field]}, "bind": "legend"}


def _chosen() -> dict[str, Any]:
    return {"condition": {"param": "shown", "value": 1}, "value": 0.15}
