"""What a source is: the two kinds of declaration, and the values that pass between a source and its caller.

A module or package of ``src/sources`` is a source if it binds ``SOURCE`` to a `FileSource` or a `LiveProvider`. The
registry finds it; together with ``conf/source/<name>.yaml`` it can be chosen as ``source=<name>``. The rest of the
project asks the registry for what a source can do and never for its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.end_state import EndState
from src.core.errors import StageError
from src.core.finding import BarFinding
from src.core.instruments import Key

if TYPE_CHECKING:
    import polars as pl

    from src.config.schema import LiveSource, SourceConfig
    from src.fetching.provider import Provider, RequestGate


class SourceError(StageError):
    """A source that can't be used: what is wrong, where, and the remedy."""


@dataclass(frozen=True)
class Selection:
    """Which instruments are wanted, at which interval, up to which date.

    Attributes
    ----------
    wanted : DataFrame
        asset_class, symbol, bucket.
    interval : str
        Length of a bar, ``1d`` or ``1h``.
    until : str or None
        Last date that a generated series should reach, YYYY-MM-DD. Sources that read files may give more.
    """

    wanted: pl.DataFrame
    interval: str = "1d"
    until: str | None = None


@dataclass(frozen=True)
class Batch:
    """The rows of one bucket's instruments, unchanged and in the order of the source.

    Attributes
    ----------
    bucket : int
        Bucket of the instruments.
    bars : DataFrame
        asset_class, symbol, date, open, high, low, close, volume; adj_close, split, dividend and unadjusted_close
        where the source has them.
    unusable : list of EndState
        Instruments whose bars could not be taken: failed or quarantined, with the reason.
    exact : bool
        Whether adj_close was computed from dated dividends and splits instead of read as a rounded number.
    origins : mapping of (asset_class, symbol) to str
        Folder, file or provider that the bars of an instrument came from, where they differ: the data quality page
        counts by it.
    remarks : mapping of (asset_class, symbol) to list of BarFinding
        What reading found of instruments that have bars: one finding for each rule.
    """

    bucket: int
    bars: pl.DataFrame
    unusable: list[EndState] = field(default_factory=list)
    exact: bool = False
    origins: Mapping[Key, str] = field(default_factory=dict)
    remarks: Mapping[Key, list[BarFinding]] = field(default_factory=dict)


def _no_files(_source: SourceConfig) -> list[Path]:
    return []


def _no_hosts(_name: str) -> tuple[str, ...]:
    return ()


def _none_passed_over(_source: SourceConfig) -> Sequence[object]:
    return ()


def _none_planted(_source: SourceConfig) -> list[tuple[str, str]]:
    return []


@dataclass(frozen=True)
class FileSource:
    """A source that has its bars at hand: it reads files, or generates bars.

    Attributes
    ----------
    name : str
        As in ``source=<name>``; also the name of its module and of its option in ``conf/source``.
    listing : callable
        ``listing(source) -> DataFrame``: every instrument it has, columns asset_class and symbol.
    bars : callable
        ``bars(source, selection, scratch) -> Iterator[Batch]``: the rows of the selected instruments, one batch for
        each bucket, ascending. `scratch` is a folder for temporary files.
    files : callable
        ``files(source) -> list[Path]``: the files it reads. A dataset is up to date until they change. Default: none.
    planted : callable
        ``planted(source) -> list[(asset_class, symbol)]``: instruments with a known edge. Default: none.
    archive : bool
        Whether it may begin a chain of ``source.live.chain``: its history is read once, and live providers add to it.
    simulated : bool
        Whether its bars are generated. Universes of real instruments refuse such bars.
    passed_over : callable
        ``passed_over(source) -> sequence``: files that are not read, each written as a sentence. Default: none.
    """

    name: str
    listing: Callable[[SourceConfig], pl.DataFrame]
    bars: Callable[[SourceConfig, Selection, Path], Iterator[Batch]]
    files: Callable[[SourceConfig], list[Path]] = _no_files
    planted: Callable[[SourceConfig], list[tuple[str, str]]] = _none_planted
    archive: bool = False
    simulated: bool = False
    passed_over: Callable[[SourceConfig], Sequence[object]] = _none_passed_over


@dataclass(frozen=True)
class LiveProvider:
    """A source that is asked over the network, one instrument at a time.

    Attributes
    ----------
    name : str
        As in ``source=<name>`` and in ``source.live.chain``.
    connect : callable
        ``connect(name, settings, gate) -> Provider``. Import the client library here, not at the top of the module.
    asset_classes : tuple of str
        Classes that it serves.
    rate : float
        Requests a second to begin with, unless ``source.live.rates`` has the provider.
    ceiling : float or None
        Highest rate, unless ``source.live.ceilings`` has the provider; None keeps to `rate`.
    exchange_example : str
        Set where the provider stands for many exchanges: it serves each name in a chain that no other source has, and
        messages suggest this one.
    quotes_options : bool
        Whether ``connect`` returns an `OptionProvider`.
    ranks : tuple of str
        Asset classes whose most traded instruments it names: ``connect`` returns a `RankingProvider`.
    ranked_by : str
        What it ranks by, for the origin of a pinned list.
    lists_coins : bool
        Whether ``connect`` returns an `ExchangeProvider`, whose markets are the coins that can be traded.
    names : mapping of str to str
        The provider's name of a symbol, where the provider's own rules would give another instrument.
    coin_volume_in_dollars : bool
        Whether the volume of a coin's bar is money instead of coins.
    hosts : callable
        ``hosts(name) -> tuple of str``: the hosts that it asks, for ``python -m src.doctor``. Default: none known.
    """

    name: str
    connect: Callable[[str, LiveSource, RequestGate], Provider]
    asset_classes: tuple[str, ...]
    rate: float = 1.0
    ceiling: float | None = None
    exchange_example: str = ""
    quotes_options: bool = False
    ranks: tuple[str, ...] = ()
    ranked_by: str = ""
    lists_coins: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    coin_volume_in_dollars: bool = False
    hosts: Callable[[str], tuple[str, ...]] = _no_hosts
