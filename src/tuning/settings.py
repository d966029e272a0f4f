"""What tuning takes from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from src.config import paths
from src.config.paths import DatasetPaths
from src.config.schema import Config, FeaturesConfig, LabelConfig, SplitConfig, TuneConfig

if TYPE_CHECKING:
    from src.config.schema import EligibilityConfig, PortfolioConfig, ScopeConfig


@dataclass(frozen=True)
class TuningSettings:
    """Choices that shape a search.

    Attributes
    ----------
    paths : DatasetPaths
        Where the dataset's bars, features and studies lie.
    interval : str
        Length of a bar, ``1d`` unless the dataset is intraday.
    features, label, split, tune
        Sections of the configuration.
    seed : int
        Seed of the draw, of the proposals and of every fit.
    """

    paths: DatasetPaths
    interval: str
    features: FeaturesConfig
    label: LabelConfig
    split: SplitConfig
    tune: TuneConfig
    seed: int

    @classmethod
    def of(cls, config: Config) -> TuningSettings:
        """Take the settings of tuning from the configuration.

        Parameters
        ----------
        config : Config
            The resolved configuration; the one place in tuning that takes it whole.
        """
        return cls(
            config.paths,
            config.universe.interval,
            config.features,
            config.label,
            config.split,
            config.tune,
            config.seed,
        )

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.paths.dataset

    @property
    def inner_split(self) -> SplitConfig:
        """Split of the walk-forward inside the window: the grade's, with shorter folds and an earlier start."""
        return replace(
            self.split,
            until=None,
            fold_months=self.tune.fold_months,
            first_train_bars=self.tune.first_train_bars,
        )


@dataclass(frozen=True)
class PooledTuning:
    """Choices that shape a search for a pooled model's settings.

    Attributes
    ----------
    common : TuningSettings
        What it has in common with the search for one instrument's.
    scope, eligibility, portfolio
        Sections of the configuration.
    listings : Path
        Folder of the exchanges' listings.
    """

    common: TuningSettings
    scope: ScopeConfig
    eligibility: EligibilityConfig
    portfolio: PortfolioConfig
    listings: Path

    @classmethod
    def of(cls, config: Config) -> PooledTuning:
        """Take the settings of pooled tuning from the configuration.

        Parameters
        ----------
        config : Config
            The resolved configuration.
        """
        listings = paths.listings(config.data.root)
        return cls(TuningSettings.of(config), config.scope, config.eligibility, config.portfolio, listings)
