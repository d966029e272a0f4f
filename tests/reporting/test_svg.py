import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.reporting import svg


def test_an_element_escapes_its_attributes():
    made = svg.element("text", x='"/><script>', class_="a")
    assert ET.fromstring(made).get("x") == '"/><script>'


def test_text_is_escaped():
    assert ET.fromstring(svg.text("<script>&", 1, 2)).text == "<script>&"


def test_a_scale_maps_ends_to_ends():
    place = svg.scale((2, 4), (10, 0))
    assert (place(2), place(4), place(3)) == (10, 0, 5)


def test_a_scale_of_one_point_maps_to_the_middle():
    assert svg.scale((3, 3), (0, 10))(3) == 5


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 9))
def test_ticks_are_few_round_and_inside(low, span, most):
    ticks = svg.ticks(low, low + span, most)
    assert len(ticks) <= most + 1
    slack = 1e-6 * max(abs(low), abs(low + span), 1)
    assert all(low - slack <= t <= low + span + slack for t in ticks)


def test_a_number_has_no_trailing_zeros_and_no_negative_zero():
    assert [svg.number(v) for v in (2.50, -0.001, 100.0, 1.25)] == ["2.5", "0", "100", "1.25"]


@pytest.mark.parametrize("most", [10, 50, 220])
def test_downsampling_keeps_the_ends_the_peak_and_the_trough(most):
    curve = [(float(k), float((k * 7919 + 500) % 1009)) for k in range(1000)]
    kept = svg.downsampled(curve, most)
    values = [v for _, v in curve]
    assert len(kept) <= most + 2
    assert (kept[0], kept[-1]) == (curve[0], curve[-1])
    assert {min(values), max(values)} <= {v for _, v in kept}
    assert kept == sorted(kept)


def test_a_short_curve_is_left_alone():
    assert svg.downsampled([(0.0, 1.0), (1.0, 2.0)], 10) == [(0.0, 1.0), (1.0, 2.0)]
