"""What trading a cross-section needs and no score changes: computed once, for any number of sets of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray, Matrix
from src.core.errors import StageError
from src.evaluation.pooled.costs import rates
from src.evaluation.pooled.neutralising import StyleBasis, style_basis

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig
    from src.evaluation.pooled.styles import Styles
    from src.market.cross_section import CrossSection


@dataclass(frozen=True)
class SignalDay:
    """A day whose scores become signals, and what is known of its tradable names at its close.

    Attributes
    ----------
    row : int
        Position among the days traded.
    names : int64, shape (n,)
        Columns of `Prepared.columns`: eligible names of known styles.
    volatility : float64, shape (n,)
        Not below the floor.
    beta : float64, shape (n,)
    """

    row: int
    names: IntArray
    volatility: FloatArray
    beta: FloatArray


@dataclass(frozen=True)
class Prepared:
    """D decision days, K of which are trade days, of the M names that are eligible on any of them.

    Attributes
    ----------
    choice : PortfolioConfig
    delisting_return : float
    shape : (int, int)
        Days and names of the whole cross-section, (T, N).
    days : slice
        Rows of the decisions in the cross-section; the last is two sessions before the last session at most.
    dates, stamps : datetime64[D], shape (D,)
        Of the decision, and of the open at which its return is complete.
    bars_per_year : float
    columns : int64, shape (M,)
        Of the cross-section.
    trades : int64, shape (K,)
        Positions of the trade days among the days.
    signal_days : sequence of SignalDay
        Ascending; the trade days are among them.
    basis : StyleBasis or None
        Styles of the signal days, for neutral scores; None where scores are taken as they are.
    windows : sequence of int64 arrays, length K
        Signal days, the trade day last, whose mean is traded on each trade day.
    returns : float32, shape (D, M)
        From the open after the decision to the next, or to the last close of a delisted name; 0 without a price. What
        the delisting takes on top is not included.
    beta : float32, shape (D, M)
        0 where it is not known.
    fills : bool, shape (K, M)
        Whether the name trades at the open after the trade day.
    gone : bool, shape (K, M)
        Whether the name was delisted by then: nothing is left of a position.
    rates : float32, shape (K + 1, M)
        Cost per unit of turnover on each trade day, and on the last day.
    ending_days, ending_names : int64, shape (E,)
        Delistings: the decision whose return holds each, and its column of `columns`.
    """

    choice: PortfolioConfig
    delisting_return: float
    shape: tuple[int, int]
    days: slice
    dates: DateArray
    stamps: DateArray
    bars_per_year: float
    columns: IntArray
    trades: IntArray
    signal_days: Sequence[SignalDay]
    basis: StyleBasis | None
    windows: Sequence[IntArray]
    returns: Matrix
    beta: Matrix
    fills: BoolArray
    gone: BoolArray
    rates: Matrix
    ending_days: IntArray
    ending_names: IntArray

    @property
    def lengths(self) -> IntArray:
        """Days for which each trade day's positions are held, shape (K,)."""
        return np.diff(self.trades, append=len(self.dates))


def prepare(
    days: slice,
    section: CrossSection,
    eligible: BoolArray,
    styles: Styles,
    choice: PortfolioConfig,
    delisting_return: float,
) -> Prepared:
    """Prepare the trading of consecutive days.

    Parameters
    ----------
    days : slice
        Rows of decisions; those whose return is not complete by the last session are left out.
    section, styles, choice
    eligible : bool, shape (T, N)
    delisting_return : float, at most 0

    Raises
    ------
    StageError
        Without a day, or an eligible name on any day.
    """
    start, stop, _ = days.indices(len(section.dates))
    days = slice(start, min(stop, len(section.dates) - 2))
    size = days.stop - days.start
    columns = np.flatnonzero(eligible[days].any(axis=0)) if size > 0 else np.empty(0, dtype=np.int64)
    if not columns.size:
        raise StageError(
            f"{section.asset_class}: a portfolio needs eligible instruments, got none on {max(size, 0)} days: lower "
            "eligibility.min_dollar_volume or eligibility.min_names, or take in more instruments"
        )
    trades = np.arange(0, size, choice.trade_every)
    windows = [_window(each, choice) for each in trades]
    rows = np.unique(np.concatenate(windows))
    ends = _endings(section, columns, days)
    last = np.where(section.delisted, section.last, len(section.dates))[columns]
    return Prepared(
        choice=choice,
        delisting_return=delisting_return,
        shape=section.shape,
        days=days,
        dates=section.dates[days],
        stamps=section.dates[days.start + 2 : days.stop + 2],
        bars_per_year=section.bars_per_year,
        columns=columns,
        trades=trades,
        signal_days=[_signal_day(row, days.start, columns, eligible, styles, choice) for row in rows],
        basis=style_basis(eligible, styles, rows + days.start) if choice.neutralised else None,
        windows=[np.searchsorted(rows, window) for window in windows],
        returns=_open_returns(section, columns, days, ends),
        beta=np.nan_to_num(styles.beta[days][:, columns], nan=0.0),
        fills=np.isfinite(section.open[np.ix_(trades + days.start + 1, columns)]),
        gone=last <= (trades + days.start)[:, None],
        rates=rates(section, columns, np.append(trades, size - 1) + days.start, choice),
        ending_days=ends[0],
        ending_names=ends[1],
    )


def _window(trade: int, choice: PortfolioConfig) -> IntArray:
    """Rows of the signals that are averaged on a trade day: one every `signal_every` days, the day itself last."""
    rows = np.arange(trade, trade - choice.smoothing, -choice.signal_every)
    return np.sort(rows[rows >= 0])


def _signal_day(
    row: int, first: int, columns: IntArray, eligible: BoolArray, styles: Styles, choice: PortfolioConfig
) -> SignalDay:
    """Take what is known of the tradable names at the close of a day."""
    day = first + row
    table = [each[day, columns].astype(np.float64) for each in (styles.beta, styles.volatility, styles.dollar_volume)]
    known = eligible[day, columns] & np.isfinite(table).all(axis=0)
    names = np.flatnonzero(known)
    beta, volatility = table[0][names], table[1][names]
    floor = choice.volatility_floor * np.median(volatility) if names.size else 0.0
    return SignalDay(row, names, np.maximum(volatility, max(floor, 1e-9)), beta)


def _endings(section: CrossSection, columns: IntArray, days: slice) -> tuple[IntArray, IntArray]:
    """Find the decisions and names whose return ends on the day after a delisted name's last bar."""
    decision = section.last[columns] - 1 - days.start
    within = section.delisted[columns] & (decision >= 0) & (decision < days.stop - days.start)
    names = np.flatnonzero(within)
    return decision[names], names


def _open_returns(section: CrossSection, columns: IntArray, days: slice, endings: tuple[IntArray, IntArray]) -> Matrix:
    """Returns from open to open after each decision; a name carries its price over days on which it does not trade.

    A delisted name is left at its last close.
    """
    out = np.zeros((days.stop - days.start, columns.size), dtype=np.float32)
    before = section.open[days.start + 1, columns]
    for row in range(out.shape[0]):
        opened = section.open[days.start + row + 2, columns]
        after = np.where(np.isfinite(opened), opened, before)
        change = after / before - 1.0
        out[row] = np.where(np.isfinite(change), change, 0.0)
        before = after
    last = section.last[columns[endings[1]]], columns[endings[1]]
    out[endings] = section.close[last] / section.open[last] - 1.0
    return out
