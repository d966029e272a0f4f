"""The portfolio of a cross-section's scores: what it holds, what it earns, and what it pays for it.

Weights are decided at the close of a trade day from scores up to that day, are bought at the next open and held until
the open after the next trade day. A decision's return is that from the next open to the one after. As in
`src.evaluation.strategy.turnovers`, the drift of weights between trade days is not followed. An order in a name that
does not trade at the next open lapses: the former weight stays until the next trade day.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray, Matrix
from src.evaluation.pooled.costs import borrowed
from src.evaluation.pooled.prepared import Prepared, prepare
from src.evaluation.pooled.signals import signals, smoothed
from src.evaluation.pooled.weights import target_weights

if TYPE_CHECKING:
    from src.config.schema import PortfolioConfig
    from src.evaluation.pooled.styles import Styles
    from src.market.cross_section import CrossSection

KNOWN_AFTER = 2
"""Days until a decision's return is known: decision t earns from the open of t+1 to that of t+2."""
FIRST_SHARE = 3
"""Volatility is estimated, and positions are taken, from a third of its window on."""


@dataclass(frozen=True)
class TradedPortfolio:
    """What a portfolio held and earned on D consecutive decision days.

    Attributes
    ----------
    days : slice
        Rows of the decisions in the cross-section.
    dates, stamps : datetime64[D], shape (D,)
        Of the decision, and of the open at which its return is complete.
    columns : int64, shape (M,)
        Columns of the cross-section that were eligible on any of the days.
    width : int
        Names of the cross-section, N.
    trades : int64, shape (K,)
        Positions of the trade days among the days.
    held : float32, shape (K, M)
        Weights from each trade day to the next, all legs together.
    gross, cost, borrow, net : float64, shape (D,)
        Fractions of the capital; ``net = gross - cost - borrow``.
    turnover : float64, shape (D,)
        Sum of absolute changes of weight, legs apart; the last day also holds the exit.
    gross_exposure, net_exposure : float64, shape (D,)
        Sums of absolute weights and of weights.
    beta : float64, shape (D,)
        Of the weights, by each day's betas.
    names : int64, shape (D,)
        Names with a weight.
    long_only, long_only_net : float64, shape (D,), or None
        ``long_excess`` alone: gross and net return of its long names held outright, of weight 1 and without a hedge.
    """

    days: slice
    dates: DateArray
    stamps: DateArray
    columns: IntArray
    width: int
    trades: IntArray
    held: Matrix
    gross: FloatArray
    cost: FloatArray
    borrow: FloatArray
    net: FloatArray
    turnover: FloatArray
    gross_exposure: FloatArray
    net_exposure: FloatArray
    beta: FloatArray
    names: IntArray
    long_only: FloatArray | None = None
    long_only_net: FloatArray | None = None

    @cached_property
    def weights(self) -> Matrix:
        """Weights held over the return of each decision, float32, shape (D, N)."""
        out = np.zeros((len(self.dates), self.width), dtype=np.float32)
        out[:, self.columns] = np.repeat(self.held, np.diff(self.trades, append=len(self.dates)), axis=0)
        return out


@dataclass(frozen=True)
class _Book:
    """Daily figures of weights held."""

    gross: FloatArray
    cost: FloatArray
    turnover: FloatArray


def traded(
    scores: Matrix,
    days: slice,
    section: CrossSection,
    eligible: BoolArray,
    styles: Styles,
    choice: PortfolioConfig,
    delisting_return: float,
) -> TradedPortfolio:
    """Trade the scores of consecutive days.

    Parameters
    ----------
    scores : float32, shape (T, N), or (D, N) of the days alone
        Higher is better; NaN where a name has none.
    days : slice
        Rows of decisions; those whose return is not complete by the last session are left out.
    section : CrossSection
    eligible : bool, shape (T, N)
    styles : Styles
    choice : PortfolioConfig
    delisting_return : float, at most 0
        What a long position earns on top of a delisted name's last close, on the next day; a short one nothing.

    Returns
    -------
    TradedPortfolio
    """
    return trade(prepare(days, section, eligible, styles, choice, delisting_return), scores)


def trade(prepared: Prepared, scores: Matrix) -> TradedPortfolio:
    """Trade scores in prepared conditions; many sets of scores share one preparation.

    Parameters
    ----------
    prepared : Prepared
    scores : float32, shape (T, N), or (D, N) of the days alone

    Returns
    -------
    TradedPortfolio
    """
    targets = target_weights(prepared, smoothed(prepared, signals(prepared, scores)))
    scale = scales(earned(prepared, targets.sum(axis=1)), targets, prepared)
    held = filled(prepared, targets * scale[:, None, None].astype(np.float32))
    net_held: Matrix = held.sum(axis=1)
    book = _booked(prepared, held)
    short = np.maximum(-held, 0.0).sum(axis=(1, 2), dtype=np.float64)
    borrow = np.repeat(borrowed(short, prepared.choice, prepared.bars_per_year), prepared.lengths)
    return TradedPortfolio(
        days=prepared.days,
        dates=prepared.dates,
        stamps=prepared.stamps,
        columns=prepared.columns,
        width=prepared.shape[1],
        trades=prepared.trades,
        held=net_held,
        gross=book.gross,
        cost=book.cost,
        borrow=borrow,
        net=book.gross - book.cost - borrow,
        turnover=book.turnover,
        gross_exposure=np.repeat(np.abs(net_held).sum(axis=1, dtype=np.float64), prepared.lengths),
        net_exposure=np.repeat(net_held.sum(axis=1, dtype=np.float64), prepared.lengths),
        beta=_by_day(net_held, prepared.beta, prepared),
        names=np.repeat(np.count_nonzero(net_held, axis=1), prepared.lengths),
        **_long_only(prepared, targets),
    )


