"""What promotion demands of a version: the limits of the gate, and the evidence that a configuration adds.

A demand is met at its limit. An undefined figure misses every demand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields

from src.config.schema import Demands, PromotionConfig
from src.core.errors import ConfigError
from src.core.instruments import POOLED
from src.evaluation.assessment import SCHEMA
from src.evaluation.grade import GATE_METRICS, Thresholds

SHORT_NAMES = {"q": "q_value", "luck": "luck_rate", "oos": "n_oos"}
"""Columns of the grades by the name that a setting such as ``max_q`` gives them."""

_WITHOUT_SKILL = {"auc": 0.5, "accuracy": 0.5, "sharpe": 0.0, "deflated_sharpe": 0.0, "n_oos": 0.0, "z": 0.0}


@dataclass(frozen=True)
class Demand:
    """A limit on one figure of a grade.

    Attributes
    ----------
    figure : str
        Column of the grades.
    limit : float
    is_most : bool
        Whether the limit is the most that is accepted, not the least.
    """

    figure: str
    limit: float
    is_most: bool

    def is_met(self, value: float | None) -> bool:
        """Whether a figure is defined and within the limit.

        Parameters
        ----------
        value : float or None
        """
        if value is None or math.isnan(value):
            return False
        return value <= self.limit if self.is_most else value >= self.limit

    @property
    def span(self) -> float:
        """Distance from the limit to what a model without skill has, by which shortfalls become comparable."""
        usual = _WITHOUT_SKILL.get(self.figure, 1.0 if self.is_most else 0.0)
        return abs(self.limit - usual) or 1.0

    def reason(self, value: float | None) -> str:
        """Say that a figure misses the demand.

        Parameters
        ----------
        value : float or None
        """
        side, word = ("above", "at most") if self.is_most else ("below", "at least")
        if value is None:
            return f"{self.figure} is undefined ({word} {self.limit_text} is demanded)"
        return f"{self.figure} {shown_figure(self.figure, value)} is {side} {self.limit_text}"

    @property
    def limit_text(self) -> str:
        """The limit as a person writes it."""
        return f"{self.limit:.{decimals(self.figure)}f}" if self.figure in _FORMS else f"{self.limit:g}"

    def __str__(self) -> str:
        return f"{self.figure} {'at most' if self.is_most else 'at least'} {self.limit_text}"


def figures() -> list[str]:
    """Columns of the grades of instruments and of portfolios that hold numbers."""
    from src.evaluation.pooled.assessment import POOLED_SCHEMA

    return sorted(name for name, dtype in (SCHEMA | POOLED_SCHEMA).items() if dtype.is_numeric())


_FORMS = {metric.name: 3 if metric.name in ("auc", "accuracy") else 2 for metric in GATE_METRICS} | {"n_oos": 0}


def decimals(figure: str) -> int:
    """Decimals with which a figure is shown.

    Parameters
    ----------
    figure : str
        Column of the grades.
    """
    return _FORMS.get(figure, 4)


def shown_figure(figure: str, value: float) -> str:
    """Write a figure for a person.

    Parameters
    ----------
    figure : str
        Column of the grades.
    value : float
    """
    return f"{value:.{decimals(figure)}f}" if figure in _FORMS else f"{value:.3g}"


@dataclass(frozen=True)
class EvidenceDemands:
    """The evidence demanded of each scope, beyond the gate.

    Attributes
    ----------
    name : str
        Of the configuration.
    instruments, portfolios : tuple of Demand
        Empty where nothing is demanded.
    """

    name: str = "thresholds"
    instruments: tuple[Demand, ...] = ()
    portfolios: tuple[Demand, ...] = ()

    @classmethod
    def of(cls, promotion: PromotionConfig, typed: Mapping[str, float] | None = None) -> EvidenceDemands:
        """Take the demands of a configuration, and those that a person typed, which apply to both scopes.

        Parameters
        ----------
        promotion : PromotionConfig
        typed : mapping, optional
            Limits by key, such as ``max_q_value`` or ``min_deflated_sharpe``.

        Raises
        ------
        ConfigError
            If a key names no figure of the grades.
        """
        added = [_typed(key, limit) for key, limit in (typed or {}).items()]
        instruments, portfolios = (
            _strictest([*_configured(each), *added]) for each in (promotion.instruments, promotion.portfolios)
        )
        return cls(promotion.name, instruments, portfolios)

    def of_model(self, name: str) -> tuple[Demand, ...]:
        """Return the demands of a registered model's scope.

        Parameters
        ----------
        name : str
        """
        return self.portfolios if is_portfolio(name) else self.instruments

    def unmet(self, name: str, figures: Mapping[str, float]) -> tuple[str, ...]:
        """Say which demands a version misses.

        Parameters
        ----------
        name : str
            Of the registered model.
        figures : mapping
            Of its grade, undefined ones left out.
        """
        missed = (demand for demand in self.of_model(name) if not demand.is_met(figures.get(demand.figure)))
        return tuple(demand.reason(figures.get(demand.figure)) for demand in missed)

    def met(self, name: str, figures: Mapping[str, float]) -> str:
        """Say how a version meets the demands; empty where there are none.

        Parameters
        ----------
        name : str
        figures : mapping
        """
        said = (
            f"{each.figure} {shown_figure(each.figure, figures[each.figure])} "
            f"({'at most' if each.is_most else 'at least'} {each.limit_text})"
            for each in self.of_model(name)
            if each.figure in figures
        )
        return ", ".join(said)

    def by_scope(self) -> dict[str, dict[str, float]]:
        """The limits as plain values, for the history."""
        return {
            scope: {f"{'max' if each.is_most else 'min'}_{each.figure}": each.limit for each in demands}
            for scope, demands in (("instruments", self.instruments), ("portfolios", self.portfolios))
        }


def is_portfolio(name: str) -> bool:
    """Whether a registered model is that of a portfolio of a pooled model.

    Parameters
    ----------
    name : str
    """
    return name.lower().startswith(f"{POOLED}.")


def gate_demands(thresholds: Thresholds) -> tuple[Demand, ...]:
    """The limits that the gate itself sets to a promotion.

    Parameters
    ----------
    thresholds : Thresholds
    """
    limits = (Demand(metric.name, thresholds.limit(metric), not metric.at_least) for metric in GATE_METRICS)
    return (*limits, Demand("n_oos", thresholds.min_oos_promote, is_most=False))


def all_demands(thresholds: Thresholds, evidence: Iterable[Demand]) -> tuple[Demand, ...]:
    """The limits of the gate and of the evidence, the strictest of each figure.

    Parameters
    ----------
    thresholds : Thresholds
    evidence : iterable of Demand
    """
    return _strictest([*gate_demands(thresholds), *evidence])


def _configured(demands: Demands) -> Iterator[Demand]:
    for field in fields(demands):
        limit = getattr(demands, field.name)
        if limit is not None:
            yield _typed(field.name, float(limit))


def _typed(key: str, limit: float) -> Demand:
    side, _, name = key.partition("_")
    figure = SHORT_NAMES.get(name, name)
    known = figures()
    if figure not in known:
        raise ConfigError(f"{key} must name a figure of the grades, got {name}: take one of {', '.join(known)}")
    return Demand(figure, limit, is_most=side == "max")


def _strictest(demands: Iterable[Demand]) -> tuple[Demand, ...]:
    """One demand of each figure and side, in their first order."""
    found: dict[tuple[str, bool], Demand] = {}
    for each in demands:
        place = each.figure, each.is_most
        if place not in found or not each.is_met(found[place].limit):
            found[place] = each
    return tuple(found.values())
