"""Chains from the user's own files: CSV or Parquet, columns matched by name, any number of snapshots in a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from src.fetching.provider import CHAIN, OptionChain
from src.sources import folder_files, text_table
from src.sources.column_error import ColumnError
from src.sources.number_styles import number_reading
from src.sources.numbers import shapes, stripped

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".txt", ".parquet", ".pq")
_ALIASES: dict[str, tuple[str, ...]] = {  # ours first
    "asset_class": ("asset_class",),
    "underlying": ("underlying", "underlying_symbol", "root", "symbol", "ticker"),
    "captured": ("captured", "capture", "captured_utc", "quote_datetime", "snapshot_utc", "snapshot_last_trade_utc"),
    "underlying_price": ("underlying_price", "underlying_last", "spot"),
    "contract": ("contract", "contractsymbol", "contract_symbol", "option_symbol"),
    "expiry": ("expiry", "expiration", "expire_date", "expirationdate"),
    "type": ("type", "option_type", "right", "cp_flag", "putcall"),
    "strike": ("strike", "strike_price"),
    "bid": ("bid",),
    "ask": ("ask",),
    "last": ("last", "lastprice", "last_price"),
    "change": ("change",),
    "percent_change": ("percent_change", "percentchange"),
    "volume": ("volume",),
    "open_interest": ("open_interest", "openinterest"),
    "last_trade": ("last_trade", "last_trade_utc", "lasttradedate", "last_trade_date"),
    "currency": ("currency",),
    "contract_size": ("contract_size", "contractsize"),
    "in_the_money": ("in_the_money", "inthemoney"),
    "iv_provider": ("iv_provider", "iv", "impliedvolatility", "implied_volatility"),
}
_REQUIRED = ("underlying", "captured", "expiry", "type", "strike", "bid", "ask")
_PRICES = ("underlying_price", "strike", "bid", "ask", "last")
_KINDS = {"call": "call", "calls": "call", "c": "call", "put": "put", "puts": "put", "p": "put"}


class FileError(ValueError):
    """A file that can't be read as option chains: which, why, and the remedy."""


def files(path: Path) -> list[Path]:
    """Files that may hold chains.

    Parameters
    ----------
    path : Path
        A file, or a folder that is searched with its subfolders.

    Returns
    -------
    list of Path
        Sorted; hidden files are left out.
    """
    if path.is_file():
        return [path]
    return folder_files.readable_files(path, SUFFIXES)[0]


def chains(path: Path) -> Iterator[tuple[str | None, OptionChain]]:
    """Yield each snapshot of a file, the oldest first.

    Times without a zone are taken as UTC. ``snapshot_last_trade_utc``, the time of the latest trade in a snapshot,
    stands in for the time of capture, which is a little later.

    Parameters
    ----------
    path : Path
        One of `files`.

    Yields
    ------
    asset_class : str or None
        As the file spells it; None if it has no such column.
    chain : OptionChain
        Contracts with the columns of `src.fetching.provider.CHAIN`.

    Raises
    ------
    FileError
        If the file can't be read, or lacks a required column.
    """
    frame = _typed(_named(_read(path), path), path)
    for (underlying, captured), rows in frame.sort("captured").group_by("underlying", "captured", maintain_order=True):
        price = rows["underlying_price"].drop_nulls()
        kind = rows["asset_class"][0] if "asset_class" in rows.columns else None
        assert isinstance(captured, dt.datetime)
        yield kind, OptionChain(str(underlying), price[0] if len(price) else None, captured, rows)


