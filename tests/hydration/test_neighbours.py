"""What is read of neighbouring rows is what grouping by instrument gives."""

import numpy as np
import polars as pl
import pytest

from src.hydration.neighbours import before_another, last_known, position, previous, so_far
from src.hydration.usual_bars import median


@pytest.fixture
def bars():
    """Instruments of one to nine bars, with values that are unknown."""
    random = np.random.default_rng(5)
    g = np.repeat(np.arange(60), random.integers(1, 10, 60))
    x = pl.Series("x", random.standard_normal(g.size)).set(pl.Series(random.random(g.size) < 0.4), None)
    return pl.DataFrame({"g": g, "x": x, "holds": random.random(g.size) < 0.7})


def test_neighbours_are_those_of_the_same_instrument(bars):
    x, holds, g = pl.col("x"), pl.col("holds"), "g"
    places = pl.int_range(pl.len()).over(g)
    for fast, slow in (
        (previous("x"), x.shift(1).over(g)),
        (last_known(x), x.forward_fill().over(g)),
        (position(), places),
        (so_far(holds), (holds.cast(pl.Int8).cum_min() == 1).over(g)),
        (before_another(holds), places < pl.when(holds).then(places).max().over(g).fill_null(0)),
    ):
        assert bars.select(value=fast).equals(bars.select(value=slow)), str(slow)


@pytest.mark.parametrize("size", [1, 2, 5, 62, 63])
def test_the_median_is_that_of_numpy_to_the_bit(size):
    random = np.random.default_rng(size)
    for _ in range(50):
        values = random.standard_normal(size)
        assert median(values) == np.median(values)
    assert np.isnan(median(np.append(values, np.nan)))
