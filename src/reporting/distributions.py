"""The metrics over all runs, each against its threshold."""

from __future__ import annotations

from src.reporting.binning import distribution
from src.reporting.charts import histogram
from src.reporting.formatting import METRIC_FORMATS, percent
from src.reporting.glossary import explained
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.vega import figure


def distributions_section(data: ReportData) -> str:
    """Write the histogram of each metric, the share of runs that clears its threshold, and the median.

    Returns
    -------
    str
        HTML.
    """
    figures = []
    for threshold in data.thresholds if data.grades.height else ():
        shape, formatted = distribution(data.grades, threshold), METRIC_FORMATS[threshold.metric]
        undefined = f"; undefined in {shape.undefined:,}" if shape.undefined else ""
        caption = f"{percent(shape.clearing)} clear it; median {formatted(shape.median)}{undefined}"
        figures.append(
            {"name": explained(threshold.metric, threshold.name), "chart": figure(histogram(shape)), "caption": caption}
        )
    return render("distributions", figures=figures)