def _read(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pl.read_parquet(path, hive_partitioning=False, glob=False)
        return _text(path)
    except ColumnError as error:
        raise FileError(f"{path}: can't be read ({error}): repair it or take it away") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FileError(f"{path}: can't be read ({first}): repair it or take it away") from error


def _text(path: Path) -> pl.DataFrame:
    """The cells of a file of text, whatever its separator and encoding."""
    table = text_table.inspected(path)
    try:
        frame = pl.concat(list(table.chunks()))
    except pl.exceptions.PolarsError:
        frame = pl.concat(list(table.careful().chunks()))
    if frame[text_table.FAULT].count():
        raise ColumnError(frame[text_table.FAULT].drop_nulls()[0])
    cells = [pl.when(pl.col(key).str.strip_chars() != "").then(pl.col(key)).alias(key) for key in table.keys]
    return frame.select(cells)


def _named(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The columns that we know, under our names."""
    there: dict[str, str] = {}
    for name in frame.columns:
        there.setdefault(name.strip().lower().replace(" ", "_"), name)
    names = {ours: next((there[a] for a in aliases if a in there), None) for ours, aliases in _ALIASES.items()}
    missing = [name for name in _REQUIRED if names[name] is None]
    if missing:
        raise FileError(
            f"{path}: chains need the columns {', '.join(_REQUIRED)}, {', '.join(missing)} not found"
            f" among {', '.join(frame.columns[:20])}: rename them"
        )
    return frame.select(pl.col(name).alias(ours) for ours, name in names.items() if name is not None)


def _typed(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Our types; what can't be read is null, and `quotes.contract_table` flags them. Rows without a key are refused."""
    kinds: dict[str, Any] = {"underlying": pl.String(), "asset_class": pl.String()} | CHAIN
    frame = _with_numbers(frame, path, kinds)
    typed = frame.with_columns(_cast(name, frame.schema[name], kinds[name]) for name in frame.columns)
    if frame.schema["expiry"] == pl.String():
        _refuse_unread_days(path, frame, typed["expiry"])
    frame = typed
    frame = frame.with_columns(
        pl.col("type").str.strip_chars().str.to_lowercase().replace_strict(_KINDS, default=None),
        pl.col("underlying").str.strip_chars().str.to_uppercase(),
    )
    keyless = frame.filter(pl.any_horizontal(pl.col("underlying", "captured").is_null())).height
    if keyless:
        raise FileError(f"{path}: {keyless:,} rows have no underlying or no readable time of capture: mend these rows")
    absent = {name: kind for name, kind in CHAIN.items() if name not in frame.columns}
    frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in absent.items())
    return frame.with_columns(contract=pl.col("contract").fill_null(_symbol()))


def _with_numbers(frame: pl.DataFrame, path: Path, kinds: dict[str, Any]) -> pl.DataFrame:
    """Columns of text that hold numbers as such, in the style that all cells of the file share.

    Raises
    ------
    FileError
        If ``1,234`` may be a thousand or have three decimals, or prices are in several currencies.
    """
    texts = [name for name in frame.columns if frame.schema[name] == pl.String() and kinds[name].is_numeric()]
    if not texts:
        return frame
    tally = shapes(frame.with_row_index("line", 1), texts)
    prices = {name: name for name in texts if name in _PRICES}
    others = [name for name in texts if name not in prices]
    try:
        reading = number_reading(path, tally, frame, prices, others, is_comma=True, has_shares=False)
    except ColumnError as error:
        raise FileError(f"{path}: {error}") from error
    return frame.with_columns(reading.column(name, pl.String()).alias(name) for name in texts)


def _refuse_unread_days(path: Path, frame: pl.DataFrame, read: pl.Series) -> None:
    """Refuse a file with slashes in which the month does not come first: its other dates would be read wrong."""
    lost = frame.with_row_index("row", 1).filter(read.is_null() & stripped("expiry").str.contains(r"^\d+/\d+/\d{4}$"))
    lost = lost.select("row", "expiry")
    if lost.height:
        row, cell = lost.row(0)
        raise FileError(f"{path}: row {row}, column expiry: {cell!r} is no month, day and year: write YYYY-MM-DD")


def _cast(name: str, given: Any, kind: Any) -> pl.Expr:
    column = pl.col(name)
    if given != pl.String():
        if isinstance(kind, pl.Datetime) and isinstance(given, pl.Datetime):
            column = column.dt.replace_time_zone("UTC") if given.time_zone is None else column
            return column.dt.convert_time_zone("UTC").cast(kind)
        return column.cast(kind, strict=False)
    column = column.str.strip_chars()
    if isinstance(kind, pl.Datetime):
        zoned = column.str.to_datetime("%+", time_zone="UTC", time_unit="us", strict=False)
        spaced = column.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", time_zone="UTC", time_unit="us", strict=False)
        naive = [
            column.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone("UTC")
            for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M")
        ]
        return pl.coalesce(zoned, spaced, *naive).alias(name)
    if kind == pl.Date():
        forms = ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y")
        return pl.coalesce(column.str.to_date(form, strict=False) for form in forms).alias(name)
    if kind == pl.Boolean():
        return column.str.to_lowercase().replace_strict({"true": True, "false": False}, default=None).alias(name)
    return column.cast(kind, strict=False)


def _symbol() -> pl.Expr:
    """The contract's symbol in the exchanges' way, where the file has none: AAPL260618C00185000."""
    strike = (pl.col("strike") * 1000).round().cast(pl.Int64, strict=False).cast(pl.String).str.zfill(8)
    side = pl.col("type").str.slice(0, 1).str.to_uppercase()
    root = pl.col("underlying").str.replace_all("[^A-Za-z0-9]", "")
    return root + pl.col("expiry").dt.strftime("%y%m%d") + side + strike
