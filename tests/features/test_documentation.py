"""What the `Returns` section of every feature says, held against what the feature does."""

import inspect
import re

import polars as pl
import pytest

from src.features.catalog import declared, needs_panel
from src.features.compute import compute
from src.features.registry import Feature
from tests.features.series import lively, market, steady
from tests.features.sets import ON_BARS

EVERY = ON_BARS
NO_VOLUME = ("without volume", "equal volumes")
NO_MOVE = ("does not move in the window", "without a move", "no range", "without range", "without a true range",
           "equal returns", "equal absolute returns", "equal volumes", "without volume", "change of the typical",
           "did not move in the 63", "have no range", "either has no move", "did not move before",
           "of bars without")  # fmt: skip


def returns(item: Feature) -> str:
    """The `Returns` section on one line; empty where there is none."""
    return " ".join((inspect.getdoc(item.function) or "").partition("Returns\n-------\n")[2].split())


def bounds(text: str) -> tuple[float, float]:
    """Range that the section states."""
    number = r"(-?\d+)"
    if found := re.search(rf"in \[{number}, {number}\]", text):
        return float(found[1]), float(found[2])
    if found := re.search(rf"\(bars,\), at (least|most) {number}", text):
        return (float(found[2]), float("inf")) if found[1] == "least" else (float("-inf"), float(found[2]))
    assert "(bars,), any sign" in text
    return float("-inf"), float("inf")


def last(bars: pl.DataFrame) -> dict[str, float | None]:
    names = [item.name for item in EVERY]
    return compute(bars, EVERY, market(len(bars))).select(names).row(-1, named=True)


@pytest.mark.parametrize("item", [*declared().values()], ids=lambda item: item.name)
def test_every_feature_states_its_shape_and_range(item):
    assert returns(item).startswith("float64, shape (bars,), ")
    bounds(returns(item))


@pytest.mark.parametrize("seed", [1, 5])
def test_values_lie_in_the_stated_range(seed):
    tables = [compute(bars, EVERY, market(len(bars))) for bars in (lively(900, seed), steady())]
    assert beyond(tables, {item.name: bounds(returns(item)) for item in EVERY}) == []


def beyond(tables: list[pl.DataFrame], ranges: dict[str, tuple[float, float]]) -> list[str]:
    """Columns with a value outside their range by more than float32 rounds."""
    return [
        name
        for name, (low, high) in ranges.items()
        for table in tables
        for values in [table[name].drop_nulls()]
        if len(values) and (values.min() < low - 1e-5 or values.max() > high + 1e-5)
    ]


def test_a_range_that_is_too_narrow_is_caught():
    table = compute(lively(400), [declared()["rsi_14"]])
    assert beyond([table], {"rsi_14": (0.0, 60.0)}) == ["rsi_14"]


def test_what_is_undefined_without_volume_says_so_and_nothing_else():
    values = last(lively(500).with_columns(volume=pl.lit(0.0)))
    undefined = {name for name, value in values.items() if value is None}
    assert {item.name for item in EVERY if any(words in returns(item) for words in NO_VOLUME)} == undefined


def test_what_is_undefined_where_nothing_moves_says_so():
    for name, value in last(steady()).items():
        text = returns(declared()[name])
        if value is None:
            assert any(words in text for words in NO_MOVE), name
        else:
            assert "NaN where the price does not move in the window" not in text, name


def test_the_features_that_need_a_panel_say_what_they_are_without_it():
    says = {item.name for item in EVERY if "NaN without a panel" in returns(item)}
    assert says == {item.name for item in EVERY if needs_panel(item)}
