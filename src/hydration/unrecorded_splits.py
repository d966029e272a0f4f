"""Splits that the prices of a source don't show: found, and the earlier bars brought into the later basis.

Whether bar k begins after a split is decided from bars up to k alone, in order of time, so that more bars change no
repair. What is doubtful, or only seen from later bars, quarantines the instrument. A scale that is wrong for some days
and comes back is two splits, one against the other: the bars between are brought into the basis of the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import FloatArray
from src.core.finding import BarFinding
from src.core.instruments import Key
from src.hydration.quarantine import HELD, SCALE
from src.hydration.split_evidence import Evidence, afterwards, evidence, share_volume_stayed
from src.hydration.usual_bars import Series, Usual, usual, usual_later
from src.market.bars import PRICES

LEAP = 0.15  # smaller overnight gaps are no splits: 5:4 less a day's move
REPAIR = 3.5  # log odds of a split from which it is one, decided from the bars up to it ...
CERTAINTY = 0.95  # ... if this is the share of its ratio in them ...
SCALED = 0.9  # ... and the probability that share volume changed with the price
DOUBT = 0.0  # log odds from which it may be one, decided from later bars too
_PAST = 20  # bars before it, for a repair
PAIR = 8.0  # log odds that a move back by the same ratio adds: a scale was wrong for some days
_LONG_GAP = 15  # weekdays without a bar, after which no ratio is exact
_BACK, _BACK_SCALE, _BACK_ROOM = 20, 4.0, 0.02  # bars within which a level that was left comes back
_PRINT = math.log(SCALE)  # such moves are held at the last close for a while
_MANY, _WITHIN = 3, 250  # splits within so few bars are not believed
_SESSION_HOURS = 4.0  # without an intraday bar: a session ends
_REMEDY = "correct the file or take another source, then hydrate again"


@dataclass
class Found:
    """Splits of one instrument, by position of the first bar after each.

    Attributes
    ----------
    repairs : dict of int to float
        Ratio of those that are repaired.
    doubts : dict of int to (float, str)
        Log odds and what was seen, of those that quarantine.
    seen : dict of int to Evidence
        Of all gaps that are not repaired, unless validation holds such prints.
    """

    repairs: dict[int, float] = field(default_factory=dict)
    doubts: dict[int, tuple[float, str]] = field(default_factory=dict)
    seen: dict[int, Evidence] = field(default_factory=dict)


def without_unrecorded_splits(
    frame: pl.DataFrame, interval: str = "1d"
) -> tuple[pl.DataFrame, dict[Key, list[BarFinding]]]:
    """Bring bars before a split that the prices don't show into the basis of those after it.

    Parameters
    ----------
    frame : DataFrame
        Rows sorted by g (instrument) and date: asset_class, symbol, g, date, open, high, low, close, volume, adj_close,
        split; any value may be null or absurd.
    interval : str
        Length of a bar. Within a session no split takes effect.

    Returns
    -------
    frame : DataFrame
        Prices and adj_close divided by the ratios of later splits, volume multiplied by them, split (as-traded price
        over price) stated, and two more columns: `rebased` marks the first bar after each split, `basis` is the ratio
        by which prices were divided.
    splits : dict of (asset_class, symbol) to list of BarFinding
        Splits repaired and doubtful ones, in order of time; instruments without any are left out.
    """
    frame = frame.with_columns(_gaps(interval)).with_columns(
        leap=(pl.min_horizontal(pl.col("price_leap").abs(), pl.col("total_leap").abs()) > LEAP).fill_null(False)
    )
    basis, stated = np.ones(frame.height), np.full(frame.height, np.nan)
    rebased, splits = np.zeros(frame.height, dtype=bool), {}
    suspects = _suspects(frame)
    columns = _columns(frame) if suspects else {}
    for start, end in suspects:
        found = _found({name: values[start:end] for name, values in columns.items()}, interval)
        if not (found.repairs or found.doubts):
            continue
        rows = frame[start:end]
        for k, ratio in found.repairs.items():
            basis[start : start + k] *= ratio
            rebased[start + k] = True
        if found.repairs and not _opposed(found.repairs):
            stated[start:end] = _history(rows["split"], found.repairs)
        splits[rows["asset_class"][0], rows["symbol"][0]] = _findings(found, rows)
    frame = frame.drop("total_leap", "price_leap", "opens", "leap")
    frame = frame.with_columns(rebased=pl.Series(rebased), basis=pl.Series(basis))
    return (_rebased(frame, stated) if rebased.any() else frame), splits


def _gaps(interval: str) -> list[pl.Expr]:
    """Log gap from the last valid close to the open, or to the close without one: of the price, and of total return."""
    before = _last_valid("close")
    first = pl.when((pl.col("open") > 0).fill_null(False)).then("open").otherwise("close")
    leap = pl.when((first > 0) & (pl.col("close") > 0)).then((first / before).log())
    valid = (pl.col("close") > 0) & (pl.col("adj_close") > 0)
    ratio = pl.when(valid).then(pl.col("adj_close") / pl.col("close"))
    step = (ratio / ratio.forward_fill().over("g").shift(1)).log().fill_null(0.0)
    opens = pl.lit(True) if interval.endswith(("d", "wk", "mo")) else _session_begins()
    return [leap.alias("price_leap"), (leap + step).alias("total_leap"), opens.alias("opens")]


def _last_valid(name: str) -> pl.Expr:
    valid = pl.when(pl.col(name) > 0).then(name).forward_fill().over("g")
    return pl.when(pl.col("g") == pl.col("g").shift(1)).then(valid.shift(1))


def _session_begins() -> pl.Expr:
    """Whether an intraday bar is the first of its session; a coin trades on, so each of its bars may be."""
    hours = (pl.col("date") - pl.col("date").shift(1)).dt.total_seconds() / 3600
    begins = (hours >= _SESSION_HOURS) & (pl.col("g") == pl.col("g").shift(1))
    return begins.fill_null(False) | (pl.col("asset_class") == "crypto")


def _suspects(frame: pl.DataFrame) -> list[tuple[int, int]]:
    """First row and end of each instrument with an overnight gap beyond `LEAP`."""
    leaps = frame["leap"] & frame["opens"]
    if not leaps.any():
        return []
    groups = frame["g"].to_numpy()
    codes = np.unique(groups[leaps.to_numpy()])
    starts, ends = (np.searchsorted(groups, codes, side=side) for side in ("left", "right"))
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _columns(frame: pl.DataFrame) -> dict[str, Any]:
    """What `_found` reads of all rows, as arrays; numbers that are unknown are NaN."""
    numbers = (*PRICES, "volume", "total_leap")
    columns = {name: frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in numbers}
    columns |= {name: frame[name].to_numpy() for name in ("leap", "opens")}
    days = frame["date"].cast(pl.Date).to_numpy().astype("datetime64[D]")
    return columns | {"day": days, "coin": (frame["asset_class"] == "crypto").to_numpy()}


def _found(rows: dict[str, Any], interval: str) -> Found:
    """Judge each overnight gap of one instrument, in order of time, by the bars that begin a session."""
    places = np.flatnonzero((rows["close"] > 0) & rows["opens"])
    kept = {name: values[places] for name, values in rows.items()}
    bars = _series(kept, interval)
    found = Found()
    for k in np.flatnonzero(kept["leap"]).tolist():
        _judge(bars, k, found)
    _settle(bars, found)
    return Found(
        {int(places[k]): ratio for k, ratio in found.repairs.items()},
        {int(places[k]): doubt for k, doubt in found.doubts.items()},
    )


def _series(rows: dict[str, Any], interval: str) -> Series:
    """Arrays of the rows; what is unknown or impossible is NaN."""
    values = {name: rows[name] for name in [*PRICES, "volume"]}
    for name in PRICES:
        values[name][~(values[name] > 0)] = np.nan
    opened = np.isfinite(values["open"])
    leap = rows["total_leap"]
    close = np.log(values["close"])
    move = np.concatenate([[np.nan], close[1:] - close[:-1]])[: close.size]
    days = _weekdays(rows["day"], bool(rows["coin"][:1].any())) if interval == "1d" else np.ones(close.size)
    return Series(**values, gap=np.where(opened, leap, np.nan), move=np.where(opened, move, leap), days=days)


def _weekdays(days: Any, all_days: bool) -> FloatArray:
    """Weekdays, or days, from each date to the one before; 1 at the first."""
    passed = np.diff(days) if all_days else np.busday_count(days[:-1], days[1:])
    found: FloatArray = np.concatenate([[1.0], passed.astype(float)])[: days.size]
    return found


def _judge(bars: Series, k: int, found: Found) -> None:
    """Decide on the gap before bar k from the bars up to it; bars before a repaired one are rebased in place."""
    if _only_the_open(bars, k):
        return
    past = usual(bars, k)
    early = past is None
    past = usual_later(bars, k) if past is None else past
    if past is None:
        return
    seen = evidence(bars, k, past)
    left = _level_left(bars, k, past)
    if left is not None:
        _close_pair(seen, left, k, found)
        return
    undoes = _undoes_repair(bars, k, found)
    if undoes:
        seen = replace(seen, odds=seen.odds + PAIR)
    named = seen.certainty > CERTAINTY and (undoes or not seen.rare)
    certain = seen.odds > REPAIR and named and seen.scaled > SCALED
    exact = k >= _PAST and math.isfinite(bars.gap[k]) and bars.days[k] <= _LONG_GAP
    if certain and exact and not early:
        _rebase(bars, k, seen.ratio)
        found.repairs[k] = seen.ratio
        return
    if abs(bars.move[k]) >= _PRINT and not _lasts(bars, k):
        return
    found.seen[k] = seen
    if undoes or seen.odds > REPAIR or seen.odds + afterwards(bars, k, past) > DOUBT:
        found.doubts[k] = (seen.odds, _doubt(seen, early))


def _lasts(bars: Series, k: int) -> bool:
    """Whether the price stays near its level of bar k for longer than validation holds a print."""
    later = np.log(bars.close[k : k + HELD + 1])
    before = later[0] - bars.move[k]
    return later.size > HELD and bool((np.abs(later - before) > np.abs(later - later[0])).all())


def _undoes_repair(bars: Series, k: int, found: Found) -> bool:
    """Whether the gap before bar k takes back, about, a split that was repaired shortly before."""
    size = bars.gap[k] if math.isfinite(bars.gap[k]) else bars.move[k]
    sizes = [math.log(ratio) for j, ratio in found.repairs.items() if k - j <= _BACK]
    return any(abs(size - each) < 0.3 * abs(each) for each in sizes)


def _close_pair(seen: Evidence, left: int, k: int, found: Found) -> None:
    """Judge two gaps together, the later of which leads back to the level that the earlier one left at bar `left`.

    Where both look like splits, the bars between are in a wrong scale: which of them can't be repaired without a look
    at later ones, so the instrument is quarantined. Otherwise the price fell and rose, and a weak doubt ends.
    """
    first = found.seen.get(left)
    exact = first is not None and min(first.certainty, seen.certainty) > CERTAINTY
    if first and exact and math.isclose(first.ratio * seen.ratio, 1.0) and first.odds + seen.odds + PAIR > DOUBT:
        bars = f"{k - left} bar{'s' if k - left > 1 else ''}"
        text = f"moved as by a {ratio_text(1 / seen.ratio)} split for {bars} and then back"
        found.doubts.setdefault(left, (seen.odds, text))
    elif left in found.doubts and found.doubts[left][0] < REPAIR:
        del found.doubts[left]


def _doubt(seen: Evidence, early: bool) -> str:
    if seen.certainty <= CERTAINTY or seen.rare:
        return f"moved as by a split of about {ratio_text(seen.ratio)}"
    if seen.scaled < 0.5:
        return f"moved as by a {ratio_text(seen.ratio)} split, with the same number of shares traded"
    return f"moved as by a {ratio_text(seen.ratio)} split" + (", among the first bars" if early else "")


def _rebase(bars: Series, k: int, ratio: float) -> None:
    for values in (bars.open, bars.high, bars.low, bars.close):
        values[:k] /= ratio
    bars.volume[:k] *= ratio
    bars.gap[k] += math.log(ratio)
    bars.move[k] += math.log(ratio)


def _only_the_open(bars: Series, k: int) -> bool:
    """Whether the close is nearer to the level before than to that of the open: a bad print at the open."""
    gap, move = bars.gap[k], bars.move[k]
    return bool(move * gap <= 0 or abs(move) < 0.5 * abs(gap))


def _level_left(bars: Series, k: int, past: Usual) -> int | None:
    """The bar, shortly before k, at which the price left the level that the gap before bar k leads back to, if any."""
    now = bars.open[k] if math.isfinite(bars.open[k]) else bars.close[k]
    gap = math.log(now / bars.close[k - 1]) if k else 0.0
    scale = math.hypot(past.gap, past.move)
    for j in range(k - 2, max(-1, k - 2 - _BACK), -1):
        left = math.log(bars.close[j + 1] / bars.close[j])
        room = min(_BACK_SCALE * scale * math.sqrt(k - j) + _BACK_ROOM, abs(gap) / 2)
        if left * gap < 0 and abs(left) > 0.7 * abs(gap) and abs(math.log(now / bars.close[j])) < room:
            return j + 1
    return None


def _settle(bars: Series, found: Found) -> None:
    """Quarantine repairs that later bars put in doubt: share volume did not change, or there are too many."""
    places = sorted(found.repairs)
    for k in places:
        if share_volume_stayed(bars, k, found.repairs[k]):
            text = f"moved as by a {ratio_text(found.repairs[k])} split, with the same number of shares traded"
            found.doubts[k] = (REPAIR, text)
    for first, last in zip(places, places[_MANY:], strict=False):
        if last - first <= _WITHIN:
            found.doubts[first] = (REPAIR, f"moved as by {_MANY + 1} splits within {_WITHIN} bars from the one")


def _opposed(repairs: dict[int, float]) -> bool:
    """Whether some of the ratios undo one another: then what was traded is not known."""
    ratios = list(repairs.values())
    return any(ratio != 1 and any(math.isclose(ratio * other, 1.0) for other in ratios) for ratio in ratios)


def _history(given: pl.Series, repairs: dict[int, float]) -> FloatArray:
    """What to multiply the split history by, so that price times split is as traded; steps that it has are left."""
    factor, known = np.ones(given.len()), given.fill_null(1.0).to_numpy()
    for k, ratio in repairs.items():
        if not math.isclose(known[k - 1], known[k] * ratio, rel_tol=1e-3):
            factor[:k] *= ratio
    return factor


def _findings(found: Found, rows: pl.DataFrame) -> list[BarFinding]:
    """What is to be said of an instrument: the first two doubts, then all repairs, in order of time."""
    dates, n = rows["date"].cast(pl.Date), rows.height
    price = rows["price_leap"]
    doubts = [
        BarFinding(
            "unrecorded_split", "quarantined",
            f"{seen} on {dates[k]} without unusual turnover: an unrecorded split; {_REMEDY}",
            1, n, dates[k], dates[k], ratio=math.exp(abs(price[k])),
        )
        for k, (_, seen) in sorted(found.doubts.items())
    ]  # fmt: skip
    repairs = [
        BarFinding(
            "unrecorded_split", "repaired",
            f"{ratio_text(ratio)} split on {dates[k]}, not in the prices: earlier bars adjusted",
            k, n, dates[k], dates[k], ratio=max(ratio, 1 / ratio),
        )
        for k, ratio in sorted(found.repairs.items())
    ]  # fmt: skip
    return [*doubts[:2], *repairs]


def ratio_text(ratio: float) -> str:
    """A ratio of new shares to old ones as text: 2:1, 3:2, 1:10.

    Parameters
    ----------
    ratio : float
        New shares for one old share.
    """
    parts = Fraction(ratio).limit_denominator(1000)
    return f"{parts.numerator}:{parts.denominator}"


def _rebased(frame: pl.DataFrame, stated: FloatArray) -> pl.DataFrame:
    """The frame with earlier rows in the later basis, and the split history where it is known now (not NaN)."""
    history = pl.Series(stated)
    return frame.with_columns(
        *(pl.col(name) / pl.col("basis") for name in [*PRICES, "adj_close"]),
        volume=pl.col("volume") * pl.col("basis"),
        split=pl.when(history.is_not_nan()).then(pl.col("split").fill_null(1.0) * history).otherwise("split"),
    )
