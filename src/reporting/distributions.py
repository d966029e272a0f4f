"""The four metrics over all runs, each against its threshold."""

from __future__ import annotations

from src.reporting.charts import histogram
from src.reporting.formatting import METRIC_FORMS, share
from src.reporting.rendering import drawn, render
from src.reporting.session_data import Material
from src.reporting.summary import distribution


def distributions(material: Material) -> str:
    """Write the histogram of each metric with its threshold, the share of runs that clears it, and the median."""
    figures = []
    for threshold in material.thresholds if material.grades.height else ():
        shape, form = distribution(material.grades, threshold), METRIC_FORMS[threshold.metric]
        undefined = f"; undefined in {shape.undefined:,}" if shape.undefined else ""
        words = f"{share(shape.clearing)} of runs clear it; median {form(shape.median)}{undefined}."
        figures.append({"name": threshold.name, "drawing": drawn(histogram(shape)), "words": words})
    return render("distributions", figures=figures)
