import re
import xml.etree.ElementTree as ET

import pytest

from src.reporting.luck_chart import axis_end, luck_chart, luck_sparkline
from src.reporting.report_data import Luck
from tests.reporting.test_charts import parts

LUCK = Luck(57, 41, 31.0, 12.0, 66.0)


def percent(value):
    return float(value.rstrip("%"))


def test_the_chart_places_passes_and_range_on_one_scale():
    drawing = luck_chart(LUCK)
    (dot,), (band,), (middle,) = (
        parts(drawing, "circle", "observed"),
        parts(drawing, "rect", "luck"),
        parts(drawing, "line", "luck-line"),
    )
    start, end = percent(band.get("x")), percent(band.get("x")) + percent(band.get("width"))
    unit = (end - start) / (66 - 12)
    assert percent(dot.get("cx")) == pytest.approx(start + unit * (57 - 12), abs=0.05)
    assert percent(middle.get("x1")) == pytest.approx(start + unit * (31 - 12), abs=0.05)


def test_the_chart_has_a_label_with_its_numbers():
    label = ET.fromstring(luck_chart(LUCK)).get("aria-label")
    assert label == "57 runs passed; luck alone gives about 31 (90% range 12 to 66)"


@pytest.mark.parametrize(
    "luck", [LUCK, Luck(0, 0, 0.0, 0.0, 0.0), Luck(9, 9, None, None, None), Luck(9999, 1, 1.0, 0.0, 2.0)]
)
def test_everything_drawn_lies_inside_the_chart(luck):
    for drawing in (luck_chart(luck), luck_sparkline(luck, axis_end([luck]))):
        places = [percent(p) for p in re.findall(r'(?:x|x1|x2|cx)="([\d.]+%)"', drawing)]
        assert places and all(0 <= p <= 100 for p in places)
