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

from src.core.errors import StageError
from src.core.instruments import KEY
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
    "split": pl.Float64(),  # as-traded price = price * split; null where the split history is not known
    "repaired": pl.Boolean(),
}
STATE_COLUMNS: dict[str, Any] = {"repaired": pl.Int64(), "basis": pl.String(), "liquidity": pl.Float64()}
BARS_PER_YEAR = {"stock": 252, "etf": 252, "crypto": 365}
_REMEDY = "run the hydration of this dataset again, it makes anew what is missing"
_HASHED = ("date", "open", "high", "low", "close", "volume", "factor")


def schema(interval: str) -> dict[str, Any]:
    """Columns and types of a table of bars; intraday bars carry a UTC timestamp instead of a date."""
    return SCHEMA if interval == "1d" else SCHEMA | {"date": pl.Datetime("us", "UTC")}


def bucket(asset_class: str, symbol: str, buckets: int) -> int:
    """Bucket of an instrument, 0 to `buckets` - 1: the same on every machine, whatever else is in the universe."""
    digest = hashlib.blake2b(f"{asset_class}:{symbol}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets


def tradable(frame: pl.DataFrame | None = None) -> pl.Expr:  # noqa: ARG001 (read as: the tradable rows of a frame)
    """Whether a bar traded: it has an open, a close and volume (rule of contract 3). Null counts as no."""
    return ((pl.col("open") > 0) & (pl.col("close") > 0) & (pl.col("volume") > 0)).fill_null(False)


def content_hash(frame: pl.DataFrame, until: dt.date | None = None) -> str:
    """Hash of bars up to `until`: the part of a run's key that stands for its data.

    Date, prices, volume and factor count, in the order of the rows; later bars, the marks of repairs and the split
    history don't. The same for the same values on every machine and in every version of Polars.

    Parameters
    ----------
    frame
        Rows of one instrument, or of several, sorted.
    until
        Last date that counts; None takes all.
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
    """What a store holds and where it came from."""

    dataset: str
    interval: str
    source: str  # kind: simulated, folder, stooq, ...
    path: str
    basis: str  # as configured: auto, split_adjusted, total_return; the states say it for each instrument
    buckets: int
    until: str | None
    fingerprint: str  # of the source's content
    job: str  # of all that decides the content: fingerprint, selection, rules
    complete: bool
    planted: list[list[str]] = field(default_factory=list)  # [asset_class, symbol] with the simulated edge


class BarStore:
    """Bars of one dataset in ``<root>/b007-2023.parquet``, with manifest, ledger and pinned panel.

    Parameters
    ----------
    root
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
            Where nothing has been hydrated.
        """
        return Manifest(**read_json(self.root / "manifest.json"))

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest, unless it says the same already."""
        if not self.exists() or self.manifest != manifest:
            write_json(dataclasses.asdict(manifest), self.root / "manifest.json")

    def buckets(self) -> list[int]:
        """Buckets that are complete, ascending: a reader may take them while the others are still hydrated."""
        return self.ledger.units()

    def instruments(self) -> pl.DataFrame:
        """The states that hydration left: one row an instrument of the complete buckets, sorted by key.

        Columns: asset_class, symbol, state, reason, rows, first, last, repaired (bars), basis, liquidity (median daily
        dollar volume, null where unknown).
        """
        return self.ledger.states()

    def record(self, b: int, job: str, states: pl.DataFrame, digest: str) -> None:
        """Write that a bucket is done under `job`, with its states, the hash of its content and what its files are."""
        self.ledger.record(b, job, states, digest=digest, files=self._sizes(b))

    def done(self, b: int, job: str) -> bool:
        """Whether a bucket was finished under exactly this job and its files are as they were left."""
        return self.ledger.done(b, job) and self.intact(b)

    def intact(self, b: int) -> bool:
        """Whether each file of a bucket has the size that it was left with: none was deleted or cut short since."""
        return self.ledger.fact(b, "files") in (None, self._sizes(b))

    def _sizes(self, b: int) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in partitions.paths(self.root, b).values()}

    def digest(self, b: int) -> str:
        """Hash of a bucket's content, as recorded when it was written; empty where it is not complete."""
        return str(self.ledger.fact(b, "digest") or "")

    def read_bucket(
        self, b: int, columns: list[str] | None = None, symbols: list[tuple[str, str]] | None = None
    ) -> pl.DataFrame:
        """Bars of one bucket, all years, sorted by key and date.

        Parameters
        ----------
        b
            Bucket.
        columns
            Columns wanted, in this order; None takes all.
        symbols
            Instruments wanted as (asset_class, symbol); None takes all.

        Raises
        ------
        StageError
            Where a file that was written is not there any more, or can't be read.
        """
        wanted = list(SCHEMA) if columns is None else list(columns)
        files = list(partitions.paths(self.root, b).values())
        lost = sorted((self.ledger.fact(b, "files") or {}).keys() - {path.name for path in files})
        if lost:
            raise StageError(f"{self.root / lost[0]} is gone: {_REMEDY}")
        if not files:
            kinds = schema(self.manifest.interval) if self.exists() else SCHEMA
            return pl.DataFrame(schema=kinds).select(wanted)
        scan = pl.scan_parquet(files, hive_partitioning=False)
        if symbols is not None:
            keys = pl.LazyFrame(symbols, schema=dict.fromkeys(KEY, pl.String()), orient="row")
            scan = scan.filter(pl.col("symbol").is_in([s for _, s in symbols])).join(keys, on=KEY, how="semi")
        order = [*KEY, "date"]
        needed = [*wanted, *(name for name in order if name not in wanted)]
        try:
            return scan.select(needed).sort(order).select(wanted).collect()
        except (pl.exceptions.ComputeError, OSError) as error:
            raise StageError(f"a file of bucket {b} in {self.root} can't be read ({error}): {_REMEDY}") from error

    def write_bucket(self, b: int, frame: pl.DataFrame) -> str:
        """Replace the bars of one bucket; a year whose rows did not change keeps its file.

        Returns
        -------
        str
            The hash of the content, for the ledger.

        Raises
        ------
        ValueError
            Where a key stands twice.
        """
        frame = frame.sort(*KEY, "date")
        if frame.select(
            pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in (*KEY, "date")).slice(1).any()
        ).item():
            raise ValueError(f"bucket {b}: a bar stands twice; keys must be unique")
        partitions.write(self.root, b, partitions.by_year(frame))
        return bucket_hash(frame)

    def panel(self) -> list[tuple[str, str]]:
        """The pinned panel of market-relative features: (asset_class, symbol), most liquid first within a class.

        Pinned when the dataset was first hydrated in full; empty before that.
        """
        path = self.root / "panel.json"
        return [(kind, symbol) for kind, symbol in read_json(path)] if path.is_file() else []

    def write_panel(self, panel: Iterable[tuple[str, str]]) -> None:
        """Pin the panel."""
        write_json([list(key) for key in panel], self.root / "panel.json")


def bucket_hash(frame: pl.DataFrame) -> str:
    """Hash of a whole bucket: which instruments and all their columns but the text of reasons."""
    digest = hashlib.blake2b(content_hash(frame).encode(), digest_size=16)
    for (kind, symbol), rows in frame.group_by(KEY, maintain_order=True).agg(pl.len()).rows_by_key(KEY).items():
        digest.update(f"{kind}:{symbol}:{rows[0]};".encode())
    for name in ("split", "repaired"):
        digest.update(frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy().astype("<f8").tobytes())
    return digest.hexdigest()
