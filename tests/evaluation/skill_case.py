"""Skill as a simulation has it: scores of any pace, returns that follow them, and what becomes of them a bar late."""

import numpy as np
from scipy.signal import lfilter

from src.evaluation.metrics import accuracy, auc, max_drawdown, sharpe
from src.evaluation.strategy import TradingConditions, performance
from src.evaluation.suspicion import one_bar_later, shifted_excess


def autoregressive(n, persistence, rng):
    shocks = rng.normal(size=n) * np.sqrt(1.0 - persistence**2)
    shocks[0] = rng.normal()
    return lfilter([1.0], [1.0, -persistence], shocks)


def edge(n, persistence, strength, rng):
    """Scores and one-bar returns that follow them: what a skilled model has."""
    score = autoregressive(n, persistence, rng)
    noise = rng.standard_t(4, size=n) / np.sqrt(2.0)
    change = 0.012 * (strength * score + np.sqrt(1.0 - strength**2) * noise) + 0.0003
    change[rng.random(n) < 0.01] = 0.0
    return score, change


def later(score, change, size=0.5):
    exposure = (score > np.median(score) - 0.02) * 1.0
    conditions = TradingConditions(np.full(score.size, size), np.full(score.size, 5e-4), change)
    return one_bar_later(score, exposure, conditions, 252.0, 126), performance(exposure, conditions).net


def direction(change):
    return np.where(np.abs(change) > 1e-6, (change > 0) * 1.0, np.nan)


def clears(score, change, net):
    label, ratio, fall = direction(change), sharpe(net, 252.0), max_drawdown(net)
    right = accuracy(label, np.where(score > np.median(score) - 0.02, 0.6, 0.4))
    return auc(label, score) >= 0.52 and right >= 0.51 and ratio >= 0.5 and fall <= 0.2


def z_of(score, change):
    """The AUC in standard deviations of its shifts."""
    excess = shifted_excess(direction(change), score)[1:-126]
    return (auc(direction(change), score) - 0.5 - excess.mean()) / excess.std(ddof=1)
