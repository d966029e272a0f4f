"""The one gate: four thresholds and one function, called by training, by promotion and by the registry itself.

Standard library only, because the registry's plugin loads it inside MLflow. Thresholds are data: each rule names a
metric, its side and its lawful range, so that one sentence serves every reason. A metric that is missing, NaN, infinite
or outside its range fails: a drawdown logged as -0.3 must not slip under "at most 0.20".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """One threshold: the metric, the name of its limit, the side it must be on, and the values that are possible."""

    metric: str
    limit: str
    at_least: bool
    lowest: float
    highest: float


RULES = (
    Rule("auc", "min_auc", True, 0.0, 1.0),
    Rule("accuracy", "min_accuracy", True, 0.0, 1.0),
    Rule("sharpe", "min_sharpe", True, -math.inf, math.inf),
    Rule("max_drawdown", "max_drawdown", False, 0.0, 1.0),
)


@dataclass(frozen=True)
class Thresholds:
    """The limits of the gate, and the out-of-sample bars that registration and promotion demand."""

    min_auc: float
    min_accuracy: float
    min_sharpe: float
    max_drawdown: float
    min_oos: int
    min_oos_promote: int

    @classmethod
    def of(cls, source: Any) -> Thresholds:
        """Take the limits from a mapping or from an object's attributes, e.g. the ``grade`` part of the config.

        Raises
        ------
        ValueError
            Where a limit is missing or not a finite number.
        """
        values: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            value = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
            number = _number(value)
            if number is None:
                raise ValueError(f"{name} must be a number, got {value!r}: the gate needs all of its thresholds")
            values[name] = int(number) if name.startswith("min_oos") else number
        return cls(**values)


@dataclass(frozen=True)
class Grade:
    """The verdict on one run.

    Attributes
    ----------
    passed : bool
        The four thresholds alone.
    reasons : tuple of str
        Each threshold missed, e.g. ``sharpe 0.31 is below 0.50``; empty where the run passed.
    against_registration : tuple of str
        ``reasons``, and what else stands against registering: too few out-of-sample bars, an uncleared suspicion.
    against_promotion : tuple of str
        The same with the number of bars that promotion demands.
    """

    passed: bool
    reasons: tuple[str, ...]
    against_registration: tuple[str, ...]
    against_promotion: tuple[str, ...]

    @property
    def registrable(self) -> bool:
        """Whether nothing stands against registration."""
        return not self.against_registration

    @property
    def promotable(self) -> bool:
        """Whether nothing stands against promotion."""
        return not self.against_promotion


def grade(metrics: Mapping[str, Any], thresholds: Thresholds, suspicious: str | None = None) -> Grade:
    """Hold the metrics of a run against the four thresholds.

    Parameters
    ----------
    metrics : mapping
        ``auc``, ``accuracy``, ``sharpe``, ``max_drawdown`` (a positive fraction) and ``n_oos``; others are ignored.
        None, NaN, infinities, strings and impossible values fail.
    thresholds : Thresholds
    suspicious : str, optional
        Why the run looks too good to be true, where no person has cleared it: stands against registration.

    Examples
    --------
    >>> limits = Thresholds(0.52, 0.51, 0.5, 0.20, 500, 1000)
    >>> verdict = grade({"auc": 0.53, "accuracy": 0.52, "sharpe": 0.31, "max_drawdown": 0.1, "n_oos": 900}, limits)
    >>> verdict.passed, verdict.reasons
    (False, ('sharpe 0.31 is below 0.50',))
    """
    reasons = tuple(reason for rule in RULES if (reason := _miss(rule, metrics, thresholds)))
    doubts = (f"suspicious: {suspicious}",) if suspicious else ()
    return Grade(
        passed=not reasons,
        reasons=reasons,
        against_registration=reasons + _shortage(metrics, thresholds.min_oos, "registered") + doubts,
        against_promotion=reasons + _shortage(metrics, thresholds.min_oos_promote, "promoted") + doubts,
    )


def _miss(rule: Rule, metrics: Mapping[str, Any], thresholds: Thresholds) -> str | None:
    value, limit = _number(metrics.get(rule.metric)), float(getattr(thresholds, rule.limit))
    if value is None:
        return f"{rule.metric} is undefined"
    if not rule.lowest <= value <= rule.highest:
        return f"{rule.metric} {value:.2f} is not between {rule.lowest:g} and {rule.highest:g}"
    if (value >= limit) if rule.at_least else (value <= limit):
        return None
    shown, bound = _apart(value, limit)
    return f"{rule.metric} {shown} is {'below' if rule.at_least else 'above'} {bound}"


def _shortage(metrics: Mapping[str, Any], least: int, use: str) -> tuple[str, ...]:
    bars = _number(metrics.get("n_oos"))
    if bars is None:
        return (f"n_oos is undefined: at least {least} out-of-sample bars are needed to be {use}",)
    if bars >= least:
        return ()
    return (f"n_oos {bars:.0f} is below {least}, the out-of-sample bars needed to be {use}",)


def _number(value: Any) -> float | None:
    """Read a finite number; booleans, strings, None, NaN and infinities are none."""
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _apart(value: float, limit: float) -> tuple[str, str]:
    """Print both with as many decimals as tell them apart, two at least."""
    for decimals in range(2, 12):
        shown, bound = f"{value:.{decimals}f}", f"{limit:.{decimals}f}"
        if shown != bound:
            return shown, bound
    return repr(value), repr(limit)
