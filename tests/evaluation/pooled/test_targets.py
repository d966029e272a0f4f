import dataclasses
import functools

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from src.core.errors import ConfigError
from src.evaluation.pooled.eligibility import eligible
from src.evaluation.pooled.neutralising import centred_ranks
from src.evaluation.pooled.styles import styles
from src.evaluation.pooled.targets import KINDS, pooled_kind, targets
from tests.evaluation.pooled.universe_case import CHOICE, bars, label, section_of


@functools.cache
def universe():
    section = section_of(bars())
    members = eligible(section, CHOICE)
    return section, members, styles(section, members, CHOICE)


@functools.cache
def made(kind: str, horizon: int = 20, **params):
    return targets(*universe(), label(kind, horizon, **params), CHOICE)


def outcome(kind: str, day: int, clip: float) -> tuple[np.ndarray, np.ndarray]:
    """Names with an outcome on a day, and the outcomes, from the definitions."""
    _, members, styles = universe()
    forward = made("outright").forward[day].astype(np.float64)
    names = np.flatnonzero(members[day] & np.isfinite(forward))
    mean, own = forward[names].mean(), np.clip(forward[names], -clip, clip)
    beta, volatility, value = (each[day, names] for each in (styles.beta, styles.volatility, styles.dollar_volume))
    if kind == "outright":
        return names, own
    if kind == "relative":
        return names, own - mean
    if kind == "beta":
        return names, own - beta * mean
    ranks = np.column_stack([centred_ranks(each) for each in (beta, volatility, value)])
    x = np.hstack([ranks, ranks**2])
    return names, (own - LinearRegression().fit(x, own).predict(x)) / volatility


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("day", [170, 250, 340])
def test_outcomes_are_those_of_their_definitions_in_standard_deviations(kind, day):
    found = made(kind, clip=0.1)
    names, expected = outcome(kind, day, 0.1)
    scores = (expected - expected.mean()) / expected.std()
    assert np.array_equal(np.flatnonzero(np.isfinite(found.value[day])), names)
    assert np.allclose(found.value[day, names], scores, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_up_is_above_the_median_of_the_names_of_like_volatility(kind):
    found, (_, _, styles) = made(kind, clip=0.5), universe()
    names, expected = outcome(kind, 250, 0.5)
    order = np.argsort(styles.volatility[250, names])
    assert 20 <= names.size < 30  # two groups of ten names or more
    for group in np.array_split(order, 2):
        above = expected[group] - np.median(expected[group])
        up = np.where(np.abs(above) > 1e-6, above > 0, np.nan)
        assert np.array_equal(found.up[250, names[group]], up, equal_nan=True)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_days_are_balanced_and_of_mean_zero(kind):
    found = made(kind, clip=0.5)
    days = np.isfinite(found.value).any(axis=1)
    assert days.sum() > 200 and not days[-21:].any()
    assert np.allclose(np.nanmean(found.value[days], axis=1), 0, atol=1e-5)
    assert np.allclose(np.nanstd(found.value[days], axis=1), 1, atol=1e-5)
    assert np.allclose(np.nanmean(found.up[days], axis=1), 0.5, atol=0.04)
    assert set(np.unique(found.up[np.isfinite(found.up)])) == {0.0, 1.0}


def test_only_names_that_are_eligible_have_an_outcome():
    found = made("outright")
    for table in (found.value, found.up, found.forward):
        assert not np.isfinite(table[~universe()[1]]).any()


def test_the_neutral_outcome_knows_no_style():
    """Times volatility it is the residual, which is orthogonal to the ranks; of the raw return they explain a part."""
    _, _, styles = universe()
    neutral, raw = made("neutral"), made("outright")
    for day in (150, 250, 350):
        names = np.isfinite(neutral.value[day])
        for table in (styles.beta, styles.volatility, styles.dollar_volume):
            ranks = centred_ranks(table[day, names])
            volatility, value = styles.volatility[day, names], neutral.value[day, names]
            # A z-score hides the mean of residual over volatility; adding it back makes the residual sum to zero.
            left = (value - (value * volatility).mean() / volatility.mean()) * volatility
            assert abs(np.corrcoef(ranks, left)[0, 1]) < 1e-3
            assert abs(np.corrcoef(ranks, raw.value[day, names])[0, 1]) > 1e-3


def test_a_tie_at_the_median_has_no_direction():
    section, members, styles = universe()
    still = section.open.copy()
    still[240:250] = np.where(section.traded[240:250], 7.0, np.nan)
    close = np.where(np.isfinite(still), still, np.nan)
    found = targets(dataclasses.replace(section, open=still, close=close), members, styles, label("beta", 5), CHOICE)
    assert set(found.forward[240][np.isfinite(found.forward[240])]) == {0.0}
    assert np.isnan(found.up[240]).all() and np.isnan(found.value[240]).all()


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r"scope=pooled must be one of beta, neutral, outright, relative, got nutral: d"
    ):
        pooled_kind("nutral")
    with pytest.raises(ConfigError, match=r"got quadratic$"):
        pooled_kind("quadratic")


@pytest.mark.parametrize("clip", [0, -0.5, "half", True, None])
def test_a_clip_that_is_no_return_is_refused(clip):
    with pytest.raises(ConfigError, match=f"label.params.clip must be a return above 0, got {clip}"):
        made("neutral", clip=clip)


def test_a_misspelt_setting_of_the_neutral_kind_is_refused():
    with pytest.raises(ConfigError, match="label.params of kind neutral has clip alone, got clipp"):
        made("neutral", clipp=0.5)


def test_a_fund_is_refused_since_the_mean_of_the_eligible_names_is_subtracted():
    with pytest.raises(ConfigError, match=r"label.params.fund is for scope=instrument, got etf:SPY with scope=pooled"):
        made("beta", fund="etf:SPY")
    made("beta", fund=None)
