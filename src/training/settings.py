"""What a training session takes from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from src.config.paths import DatasetPaths
from src.config.schema import (
    Config,
    FeaturesConfig,
    GradeConfig,
    LabelConfig,
    ModelConfig,
    SplitConfig,
    StrategyConfig,
)
from src.core.instruments import Key
from src.runtime.redaction import masked_values


@dataclass(frozen=True)
class TrainingSettings:
    """Choices that shape a training session.

    Attributes
    ----------
    paths : DatasetPaths
        Where the dataset's bars, features, runs, grades and states lie.
    interval : str
        Length of a bar, ``1d`` unless the dataset is intraday.
    models : list of ModelConfig
        Families to train, each with its hyperparameters.
    features, label, split, strategy, grade
        Sections of the configuration.
    seed : int
        Seed of every fit.
    fresh : bool
        Whether to train every run again, as a further attempt of its key.
    only : list of str
        Symbols, or ``class:symbol``, that the command is narrowed to; empty for all.
    config_yaml : str
        The whole configuration as YAML, without passwords, for MLflow's run of the session.
    """

    paths: DatasetPaths
    interval: str
    models: list[ModelConfig]
    features: FeaturesConfig
    label: LabelConfig
    split: SplitConfig
    strategy: StrategyConfig
    grade: GradeConfig
    seed: int
    fresh: bool = False
    only: list[str] = field(default_factory=list)
    config_yaml: str = ""

    @classmethod
    def of(cls, config: Config, models: list[ModelConfig]) -> TrainingSettings:
        """Take the settings of a session from the configuration.

        Parameters
        ----------
        config : Config
            The resolved configuration. This is the one place in training that takes it whole, since MLflow's run of
            the session shows it whole.
        models : list of ModelConfig
            The families that ``model`` stands for.
        """
        return cls(
            paths=config.paths,
            interval=config.universe.interval,
            models=models,
            features=config.features,
            label=config.label,
            split=config.split,
            strategy=config.strategy,
            grade=config.grade,
            seed=config.seed,
            fresh=config.fresh,
            only=config.only,
            config_yaml=yaml.safe_dump(masked_values(config), sort_keys=False),
        )

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.paths.dataset

    def includes(self, key: Key) -> bool:
        """Whether the command is for this instrument: ``only`` may narrow it to others."""
        return not self.only or key[1] in self.only or ":".join(key) in self.only
