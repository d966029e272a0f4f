"""One resolved collection of research: of which dataset, from which sources, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass

from src.config.paths import DatasetPaths
from src.config.schema import Config, LiveSource, ResearchConfig, SourceConfig, UniverseConfig


@dataclass(frozen=True)
class ResearchJob:
    """What collecting and deriving need to know.

    Attributes
    ----------
    paths : DatasetPaths
    universe, research, source
        Sections of the configuration.
    until : str or None
        Last day of generated bars.
    hydrate_command : str
        What to type to have bars of the dataset, for messages.
    """

    paths: DatasetPaths
    universe: UniverseConfig
    research: ResearchConfig
    source: SourceConfig
    until: str | None
    hydrate_command: str

    @classmethod
    def of(cls, config: Config) -> ResearchJob:
        """Take what the job needs from a configuration.

        Parameters
        ----------
        config : Config
            The whole resolved configuration.

        Returns
        -------
        ResearchJob
        """
        return cls(
            config.paths, config.universe, config.research, config.source, config.data.until, config.hydrate_command
        )

    @property
    def live(self) -> LiveSource:
        """Pace, proxy, contact."""
        return self.source.live
