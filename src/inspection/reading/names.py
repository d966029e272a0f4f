"""Which instrument a name means: AAPL, stock.AAPL, stock:AAPL or ("stock", "AAPL")."""

from __future__ import annotations

from collections.abc import Iterable

from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES, KEY, Key
from src.inspection.reading.places import Place

Symbol = str | Key
"""An instrument as a caller names it; a ticker alone is enough where one class alone has it."""


def instrument(at: Place, symbol: Symbol | None) -> Key:
    """Find the one instrument that a name means.

    Parameters
    ----------
    at : Place
    symbol : str or (asset_class, symbol)
        The exact case is tried first, then upper case.

    Raises
    ------
    ConfigError
        If no instrument of the dataset has the name (the message gives close matches), or two classes have it.
    """
    if symbol is None:
        raise ConfigError('name an instrument, such as symbol="AAPL" or symbol="stock.AAPL"')
    for candidates in _spellings(symbol):
        found = [key for key in candidates if _is_held(at, key)]
        if len(found) > 1:
            named = " and ".join(f'"{kind}.{name}"' for kind, name in found)
            raise ConfigError(f"{symbol} is listed in {len(found)} classes of universe={at.dataset}: say {named}")
        if found:
            return found[0]
    raise _unknown(at, symbol)


def instruments(at: Place, symbols: Symbol | Iterable[Symbol] | None) -> list[Key]:
    """Find the instruments that one name, or each of several, means.

    Parameters
    ----------
    at : Place
    symbols : str, (asset_class, symbol), or an iterable of them
        A tuple whose first item is an asset class is one instrument.
    """
    if symbols is None or isinstance(symbols, str) or _is_key(symbols):
        return [instrument(at, symbols)]  # type: ignore[arg-type]
    return list(dict.fromkeys(instrument(at, each) for each in symbols))


def parted(symbol: Symbol) -> tuple[str | None, str]:
    """Split a name into its asset class, where it has one, and its symbol.

    Parameters
    ----------
    symbol : str or (asset_class, symbol)
    """
    if not isinstance(symbol, str):
        return symbol[0], symbol[1]
    for mark in (":", "."):
        kind, _, name = symbol.partition(mark)
        if kind.lower() in ASSET_CLASSES and name:
            return kind.lower(), name
    return None, symbol


def unknown_family(at: Place, key: Key, family: str | None, trained: Iterable[str]) -> ConfigError:
    """The error that says which model families an instrument has runs of.

    Parameters
    ----------
    at : Place
    key : (asset_class, symbol)
    family : str or None
    trained : iterable of str
    """
    name, there = ".".join(key), sorted(set(trained))
    if not there:
        return ConfigError(f"{name} has no graded run in universe={at.dataset}: run `{at.command('train')}`")
    return ConfigError(f"{name} has no graded run of family {family}: it has those of {', '.join(there)}")


def _is_key(symbols: object) -> bool:
    return isinstance(symbols, tuple) and len(symbols) == 2 and symbols[0] in ASSET_CLASSES


def _spellings(symbol: Symbol) -> Iterable[list[Key]]:
    kind, name = parted(symbol)
    kinds = ASSET_CLASSES if kind is None else (kind,)
    for spelt in dict.fromkeys((name, name.upper())):
        yield [(each, spelt) for each in kinds]


def _is_held(at: Place, key: Key) -> bool:
    """Whether the dataset has the instrument; the record of its bucket alone is read."""
    from src.market.bars import bucket

    store = at.bars()
    record = store.ledger.read(bucket(*key, store.manifest.buckets))
    return record is not None and any((row["asset_class"], row["symbol"]) == key for row in record.states)


def _unknown(at: Place, symbol: Symbol) -> ConfigError:
    from src.market.universe import matches

    name = symbol if isinstance(symbol, str) else ":".join(symbol)
    kind, ticker = parted(symbol)
    listing = at.bars().instruments().select(KEY)
    try:
        matches(listing, [ticker if kind is None else f"{kind}:{ticker}"], f"universe={at.dataset}")
    except ConfigError as error:
        return error
    return ConfigError(f"universe={at.dataset} has no instrument {name}")
