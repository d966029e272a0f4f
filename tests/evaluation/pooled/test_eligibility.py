import dataclasses

import numpy as np
import polars as pl
import pytest

from src.evaluation.pooled.eligibility import eligible, median_dollar_volume
from tests.evaluation.pooled.universe_case import CHOICE, DELISTED, LATE, bars, section_of


@pytest.fixture(scope="module")
def section():
    return section_of(bars())


def naive(section, choice) -> np.ndarray:
    """The rule as its sentence reads, name by name and day by day."""
    days, names = section.shape
    out = np.zeros((days, names), dtype=bool)
    for day in range(days):
        for name in range(names):
            value = np.nan_to_num(section.dollar_volume[: day + 1, name])
            bars = np.flatnonzero(value > 0)
            if bars.size < choice.history or day - bars[0] + 1 < choice.window:
                continue
            rich = np.median(value[-choice.window :]) >= choice.min_dollar_volume[section.asset_class]
            out[day, name] = rich and (value[-choice.untraded_window :] > 0).all()
    out[out.sum(axis=1) < choice.min_names] = False
    return out


def test_a_name_is_eligible_where_the_rule_says_so(section):
    found = eligible(section, CHOICE)
    assert np.array_equal(found, naive(section, CHOICE))
    assert 0.3 < found[60:].mean() < 0.9
    assert (found[60:].any(axis=0) & ~found[60:].all(axis=0)).sum() > 15


def test_a_delisted_name_is_eligible_until_its_last_bar(section):
    rich = dataclasses.replace(CHOICE, min_dollar_volume={"stock": 0.0})
    column = section.symbols.index(DELISTED)
    found = eligible(section, rich)[:, column]
    last = section.last[column]
    assert found[last] and not found[last + 1 :].any()


def test_a_late_listing_needs_its_own_history(section):
    rich = dataclasses.replace(CHOICE, min_dollar_volume={"stock": 0.0}, untraded_window=1)
    column = section.symbols.index(LATE)
    traded = np.cumsum(section.traded[:, column])
    assert np.flatnonzero(eligible(section, rich)[:, column])[0] == np.flatnonzero(traded == CHOICE.history)[0]


def test_the_price_does_not_matter(section):
    scale = pl.col("open", "high", "low", "close") / 64
    cheap = {name: each.with_columns(scale, volume=pl.col("volume") * 64) for name, each in bars().items()}
    assert np.nanmin(section_of(cheap).traded_price) < 0.2
    assert np.array_equal(eligible(section_of(cheap), CHOICE), eligible(section, CHOICE))


def test_a_day_with_too_few_names_has_none(section):
    counts = eligible(section, CHOICE).sum(axis=1)
    most = int(counts.max())
    picky = eligible(section, dataclasses.replace(CHOICE, min_names=most)).sum(axis=1)
    assert set(picky.tolist()) == {0, most}
    assert not eligible(section, dataclasses.replace(CHOICE, min_names=most + 1)).any()


def test_a_session_without_a_trade_counts_as_zero_in_the_median():
    value = np.array([[np.nan], [4.0], [8.0], [np.nan], [np.nan], [np.nan]], dtype=np.float32)
    expected = [[np.nan], [np.nan], [np.nan], [4.0], [0.0], [0.0]]
    assert np.array_equal(median_dollar_volume(value, 3), expected, equal_nan=True)


def test_a_window_longer_than_the_table_leaves_no_name():
    assert np.isnan(median_dollar_volume(np.ones((5, 2), dtype=np.float32), 6)).all()
