"""Bars and features of instruments, and lazy scans of whole datasets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, overload

from src.core.errors import StageError
from src.core.instruments import KEY, Key
from src.inspection.reading import feature_scan
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.names import Symbol, instruments
from src.inspection.reading.places import Folder, Place, place
from src.inspection.reading.shards import Day, read, scan

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@overload
def bars(
    universe: str | None = None, symbol: Symbol | Iterable[Symbol] | None = None, columns: Sequence[str] | None = None,
    *, since: Day = None, until: Day = None, frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def bars(
    universe: str | None = None, symbol: Symbol | Iterable[Symbol] | None = None, columns: Sequence[str] | None = None,
    *, since: Day = None, until: Day = None, frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def bars(
    universe: str | None = None,
    symbol: Symbol | Iterable[Symbol] | None = None,
    columns: Sequence[str] | None = None,
    *,
    since: Day = None,
    until: Day = None,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Read the bars of one instrument, or of several.

    Parameters
    ----------
    universe : str, optional
        Name of the dataset, such as ``quick`` or ``quick-1h``; by default that of ``params.yaml``.
    symbol : str, (asset_class, symbol), or an iterable of them
        ``AAPL``, ``stock.AAPL`` or ``("stock", "AAPL")``.
    columns : sequence of str, optional
        Of the stored bars: open, high, low, close, volume, factor (price times factor is the total-return price),
        split (price times split is the price as traded), repaired. All by default.
    since, until : date or str, optional
        First and last day, both included.
    frame : {'polars', 'pandas'}
    root : str or Path, optional
        Folder of the project; by default the one at or above the working directory.

    Returns
    -------
    DataFrame
        asset_class, symbol, date and the columns, sorted by instrument and date.

    Raises
    ------
    ConfigError
        For an unknown name, column or day.
    StageError
        If an instrument has no bars (the message says why), or a file can't be read.

    Examples
    --------
    >>> results.bars("demo", "SIM01", ["close", "volume"], since="2024-01-01")  # doctest: +SKIP
    """
    at = place(universe, root)
    keys = instruments(at, symbol)
    scanned, hint = scan_of_bars(at, keys, since, until), "results.scan_bars().collect_schema() has all"
    found = read(scanned, columns, hint, at.paths.bars, at.command("hydrate"))
    if since is until is None:
        _require_rows(at, keys, found)
    return as_frame(found, frame)


@overload
def features(
    universe: str | None = None, symbol: Symbol | Iterable[Symbol] | None = None, columns: Sequence[str] | None = None,
    *, since: Day = None, until: Day = None, frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def features(
    universe: str | None = None, symbol: Symbol | Iterable[Symbol] | None = None, columns: Sequence[str] | None = None,
    *, since: Day = None, until: Day = None, frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def features(
    universe: str | None = None,
    symbol: Symbol | Iterable[Symbol] | None = None,
    columns: Sequence[str] | None = None,
    *,
    since: Day = None,
    until: Day = None,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Read the stored features of one instrument, or of several: row t depends on bars up to t alone.

    Parameters
    ----------
    universe, symbol, since, until, frame, root
        As `bars` takes them.
    columns : sequence of str, optional
        Names of features, which ``docs/features.md`` lists; all by default.

    Returns
    -------
    DataFrame
        asset_class, symbol, date and a Float32 column for each feature, null where it is undefined.

    Raises
    ------
    ConfigError
        For an unknown name, feature or day.
    StageError
        If nothing is featurized, or a file can't be read.

    Examples
    --------
    >>> results.features("demo", "SIM01", ["rsi_14", "volatility_21"])  # doctest: +SKIP
    """
    at = place(universe, root)
    scanned, hint = scan_of_features(at, instruments(at, symbol), since, until), "docs/features.md lists the features"
    return as_frame(read(scanned, columns, hint, at.paths.features, at.command("featurize")), frame)


def scan_bars(
    universe: str | None = None,
    symbol: Symbol | Iterable[Symbol] | None = None,
    *,
    since: Day = None,
    until: Day = None,
    root: Folder = None,
) -> pl.LazyFrame:
    """Scan the bars of a dataset: nothing is read before ``collect()``, and then what it needs alone.

    Parameters
    ----------
    universe, since, until, root
        As `bars` takes them.
    symbol : str, (asset_class, symbol), or an iterable of them, optional
        All instruments by default.

    Returns
    -------
    LazyFrame
        asset_class, symbol, date, open, high, low, close, volume, factor, split, repaired.

    Examples
    --------
    >>> results.scan_bars("quick").group_by("asset_class").len().collect()  # doctest: +SKIP
    """
    at = place(universe, root)
    return scan_of_bars(at, None if symbol is None else instruments(at, symbol), since, until)


def scan_features(
    universe: str | None = None,
    symbol: Symbol | Iterable[Symbol] | None = None,
    *,
    since: Day = None,
    until: Day = None,
    root: Folder = None,
) -> pl.LazyFrame:
    """Scan the features of a dataset: nothing is read before ``collect()``, and then what it needs alone.

    Parameters
    ----------
    universe, since, until, root
        As `bars` takes them.
    symbol : str, (asset_class, symbol), or an iterable of them, optional
        All instruments by default.

    Returns
    -------
    LazyFrame
        asset_class, symbol, date and a Float32 column for each feature.

    Examples
    --------
    >>> results.scan_features("quick").select("symbol", "date", "rsi_14").collect()  # doctest: +SKIP
    """
    at = place(universe, root)
    return scan_of_features(at, None if symbol is None else instruments(at, symbol), since, until)


def scan_of_bars(at: Place, keys: list[Key] | None, since: Day = None, until: Day = None) -> pl.LazyFrame:
    """Scan the bars of some instruments, or of all.

    Parameters
    ----------
    at : Place
    keys : list of (asset_class, symbol), or None
    since, until : date, str or None
    """
    return scan(at.paths.bars, keys, _buckets(at, keys), since, until, at.command("hydrate"))


def scan_of_features(at: Place, keys: list[Key] | None, since: Day = None, until: Day = None) -> pl.LazyFrame:
    """Scan the features of some instruments, or of all.

    Parameters
    ----------
    at : Place
    keys : list of (asset_class, symbol), or None
    since, until : date, str or None
    """
    return feature_scan.scan(at.paths.features, keys, _buckets(at, keys), since, until, at.command("featurize"))


def _buckets(at: Place, keys: list[Key] | None) -> list[int]:
    from src.market.bars import bucket

    store = at.bars()
    return store.buckets() if keys is None else [bucket(*key, store.manifest.buckets) for key in keys]


def _require_rows(at: Place, keys: list[Key], found: pl.DataFrame) -> None:
    """Refuse to give nothing of an instrument without saying why."""
    from src.market.bars import bucket

    held, store = set(found.select(KEY).unique().iter_rows()), at.bars()
    for key in keys:
        if key not in held:
            record = store.ledger.read(bucket(*key, store.manifest.buckets))
            rows = record.states if record else []
            own = next(row for row in rows if (row["asset_class"], row["symbol"]) == key)
            raise StageError(f"{'.'.join(key)} has no bars in universe={at.dataset} ({own['state']}: {own['reason']})")