def scales(paper: FloatArray, targets: Matrix, prepared: Prepared) -> FloatArray:
    """Compute what the weights of each trade day are multiplied by to aim at the target volatility.

    The volatility is the standard deviation (n - 1) of the unscaled portfolio's own last gross returns that are known
    at the close of the trade day: decision t - 2 and before. Until a third of the window is known the portfolio stands
    in cash.

    Parameters
    ----------
    paper : float64, shape (D,)
        Gross returns of the unscaled weights.
    targets : float32, shape (K, legs, M)
        Of gross exposure 1 or 0.
    prepared : Prepared

    Returns
    -------
    float64, shape (K,), in [0, max_gross]
    """
    choice, out = prepared.choice, np.zeros(len(prepared.trades))
    invested = np.flatnonzero(np.abs(targets).any(axis=(1, 2)))
    if not invested.size:
        return out
    first = int(prepared.trades[invested[0]])
    for each, row in enumerate(prepared.trades):
        known = paper[max(first, row - KNOWN_AFTER + 1 - choice.volatility_window) : max(row - KNOWN_AFTER + 1, 0)]
        if known.size < max(choice.volatility_window // FIRST_SHARE, 2):
            continue
        annual = float(np.std(known, ddof=1)) * np.sqrt(prepared.bars_per_year)
        if annual > 1e-9:
            out[each] = min(choice.target_volatility / annual, choice.max_gross)
    return out


def filled(prepared: Prepared, targets: Matrix) -> Matrix:
    """Weights that are held where each trade day's targets are ordered.

    Parameters
    ----------
    prepared : Prepared
        Its `fills`, `gone` and the band of its choice.
    targets : float32, shape (K, legs, M)

    Returns
    -------
    float32, shape (K, legs, M)
        A change below the band, as a share of the mean absolute weight, is not ordered, unless it ends a position. An
        order in a name that does not trade lapses. Nothing is held of a delisted name.
    """
    out = np.empty_like(targets)
    before = np.zeros_like(targets[0])
    for each, wanted in enumerate(targets):
        ordered = prepared.fills[each]
        if prepared.choice.band > 0:
            size = np.abs(wanted)
            mean = size.sum(axis=1, keepdims=True) / np.maximum(np.count_nonzero(size, axis=1), 1)[:, None]
            ordered = ordered & ((np.abs(wanted - before) > prepared.choice.band * mean) | (wanted == 0.0))
        before = np.where(ordered, wanted, before)
        before[:, prepared.gone[each]] = 0.0
        out[each] = before
    return out


def earned(prepared: Prepared, held: Matrix) -> FloatArray:
    """Gross return of each decision, with what delistings take from long positions.

    Parameters
    ----------
    prepared : Prepared
    held : float32, shape (K, M)

    Returns
    -------
    float64, shape (D,)
    """
    out = _by_day(held, prepared.returns, prepared)
    block = np.searchsorted(prepared.trades, prepared.ending_days, side="right") - 1
    left = 1.0 + prepared.returns[prepared.ending_days, prepared.ending_names]
    lost = np.maximum(held[block, prepared.ending_names], 0.0) * left * prepared.delisting_return
    np.add.at(out, prepared.ending_days, lost)
    return out


def _by_day(held: Matrix, table: Matrix, prepared: Prepared) -> FloatArray:
    """Sum of weights times a daily table, shape (D,)."""
    out = np.empty(table.shape[0])
    for weight, start, length in zip(held, prepared.trades, prepared.lengths, strict=True):
        rows = slice(start, start + length)
        out[rows] = np.einsum("dn,n->d", table[rows], weight, dtype=np.float64)
    return out


def _booked(prepared: Prepared, held: Matrix) -> _Book:
    """Book returns and costs of the legs held, shape (K, legs, M)."""
    change = np.abs(np.diff(held, axis=0, prepend=np.float32(0.0))).sum(axis=1, dtype=np.float64)
    left = np.abs(held[-1]).sum(axis=0, dtype=np.float64)
    turnover, cost = np.zeros(len(prepared.dates)), np.zeros(len(prepared.dates))
    turnover[prepared.trades] = change.sum(axis=1)
    cost[prepared.trades] = (change * prepared.rates[:-1]).sum(axis=1)
    turnover[-1] += left.sum()
    cost[-1] += (left * prepared.rates[-1]).sum()
    return _Book(earned(prepared, held.sum(axis=1)), cost, turnover)


def _long_only(prepared: Prepared, targets: Matrix) -> dict[str, FloatArray]:
    """Hold the long names outright, of weight 1, where they are a leg of their own."""
    if targets.shape[1] == 1:
        return {}
    book = _booked(prepared, filled(prepared, targets[:, :1] * np.float32(2.0)))
    return {"long_only": book.gross, "long_only_net": book.gross - book.cost}
