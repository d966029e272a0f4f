"""Splits, dividends and adjusted closes of a source, brought into what validation works with.

For each instrument: named splits are compared with the bars (`declared_splits`), prices as traded come into the split
basis of the last bar, and the total return follows from adj_close, or from the dividends where there is none. What is
not used is said. Instruments without any of these columns pass untouched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from src.core.finding import BarFinding
from src.core.instruments import Key
from src.hydration import declared_dividends as dividends
from src.hydration import split_columns
from src.hydration.declared_splits import Compared, compared
from src.hydration.moves import Floats, Tape
from src.hydration.split_columns import SplitColumn
from src.hydration.unrecorded_splits import ratio_text
from src.market.bars import PRICES

COLUMNS = ("split", "dividend", "capital_gain", "unadjusted_close")
"""Optional columns of bars that hold events or factors."""
_USED = (*PRICES, "volume", "adj_close", *COLUMNS)
_AGREEMENT = 1e-3  # of a step of adj_close with that of the dividends
_NONSENSE, _SHARE, _FEWEST = 0.2, 0.25, 30  # steps of adj_close over close beyond this, on such a share of 30 bars
_SHOWN = 3  # remarks on single dividends
_STEP = 0.03  # smaller steps of an as-traded close against the close are its rounding


@dataclass
class _Series:
    """The columns of one instrument, changed in place, and what is found."""

    key: Key
    days: list[Any]
    columns: dict[str, Floats]
    findings: list[BarFinding] = field(default_factory=list)
    exact: bool = False
    restated: list[int] = field(default_factory=list)

    def say(self, rule: str, effect: str, text: str, k: int | None = None, ratio: float | None = None) -> None:
        moment: Any = None if k is None else self.days[k]
        day = moment.date() if hasattr(moment, "date") else moment
        n, size = (0, None) if k is None else (1, None if ratio is None else max(ratio, 1 / ratio))
        self.findings.append(BarFinding(rule, effect, text, n, len(self.days), day, day, ratio=size))


def with_events(
    frame: pl.DataFrame, basis: str = "auto", exact: bool = False
) -> tuple[pl.DataFrame, dict[Key, list[BarFinding]]]:
    """Use the events and factors of a source, or say why not.

    Parameters
    ----------
    frame : DataFrame
        Rows sorted by g (instrument) and date: asset_class, symbol, g, date, prices, volume, adj_close, and those of
        `COLUMNS` that the source has, NaN-free.
    basis : str
        Of the configuration: with ``total_return`` dividends and adj_close are not used.
    exact : bool
        Events and prices are a provider's, unrounded; adj_close was derived from these events.

    Returns
    -------
    frame : DataFrame
        With prices, volume and adj_close in the split basis of the last bar, `split` (as-traded price over price),
        and two more columns: `exact`, whether steps of adj_close are distributions and no rounding, and `restated`,
        bars at which a fault of the prices was repaired.
    findings : dict of (asset_class, symbol) to list of BarFinding
        Those that condemn, then others; instruments without any are left out.
    """
    missing = [pl.lit(None, pl.Float64).alias(name) for name in COLUMNS if name not in frame.columns]
    frame = frame.with_columns(*missing, exact=pl.lit(exact), restated=pl.lit(False))
    findings: dict[Key, list[BarFinding]] = {}
    parts, done = [], 0
    for start, end in _touched(frame):
        part, found = _used(frame[start:end], basis, exact)
        parts += [frame[done:start], part]
        done = end
        if found:
            findings[part["asset_class"][0], part["symbol"][0]] = found
    frame = pl.concat([*parts, frame[done:]], rechunk=True) if parts else frame
    return frame.drop(set(COLUMNS) - {"split"}), findings


def _used(rows: pl.DataFrame, basis: str, exact: bool) -> tuple[pl.DataFrame, list[BarFinding]]:
    """The rows of one instrument after its events were used, and the findings: first those that condemn."""
    values = {name: rows[name].fill_null(math.nan).to_numpy().copy() for name in _USED}
    series = _Series((rows["asset_class"][0], rows["symbol"][0]), rows["date"].to_list(), values, exact=exact)
    _use(series, basis, exact)
    restated = np.zeros(rows.height, dtype=bool)
    restated[series.restated] = True
    used = [pl.Series(name, values[name]).fill_nan(None) for name in _USED]
    rows = rows.with_columns(*used, pl.Series("restated", restated), exact=pl.lit(series.exact))
    return rows, sorted(series.findings, key=lambda each: each.effect != "quarantined")


def together(
    named: dict[Key, list[BarFinding]], unrecorded: dict[Key, list[BarFinding]]
) -> dict[Key, list[BarFinding]]:
    """Findings on splits and dividends; what a named event condemned is not judged again.

    Parameters
    ----------
    named, unrecorded : dict of (asset_class, symbol) to list of BarFinding
        By `with_events`, and by `without_unrecorded_splits`.
    """
    condemned = {key for key, found in named.items() if found[0].effect == "quarantined"}
    both = dict(named)
    for key, found in unrecorded.items():
        if key not in condemned:
            both[key] = [*named.get(key, []), *found]
    return both


def _touched(frame: pl.DataFrame) -> list[tuple[int, int]]:
    """Rows of the instruments that have something to look at: first and end."""
    named = pl.any_horizontal(pl.col(name).is_not_null() for name in COLUMNS)
    odd = (pl.col("adj_close") / pl.col("close")).log()
    odd = ((odd - odd.shift(1)).abs() > _NONSENSE) & (pl.col("g") == pl.col("g").shift(1))
    adjusted = pl.col("adj_close")
    still = adjusted.is_not_null().any() & ((adjusted.n_unique() <= 2) | (adjusted <= 0).all())
    rows = frame.select("g", "adj_close", named=named, odd=odd.fill_null(False)).with_row_index("_row")
    look = pl.col("named").any() | (pl.col("odd").mean() > _SHARE) | still
    groups = rows.group_by("g", maintain_order=True).agg(pl.first("_row"), pl.len().alias("n"), look.alias("look"))
    return [(row, row + n) for row, n in groups.filter("look").select("_row", "n").iter_rows()]


def _use(series: _Series, basis: str, exact: bool) -> None:
    """Bring one instrument into order, on its bars with a valid close."""
    columns = series.columns
    ok = np.flatnonzero(columns["close"] > 0)
    if len(ok) < 2:
        column = split_columns.read(columns["split"])
        columns["split"][:] = column.last if column.known else math.nan
        return
    place = np.minimum(np.searchsorted(ok, np.arange(len(columns["close"]))), len(ok) - 1)  # of each row: next good one
    adj = columns["adj_close"]
    if not _adjusts(series, ok, basis):
        adj[:] = math.nan
    column = _split_column(series, ok)
    named = _gathered(column.named, place, len(ok), np.multiply)
    close = columns["close"][ok]
    adjusted = np.where(adj[ok] > 0, adj[ok], np.nan)
    tape = Tape(
        [series.days[i] for i in ok], columns["open"][ok], close.copy(), columns["volume"][ok], adjusted / close
    )
    seen = compared(tape, named, exact)
    _apply(series, seen, tape, column, ok, place)
    _total_return(series, seen, tape, ok, place, basis, exact)


def _gathered(values: Floats, place: Any, n: int, how: Any) -> Floats:
    """Events of all rows at the bars with a valid close that they count for: their own, or the next."""
    neutral = 1.0 if how is np.multiply else 0.0
    found = np.full(n, neutral)
    how.at(found, place, np.where(np.isfinite(values), values, neutral))
    return found


def _adjusts(series: _Series, ok: Any, basis: str) -> bool:
    """Whether adj_close can be what its name says; nonsense condemns, where no dividends stand in for it."""
    adj, close = series.columns["adj_close"][ok], series.columns["close"][ok]
    good = adj > 0
    if basis == "total_return" or np.isfinite(adj).sum() < _FEWEST:
        return True
    if not good.any():
        series.say("adj_close", "noted", "adj_close is never positive: not used")
        return False
    if good.sum() < _FEWEST:
        return True
    steps = np.abs(np.diff(np.log(adj[good] / close[good])))
    rounding = np.maximum(0.0, 0.02 / np.minimum(adj[good][1:], adj[good][:-1]))
    if np.ptp(adj[good]) == 0 and np.ptp(close[good]) > 0:
        fault = f"adj_close is {adj[good][0]:g} throughout while the close moves"
    elif (steps > _NONSENSE + rounding).mean() > _SHARE:
        fault = f"adj_close moves on its own against the close on {(steps > _NONSENSE).mean():.0%} of the bars"
    else:
        return True
    return _refused(series, fault)


def _refused(series: _Series, fault: str) -> bool:
    """Say that adj_close is not used: False, for `_adjusts`."""
    if np.nansum(series.columns["dividend"]) > 0:
        series.say("adj_close", "noted", f"{fault}: not used, the dividends are")
        return False
    series.say("adj_close", "quarantined", f"{fault}: it is no adjusted close; set source.basis=total_return to do"
               " without it, or name another column with source.columns.adj_close=<column>")  # fmt: skip
    return False


def _split_column(series: _Series, ok: Any) -> SplitColumn:
    """The split history that the source gives, by events, factors, or closes as traded."""
    columns = series.columns
    traded = columns["unadjusted_close"]
    if (traded[ok] > 0).sum() > 1:
        factor = np.where(traded > 0, traded, np.nan) / np.where(columns["close"] > 0, columns["close"], np.nan)
        held, before = factor.copy(), math.nan
        for k, value in enumerate(factor):  # a factor stays until it changes by more than its rounding
            room = _STEP + (0.01 / min(traded[k], columns["close"][k]) if math.isfinite(value) else 0.0)
            before = value if math.isfinite(value) and not abs(math.log(value / before)) <= room else before
            held[k] = before
        column = split_columns.read(held)
        if column.fault:
            series.say("split", "noted", f"unadjusted_close is not used: {column.fault} of the close against it")
        return column
    column = split_columns.read(columns["split"])
    if column.fault:
        series.say("split", "noted", f"column of splits: {column.fault}")
    return column


def _apply(series: _Series, seen: Compared, tape: Tape, column: SplitColumn, ok: Any, place: Any) -> None:
    """Prices, volume, adj_close and split of one instrument after the comparison."""
    columns = series.columns
    for k, ratio, text in seen.against:
        series.say("named_split", "quarantined", text, int(ok[k]), ratio)
    for k, ratio, text in seen.repaired:
        series.say("named_split", "repaired", text, int(ok[k]), ratio)
    if seen.as_traded:
        shown = ", ".join(f"{ratio_text(ratio)} on {tape.day[k]}" for k, ratio in seen.as_traded[:4])
        more = f" and {len(seen.as_traded) - 4} more" if len(seen.as_traded) > 4 else ""
        k, ratio = seen.as_traded[-1]
        text = f"prices as traded: brought into the basis after the named splits ({shown}{more})"
        series.say("as_traded", "noted", text, int(ok[k]), ratio)
    series.restated = [int(ok[k]) for k in np.flatnonzero(seen.restated)]
    for name in PRICES:
        columns[name] *= seen.price[place]
    columns["volume"] *= seen.volume[place]
    columns["adj_close"] *= _adjusting(tape.ratio, seen.price)[place]
    given = np.isfinite(columns["split"])
    if not column.known:
        columns["split"][:] = math.nan
    else:
        missing = ~given & given.any() & (np.cumsum(given) == 0)  # before an archive's end it is unknown
        columns["split"][:] = np.where(missing, math.nan, seen.split[place] * column.last)


def _adjusting(ratio: Floats, price: Floats) -> Floats:
    """Factors of adj_close beside those of the price: at each step the adj_close that agrees with the close stays."""
    logs = np.diff(np.log(price))  # a step c down the series: bars before were multiplied by exp(-c) more
    steps = np.zeros(len(ratio))
    for j in np.flatnonzero(np.abs(logs) > 1e-9):
        own = math.log(ratio[j + 1] / ratio[j]) if ratio[j] > 0 and ratio[j + 1] > 0 else 0.0
        steps[j] = 0.0 if abs(own - logs[j]) < abs(own) else logs[j]
    later = np.cumsum(steps[::-1])[::-1]
    factors: Floats = np.exp(-later)
    return factors


def _total_return(series: _Series, seen: Compared, tape: Tape, ok: Any, place: Any, basis: str, exact: bool) -> None:
    """Write adj_close from the dividends, where they are what says the total return."""
    columns = series.columns
    amount, gain = (_gathered(columns[name], place, len(ok), np.add) for name in ("dividend", "capital_gain"))
    if not (np.isfinite(columns["dividend"]).any() or gain.any()):
        return
    if basis == "total_return":
        if amount.any() or gain.any():
            series.say("dividends", "noted", "dividends are not used: source.basis=total_return")
        return
    adj, close = columns["adj_close"][ok], columns["close"][ok]
    has_adjusted = bool((adj > 0).any())
    if exact and has_adjusted and not seen.restated.any() and not seen.as_traded:
        return
    if has_adjusted and not exact and not _without_dividends(adj, close, amount + gain):
        _agree(series, adj, close, amount + gain, seen.price, ok)
        return
    if not exact:
        amount = _paid(series, tape, amount, gain, ok) * seen.price  # paid in the basis of the prices as served
    if not exact and not has_adjusted and _already_in(series, tape, seen, amount, close):
        return
    total = close * np.cumprod(dividends.steps(close, amount))
    columns["adj_close"][:] = math.nan
    columns["adj_close"][ok] = total
    series.exact = True
    if not exact and amount.any():
        why = "adj_close equals the close" if has_adjusted else "no adjusted close"
        n = np.count_nonzero(amount)
        text = f"total return from the {n:,} dividend{'' if n == 1 else 's'} given ({why})"
        series.say("dividends", "noted", text)


def _paid(series: _Series, tape: Tape, amount: Floats, gain: Floats, ok: Any) -> Floats:
    """Money of each bar in the basis of the served prices, without what can't be."""
    moves = np.log(tape.close / np.concatenate([[np.nan], tape.close[:-1]]))
    days = [day.date() if hasattr(day, "date") else day for day in tape.day]
    within = dividends.contained_gains(tape.close, amount, gain)
    for k in np.flatnonzero(within):
        text = f"capital gain of {gain[k]:g} on {days[k]} is in the dividend already: it counts once"
        series.say("capital_gain", "noted", text, int(ok[k]))
    kept, remarks = dividends.checked(days, tape.close, moves, amount + np.where(within, 0.0, gain))
    for each in remarks[:_SHOWN]:
        series.say("dividend", each.effect, each.text, int(ok[each.bar]))
    if len(remarks) > _SHOWN:
        series.say("dividend", "noted", f"{len(remarks) - _SHOWN:,} more dividends like these")
    return kept


