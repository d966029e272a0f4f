"""The interval of a mean over quarters is that of a one-sample t-test."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from src.evaluation.quarters import mean_over_quarters


def test_the_interval_is_that_of_a_t_test_over_quarters():
    values = np.random.default_rng(1).normal(0.01, 0.02, 17)
    interval = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_over_quarters(values) == pytest.approx((values.mean(), interval.low, interval.high))


def test_two_quarters_say_nothing():
    assert mean_over_quarters(np.array([0.1, 0.2])) is None
