import datetime as dt
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from src.config.schema import GradeConfig
from src.reporting.binning import distribution
from src.reporting.charts import equity_curve, equity_label, histogram, z_histogram
from src.reporting.report_data import thresholds
from src.reporting.schemas import equity_table, grades_table, matching_equity
from tests.reporting.synthetic import equity, grades


def parts(drawing, tag, kind):
    return [e for e in ET.fromstring(drawing).iter(tag) if e.get("class", "").split()[-1:] == [kind]]


@pytest.mark.parametrize("threshold", thresholds(GradeConfig()), ids=lambda t: t.metric)
def test_bars_are_as_high_as_their_counts_and_coloured_by_side(threshold):
    shape = distribution(grades_table(grades(200)), threshold)
    drawing = histogram(shape)
    clears, misses, passed = (parts(drawing, "rect", kind) for kind in ("clears", "misses", "passed"))
    heights = [float(e.get("height")) for e in sorted(clears + misses, key=lambda e: float(e.get("x")))]
    counts = shape.runs[shape.runs > 0]
    assert np.allclose(heights, counts / counts.max() * max(heights), atol=0.02)
    (line,) = parts(drawing, "line", "threshold")
    at = float(line.get("x1"))
    edges = [(float(e.get("x")), float(e.get("x")) + float(e.get("width")), e in clears) for e in clears + misses]
    assert all(
        (left >= at - 0.01 if threshold.at_least else right <= at + 0.01) == clear for left, right, clear in edges
    )
    assert len(passed) == (shape.passed > 0).sum()


def test_the_luck_curve_has_the_area_of_the_bars():
    z = np.random.default_rng(0).standard_normal(20_000).tolist()
    drawing = z_histogram(z)
    bars = sum(float(e.get("width")) * float(e.get("height")) for e in parts(drawing, "rect", "clears"))
    (line,) = parts(drawing, "path", "luck-line")
    points = np.array([[float(v) for v in p.split()] for p in line.get("d")[1:].split("L")])
    area = np.trapezoid(points[:, 1].max() - points[:, 1], points[:, 0])
    assert area == pytest.approx(bars, rel=0.09)


def curve(values, always=None):
    stamps = [dt.date(2020, 1, 1) + dt.timedelta(days=k) for k in range(len(values))]
    held = always or [None] * len(values)
    return equity_table(
        pl.DataFrame({"record_id": ["a"] * len(values), "stamp": stamps, "equity": values, "always_long_equity": held})
    )


def test_an_equity_curve_names_its_dates_and_both_ends():
    label = equity_label(curve([1.0, 1.2, 1.5], [1.0, 0.9, 0.8]), "SPY")
    assert (
        label
        == "Net equity of SPY from 2020-01-01 to 2020-01-03: 1 became 1.50; always long with the same sizing, 0.80"
    )
    drawing = equity_curve(curve([1.0, 1.2, 1.5], [1.0, 0.9, 0.8]), "SPY")
    assert "\u00d71.50" in drawing and "\u00d70.80" in drawing


@pytest.mark.parametrize("values", [[1.0], [1.0, 1.0], [1.0, 0.0], [1e-9, 1e9]])
def test_an_odd_equity_curve_is_still_drawn(values):
    assert "NaN" not in equity_curve(curve(values), "X") and ET.fromstring(equity_curve(curve(values), "X")) is not None


def test_ends_that_meet_are_written_apart():
    drawing = equity_curve(curve([1.0, 1.5], [1.0, 1.5001]), "X")
    ys = [float(e.get("y")) for e in ET.fromstring(drawing).iter("text") if "end" in e.get("class", "").split()]
    assert abs(ys[0] - ys[1]) >= 14


def test_a_curve_of_another_strategy_is_not_shown():
    table = grades_table(grades(30, planted=10))
    drawn = equity_table(equity(table))
    falls = {}
    for (record,), part in drawn.group_by(["record_id"], maintain_order=True):
        values = np.concatenate([[1.0], part["equity"].to_numpy()])
        falls[record] = float((1 - values / np.maximum.accumulate(values)).max())
    kept = list(falls)[::2]
    graded = table.with_columns(
        max_drawdown=pl.col("record_id").replace_strict(
            {k: falls[k] for k in kept}, default=0.9, return_dtype=pl.Float64
        )
    )
    assert set(matching_equity(drawn, graded)["record_id"]) == set(kept)
    assert matching_equity(drawn.clear(), graded).is_empty()
