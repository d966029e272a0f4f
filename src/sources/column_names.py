"""Names of columns as vendors write them, and which of ours each stands for."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from src.sources import units
from src.sources.column_error import ColumnError

REQUIRED = ("date", "open", "high", "low", "close", "volume")
ALIASES = {
    "asset_class": ("asset_class", "assetclass"),
    "symbol": ("symbol", "ticker", "instrument", "ticker_symbol", "stock_symbol", "act_symbol", "tckrsymb", "sym",
               "ts_code"),
    "date": ("date", "datetime", "date_time", "timestamp", "time", "day", "trade_date", "tradedate", "trading_date",
             "trading_day", "traddt", "exchange_date", "price_date", "quote_date", "dates", "open_time", "opentime",
             "window_start", "gmt_time", "utc_time", "local_time", "unix", "unix_time", "unix_timestamp", "epoch", "ts",
             "t", "datum", "fecha", "data"),
    "time": ("time",),
    "open": ("open", "o", "open_price", "openprice", "opening_price", "price_open", "opnpric", "eröffnung",
             "eröffn", "erster", "ouv", "ouverture", "apertura", "abertura"),
    "high": ("high", "h", "high_price", "highprice", "price_high", "hghpric", "hoch", "tageshoch", "plus_haut",
             "máximo", "máxima", "massimo"),
    "low": ("low", "l", "low_price", "lowprice", "price_low", "lwpric", "tief", "tagestief", "plus_bas", "mínimo",
            "mínima", "minimo"),
    "close": ("close", "c", "close_last", "close_price", "closeprice", "closing_price", "price_close", "clspric",
              "close_close_price_adjusted_for_splits", "schluss", "schlusskurs", "cierre", "último", "ultimo",
              "zuletzt", "dernier", "price", "last"),
    "adj_close": ("adj_close", "adjclose", "adjusted_close", "adjustedclose", "closeadj", "close_adj",
                  "adj_closing_price", "adjusted_closing_price", "close_adjusted", "adj_close_price",
                  "adj", "adj_price", "adjusted_price", "adj_last", "close_(adj)", "close_(adjusted)",
                  "close_(adj_)", "total_return_close", "tr_close",
                  "adj_close_adjusted_close_price_adjusted_for_splits_and_dividend_and_or_capital_gain_distributions"),
    "volume": ("volume", "vol", "v", "share_volume", "shares_traded", "traded_volume", "total_volume",
               "total_traded_quantity", "tottrdqty", "ttltradgvol", "volumefrom", "volume_base", "base_volume",
               "stücke", "stuecke", "volumen"),  # beside Stücke, Volumen is money
    "split": ("split", "splits", "stock_split", "stock_splits", "split_ratio", "splitratio", "split_coefficient",
              "split_factor", "splitfactor", "splitcoefficient", "cfacpr"),
    "dividend": ("dividend", "dividends", "div", "dividend_amount", "div_cash", "divcash", "cash_dividend",
                 "ex_dividend", "dividendamount", "exdividend", "cash_div", "divamt", "dividend_per_share"),
    "capital_gain": ("capital_gain", "capital_gains", "capitalgains"),
    "unadjusted_close": ("unadjusted_close", "closeunadj", "close_unadj", "unadj_close", "close_unadjusted",
                         "raw_close"),
}  # fmt: skip
"""Usual names of each of our columns, `normalised`, the one that counts first; ``time`` is a time of day."""
INDEXES = ("", "index_level_0", "index", "unnamed:_0", "level_0")
"""Names that pandas gives an index without a name: dates, where no other column is."""
_LIKELY = {
    "date": ("datadate", "dlycaldt", "caldt"),
    "open": ("px_open", "openprc", "prcod"),
    "high": ("px_high", "askhi", "prchd"),
    "low": ("px_low", "bidlo", "prcld"),
    "close": ("px_last", "ltp", "last_price", "trdprc_1", "settle", "prc", "prccd"),
    "volume": ("px_volume", "tickvol", "tick_volume", "acvol_1", "cshtrd"),
}  # proposed in a message, never taken: what they hold depends on the vendor's settings
_NO_COIN = re.compile(
    r"(?:ma|sma|ema|avg|average|change|chg|value|notional|turnover|weighted|quote|bid|ask|buy|sell|adv)\d*"
)
_NO_EVENT = re.compile(r"yield|date|payout|growth|freq|declar|record|currency|index|flag")
_EVENTS = (
    (("dividend", "adj_close"), re.compile(r"(^|_)(div|divs|dividend\w*|distribution\w*|dps)(_|$)")),
    (("split", "unadjusted_close"), re.compile(r"split|(^|_)(adj\w*_)?factor$|^facpr$|^cfac|^ajex|^bonus")),
    (("adj_close",), re.compile(r"^adj_?(?!\w*factor)|_adj$|adjusted$|^adjprc$|total_return")),
)
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_./ -]*")
_RESERVED = ("true", "false", "null", "none", "nan", "inf", "yes", "no", "on", "off")


@functools.lru_cache(maxsize=4096)
def normalised(name: str) -> str:
    """A column's name without what vendors write around it.

    Parameters
    ----------
    name : str
        As in the file.

    Returns
    -------
    str
        Lower case, words joined by underscores.

    Examples
    --------
    >>> [normalised(name) for name in ("Adj Close**", "<TICKER>", "1. open", "Close/Last", "Vol.", "Open (USD)")]
    ['adj_close', 'ticker', 'open', 'close_last', 'vol', 'open']
    """
    text = re.sub(r"^\d+[ab]?\.\s+", "", units.parts(name.strip("\ufeff \t\xa0"))[0].lower())
    text = re.sub(r"[<>*\"'\ufeff]", "", text)
    return re.sub(r"[\s\xa0./_-]+", "_", text).strip("_")


def field_of(name: str) -> str | None:
    """Which of our columns a name stands for.

    Returns
    -------
    str or None
        None if it is no usual name.
    """
    plain = normalised(name)
    return next((ours for ours, aliases in ALIASES.items() if plain in aliases), None)


def matched(path: Path, keys: Sequence[str], named: dict[str, str]) -> dict[str, str]:
    """Find our columns among a file's.

    Parameters
    ----------
    path : Path
        The file, for messages.
    keys : sequence of str
        Its columns. Those after the first of the same name end in ``#2`` and so on.
    named : dict of str to str
        The file's name of a column by ours (``source.columns``).

    Returns
    -------
    dict of str to str
        The file's column by ours; without those that it does not have.

    Raises
    ------
    ColumnError
        If a column named in the settings is missing, or two columns have the same usual name.
    """
    unknown = [ours for ours in named if ours not in ALIASES]
    if unknown:
        raise ColumnError(f"source.columns: there is no column {unknown[0]} to name; there are: {', '.join(ALIASES)}")
    by_alias: dict[str, list[str]] = {}
    for key in keys:
        by_alias.setdefault(normalised(re.sub(r"#\d+$", "", key)), []).append(key)
    columns = {}
    for ours, aliases in ALIASES.items():
        if ours in named:
            columns[ours] = _given(path, ours, named[ours], keys)
        elif found := next((by_alias[alias] for alias in aliases if alias in by_alias), None):
            if len(found) > 1:
                raise ColumnError(
                    f"{path.name} has {len(found)} columns for {ours}: {', '.join(found)}: name the right one with"
                    f" {setting(ours, found[0])}"
                )
            columns[ours] = found[0]
    if columns.get("time") == columns.get("date"):
        columns.pop("time", None)
    if "volume" not in columns and (coins := _coins(by_alias)) is not None:
        columns["volume"] = coins
    if "date" not in columns and (index := next((by_alias[i] for i in INDEXES if i in by_alias), None)):
        columns["date"] = index[0]
    return columns


def unused_events(columns: dict[str, str], keys: Iterable[str]) -> list[str]:
    """Columns that may hold dividends, splits or adjusted closes, and are not read.

    Parameters
    ----------
    columns : dict of str to str
        The file's column by ours.
    keys : iterable of str
        All columns of the file.

    Returns
    -------
    list of str
        Names as in the file.

    Examples
    --------
    >>> unused_events({"close": "Close", "split": "Splits"}, ["Close", "Distribution", "Adj Factor", "Div Yield"])
    ['Distribution']
    """
    taken = set(columns.values())
    spare = [key for key in keys if key not in taken and not _NO_EVENT.search(normalised(key))]
    found = [
        key
        for ours, pattern in _EVENTS
        if not any(name in columns for name in ours)
        for key in spare
        if pattern.search(normalised(key))
    ]
    return list(dict.fromkeys(found))


def missing(path: Path, columns: dict[str, str], keys: Sequence[str]) -> ColumnError | None:
    """Say which required columns a file lacks, and what to type.

    Returns
    -------
    ColumnError or None
        None if it lacks none. The message has the columns that there are, and a setting for those that are missing.
    """
    lacking = [ours for ours in REQUIRED if ours not in columns]
    if not lacking:
        return None
    if len(keys) == 1 and (sign := _odd_separator(keys[0])) is not None:
        return ColumnError(
            f"{path.name} has one column, {keys[0][:80]!r}: cells are separated by a comma, a semicolon, a tab, a bar"
            f" or spaces; write sep={sign} into a line above the header"
        )
    shown = ", ".join(key or "''" for key in keys[:40]) + (f" and {len(keys) - 40} more" if len(keys) > 40 else "")
    spare = [key for key in keys if key not in columns.values()]
    if (wide := _is_wide(columns, spare)) is not None:
        return ColumnError(
            f"{path.name} has one column for each symbol ({wide}): a table of one value a day can't be traded on; bars"
            f" need {', '.join(REQUIRED)} of each, in a file of its own or with a column symbol"
        )
    proposed = {ours: likely(ours, keys) for ours in lacking}
    what = f"{path.name} has no column for {' and '.join(lacking)} (needed: {', '.join(REQUIRED)}); it has: {shown}:"
    if len(lacking) == 1:
        return ColumnError(f"{what} name it with {setting(lacking[0], proposed[lacking[0]])}")
    inner = ", ".join(f"{ours}: {_quoted(name)}" for ours, name in proposed.items())
    return ColumnError(f'{what} name them with "source.columns={{{inner}}}"')


def _odd_separator(header: str) -> str | None:
    """The sign that separates several usual names in a header; None if there is none."""
    for sign in dict.fromkeys(re.sub(r"[\w\s\"'()]", "", header)):
        if sum(field_of(part) is not None for part in header.split(sign)) >= len(REQUIRED) - 1:
            return sign
    return None


def likely(ours: str, keys: Iterable[str]) -> str | None:
    """The column that a person may mean.

    Returns
    -------
    str or None
        One that vendors use for it, or the nearest name that is no usual name of another column; None without one.
    """
    taken = {alias for aliases in ALIASES.values() for alias in aliases}
    spare = {normalised(key): key for key in keys if normalised(key) not in taken}
    vendors = next((spare[name] for name in _LIKELY.get(ours, ()) if name in spare), None)
    if vendors is not None:
        return vendors
    money = next((key for name, key in spare.items() if ours == "volume" and name.startswith("volume_")), None)
    close = difflib.get_close_matches(ours, spare, n=1, cutoff=0.5)
    return money or (spare[close[0]] if close else None)


def setting(ours: str, theirs: str | None) -> str:
    """A setting that names a column, as it can be typed.

    Examples
    --------
    >>> print(setting("close", "PX_LAST"), setting("close", "Close/Last (EUR)"), setting("date", ""))
    "source.columns.close=PX_LAST" "source.columns.close='Close/Last (EUR)'" "source.columns.date=''"
    """
    return f'"source.columns.{ours}={_quoted(theirs)}"'


def _quoted(name: str | None) -> str:
    """A value of Hydra's grammar; the placeholder stays as it is."""
    if name is None:
        return "<column>"
    if _BARE.fullmatch(name) and name.lower() not in _RESERVED and name == name.strip():
        return name
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _coins(by_alias: dict[str, list[str]]) -> str | None:
    """The volume in coins of ``Volume BTC``, ``Volume USD``: the one that is no money."""
    volumes = {name.removeprefix("volume_"): keys[0] for name, keys in by_alias.items() if name.startswith("volume_")}
    coins = [key for unit, key in volumes.items() if re.fullmatch(r"[a-z0-9]{2,10}", unit) and not _is_no_coin(unit)]
    return coins[0] if len(coins) == 1 and len(volumes) <= 2 else None


def _is_no_coin(unit: str) -> bool:
    return unit in units.MONEY or _NO_COIN.fullmatch(unit) is not None


def _is_wide(columns: dict[str, str], spare: list[str]) -> str | None:
    """The first symbols of a table with one column for each symbol; None for any other file."""
    if any(ours in columns for ours in ("open", "high", "low", "close", "volume", "symbol")) or len(spare) < 2:
        return None
    if not all(re.fullmatch(r"[\^]?[A-Z0-9][A-Z0-9.\-=/&]{0,14}", name) for name in spare):
        return None
    if any(normalised(name) in names for name in spare for names in _LIKELY.values()):
        return None
    return ", ".join(spare[:3]) + (", ..." if len(spare) > 3 else "")


def _given(path: Path, ours: str, theirs: str, keys: Sequence[str]) -> str:
    for key in (theirs, theirs.strip()):
        if key in keys:
            return key
    alike = [key for key in keys if normalised(key) == normalised(theirs)]
    if len(alike) == 1:
        return alike[0]
    shown = ", ".join(key or "''" for key in keys)
    raise ColumnError(f"source.columns.{ours}={theirs}: {path.name} has no such column; it has: {shown}")
