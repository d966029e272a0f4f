import datetime as dt
import re
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest

from src.config.schema import GradeConfig
from src.reporting.charts import equity_curve, equity_words, histogram, luck_picture, luck_strip, reach, z_histogram
from src.reporting.session_data import Luck, matching_equity, thresholds, tidy_equity, tidy_grades
from src.reporting.summary import distribution
from tests.reporting.synthetic import equity, grades

LUCK = Luck(57, 41, 31.0, 12.0, 66.0)


def percent(value):
    return float(value.rstrip("%"))


def parts(drawing, tag, kind):
    return [e for e in ET.fromstring(drawing).iter(tag) if e.get("class", "").split()[-1:] == [kind]]


def test_the_picture_places_passes_and_range_on_one_scale():
    drawing = luck_picture(LUCK)
    (dot,), (band,), (middle,) = (
        parts(drawing, "circle", "seen"),
        parts(drawing, "rect", "luck"),
        parts(drawing, "line", "luck-line"),
    )
    start, end = percent(band.get("x")), percent(band.get("x")) + percent(band.get("width"))
    unit = (end - start) / (66 - 12)
    assert percent(dot.get("cx")) == pytest.approx(start + unit * (57 - 12), abs=0.05)
    assert percent(middle.get("x1")) == pytest.approx(start + unit * (31 - 12), abs=0.05)


def test_the_picture_says_its_numbers_in_words():
    label = ET.fromstring(luck_picture(LUCK)).get("aria-label")
    assert label == "57 runs passed; luck alone gives about 31 (90% range 12 to 66)"


@pytest.mark.parametrize(
    "luck", [LUCK, Luck(0, 0, 0.0, 0.0, 0.0), Luck(9, 9, None, None, None), Luck(9999, 1, 1.0, 0.0, 2.0)]
)
def test_everything_drawn_lies_inside_the_picture(luck):
    for drawing in (luck_picture(luck), luck_strip(luck, reach([luck]))):
        places = [percent(p) for p in re.findall(r'(?:x|x1|x2|cx)="([\d.]+%)"', drawing)]
        assert places and all(0 <= p <= 100 for p in places)


@pytest.mark.parametrize("threshold", thresholds(GradeConfig()), ids=lambda t: t.metric)
def test_bars_are_as_high_as_their_counts_and_coloured_by_side(threshold):
    shape = distribution(tidy_grades(grades(200)), threshold)
    drawing = histogram(shape)
    clears, misses, both = (parts(drawing, "rect", kind) for kind in ("clears", "misses", "all"))
    heights = [float(e.get("height")) for e in sorted(clears + misses, key=lambda e: float(e.get("x")))]
    counts = shape.runs[shape.runs > 0]
    assert np.allclose(heights, counts / counts.max() * max(heights), atol=0.02)
    (bound,) = parts(drawing, "line", "bound")
    at = float(bound.get("x1"))
    edges = [(float(e.get("x")), float(e.get("x")) + float(e.get("width")), e in clears) for e in clears + misses]
    assert all(
        (left >= at - 0.01 if threshold.at_least else right <= at + 0.01) == clear for left, right, clear in edges
    )
    assert len(both) == (shape.passed > 0).sum()


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
    return tidy_equity(
        pl.DataFrame({"record_id": ["a"] * len(values), "stamp": stamps, "equity": values, "always_long_equity": held})
    )


def test_an_equity_curve_names_its_dates_and_both_ends():
    words = equity_words(curve([1.0, 1.2, 1.5], [1.0, 0.9, 0.8]), "SPY")
    assert words == "Net equity of SPY from 2020-01-01 to 2020-01-03: 1 became 1.50; always long, sized alike, 0.80"
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
    table = tidy_grades(grades(30, planted=10))
    drawn = tidy_equity(equity(table))
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
