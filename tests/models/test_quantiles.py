"""Quantiles of columns, against a naive loop."""

import numpy as np
import pytest

from src.models.quantiles import quantiles


def naive(column: np.ndarray, count: int) -> list[float]:
    values = sorted(column[~np.isnan(column)].tolist())
    distinct = sorted(set(values))
    if len(distinct) <= count:
        return distinct
    return sorted({values[(2 * i + 1) * len(values) // (2 * count)] for i in range(count)})


@pytest.mark.parametrize("count", [1, 2, 7, 31])
@pytest.mark.parametrize("rows", [1, 5, 31, 200])
def test_they_are_those_of_a_naive_loop(rows: int, count: int) -> None:
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, 6)).astype(np.float32)
    x[:, 1], x[:, 2], x[:, 3] = np.nan, 4.0, np.round(x[:, 3])
    x[rng.random(rows) < 0.4, 4] = np.nan
    x[: rows // 2, 5] = 0.0
    before = x.copy()
    found = quantiles(x, count)
    assert found.shape == (count, 6)
    assert found.dtype == np.float32
    assert np.array_equal(x, before, equal_nan=True)
    for column, values in zip(found.T, x.T, strict=True):
        kept = ~np.isnan(column)
        assert column[kept].tolist() == naive(values, count)
        assert not kept[kept.sum() :].any()
