from itertools import combinations

import numpy as np
import pytest

from src.evaluation.overfitting import backtest_overfitting


def naive(returns, blocks):
    """The paper's algorithm, choice by choice."""
    length = len(returns) // blocks
    parts = np.array_split(returns[len(returns) - length * blocks :], blocks)
    total, count = 0.0, 0
    for pick in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[i] for i in pick])
        outside = np.concatenate([parts[i] for i in range(blocks) if i not in pick])
        best = int(np.argmax(inside.mean(axis=0) / inside.std(axis=0)))
        ratios = outside.mean(axis=0) / outside.std(axis=0)
        rank = 1 + np.count_nonzero(ratios < ratios[best])  # no ties in these series
        logit = np.log((rank / (len(ratios) + 1)) / (1 - rank / (len(ratios) + 1)))
        total += 0.5 if abs(logit) < 1e-12 else float(logit < 0)
        count += 1
    return total / count


@pytest.mark.parametrize(("settings", "days"), [(2, 60), (3, 67), (7, 200)])
def test_it_equals_the_papers_algorithm(settings, days):
    returns = np.random.default_rng(settings).normal(0.0005, 0.01, size=(days, settings))
    assert backtest_overfitting(returns, 6) == pytest.approx(naive(returns, 6), abs=1e-12)


@pytest.mark.parametrize("settings", [2, 3, 10])
def test_pure_noise_gives_one_half(settings):
    rng = np.random.default_rng(10)
    found = [backtest_overfitting(rng.normal(size=(320, settings))) for _ in range(100)]
    assert np.mean(found) == pytest.approx(0.5, abs=4 * np.std(found) / np.sqrt(len(found)))


def test_a_setting_with_skill_is_best_on_both_halves():
    returns = np.random.default_rng(3).normal(0.0, 0.01, size=(2000, 6))
    returns[:, 2] += 0.003
    assert backtest_overfitting(returns) < 0.01


def test_a_setting_that_earns_on_one_half_what_it_loses_on_the_other_is_overfit():
    """Each setting has one good and one bad stretch: whichever is best in sample owes it to the stretch."""
    rng = np.random.default_rng(4)
    returns = rng.normal(0.0, 0.001, size=(1600, 8))
    for k in range(8):
        returns[k * 100 : (k + 1) * 100, k] += 0.01
        returns[800 + k * 100 : 900 + k * 100, k] -= 0.01
    assert backtest_overfitting(returns) > 0.9


def test_there_is_no_answer_without_two_settings_that_differ():
    returns = np.random.default_rng(5).normal(size=(500, 1))
    assert backtest_overfitting(returns) is None
    assert backtest_overfitting(np.repeat(returns, 3, axis=1)) is None
    assert backtest_overfitting(np.random.default_rng(5).normal(size=(31, 3))) is None
    assert backtest_overfitting(np.column_stack([np.zeros(500), returns[:, 0]])) is not None
