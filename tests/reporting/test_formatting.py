import math

import pytest

from src.reporting.formatting import (
    DASH,
    METRIC_FORMATS,
    about,
    counted,
    escaped,
    expected_count,
    integer,
    iso_date,
    joined,
    percent,
    probability,
    significant,
    three_decimals,
    two_decimals,
)

FORMATS = [percent, probability, two_decimals, three_decimals, integer, significant, expected_count]


@pytest.mark.parametrize("formatted", FORMATS)
@pytest.mark.parametrize("nothing", [None, math.nan, math.inf, -math.inf])
def test_an_undefined_number_is_a_dash(formatted, nothing):
    assert formatted(nothing) == DASH


def test_a_share_too_small_to_show_is_not_shown_as_zero():
    assert (percent(0.0), percent(0.0001), percent(0.5)) == ("0.0%", "<0.1%", "50.0%")


def test_a_chance_has_the_digits_that_matter():
    assert [probability(p) for p in (0.0, 0.0004, 0.0123, 0.5, 1.0)] == ["<0.001", "<0.001", "0.012", "0.50", "1.00"]


def test_a_negative_number_has_a_minus_and_zero_has_none():
    assert (two_decimals(-0.5), two_decimals(-0.001), percent(-0.00001)) == ("\u22120.50", "0.00", "0.0%")


def test_counts_agree_with_their_nouns():
    assert (counted(1, "run"), counted(2061, "run"), counted(0, "pass", "passes")) == (
        "1 run",
        "2,061 runs",
        "0 passes",
    )


def test_expected_counts_show_a_decimal_below_ten_only():
    assert (expected_count(6.46), expected_count(9.96), expected_count(31.2), about(31.2)) == (
        "6.5", "10", "31", "about 31",
    )  # fmt: skip


def test_a_long_list_says_how_many_are_left_out():
    assert joined(list("abcdefg"), 3) == "a, b, c and 4 more"
    assert joined(["a"], 3) == "a"


def test_text_that_could_be_markup_is_escaped():
    assert escaped("<b a='1' c=\"2\">&") == "&lt;b a=&#x27;1&#x27; c=&quot;2&quot;&gt;&amp;"


def test_characters_that_no_xml_allows_are_escaped():
    assert "\x00" not in escaped("A\x00B\x1b") and escaped("A\x00").endswith("\\x00")


def test_an_unknown_date_is_a_dash():
    assert iso_date(None) == DASH


def test_every_metric_has_a_format():
    assert set(METRIC_FORMATS) == {"auc", "accuracy", "sharpe", "max_drawdown"}
