"""One resolved snapshot of option chains: of which dataset, from where, and what its valuation assumes."""

from __future__ import annotations

from dataclasses import dataclass

from src.config.paths import DatasetPaths
from src.config.schema import Config, OptionsConfig, SourceConfig


@dataclass(frozen=True)
class QuoteJob:
    """What taking a snapshot needs to know.

    Attributes
    ----------
    paths : DatasetPaths
        Where the dataset lies.
    most : int
        How many underlyings are wanted, ``universe.options``.
    options, source
        Sections of the configuration.
    only : list of str
        Narrows the snapshot to these underlyings.
    fresh : bool
        Take again what was taken before.
    hydrate_command : str
        What to type to have bars of the dataset, for messages.
    """

    paths: DatasetPaths
    most: int
    options: OptionsConfig
    source: SourceConfig
    only: list[str]
    fresh: bool
    hydrate_command: str

    @classmethod
    def of(cls, config: Config) -> QuoteJob:
        """Take what a snapshot needs from a configuration.

        Parameters
        ----------
        config : Config
            The whole resolved configuration.

        Returns
        -------
        QuoteJob
            With the sections that are needed.
        """
        return cls(
            config.paths, config.universe.options, config.options, config.source, config.only, config.fresh,
            config.hydrate_command,
        )  # fmt: skip

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.paths.dataset
