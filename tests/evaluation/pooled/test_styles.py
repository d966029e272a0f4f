import dataclasses

import numpy as np
import pytest

from src.evaluation.pooled.eligibility import eligible, median_dollar_volume
from src.evaluation.pooled.styles import market_returns, styles
from tests.evaluation.pooled.universe_case import CHOICE, DELISTED, bars, section_of


@pytest.fixture(scope="module")
def section():
    return section_of(bars())


@pytest.fixture(scope="module")
def members(section):
    return eligible(section, CHOICE)


@pytest.fixture(scope="module")
def found(section, members):
    return styles(section, members, CHOICE)


def naive_returns(section) -> np.ndarray:
    out = np.full(section.shape, np.nan)
    for name in range(section.shape[1]):
        days = np.flatnonzero(np.isfinite(section.close[:, name]))
        out[days[1:], name] = section.close[days[1:], name] / section.close[days[:-1], name] - 1
    return out


def test_the_market_is_the_mean_of_the_names_that_were_eligible_the_day_before(section, members):
    change, found = naive_returns(section), market_returns(section, members)
    for day in (0, 30, 61, 100, 250, 400):
        held = [change[day, name] for name in range(section.shape[1]) if day and members[day - 1, name]]
        held = [each for each in held if np.isfinite(each)]
        assert found[day] == pytest.approx(np.mean(held), abs=1e-11) if held else np.isnan(found[day])
    assert np.isfinite(found).sum() > 300


def test_betas_and_volatilities_are_those_of_their_definitions(section, members, found):
    change, market = naive_returns(section), market_returns(section, members)
    for day, name in np.random.default_rng(1).integers(0, section.shape, (400, 2)):
        last = change[max(day - 62, 0) : day + 1, name]
        last = last[np.isfinite(last)]
        expected = last.std(ddof=1) if last.size >= 42 else np.nan
        assert found.volatility[day, name] == pytest.approx(expected, rel=1e-5, nan_ok=True)
        pair = np.stack([market, change[:, name]])[:, max(day - 251, 0) : day + 1]
        pair = pair[:, np.isfinite(pair).all(axis=0)]
        expected = np.cov(pair)[0, 1] / pair[0].var(ddof=1) if pair.shape[1] >= 42 else np.nan
        assert found.beta[day, name] == pytest.approx(expected, rel=1e-4, abs=1e-5, nan_ok=True)
    assert np.isfinite(found.beta).mean() > 0.5 and np.isfinite(found.volatility).mean() > 0.8


def test_traded_value_is_the_median_of_the_eligibility(section, found):
    assert np.array_equal(found.dollar_volume, median_dollar_volume(section.dollar_volume, 20), equal_nan=True)


def test_a_price_that_stands_still_has_no_volatility(section, members):
    frozen = section.close.copy()
    frozen[200:, 3] = frozen[200, 3]
    still = styles(dataclasses.replace(section, close=frozen), members, CHOICE)
    assert np.isnan(still.volatility[263:, 3]).all() and np.isfinite(still.volatility[199, 3])


def test_one_bad_print_leaves_the_beta_of_its_name_within_reason(section, members, found):
    close = section.close.copy()
    close[300, 7] *= 500
    bad = styles(dataclasses.replace(section, close=close), members, CHOICE)
    assert np.abs(bad.beta[300:, 7]).max() < 25
    others = np.delete(np.arange(section.shape[1]), 7)
    assert np.nanmax(np.abs(bad.beta - found.beta)[:, others]) < 1.5


def test_what_is_known_of_a_name_after_its_last_bar_fades(section, found):
    column = section.symbols.index(DELISTED)
    assert np.isnan(found.volatility[section.last[column] + 63 :, column]).all()
