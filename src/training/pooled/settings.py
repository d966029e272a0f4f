"""What a session of the pooled scope takes from the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from src.core.errors import ConfigError
from src.models.registry import pooled_family
from src.training.settings import TrainingSettings

if TYPE_CHECKING:
    from src.config.schema import Config, EligibilityConfig, LabelConfig, ModelConfig, PortfolioConfig, ScopeConfig

ENSEMBLE = "ensemble"
"""Family of a run whose scores are the mean rank of several families."""


@dataclass(frozen=True)
class PooledSettings:
    """Choices that shape a session of the pooled scope.

    Attributes
    ----------
    training : TrainingSettings
        What both scopes share: paths, families, features, split, grade and seed. Its label names no market, so that
        the dataset's inputs are read without a pinned panel of returns.
    label : LabelConfig
        What is predicted of each name and day.
    scope, eligibility, portfolio
        Sections of the configuration.
    is_ensemble : bool
        Whether the rank mean of the families is the one run of a class; otherwise each family is a run.
    """

    training: TrainingSettings
    label: LabelConfig
    scope: ScopeConfig
    eligibility: EligibilityConfig
    portfolio: PortfolioConfig
    is_ensemble: bool

    @classmethod
    def of(cls, config: Config, models: list[ModelConfig]) -> PooledSettings:
        """Take the settings of a session from the configuration.

        Parameters
        ----------
        config : Config
            The resolved configuration.
        models : list of ModelConfig
            The families that ``model`` stands for.

        Raises
        ------
        ConfigError
            For what the pooled scope has no use for, ``only`` and ``placebo``, and for a family without a pooled fit.
        """
        for model in models:
            pooled_family(model.family)
        if config.only:
            raise ConfigError(f"only={config.only} is for scope=instrument: a cross-section needs all its names")
        if config.placebo:
            raise ConfigError(
                f"placebo={config.placebo:g} is for scope=instrument: the evidence of a pooled run has its own nulls"
            )
        training = TrainingSettings.of(config, models)
        outright = replace(config.label, name="outright", kind="outright", params={})
        return cls(
            training=replace(training, label=outright),
            label=config.label,
            scope=config.scope,
            eligibility=config.eligibility,
            portfolio=config.portfolio,
            is_ensemble=config.model.family == ENSEMBLE,
        )

    def models(self, asset_class: str) -> list[ModelConfig]:
        """Return the families that are for a class."""
        return [model for model in self.training.models if not model.classes or asset_class in model.classes]

    def symbol(self, asset_class: str) -> str:
        """Name of a class's portfolio, such as ``stock.neutral``: the symbol of its runs, whose class is ``pooled``."""
        return f"{asset_class}.{self.portfolio.name}"


def refuse_price_scale(names: Sequence[str]) -> None:
    """Refuse features that depend on the level of prices: ranked across names, they would know later splits.

    Parameters
    ----------
    names : sequence of str
        Features of a price scale; empty where there are none.

    Raises
    ------
    ConfigError
        If there are any.
    """
    if names:
        raise ConfigError(
            f"features of scope=pooled must not depend on the level of prices, got {', '.join(names)}: files state "
            "prices after later splits, so that a rank of levels knows them. Divide by the close, or leave them out of "
            "features.names"
        )
