"""The one gate: the metrics of a grade, their thresholds, and one function that training, promotion and registry call.

Importing this module needs the standard library alone, because the registry's plugin loads it inside MLflow; the
functions that compute a metric import what they need when they are called. A metric is one entry of `GATE_METRICS`:
tables, logs, reports and the database's triggers iterate over it. A metric that is missing, NaN, infinite or outside
its range fails: a drawdown logged as -0.3 must not slip under "at most 0.20".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.core.arrays import FloatArray


@dataclass(frozen=True)
class Outcomes:
    """What a run's out-of-sample predictions came to: all that its metrics are computed from.

    Attributes
    ----------
    label : float64, shape (n,), in {0, 1, NaN}
        Direction that each decision predicted; NaN where it has no label.
    score : float64, shape (n,)
        P(up) of each decision.
    net : float64, shape (n,)
        Net return of each bar, flat ones included.
    bars_per_year : float
        For annualising.
    """

    label: FloatArray
    score: FloatArray
    net: FloatArray
    bars_per_year: float


@dataclass(frozen=True)
class GateMetric:
    """One metric of the gate.

    Attributes
    ----------
    name : str
        Column of the grades, and name of the metric on an MLflow run.
    threshold : str
        Field of ``GradeConfig`` that holds its limit.
    at_least : bool
        Whether higher is better: a run clears at or above the limit; else at or below it.
    lowest, highest : float
        Values that are possible; any other fails.
    compute : callable
        Takes `Outcomes` and returns the metric, None where it is undefined.
    title, short_title : str
        How reports and tables name it.
    form : str
        Format specification for a person, as Python's `format` takes it.
    usual : tuple of float
        Values between which most runs lie: the span of its histogram.
    bin_width : float
        Width of the histogram's bins.
    """

    name: str
    threshold: str
    at_least: bool
    lowest: float
    highest: float
    compute: Callable[[Outcomes], float | None]
    title: str
    short_title: str
    form: str
    usual: tuple[float, float]
    bin_width: float

    def code(self) -> Mapping[str, str]:
        """State what decides values and verdicts, for hashes of code.

        Returns
        -------
        mapping of str to str
            The rule and the digest of `compute`; how the metric is shown is left out.
        """
        from src.core.code_hash import code_digest

        rule = (self.name, self.threshold, self.at_least, self.lowest, self.highest)
        return {"rule": repr(rule), "compute": code_digest(self.compute)}

    def clears(self, value: float | None, limit: float) -> bool:
        """Whether a value is possible and on the right side of the limit.

        Parameters
        ----------
        value : float or None
        limit : float

        Returns
        -------
        bool
            False where the value is undefined or out of range.
        """
        if value is None or not self.lowest <= value <= self.highest:
            return False
        return value >= limit if self.at_least else value <= limit


def _auc(run: Outcomes) -> float | None:
    from src.evaluation.metrics import auc

    return auc(run.label, run.score)


def _accuracy(run: Outcomes) -> float | None:
    from src.evaluation.metrics import accuracy

    return accuracy(run.label, run.score)


def _sharpe(run: Outcomes) -> float | None:
    from src.evaluation.metrics import sharpe

    return sharpe(run.net, run.bars_per_year)


def _max_drawdown(run: Outcomes) -> float | None:
    from src.evaluation.metrics import max_drawdown

    return max_drawdown(run.net)


GATE_METRICS = (
    GateMetric("auc", "min_auc", True, 0.0, 1.0, _auc, "AUC", "AUC", ".3f", (0.42, 0.62), 0.005),
    GateMetric(
        "accuracy", "min_accuracy", True, 0.0, 1.0, _accuracy, "Accuracy", "accuracy", ".1%", (0.42, 0.62), 0.005
    ),
    GateMetric(
        "sharpe", "min_sharpe", True, -math.inf, math.inf, _sharpe, "Sharpe ratio", "Sharpe", ".2f", (-2.0, 3.0), 0.1
    ),
    GateMetric(
        "max_drawdown", "max_drawdown", False, 0.0, 1.0, _max_drawdown, "Max drawdown", "drawdown", ".1%", (0.0, 0.5),
        0.01,
    ),
)  # fmt: skip
"""The metrics of the gate, in the order in which tables and messages show them."""


@dataclass(frozen=True)
class Thresholds:
    """The limits of the gate, and the out-of-sample bars that registration and promotion demand.

    Attributes
    ----------
    limits : mapping of str to float
        One for each of `GATE_METRICS`, by the name of its threshold.
    min_oos, min_oos_promote : int
        Out-of-sample bars to be registered and to be promoted.
    """

    limits: Mapping[str, float]
    min_oos: int
    min_oos_promote: int

    @classmethod
    def of(cls, source: Any) -> Thresholds:
        """Take the limits from a mapping or from an object's attributes.

        Parameters
        ----------
        source : mapping or object
            E.g. the ``grade`` section of the configuration, or a table of the database.

        Returns
        -------
        Thresholds

        Raises
        ------
        ValueError
            Where a limit is missing or not a finite number.
        """
        values: dict[str, float] = {}
        for name in (*(metric.threshold for metric in GATE_METRICS), "min_oos", "min_oos_promote"):
            value = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
            number = _number(value)
            if number is None:
                raise ValueError(f"{name} must be a number, got {value!r}: the gate needs all of its thresholds")
            values[name] = number
        demanded = int(values.pop("min_oos")), int(values.pop("min_oos_promote"))
        return cls(values, *demanded)

    def limit(self, metric: GateMetric) -> float:
        """Return the limit of a metric."""
        return self.limits[metric.threshold]

    def by_name(self) -> dict[str, float]:
        """Name every threshold as its setting does.

        Returns
        -------
        dict of str to float
            As `of` takes it.
        """
        return {**self.limits, "min_oos": self.min_oos, "min_oos_promote": self.min_oos_promote}

    def cleared_by(self, values: Mapping[str, float | None]) -> bool:
        """Whether the values of some of the metrics clear their limits.

        Parameters
        ----------
        values : mapping of str to float or None
            By the metric's name.

        Returns
        -------
        bool
        """
        by_name = {metric.name: metric for metric in GATE_METRICS}
        return all(by_name[name].clears(value, self.limit(by_name[name])) for name, value in values.items())


@dataclass(frozen=True)
class Grade:
    """The verdict on one run.

    Attributes
    ----------
    passed : bool
        Whether every metric clears its threshold, whatever else stands against the run.
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
    """Compare the metrics of a run with the thresholds.

    Parameters
    ----------
    metrics : mapping
        The values of `GATE_METRICS` by name (drawdown is a positive fraction) and ``n_oos``; others are ignored. None,
        NaN, infinities, strings and impossible values fail.
    thresholds : Thresholds
    suspicious : str, optional
        Why the run looks too good to be true, where no person has cleared it: stands against registration.

    Returns
    -------
    Grade

    Examples
    --------
    >>> limits = Thresholds({"min_auc": 0.52, "min_accuracy": 0.51, "min_sharpe": 0.5, "max_drawdown": 0.2}, 500, 1000)
    >>> verdict = grade({"auc": 0.53, "accuracy": 0.52, "sharpe": 0.31, "max_drawdown": 0.1, "n_oos": 900}, limits)
    >>> verdict.passed, verdict.reasons
    (False, ('sharpe 0.31 is below 0.50',))
    """
    reasons = tuple(reason for metric in GATE_METRICS if (reason := _miss(metric, metrics, thresholds)))
    doubts = (f"suspicious: {suspicious}",) if suspicious else ()
    return Grade(
        passed=not reasons,
        reasons=reasons,
        against_registration=reasons + _shortage(metrics, thresholds.min_oos, "registered") + doubts,
        against_promotion=reasons + _shortage(metrics, thresholds.min_oos_promote, "promoted") + doubts,
    )


