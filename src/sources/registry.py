"""One file for each provider or file layout; all yield the one table of `src.market.bars`, unvalidated.

A source is a module with these functions, all pure but for reading:

- ``files(source) -> list[Path]``: what it reads, for the fingerprint; empty where nothing is read.
- ``listing(source) -> DataFrame``: every instrument it has, columns asset_class and symbol.
- ``bars(source, selection, scratch) -> Iterator[Batch]``: the rows of the wanted instruments, bucket by bucket.
- ``planted(source) -> list[(asset_class, symbol)]``: instruments with a known edge; only the simulated source has any.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from src.config.paths import main_root
from src.core.end_state import EndState
from src.core.errors import ConfigError, StageError
from src.core.project import ROOT

if TYPE_CHECKING:
    import polars as pl

    from src.config.schema import SourceConfig

KINDS = ("simulated", "folder", "stooq")
LIVE = ("yahoo", "ccxt", "auto")
ARCHIVES = ("folder", "stooq")  # layouts on disk that may begin a live source's chain
CLASSES = {
    **dict.fromkeys(("stock", "stocks", "equity", "equities"), "stock"),
    **dict.fromkeys(("etf", "etfs"), "etf"),
    **dict.fromkeys(("crypto", "cryptos", "coin", "coins", "cryptocurrency", "cryptocurrencies"), "crypto"),
}


class SourceError(StageError):
    """A source that can't be used as it is: what, why, and the remedy."""


@dataclass(frozen=True)
class Selection:
    """Which instruments are wanted, at which interval, up to when.

    Attributes
    ----------
    wanted
        asset_class, symbol, bucket.
    until
        Last date that a generated series should reach, YYYY-MM-DD; sources that read files may give more.
    """

    wanted: pl.DataFrame
    interval: str = "1d"
    until: str | None = None


@dataclass(frozen=True)
class Batch:
    """The rows of one bucket's instruments, as found, in the order of the source.

    Attributes
    ----------
    unusable : list of EndState
        Instruments whose bars could not be taken: failed or quarantined, with the reason.
    """

    bucket: int
    bars: pl.DataFrame
    unusable: list[EndState] = field(default_factory=list)
    exact: bool = False  # adj_close was derived from events, and is no rounded print


def module(kind: str) -> ModuleType:
    """The module of a kind of source.

    Raises
    ------
    ConfigError
        For a kind that there is not.
    """
    if kind not in KINDS:
        known = [*KINDS, *LIVE]
        close = difflib.get_close_matches(kind, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"source.kind must be one of {', '.join(known)}, got {kind}{hint}")
    return importlib.import_module(f"src.sources.{kind}")


def archives(source: SourceConfig) -> list[str]:
    """Layouts on disk that a source reads: itself, or those that begin a live source's chains."""
    if source.kind not in LIVE:
        return [source.kind]
    return sorted({chain[0] for chain in source.live.chain.values() if chain and chain[0] in ARCHIVES})


def files(source: SourceConfig) -> list[Path]:
    """Every file that a source reads, sorted; none where all is invented or asked of providers.

    Raises
    ------
    ConfigError
        For a path that leads nowhere, or a kind that there is not.
    SourceError
        Where the path holds nothing readable.
    """
    return sorted({path for kind in archives(source) for path in module(kind).files(source)})


def located(path: str, key: str = "source.path") -> Path:
    """Where a source's path leads: absolute, or relative to the project, also from a copy of it that DVC works in.

    Raises
    ------
    ConfigError
        Where there is nothing.
    """
    wanted = Path(path).expanduser()
    for base in (ROOT, main_root()):
        if (base / wanted).exists():
            return (base / wanted).resolve()
    raise ConfigError(f"{key}: there is no {(ROOT / wanted).resolve()}: name an existing file or folder")


def asset_class(path: Path, words: bool = False) -> str | None:
    """Asset class that a file's folders name (stocks/, etfs/, crypto/), the nearest first; None where none does.

    With `words`, a folder may hold further words (`nasdaq stocks`).
    """
    for part in reversed(path.parent.parts):
        names = part.lower().split() if words else [part.lower()]
        for name in names:
            if name in CLASSES:
                return CLASSES[name]
    return None


def stamp(files: Iterable[Path]) -> str:
    """Names, sizes and times of files: where these are unchanged, so is the content."""
    marks = [(path.as_posix(), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in sorted(files)]
    return hashlib.blake2b(json.dumps(marks).encode(), digest_size=16).hexdigest()


def fingerprint(files: Iterable[Path], settings: Any) -> str:
    """Hash of the files' content, their names, and the settings that decide how they are read."""
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for path in sorted(files):
        digest.update(f"\n{path.name}\n".encode())
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
    return digest.hexdigest()
