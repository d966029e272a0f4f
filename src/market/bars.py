"""The one table of bars: its columns and types, which bars trade, and how it is stored in shards.

Everything is keyed by (asset_class, symbol) and, in time, by the bar. A store is a folder of Parquet shards, one for
each bucket of instruments and calendar year, beside a manifest and a ledger.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.core.instruments import KEY
from src.market import bar_findings, bar_scan
from src.storage import partitions
from src.storage.atomic import read_json, write_json
from src.storage.ledger import SCHEMA as STATE_SCHEMA
from src.storage.ledger import Ledger

PRICES = ["open", "high", "low", "close"]
SCHEMA: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "date": pl.Date(),
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "volume": pl.Float64(),
    "factor": pl.Float64(),  # total-return price = price * factor; 1 at the first bar, cumulates forward
    "split": pl.Float64(),  # as-traded price = price * split; null if the split history is unknown
    "repaired": pl.Boolean(),
}
STATE_COLUMNS: dict[str, Any] = dict.fromkeys(("liquidity", "dollar_volume"), pl.Float64()) | {
    "repaired": pl.Int64(),
    **dict.fromkeys(("basis", "origin"), pl.String()),
}
BARS_PER_YEAR = {"stock": 252, "etf": 252, "crypto": 365}
_HASHED = ("date", "open", "high", "low", "close", "volume", "factor")


def schema(interval: str) -> dict[str, Any]:
    """Columns and types of a table of bars.

    Parameters
    ----------
    interval : str
        Length of a bar. Unless it is ``1d``, the column date is a UTC timestamp.

    Returns
    -------
    dict of str to polars data type
        In the order of the columns.
    """
    return SCHEMA if interval == "1d" else SCHEMA | {"date": pl.Datetime("us", "UTC")}


def bucket(asset_class: str, symbol: str, buckets: int) -> int:
    """Assign an instrument to a bucket, the same on every machine and in every universe.

    Parameters
    ----------
    asset_class, symbol : str
        The instrument.
    buckets : int
        Number of buckets of the dataset.

    Returns
    -------
    int
        0 to `buckets` - 1.
    """
    digest = hashlib.blake2b(f"{asset_class}:{symbol}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets


def tradable(frame: pl.DataFrame | None = None) -> pl.Expr:  # noqa: ARG001 (read as: the tradable rows of a frame)
    """Build the expression for whether a bar traded: it has an open, a close and volume (contract 3).

    It is False where a value is null. The frame is not used; ``frame.filter(tradable(frame))`` reads as the tradable
    rows of a frame.
    """
    return ((pl.col("open") > 0) & (pl.col("close") > 0) & (pl.col("volume") > 0)).fill_null(False)


def content_hash(frame: pl.DataFrame, until: dt.date | None = None) -> str:
    """Hash bars up to a date: the part of a run's key that stands for its data.

    Date, prices, volume and factor count, in the order of the rows. Later bars, marks of repairs and the split history
    don't. The hash is the same on every machine and in every version of Polars.

    Parameters
    ----------
    frame : DataFrame
        Rows of one or several instruments, sorted.
    until : date or None
        Last date that counts; None takes all.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    if until is not None:
        frame = frame.filter(pl.col("date").cast(pl.Date) <= until)
    digest = hashlib.blake2b(digest_size=16)
    for name in _HASHED:
        column = frame[name]
        values = column.to_physical().cast(pl.Int64) if name == "date" else column.cast(pl.Float64).fill_null(np.nan)
        digest.update(np.ascontiguousarray(values.to_numpy()).astype("<i8" if name == "date" else "<f8").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Manifest:
    """What a store holds and where it came from.

    Attributes
    ----------
    source, path : str
        Name of the source, and the files that it read; the path is empty if it read none.
    basis : str
        As configured: auto, split_adjusted, total_return. The states have the basis of each instrument.
    fingerprint : str
        Hash of the source's content.
    job : str
        Hash of all that decides the content: fingerprint, selection, rules of validation.
    complete : bool
    planted : list of [asset_class, symbol]
        Instruments with a known edge.
    universe : dict
        Limits, lists and kinds that chose the instruments; empty in stores of earlier versions.
    """

    dataset: str
    interval: str
    source: str
    path: str
    basis: str
    buckets: int
    until: str | None
    fingerprint: str
    job: str
    complete: bool
    planted: list[list[str]] = field(default_factory=list)
    universe: dict[str, Any] = field(default_factory=dict)


class BarStore:
    """Bars of one dataset in ``<root>/b007-2023.parquet``, with manifest, ledger and pinned panel.

    Parameters
    ----------
    root : Path
        ``data/bars/<dataset>``; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.ledger = Ledger(self.root, STATE_SCHEMA | STATE_COLUMNS)

    def exists(self) -> bool:
        """Whether anything has been hydrated here."""
        return (self.root / "manifest.json").is_file()

    @property
    def manifest(self) -> Manifest:
        """The manifest.

        Raises
        ------
        FileNotFoundError
            If nothing has been hydrated.
        """
        return Manifest(**read_json(self.root / "manifest.json"))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, unless it is the same already."""
        if not self.exists() or self.manifest != manifest:
            write_json(dataclasses.asdict(manifest), self.root / "manifest.json")

    def buckets(self) -> list[int]:
        """Buckets that are complete, ascending. They can be read while others are still being hydrated."""
        return self.ledger.units()

    def instruments(self) -> pl.DataFrame:
        """Read the states that hydration left.

        Returns
        -------
        DataFrame
            One row for each instrument of the complete buckets, sorted by key: asset_class, symbol, state, reason,
            rows, first, last, repaired (bars), basis, liquidity (median daily dollar volume before the
            first out-of-sample date, null if unknown), dollar_volume (over all bars), origin (folder, file, provider).
        """
        return self.ledger.states()

    def record(self, b: int, job: str, states: pl.DataFrame, digest: str) -> None:
        """Record that a bucket is done.

        Parameters
        ----------
        b : int
            Bucket.
        job : str
            Hash of everything that decides its content.
        states : DataFrame
            States of its instruments, with their findings in a column (`src.market.bar_findings`).
        digest : str
            Hash of its content, from `write_bucket`.
        """
        self.ledger.record(b, job, states, digest=digest, files=self._sizes(b), **bar_findings.fact(states))

    def done(self, b: int, job: str) -> bool:
        """Whether a bucket was finished under exactly this job and its files are intact."""
        return self.ledger.done(b, job) and self.intact(b)

    def intact(self, b: int) -> bool:
        """Whether each file of a bucket still has the size with which it was written."""
        return self.ledger.fact(b, "files") in (None, self._sizes(b))

    def _sizes(self, b: int) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in partitions.paths(self.root, b).values()}

    def digest(self, b: int) -> str:
        """Hash of a bucket's content, as recorded when it was written; empty if the bucket is not complete."""
        return str(self.ledger.fact(b, "digest") or "")

    def read_bucket(
        self, b: int, columns: list[str] | None = None, symbols: list[tuple[str, str]] | None = None
    ) -> pl.DataFrame:
        """Read the bars of one bucket.

        Parameters
        ----------
        b : int
            Bucket.
        columns : list of str or None
            Columns in the order wanted; None takes all.
        symbols : list of (asset_class, symbol) or None
            Instruments; None takes all.

        Returns
        -------
        DataFrame
            All years, sorted by key and date.

        Raises
        ------
        StageError
            If a file is missing or can't be read.
        """
        wanted = list(SCHEMA) if columns is None else list(columns)
        scan = bar_scan.scan(self.root, self.ledger, b)
        if scan is None:
            kinds = schema(self.manifest.interval) if self.exists() else SCHEMA
            return pl.DataFrame(schema=kinds).select(wanted)
        if symbols is not None:
            keys = pl.LazyFrame(symbols, schema=dict.fromkeys(KEY, pl.String()), orient="row")
            scan = scan.filter(pl.col("symbol").is_in([s for _, s in symbols])).join(keys, on=KEY, how="semi")
        order = [*KEY, "date"]
        needed = [*wanted, *(name for name in order if name not in wanted)]
        return bar_scan.collected(scan.select(needed).sort(order).select(wanted), self.root, b)

    def write_bucket(self, b: int, frame: pl.DataFrame) -> str:
        """Replace the bars of one bucket. A year whose rows did not change keeps its file.

        Parameters
        ----------
        b : int
            Bucket.
        frame : DataFrame
            Bars of all its instruments, in any order.

        Returns
        -------
        str
            Hash of the content, for the ledger.

        Raises
        ------
        ValueError
            If a bar occurs twice.
        """
        frame = frame.sort(*KEY, "date")
        if frame.select(
            pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in (*KEY, "date")).slice(1).any()
        ).item():
            raise ValueError(f"bucket {b}: a bar occurs twice; keys must be unique")
        partitions.write(self.root, b, partitions.by_year(frame))
        return bucket_hash(frame)

    def panel(self) -> list[tuple[str, str]]:
        """Read the pinned panel of market-relative features.

        Returns
        -------
        list of (asset_class, symbol)
            The most liquid first within a class. Empty until the dataset was first hydrated in full.
        """
        path = self.root / "panel.json"
        return [(kind, symbol) for kind, symbol in read_json(path)] if path.is_file() else []

    def write_panel(self, panel: Iterable[tuple[str, str]]) -> None:
        """Pin the panel.

        Parameters
        ----------
        panel : iterable of (asset_class, symbol)
            The most liquid first within a class.
        """
        write_json([list(key) for key in panel], self.root / "panel.json")


def bucket_hash(frame: pl.DataFrame) -> str:
    """Hash all columns of a bucket.

    Parameters
    ----------
    frame : DataFrame
        Its bars, sorted by key and date.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(content_hash(frame).encode(), digest_size=16)
    for (kind, symbol), rows in frame.group_by(KEY, maintain_order=True).agg(pl.len()).rows_by_key(KEY).items():
        digest.update(f"{kind}:{symbol}:{rows[0]};".encode())
    for name in ("split", "repaired"):
        digest.update(frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()
