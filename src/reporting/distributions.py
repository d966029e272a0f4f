"""The four metrics over all runs, each against its threshold."""

from __future__ import annotations

from src.reporting.charts import histogram
from src.reporting.formatting import METRIC_FORMS, escaped, share
from src.reporting.session_data import Material
from src.reporting.summary import distribution


def distributions(material: Material) -> str:
    """Write the histogram of each metric with its threshold, the share of runs that clears it, and the median."""
    grades = material.grades
    if grades.is_empty():
        return "<p>No run was graded, so there is nothing to draw.</p>\n"
    figures = ""
    for threshold in material.thresholds:
        shape, form = distribution(grades, threshold), METRIC_FORMS[threshold.metric]
        undefined = f"; undefined in {shape.undefined:,}" if shape.undefined else ""
        words = f"{share(shape.clearing)} of runs clear it; median {form(shape.median)}{undefined}."
        figures += (
            f"<figure><h3>{escaped(threshold.name)}</h3>{histogram(shape)}"
            f"<figcaption>{escaped(words)}</figcaption></figure>\n"
        )
    return (
        '<p class="legend"><span class="key box misses-key"></span>misses the threshold '
        '<span class="key box clears-key"></span>clears it <span class="key box seen-key"></span>clears all four. '
        "Values beyond an axis are counted in its outermost bar.</p>\n"
        f'<div class="grid">\n{figures}</div>\n'
    )