def _miss(metric: GateMetric, metrics: Mapping[str, Any], thresholds: Thresholds) -> str | None:
    value, limit = _number(metrics.get(metric.name)), thresholds.limit(metric)
    if value is None:
        return f"{metric.name} is undefined"
    if not metric.lowest <= value <= metric.highest:
        return f"{metric.name} {value:.2f} is not between {metric.lowest:g} and {metric.highest:g}"
    if metric.clears(value, limit):
        return None
    shown, bound = _apart(value, limit)
    return f"{metric.name} {shown} is {'below' if metric.at_least else 'above'} {bound}"


def _shortage(metrics: Mapping[str, Any], least: int, use: str) -> tuple[str, ...]:
    bars = _number(metrics.get("n_oos"))
    if bars is None:
        return (f"n_oos is undefined: at least {least} out-of-sample bars are needed to be {use}",)
    if bars >= least:
        return ()
    return (f"n_oos {bars:.0f} is below {least}, the out-of-sample bars needed to be {use}",)


def _number(value: Any) -> float | None:
    """Finite number that a value is; None for booleans, strings, None, NaN and infinities."""
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _apart(value: float, limit: float) -> tuple[str, str]:
    """Both with as many decimals as show that they differ, at least two."""
    for decimals in range(2, 12):
        shown, bound = f"{value:.{decimals}f}", f"{limit:.{decimals}f}"
        if shown != bound:
            return shown, bound
    return repr(value), repr(limit)
