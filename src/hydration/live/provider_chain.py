"""Who serves an instrument: an archive on disk first where the chain has one, then providers in their order."""

from __future__ import annotations

from dataclasses import dataclass

from src.config.schema import SourceConfig
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.sources import registry


@dataclass(frozen=True)
class Chain:
    """The links of one asset class: `archive` on disk or None, then `providers`, the first that has it serves."""

    archive: str | None
    providers: tuple[str, ...]

    def after(self, provider: str) -> str | None:
        """The provider that is asked if another one does not know an instrument.

        Parameters
        ----------
        provider : str
            One of `providers`.

        Returns
        -------
        str or None
            None after the last.
        """
        following = self.providers[self.providers.index(provider) + 1 :] if provider in self.providers else ()
        return following[0] if following else None


def chains(source: SourceConfig) -> dict[str, Chain]:
    """The chain of every asset class that the source serves.

    Parameters
    ----------
    source : SourceConfig
        With ``live.chain``.

    Returns
    -------
    dict
        Chain by asset class.

    Raises
    ------
    ConfigError
        If a chain names an unknown class or an archive that is not its first link, or no chain names anything.
    """
    found = {}
    for kind, links in source.live.chain.items():
        key = f"source.live.chain.{kind}"
        if kind not in ASSET_CLASSES:
            raise ConfigError(f"{key}: asset class must be one of {', '.join(ASSET_CLASSES)}, got {kind}: rename it")
        misplaced = [link for link in links[1:] if registry.is_archive(link)]
        if misplaced:
            raise ConfigError(f"{key}={links}: an archive ({misplaced[0]}) can only come first: put it there")
        archive = links[0] if links and registry.is_archive(links[0]) else None
        found[kind] = Chain(archive, tuple(links[1:] if archive else links))
    if not any(chain.archive or chain.providers for chain in found.values()):
        kind = ASSET_CLASSES[0]
        example = f"{kind}: [{registry.suggested(kind)}]"
        raise ConfigError(f"source.live.chain names no provider: choose source=auto, or give {example}")
    return found


def unserved(source: SourceConfig) -> list[str]:
    """Asset classes that no link of any chain serves.

    Parameters
    ----------
    source : SourceConfig
        With ``live.chain``.

    Returns
    -------
    list of str
        In the usual order of classes.
    """
    found = chains(source)
    return [kind for kind in ASSET_CLASSES if kind not in found or not (found[kind].archive or found[kind].providers)]


def names(source: SourceConfig) -> list[str]:
    """Every provider that the chains name.

    Parameters
    ----------
    source : SourceConfig
        With ``live.chain``.

    Returns
    -------
    list of str
        Sorted, without archives.
    """
    return sorted({provider for chain in chains(source).values() for provider in chain.providers})
