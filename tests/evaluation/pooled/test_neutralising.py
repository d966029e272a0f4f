import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression

from src.evaluation.pooled.neutralising import centred_ranks, neutralised, style_basis
from src.evaluation.pooled.styles import Styles

DAYS, NAMES = 12, 60


@pytest.fixture(scope="module")
def tables():
    random = np.random.default_rng(5)
    beta, volatility, value = random.lognormal(0, 1, (3, DAYS, NAMES)).astype(np.float32)
    beta[3, 5] = np.nan
    value[4] = np.round(value[4])  # ties
    members = random.random((DAYS, NAMES)) < 0.8
    scores = (random.standard_normal((DAYS, NAMES)) + 3 * volatility - beta).astype(np.float32)
    scores[random.random(scores.shape) < 0.05] = np.nan
    scores[0] = np.where(members[0], 1.0, np.nan)
    return scores, members, Styles(beta, volatility, value)


def oracle(scores, members, styles) -> np.ndarray:
    """Ranks by SciPy among the members with known styles, least squares by scikit-learn."""
    out = np.full(scores.shape, np.nan)
    parts = (styles.beta, styles.volatility, styles.dollar_volume)
    for day in range(scores.shape[0]):
        inside = members[day] & np.isfinite([part[day] for part in parts]).all(axis=0)
        ranks = np.column_stack([rankdata(part[day, inside]) for part in parts])
        known = np.isfinite(scores[day, inside])
        x = np.hstack([ranks, ranks**2])[known]
        y = scores[day, inside][known].astype(np.float64)
        where = np.flatnonzero(inside)[known]
        out[day, where] = y - LinearRegression().fit(x, y).predict(x)
    return out


def test_residuals_are_those_of_scikit_learn(tables):
    found, expected = neutralised(*tables), oracle(*tables)
    assert np.allclose(found, expected, atol=1e-5 * np.nanmax(np.abs(tables[0])), equal_nan=True)
    assert np.isfinite(found).sum() > 400


def test_what_styles_explain_in_full_leaves_nothing(tables):
    _, members, styles = tables
    inside = members & np.isfinite(styles.beta)
    scores = np.full(members.shape, np.nan)
    for day in range(DAYS):
        ranks = rankdata(styles.volatility[day, inside[day]])
        scores[day, inside[day]] = 2 + 0.1 * ranks - 0.003 * ranks**2
    assert np.nanmax(np.abs(neutralised(scores, members, styles))) < 1e-5


def test_neutralising_twice_is_neutralising_once(tables):
    once = neutralised(*tables)
    assert np.allclose(neutralised(once, *tables[1:]), once, atol=1e-5, equal_nan=True)


def test_a_basis_of_some_days_gives_their_residuals(tables):
    scores, members, styles = tables
    days = slice(3, 9)
    found = style_basis(members, styles, days).residuals(scores[days])
    assert np.array_equal(found, neutralised(*tables)[days], equal_nan=True)


def test_styles_that_repeat_each_other_count_once(tables):
    scores, members, styles = tables
    alike = Styles(styles.volatility, styles.volatility, np.ones_like(styles.volatility))
    found, expected = neutralised(scores, members, alike), oracle(scores, members, alike)
    assert np.allclose(found, expected, atol=1e-5 * np.nanmax(np.abs(scores)), equal_nan=True)


def test_seven_names_have_no_residual(tables):
    scores, members, styles = tables
    few = members.copy()
    few[1, np.flatnonzero(members[1] & np.isfinite(scores[1]))[7:]] = False
    few[2] = False
    found = neutralised(scores, few, styles)
    assert np.isnan(found[1:3]).all() and np.isfinite(found[5]).any()


def test_one_more_name_that_is_not_eligible_changes_no_bit(tables):
    scores, members, styles = tables
    wider = [
        np.insert(each, 10, 9.0, axis=1) for each in (scores, styles.beta, styles.volatility, styles.dollar_volume)
    ]
    found = neutralised(wider[0], np.insert(members, 10, False, axis=1), Styles(*wider[1:]))
    assert np.array_equal(np.delete(found, 10, axis=1), neutralised(*tables), equal_nan=True)


@pytest.mark.parametrize("size", [0, 1, 2, 9, 50])
def test_ranks_are_those_of_scipy_on_another_scale(size):
    values = np.random.default_rng(size).integers(0, 12, size).astype(np.float32)
    expected = (2 * rankdata(values) - 1) / max(size, 1) - 1
    assert np.allclose(centred_ranks(values), expected)
