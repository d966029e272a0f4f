"""What a book of given champions would have held and earned: netting, caps and accounting over matrices.

The book of a day holds each champion's latest decision up to that day: over a weekend stocks keep Friday's while coins
decide again each day. It is entered at each instrument's next open and earns from open to open, as in a grade; costs
are booked with the return that follows them. Of one champion without caps it is that champion's graded record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import DateArray, FloatArray, IntArray, Matrix
from src.core.instruments import Key
from src.market.bars import BARS_PER_YEAR
from src.signals.caps import Caps, cap_days

if TYPE_CHECKING:
    from src.config.schema import BookConfig

ENTRY = 1  # bars from a decision to its entry; its return is known one bar later


@dataclass(frozen=True)
class Stake:
    """What one champion held, as fractions of its own capital.

    Attributes
    ----------
    name, scope : str
    keys : tuple of (asset_class, symbol)
        Instruments.
    dates : datetime64, shape (m + 1,)
        Of its decisions, and the day from which it has none.
    positions : float, shape (m + 1, len(keys))
        From each of the dates on; zero at the last.
    sold : float64, shape (m + 1,), or None
        Units of its hedge that are sold against them.
    hedge : str
        Whose hedge, by the names that `held_weights` takes.
    decided : datetime64, shape (d,), or None
        Days of decision, where positions change on some of them only.
    """

    name: str
    scope: str
    keys: tuple[Key, ...]
    dates: DateArray
    positions: FloatArray | Matrix
    sold: FloatArray | None = None
    hedge: str = ""
    decided: DateArray | None = None

    @property
    def days(self) -> DateArray:
        """Days of decision."""
        return self.dates[:-1] if self.decided is None else self.decided


@dataclass(frozen=True)
class InstrumentBars:
    """The tradable bars k = 0..n-1 of one instrument.

    Attributes
    ----------
    dates : datetime64, shape (n,)
    change : float64, shape (n - 2,)
        Return of decision k, from the open of k+1 to that of k+2.
    rate : float64, shape (n - 2,)
        Cost per unit of turnover, known at k.
    loss : float
        What a long position earns on top of the last change: of a delisted name, in pooled portfolios.
    """

    dates: DateArray
    change: FloatArray
    rate: FloatArray
    loss: float = 0.0


@dataclass(frozen=True)
class HedgeWeights:
    """What a unit of a hedge consists of.

    Attributes
    ----------
    keys : tuple of (asset_class, symbol)
    weights : float64, shape (books, len(keys))
    """

    keys: tuple[Key, ...]
    weights: FloatArray


@dataclass(frozen=True)
class BookRecord:
    """A book's days.

    Attributes
    ----------
    books : datetime64, shape (b,)
        Days of decision.
    keys : list of (asset_class, symbol)
    weights : float64, shape (b, len(keys))
        After all caps.
    dates : datetime64, shape (d,)
        Days on which returns are complete.
    gross, cost, borrow, net, turnover : float64, shape (d,)
        Fractions of the capital; ``net = gross - cost - borrow``.
    always_long : float64, shape (d,)
        Mean return of the champions' instruments, without costs.
    names : int64, shape (d,)
    gross_exposure, net_exposure : float64, shape (d,)
        Of the book that was held.
    """

    books: DateArray
    keys: list[Key]
    weights: FloatArray
    dates: DateArray
    gross: FloatArray
    cost: FloatArray
    borrow: FloatArray
    net: FloatArray
    turnover: FloatArray
    always_long: FloatArray
    names: IntArray
    gross_exposure: FloatArray
    net_exposure: FloatArray


def book_days(stakes: Sequence[Stake], shares: Mapping[str, float]) -> DateArray:
    """Find the days of decision: from the first to the last on which half of the capital has champions that decide.

    Parameters
    ----------
    stakes : sequence of Stake
    shares : mapping
        Of the capital, by name.

    Returns
    -------
    datetime64, shape (b,)
        Ascending; empty without a stake.
    """
    if not stakes:
        return np.empty(0, dtype="datetime64[us]")
    days = _union((stake.days for stake in stakes), stakes[0].dates[:0])
    change = np.zeros(days.size + 1)
    for stake in stakes:
        change[np.searchsorted(days, stake.days[0])] += shares[stake.name]
        change[np.searchsorted(days, stake.days[-1]) + 1] -= shares[stake.name]
    half = 0.5 * sum(shares[stake.name] for stake in stakes) - 1e-9
    enough = np.flatnonzero(np.cumsum(change[:-1]) >= half)
    return days[enough[0] : enough[-1] + 1] if enough.size else days[:0]


def held_weights(
    stakes: Sequence[Stake],
    shares: Mapping[str, float],
    books: DateArray,
    hedges: Mapping[str, HedgeWeights],
    choice: BookConfig,
) -> tuple[list[Key], FloatArray]:
    """Net the stakes on each day and cut them to the caps.

    Parameters
    ----------
    stakes : sequence of Stake
        Added up in the order of their names.
    shares : mapping
        Of the capital, by name. What a champion that does not decide yet would have is in cash.
    books : datetime64, shape (b,)
    hedges : mapping
        By the name that a stake has of its hedge.
    choice : BookConfig

    Returns
    -------
    keys : list of (asset_class, symbol)
        Ascending.
    weights : float64, shape (b, len(keys))
    """
    ordered = sorted(stakes, key=lambda stake: stake.name)
    named = [*(stake.keys for stake in ordered), *(hedge.keys for hedge in hedges.values())]
    keys = sorted({key for each in named for key in each})
    place = {key: column for column, key in enumerate(keys)}
    wanted = np.zeros((books.size, len(keys)), order="F")
    units = {name: np.zeros(books.size) for name in hedges}
    for stake in ordered:
        row = np.searchsorted(stake.dates, books, side="right") - 1
        first = int(np.searchsorted(row, 0))
        columns = [place[key] for key in stake.keys]
        for at, column in enumerate(columns):
            wanted[first:, column] += shares[stake.name] * stake.positions[row[first:], at].astype(np.float64)
        if stake.sold is not None:
            units[stake.hedge][first:] += shares[stake.name] * stake.sold[row[first:]]
    for name, hedge in hedges.items():
        wanted[:, [place[key] for key in hedge.keys]] -= units[name][:, None] * hedge.weights
    classes = sorted({asset_class for asset_class, _ in keys})
    codes = np.array([classes.index(asset_class) for asset_class, _ in keys], dtype=np.int64)
    cap_days(wanted, codes, Caps.of(choice, classes))
    return keys, wanted


def accounted(
    books: DateArray,
    keys: list[Key],
    weights: FloatArray,
    bars: Mapping[Key, InstrumentBars],
    own: set[Key],
    borrow_bps: float = 0.0,
) -> BookRecord:
    """Book what the weights earned and cost.

    Parameters
    ----------
    books : datetime64, shape (b,)
    keys : list of (asset_class, symbol)
    weights : float64, shape (b, len(keys))
    bars : mapping of (asset_class, symbol) to InstrumentBars
        Of all of them.
    own : set of (asset_class, symbol)
        Instruments of the champions, whose mean return is `always_long`.
    borrow_bps : float
        A year, of all that is short.

    Returns
    -------
    BookRecord
    """
    spans = [_decided(bars[key], books) for key in keys]
    stamps = [
        bars[key].dates[span.start + 1 + ENTRY : span.stop + 1 + ENTRY] for key, span in zip(keys, spans, strict=True)
    ]
    dates = _union(stamps, books[:0])
    sums = {name: np.zeros(dates.size) for name in ("gross", "cost", "borrow", "turnover", "long", "alive")}
    for column, key in enumerate(keys):
        span, at = spans[column], np.searchsorted(dates, stamps[column])
        if at.size:
            one = _earned(weights[:, column], bars[key], span, books)
            one["borrow"] *= borrow_bps / 1e4 / BARS_PER_YEAR[key[0]]
            for name, values in one.items():
                sums[name][at] += values
            if key in own:
                sums["long"][at] += bars[key].change[span]
                sums["alive"][at[0] : at[-1] + 1] += 1.0
    row = np.maximum(np.searchsorted(books, dates) - 1 - ENTRY, 0)
    return BookRecord(
        books=books,
        keys=keys,
        weights=weights,
        dates=dates,
        **{name: sums[name] for name in ("gross", "cost", "borrow", "turnover")},
        net=sums["gross"] - sums["cost"] - sums["borrow"],
        always_long=sums["long"] / np.maximum(sums["alive"], 1.0),
        names=np.count_nonzero(weights, axis=1).astype(np.int64)[row],
        gross_exposure=np.abs(weights).sum(axis=1)[row],
        net_exposure=weights.sum(axis=1)[row],
    )


def _decided(bars: InstrumentBars, books: DateArray) -> slice:
    """Decisions k up to the last book whose entry, at the open of k+1, is after the first."""
    first = max(int(np.searchsorted(bars.dates, books[0], side="right")) - ENTRY, 0)
    last = min(int(np.searchsorted(bars.dates, books[-1], side="right")), bars.change.size)
    return slice(first, max(first, last))


def _earned(weight: FloatArray, bars: InstrumentBars, span: slice, books: DateArray) -> dict[str, FloatArray]:
    """Gross return, cost and turnover of the decisions, and what was short."""
    entries = bars.dates[span.start + ENTRY : span.stop + ENTRY]
    held = weight[np.searchsorted(books, entries) - 1]
    turnover = np.abs(np.diff(held, prepend=0.0))
    turnover[-1] += abs(held[-1])
    gross = held * bars.change[span]
    if bars.loss and span.stop == bars.change.size:
        gross[-1] += max(held[-1], 0.0) * (1.0 + bars.change[-1]) * bars.loss
    return {
        "gross": gross,
        "cost": turnover * bars.rate[span],
        "turnover": turnover,
        "borrow": np.maximum(-held, 0.0),
    }


def _union(dates: Iterable[DateArray], none: DateArray) -> DateArray:
    """All of some dates, ascending."""
    out = none
    for each in dates:
        at = np.searchsorted(out, each)
        if each.size and (at[-1] >= out.size or (out[at] != each).any()):
            out = np.union1d(out, each)
    return out
