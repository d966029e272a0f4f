import numpy as np
import pandas as pd
import pytest

from src.evaluation.pooled import rolling


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((90, 7)).astype(np.float32)


def test_blocks_cover_every_column_once():
    covered = [column for block in rolling.column_blocks(600) for column in range(600)[block]]
    assert covered == list(range(600))
    assert list(rolling.column_blocks(0)) == []


@pytest.mark.parametrize("window", [1, 4, 21, 90, 200])
def test_medians_and_sums_are_those_of_pandas(values, window):
    whole = pd.DataFrame(values.astype(np.float64)).rolling(window, min_periods=1)
    assert np.allclose(rolling.window_sums(values, window), whole.sum(), atol=1e-9)
    medians = pd.DataFrame(values).rolling(window).median()
    assert np.allclose(rolling.window_medians(values, window), medians, atol=1e-6, equal_nan=True)


def test_a_return_after_days_without_a_trade_spans_them():
    close = np.array([[np.nan, 2.0], [5.0, 4.0], [np.nan, np.nan], [np.nan, 3.0], [10.0, 3.0]])
    expected = [[np.nan, np.nan], [np.nan, 1.0], [np.nan, np.nan], [np.nan, -0.25], [1.0, 0.0]]
    assert np.array_equal(rolling.close_returns(close), expected, equal_nan=True)


def test_one_more_column_changes_no_bit_of_the_others(values):
    wide = np.concatenate([values[:, :3], values[:, 3:4] * 100, values[:, 3:]], axis=1)
    for made in (rolling.window_sums, rolling.window_medians):
        assert np.array_equal(np.delete(made(wide, 21), 3, axis=1), made(values, 21), equal_nan=True)
