"""Option chains with volatilities and Greeks, and facts of research, of one instrument."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, overload

from src.core.errors import ConfigError, StageError
from src.core.instruments import Key
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.names import Symbol, instrument, parted
from src.inspection.reading.places import Folder, Place, place
from src.inspection.reading.shards import Day, day

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Limits = tuple[float | None, float | None]
Days = tuple[Day, Day]
Type = Literal["call", "put"] | None


@overload
def options(
    symbol: Symbol, *, universe: str | None = None, date: Day = None, expiry: Days = (None, None),
    moneyness: Limits = (None, None), type: Type = None, flags: Mapping[str, bool] | None = None,
    columns: Sequence[str] | None = None, frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def options(
    symbol: Symbol, *, universe: str | None = None, date: Day = None, expiry: Days = (None, None),
    moneyness: Limits = (None, None), type: Type = None, flags: Mapping[str, bool] | None = None,
    columns: Sequence[str] | None = None, frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def options(
    symbol: Symbol,
    *,
    universe: str | None = None,
    date: Day = None,
    expiry: Days = (None, None),
    moneyness: Limits = (None, None),
    type: Type = None,
    flags: Mapping[str, bool] | None = None,
    columns: Sequence[str] | None = None,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Read the option chain of an underlying, with the volatilities and Greeks that QuantLib gave of its quotes.

    Parameters
    ----------
    symbol : str or (asset_class, symbol)
        ``SPY``, ``etf.SPY`` or ``("etf", "SPY")``.
    date : date or str, optional
        Day in UTC whose last snapshot is read; by default the last of all.
    expiry : (date or str, date or str)
        First and last expiry, both included; None on a side leaves it open.
    moneyness : (float, float), of strike / spot, both included
    type : {'call', 'put'}, optional
    flags : mapping of str to bool, optional
        Whether flags of the quotes, or ``clean``, must be up: ``{"clean": True, "wide": False}``.
    columns : sequence of str, optional
    universe, frame, root
        As in every function of `src.results`.

    Returns
    -------
    DataFrame
        A row a contract: the provider's quote, mid, years, spot, forward, moneyness, iv (a year, of the mid), delta,
        gamma, theta (a year), vega, rho (per 1.00), flags; null where no volatility explains the mid.

    Raises
    ------
    ConfigError
        For an unknown underlying, day, flag or column.
    StageError
        If no snapshot was taken.

    Examples
    --------
    >>> results.options("SPY", universe="full", moneyness=(0.9, 1.1), flags={"clean": True})  # doctest: +SKIP
    """
    from src.chains.store import contracts

    at = place(universe, root)
    kind, underlying, captured = _snapshot(at, symbol, day(date, "date"))
    try:
        found = contracts(
            at.paths.options, f"{kind}:{underlying}", expiry=(day(expiry[0], "expiry"), day(expiry[1], "expiry")),
            moneyness=moneyness, type=type, as_of=captured, flags=flags, columns=columns,
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return as_frame(found, frame)


@overload
def facts(
    universe: str | None = None, symbol: Symbol | None = None, kind: str | None = None,
    *, frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def facts(
    universe: str | None = None, symbol: Symbol | None = None, kind: str | None = None,
    *, frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def facts(
    universe: str | None = None,
    symbol: Symbol | None = None,
    kind: str | None = None,
    *,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Read the facts of research about an instrument, each with the time from which a decision may use it.

    Parameters
    ----------
    universe, frame, root
        As `options` takes them.
    symbol : str or (asset_class, symbol)
    kind : str, optional
        Such as ``filings`` or ``news``; ``docs/research.md`` has all. By default the facts of every kind are counted.

    Returns
    -------
    DataFrame
        Of one kind: asset_class, symbol, known (UTC), document, and what facts of the kind hold. Without a kind: kind,
        facts, first and last known.

    Raises
    ------
    ConfigError
        For an unknown instrument or kind.
    StageError
        If a file can't be read.

    Examples
    --------
    >>> results.facts("quick", "AAPL")  # doctest: +SKIP
    """
    import polars as pl

    from src.documents.facts import FACTS

    at = place(universe, root)
    key = instrument(at, symbol)
    if kind is not None:
        if kind not in FACTS:
            raise ConfigError(f"kind must be one of {', '.join(FACTS)}, got {kind!r}")
        return as_frame(_facts(at, key, kind), frame)
    rows = []
    for each in FACTS:
        found = _facts(at, key, each)
        rows.append((each, found.height, found["known"].min(), found["known"].max()))
    known = pl.Datetime("us", "UTC")
    schema = {"kind": pl.String(), "facts": pl.Int64(), "first": known, "last": known}
    return as_frame(pl.DataFrame(rows, schema=schema, orient="row"), frame)


def _facts(at: Place, key: Key, kind: str) -> pl.DataFrame:
    from src.documents.fact_store import FactStore
    from src.market.bars import bucket

    return FactStore(at.paths.facts).read(bucket(*key, at.bars().manifest.buckets), kind, [key])


def _snapshot(at: Place, symbol: Symbol, on: dt.date | None) -> tuple[str, str, dt.datetime]:
    """Class and symbol of an underlying, and the moment of the snapshot that is meant."""
    import polars as pl

    from src.chains.store import OptionStore

    listing = OptionStore(at.paths.options).snapshots()
    if listing.is_empty():
        raise StageError(f"universe={at.dataset} has no option chains: run `{at.command('quote', 'source=auto')}`")
    kind, name = parted(symbol)
    own = listing.filter(pl.col("underlying").str.to_uppercase() == name.upper())
    own = own if kind is None else own.filter(pl.col("asset_class") == kind)
    keys = own.select("asset_class", "underlying").unique(maintain_order=True).rows()
    if len(keys) != 1:
        raise ConfigError(_no_chain(at, symbol, keys, listing))
    moments: list[dt.datetime] = own["captured"].to_list()
    days = sorted({moment.date() for moment in moments})
    if on is not None and on not in days:
        span = f"it has {len(days)} days, from {days[0]} to {days[-1]}"
        raise ConfigError(f"{'.'.join(keys[0])} has no chain of {on}: {span}")
    return *keys[0], max(moment for moment in moments if on in (None, moment.date()))


def _no_chain(at: Place, symbol: Symbol, keys: list[Key], listing: pl.DataFrame) -> str:
    """Why a name means no underlying, or several."""
    import difflib

    named = symbol if isinstance(symbol, str) else ".".join(symbol)
    if keys:
        return f"{named} has chains in {len(keys)} classes: say {' or '.join('.'.join(key) for key in keys)}"
    there = listing["underlying"].unique().sort().to_list()
    close = difflib.get_close_matches(parted(symbol)[1].upper(), there, n=3)
    near = f" (close: {', '.join(close)})" if close else ""
    taken = at.command("quote", "source=auto", f"only=[{parted(symbol)[1]}]")
    return f"{named} is none of the {len(there)} underlyings with chains{near}: `{taken}` takes a snapshot"