def _without_dividends(adj: Floats, close: Floats, amount: Floats) -> bool:
    """Whether an adj_close is the close again although dividends are given."""
    return bool(amount[1:].any() and np.nanmax(np.abs(adj / close - adj[-1] / close[-1])) < 1e-6)


def _already_in(series: _Series, tape: Tape, seen: Compared, amount: Floats, close: Floats) -> bool:
    """Whether the dividends are in the prices already, as in those that yfinance adjusts: said, and not used again."""
    opened = np.where(tape.open > 0, tape.open * seen.price, np.nan)
    gap = np.log(opened / np.concatenate([[np.nan], close[:-1]]))
    splits = np.flatnonzero(np.diff(seen.split)) + 1
    if not dividends.in_the_prices(close, gap, amount, int(splits[-1]) if len(splits) else 0):
        return False
    series.say("dividends", "noted", "the prices include the dividends given: they are taken as total-return prices")
    return True


def _agree(series: _Series, adj: Floats, close: Floats, amount: Floats, price: Floats, ok: Any) -> None:
    """Say where an adj_close and the dividends differ; the adj_close counts."""
    good = (adj[1:] > 0) & (adj[:-1] > 0)
    theirs = np.where(good, adj[1:] / np.where(good, adj[:-1], 1.0) * close[:-1] / close[1:], 1.0)
    ours = dividends.steps(close, amount * price)[1:]
    room = _AGREEMENT + 0.01 / np.minimum(np.where(good, adj[:-1], np.inf), close[:-1])
    off = np.where(good & (amount[1:] > 0), np.abs(theirs / ours - 1), 0.0)
    odd = np.flatnonzero(off > room)
    if not len(odd):
        return
    k = int(odd[np.argmax(off[odd])])
    text = (
        f"adj_close and the dividends given differ on {len(odd):,} day{'s' if len(odd) > 1 else ''} (most on"
        f" {series.days[ok[k + 1]]}: {theirs[k] - 1:+.2%} against {ours[k] - 1:+.2%}): adj_close counts"
    )
    series.say("dividends", "noted", text, int(ok[k + 1]))
