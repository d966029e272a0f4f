"""Snapshots of option chains on disk, and the one call that asks for contracts.

One Parquet file for each underlying and capture, ``<root>/etf.SPY/2026-02-11T161932Z.parquet``: rows of
`quotes.SCHEMA`, sorted by expiry and strike. A file appears whole or not at all, so that the files themselves are the
record of what was taken. The class before the dot keeps apart tickers that two classes share, and makes PRN or CON a
name that Windows takes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

import polars as pl

from src.chains.quotes import FLAGS, SCHEMA
from src.storage.atomic import write_parquet

_STAMP = "%Y-%m-%dT%H%M%SZ"
_LISTING: dict[str, Any] = {
    "asset_class": pl.String(),
    "underlying": pl.String(),
    "captured": pl.Datetime("us", "UTC"),
    "path": pl.String(),
}


class OptionStore:
    """Snapshots of one dataset.

    Parameters
    ----------
    root
        ``data/options/<dataset>``; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def snapshots(self, asset_class: str | None = None, underlying: str | None = None) -> pl.DataFrame:
        """What has been taken.

        Parameters
        ----------
        asset_class, underlying : str, optional
            Narrow the listing.

        Returns
        -------
        DataFrame
            asset_class, underlying, captured (to the second), path; of each underlying the oldest first.
        """
        rows = [
            (kind, symbol, dt.datetime.strptime(path.stem, _STAMP).replace(tzinfo=dt.UTC), path.as_posix())
            for kind, symbol, folder in self._folders()
            if asset_class in (None, kind) and underlying in (None, symbol)
            for path in folder.glob("*Z.parquet")
        ]
        return pl.DataFrame(rows, schema=_LISTING, orient="row").sort("asset_class", "underlying", "captured")

    def folder(self, asset_class: str, underlying: str) -> Path:
        """Folder of an underlying's snapshots.

        Parameters
        ----------
        asset_class, underlying : str
            The underlying.

        Returns
        -------
        Path
            It need not exist.
        """
        return self.root / f"{asset_class}.{quote(underlying, safe='').replace('.', '%2E')}"

    def path(self, asset_class: str, underlying: str, captured: dt.datetime) -> Path:
        """File of a snapshot.

        Parameters
        ----------
        asset_class, underlying : str
            The underlying.
        captured : datetime
            With a time zone.

        Returns
        -------
        Path
            It need not exist.
        """
        return self.folder(asset_class, underlying) / f"{captured.astimezone(dt.UTC).strftime(_STAMP)}.parquet"

    def write(self, rows: pl.DataFrame, captured: dt.datetime) -> Path:
        """Store one snapshot of one underlying; a snapshot of the same second is replaced.

        Parameters
        ----------
        rows : DataFrame
            Columns of `quotes.SCHEMA`, of one underlying.
        captured : datetime
            With a time zone.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        ValueError
            If the rows are of several underlyings, or of none.
        """
        keys = rows.select("asset_class", "underlying").unique().rows()
        if len(keys) != 1:
            raise ValueError(f"a snapshot is of one underlying, got {len(keys)}")
        asset_class, underlying = keys[0]
        path = self.path(asset_class, underlying, captured)
        write_parquet(rows.select(SCHEMA.keys()), path)
        return path

    def _folders(self) -> Iterable[tuple[str, str, Path]]:
        for folder in sorted(self.root.glob("*.*/")):
            kind, _, symbol = folder.name.partition(".")
            if kind:
                yield kind, unquote(symbol), folder


def contracts(
    root: Path,
    underlying: str | Sequence[str] | None = None,
    *,
    expiry: tuple[dt.date | None, dt.date | None] = (None, None),
    moneyness: tuple[float | None, float | None] = (None, None),
    type: Literal["call", "put"] | None = None,
    as_of: dt.date | dt.datetime | None = None,
    snapshots: Literal["latest", "all"] = "latest",
    flags: Mapping[str, bool] | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Contracts by underlying, expiry, moneyness, type and flags.

    Parameters
    ----------
    root
        ``data/options/<dataset>``.
    underlying
        "SPY" or "etf:SPY", or several; None takes all.
    expiry, moneyness
        Lowest and highest that are wanted, both included; None on a side leaves it open. Moneyness is strike / spot.
    type : "call" or "put"; None takes both.
    as_of
        Nothing captured later: a moment (without a zone: UTC), or a day, to its end in UTC.
    snapshots
        "latest" of each underlying, or "all" of them.
    flags
        Flags of `quotes.FLAGS`, or "clean", and whether they must be up: ``{"clean": True, "wide": False}``.
    columns : of `quotes.SCHEMA`, in this order; None takes all.

    Returns
    -------
    DataFrame
        Sorted by class, underlying, capture, expiry and strike; empty where nothing is stored or nothing fits.

    Raises
    ------
    ValueError
        For an unknown flag, column or type.

    Examples
    --------
    >>> contracts(Path("data/options/full"), "SPY", moneyness=(0.9, 1.1), flags={"clean": True})  # doctest: +SKIP
    """
    wanted = dict(flags or {})
    _require_known("flag", wanted, (*FLAGS, "clean"))
    _require_known("column", columns or (), SCHEMA)
    _require_known("type", [] if type is None else [type], ("call", "put"))
    listing = _chosen(OptionStore(root).snapshots(), underlying, as_of, snapshots)
    if not listing.height:
        return pl.DataFrame(schema=SCHEMA).select(columns or SCHEMA.keys())
    scan = pl.scan_parquet(listing["path"].to_list(), hive_partitioning=False, glob=False)
    limits = [("expiry", expiry), ("moneyness", moneyness)]
    conditions = [pl.col(name) >= low for name, (low, _) in limits if low is not None]
    conditions += [pl.col(name) <= high for name, (_, high) in limits if high is not None]
    conditions += [pl.col(name) == up for name, up in wanted.items()]
    if type is not None:
        conditions.append(pl.col("type") == type)
    return scan.filter(conditions or [pl.lit(True)]).select(columns or list(SCHEMA)).collect()


def _chosen(
    listing: pl.DataFrame, underlying: str | Sequence[str] | None, as_of: dt.date | dt.datetime | None, which: str
) -> pl.DataFrame:
    """The snapshots that are asked for, out of all."""
    if underlying is not None:
        names = [underlying] if isinstance(underlying, str) else list(underlying)
        key = pl.col("asset_class") + ":" + pl.col("underlying")
        listing = listing.filter(pl.col("underlying").is_in(names) | key.is_in(names))
    if as_of is not None:
        if not isinstance(as_of, dt.datetime):
            as_of = dt.datetime.combine(as_of, dt.time.max)
        moment = as_of.replace(tzinfo=dt.UTC) if as_of.tzinfo is None else as_of.astimezone(dt.UTC)
        listing = listing.filter(pl.col("captured") <= moment)
    if which == "latest":
        listing = listing.group_by("asset_class", "underlying", maintain_order=True).tail(1)
    return listing


def _require_known(what: str, got: Iterable[str], there: Iterable[str]) -> None:
    unknown = sorted(set(got) - set(there))
    if unknown:
        raise ValueError(f"{what} must be one of {', '.join(there)}, got {', '.join(unknown)}")
