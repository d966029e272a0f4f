"""Every source, found by its module: what there is, and what each can do."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from src import sources
from src.core.errors import ConfigError
from src.fetching.rate_gate import RateGate
from src.sources.declaration import FileSource, LiveProvider

if TYPE_CHECKING:
    from src.config.schema import LiveSource, SourceConfig
    from src.fetching.provider import Provider, RequestGate

AUTO = "auto"
"""The kind of a source that is no single provider but a chain of several for each asset class."""


@functools.cache
def declarations() -> Mapping[str, FileSource | LiveProvider]:
    """Import the modules of ``src/sources`` and return what they declare, by name, sorted.

    Raises
    ------
    ValueError
        If a name is declared twice, or if two providers claim the names of exchanges.
    """
    declared: dict[str, FileSource | LiveProvider] = {}
    for module in pkgutil.iter_modules(sources.__path__, f"{sources.__name__}."):
        source = getattr(importlib.import_module(module.name), "SOURCE", None)
        if source is None:
            continue
        if source.name in {*declared, AUTO}:
            raise ValueError(f"{module.name} declares a source named {source.name}, a name that is taken")
        declared[source.name] = source
    claimants = [live.name for live in _live(declared) if live.exchange_example]
    if len(claimants) > 1:
        raise ValueError(f"{' and '.join(claimants)} both serve exchanges by name: only one source may")
    return MappingProxyType(dict(sorted(declared.items())))


def is_live(kind: str) -> bool:
    """Whether a kind of source asks providers over the network."""
    return kind == AUTO or isinstance(declarations().get(kind), LiveProvider)


def is_simulated(kind: str) -> bool:
    """Whether a kind of source generates its bars; False for a kind that is not declared (any more)."""
    source = declarations().get(kind)
    return isinstance(source, FileSource) and source.simulated


def file_source(kind: str) -> FileSource:
    """Return the declaration of a source that has its bars at hand.

    Raises
    ------
    ConfigError
        If no such source is declared.
    """
    source = declarations().get(kind)
    if isinstance(source, FileSource):
        return source
    names = [*declarations(), AUTO]
    close = difflib.get_close_matches(kind, names, n=1)
    hint = f"; did you mean {close[0]}?" if close and close[0] != kind else ""
    raise ConfigError(f"source.kind must be one of {', '.join(names)}, got {kind}{hint}")


def provider(name: str) -> LiveProvider:
    """Return the declaration that serves a link of a chain: a provider's name, or the name of an exchange.

    Raises
    ------
    ConfigError
        If the name is that of a source of files, or no declared provider serves exchanges.
    """
    source = declarations().get(name) or _exchange_provider()
    if isinstance(source, LiveProvider):
        return source
    names = ", ".join(name for name in declarations() if is_live(name))
    raise ConfigError(f"source.live.chain: {name} is not a live provider: name one of {names}")


def providers(links: Iterable[str]) -> list[tuple[str, LiveProvider]]:
    """Return the live links of a chain.

    Parameters
    ----------
    links : iterable of str
        Names in a chain.

    Returns
    -------
    list of (str, LiveProvider)
        Each name with the declaration that serves it, in the order of the chain; archives are left out.

    Raises
    ------
    ConfigError
        If a name is neither an archive nor served by a provider.
    """
    return [(link, provider(link)) for link in links if not is_archive(link)]


def links() -> list[str]:
    """Names of sources that a chain may hold, sorted; exchanges come on top, by their own names."""
    return [
        name
        for name, source in declarations().items()
        if (source.archive if isinstance(source, FileSource) else not source.exchange_example)
    ]


def suggested(asset_class: str) -> str:
    """Name a provider that serves an asset class, as an example in messages.

    Parameters
    ----------
    asset_class : str
        stock, etf or crypto.

    Returns
    -------
    str
        A provider's or an exchange's name; a placeholder if no source serves the class.
    """
    serving = (live for live in _live(declarations()) if asset_class in live.asset_classes)
    return next((live.exchange_example or live.name for live in serving), "<provider>")


def connect(name: str, settings: LiveSource, gate: RequestGate) -> Provider:
    """Open a link of a chain.

    Parameters
    ----------
    name : str
        A provider's or an exchange's name.
    settings : LiveSource
        Timeout, proxy and certificates.
    gate : RequestGate
        Passed before each request.

    Raises
    ------
    ConfigError
        If nothing serves that name.
    """
    return provider(name).connect(name, settings, gate)


def gate(name: str, settings: LiveSource) -> RateGate:
    """Make the gate of a provider, with the declared rate where the settings have none.

    Parameters
    ----------
    name : str
        Link of a chain: a provider's or an exchange's name.
    settings : LiveSource
        Its ``rates`` and ``ceilings`` (requests a second) win over the declaration's.
    """
    declared = provider(name)
    return RateGate(name, settings, rate=declared.rate, ceiling=declared.ceiling)


def is_archive(link: str) -> bool:
    """Whether a link of a chain is a source of files that live providers add to."""
    return link in archive_names()


def archive_names() -> tuple[str, ...]:
    """Names of the sources that may begin a chain, sorted."""
    return tuple(source.name for source in declarations().values() if isinstance(source, FileSource) and source.archive)


def dollar_volume_providers() -> tuple[str, ...]:
    """Names of the providers that count the volume of coins in dollars, sorted."""
    return tuple(live.name for live in _live(declarations()) if live.coin_volume_in_dollars)


def archives(source: SourceConfig) -> list[str]:
    """Return the sources of files that a configured source reads: itself, or those that begin its chains, sorted."""
    if not is_live(source.kind):
        return [source.kind]
    return sorted({chain[0] for chain in source.live.chain.values() if chain and is_archive(chain[0])})


def source_files(source: SourceConfig) -> list[Path]:
    """Return every file that a configured source reads, sorted; none where it generates bars or asks providers only.

    Raises
    ------
    ConfigError
        If the path does not exist, or no such source is declared.
    SourceError
        If the path holds nothing that can be read.
    """
    return sorted({path for kind in archives(source) for path in file_source(kind).files(source)})


def _exchange_provider() -> LiveProvider | None:
    return next((live for live in _live(declarations()) if live.exchange_example), None)


def _live(declared: Mapping[str, FileSource | LiveProvider]) -> list[LiveProvider]:
    return [source for source in declared.values() if isinstance(source, LiveProvider)]
