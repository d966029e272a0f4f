"""The table of instruments that pooled scores, own models or both found."""

import numpy as np
import polars as pl
import pytest

from src.evaluation.pooled.by_instrument import SCHEMA
from src.reporting.pooled_by_instrument import by_instrument_section, found_figures
from tests.reporting import pooled_case
from tests.reporting.test_pooled_section import COMMANDS, shown


@pytest.fixture
def table():
    return pooled_case.by_instrument()


def test_each_kind_is_counted_beside_what_luck_gives(table):
    text = shown(by_instrument_section(table, None))
    bits, own = (np.unpackbits(np.array([list(packed) for packed in table[name]], np.uint8), axis=1)
                 for name in ("shift_passes", "own_shift_passes"))  # fmt: skip
    kinds = {"pooled scores alone 2": bits & ~own & 1, "own models alone 1": own & ~bits & 1, "both 1": bits & own}
    for name, lucky in kinds.items():
        counts = np.sort(lucky.sum(axis=0))
        assert f"{name} {counts.mean():.1f} {counts[9]} to {counts[189]}" in text
    assert "neither 36" in text
    assert "Of 40 instruments the pooled scores found 3" in text


def test_the_instruments_that_were_found_are_listed_those_of_both_first(table):
    text = shown(by_instrument_section(table, None))
    listed = text.partition("4 instruments found")[2]
    places = [listed.index(name) for name in ("N00", "N01", "N02", "N03")]
    assert places == sorted(places) and "N04" not in listed
    assert "N00 stock both 0.530 0.80 2.0% ridge 0.540 0.90 3.0% 900" in text


def test_without_own_models_the_command_that_trains_them_is_named(table):
    bare = table.with_columns(
        pl.lit(None).cast(kind).alias(name) for name, kind in SCHEMA.items() if name.startswith("own_")
    )
    bare = bare.with_columns(found_by=pl.col("found_by").replace({"both": "pooled", "own": "neither"}))
    text = shown(by_instrument_section(bare, COMMANDS["instrument"]))
    assert f"No model of one instrument was trained on these days: {COMMANDS['instrument']} trains them." in text
    assert "own models alone" not in text and "pooled scores alone 3" in text


def test_nothing_is_shown_without_a_table():
    assert by_instrument_section(pl.DataFrame(), None) == ""


def test_metrics_hold_the_counts_and_the_luck_among_them(table):
    figures = found_figures(table)
    assert {name: each["seen"] for name, each in figures.items()} == {"pooled_alone": 2, "own_alone": 1, "both": 1}
    assert figures["both"]["expected_lucky"] < figures["pooled_alone"]["expected_lucky"]
