"""One resolved hydration: from which source, into which dataset, under which key."""

from __future__ import annotations

from dataclasses import dataclass

from src.config.paths import DatasetPaths
from src.config.schema import Config, SourceConfig, SplitConfig, UniverseConfig
from src.hydration import provenance
from src.hydration.replacement import recover
from src.market.bars import BarStore


@dataclass(frozen=True)
class HydrationJob:
    """What a hydration needs to know.

    Attributes
    ----------
    paths : DatasetPaths
        Where the dataset lies.
    universe, source, split
        Sections of the configuration: which instruments, from where, and the folds before which liquidity is measured.
    until : str or None
        Last date that is taken.
    only : list of str
        Narrows the hydration to these instruments.
    retry : str or None
        What a live hydration asks for beside what is due.
    fresh : bool
        Build the dataset from nothing beside the old one.
    fingerprint : str
        Hash of the source's content.
    key : str
        Hash of everything that decides the content of the dataset.
    """

    paths: DatasetPaths
    universe: UniverseConfig
    source: SourceConfig
    split: SplitConfig
    until: str | None
    only: list[str]
    retry: str | None
    fresh: bool
    fingerprint: str
    key: str

    @classmethod
    def of(cls, config: Config) -> HydrationJob:
        """Resolve a configuration and check that it may be hydrated at all.

        Parameters
        ----------
        config : Config
            The whole resolved configuration.

        Returns
        -------
        HydrationJob
            With fingerprint and key.

        Raises
        ------
        ConfigError
            If a simulated source is not allowed, the dataset came from another source, or a path does not exist.
        """
        paths, source, chosen = config.paths, config.source, config.universe
        recover(paths.bars)
        store = BarStore(paths.bars)
        if store.exists() and not config.fresh:
            provenance.refuse_other_source(store.manifest, paths.dataset, source, chosen.interval)
        provenance.refuse_invented(source, chosen)
        made_from = provenance.fingerprint(source, paths)
        key = provenance.job_key(made_from, chosen, config.split, source, config.data.until)
        return cls(
            paths, chosen, source, config.split, config.data.until, config.only, config.retry, config.fresh,
            made_from, key,
        )  # fmt: skip

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.paths.dataset
