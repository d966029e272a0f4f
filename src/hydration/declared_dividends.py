"""Dividends that the source names: those that can't be, those named twice, and the total return of the others.

A dividend D with ex-date at bar k multiplies the total return by C[k-1] / (C[k-1] - D), both in the split basis of bar
k (CRSP Calculations Guide, "cumulative factor to adjust price", from the other end). A capital gain that its provider
has added to the dividend of the day already counts once: the fall of the price on that day and on those of earlier
gains decides, for the provider's adj_close counts it twice as well (ranaroussi/yfinance#2666).
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.hydration.moves import Floats

TWICE_DAYS = 6  # an equal dividend within these days is the same one: weekly payers are a week apart
LARGE = 0.10  # of the price: beyond it an amount may be in hundredths
_KNOWN = 2  # earlier dividends that say what is usual
_CERTAIN, _POSSIBLE = 4.0, 2.5  # standard errors: prices fell by none of the dividends; or by none, as far as seen
_CLIP = 4.0  # robust scales
_CENTS, _NO_CENTS, _BARS = 0.95, 0.5, 10
_BEFORE = 60  # bars before the last dividend: further back a split that is not named may have ended whole cents


@dataclass(frozen=True)
class Remark:
    """One thing noticed of dividends: bar, effect (repaired, noted), and the sentence."""

    bar: int
    effect: str
    text: str


def checked(days: list[dt.date], close: Floats, move: Floats, amount: Floats) -> tuple[Floats, list[Remark]]:
    """Dividends that count, and what was wrong with the others, by the bars and dividends up to each.

    Parameters
    ----------
    days
        Date of each bar.
    close, move
        Shape (n,): close, and its log move from the close before, in the split basis of the dividends.
    amount
        Shape (n,): money a share that goes ex on the bar, 0 without.

    Returns
    -------
    amount : shape (n,)
        Zero where a dividend is negative, named again within six days, or not below the last close; a hundredth where
        it is a hundred times the usual one and the price did not fall by it.
    remarks : list of Remark
        One for each of these.
    """
    kept, remarks, past = amount.copy(), list[Remark](), list[tuple[int, float]]()
    for k in np.flatnonzero(amount != 0.0).tolist():
        value, fault, effect = float(amount[k]), "", "noted"
        usual = float(np.median([each for _, each in past[-8:]])) if len(past) >= _KNOWN else math.nan
        if k == 0:
            continue  # it went ex before the first bar's close: it lies in no return
        if not value > 0 or not math.isfinite(value):
            fault, kept[k] = "ignored: it is no payment", 0.0
        elif past and (days[k] - days[past[-1][0]]).days <= TWICE_DAYS and math.isclose(value, past[-1][1]):
            fault, effect, kept[k] = f"named for {days[past[-1][0]]} already: it counts once", "repaired", 0.0
        elif (
            value > LARGE * close[k - 1] and 0.4 < value / 100 / usual < 2.5 and not _seen(move[k], value, close[k - 1])
        ):
            fault, effect, kept[k] = f"read as {value / 100:g}: it is in hundredths", "repaired", value / 100
        elif value >= close[k - 1]:
            fault, kept[k] = "ignored: it is not below the last close", 0.0
        if fault:
            remarks.append(Remark(k, effect, f"dividend of {value:g} on {days[k]} {fault}"))
        if kept[k]:
            past.append((k, float(kept[k])))
    return kept, remarks


def _seen(move: float, value: float, before: float) -> bool:
    """Whether a price fell by at least half of a dividend."""
    return value < before and move < 0.5 * math.log(1 - value / before)


def steps(close: Floats, amount: Floats) -> Floats:
    """Steps of the total return by dividends, C[k-1] / (C[k-1] - D[k]), 1 without one.

    Parameters
    ----------
    close, amount
        Shape (n,), in one split basis; amounts are below the close before.

    Examples
    --------
    >>> steps(np.array([100.0, 98.0]), np.array([0.0, 2.0])).round(6).tolist()
    [1.0, 1.020408]
    """
    before = np.concatenate([[np.inf], close[:-1]])
    return np.where((amount > 0) & (amount < before), 1.0 / (1.0 - amount / before), 1.0)


def contained_gains(close: Floats, dividend: Floats, gain: Floats) -> npt.NDArray[np.bool_]:
    """Whether the capital gain of each bar lies in its dividend already.

    Parameters
    ----------
    close, dividend, gain
        Shape (n,), in one split basis; 0 without a payment.

    Returns
    -------
    shape (n,)
        False where the dividend is smaller than the gain. Otherwise the moves of this day and of earlier such days
        decide: they are nearer to the dividend than to the sum of both.
    """
    before = np.concatenate([[np.nan], close[:-1]])
    possible = (gain > 0) & (dividend >= gain) & (dividend + gain < before)
    within = np.zeros(len(close), dtype=np.bool_)
    evidence = 0.0
    for k in np.flatnonzero(possible):
        move = math.log(close[k] / before[k])
        alone, both = (math.log(1 - paid / before[k]) for paid in (dividend[k], dividend[k] + gain[k]))
        evidence += (move - both) ** 2 - (move - alone) ** 2
        within[k] = evidence >= 0
    return within


def in_the_prices(close: Floats, gap: Floats, amount: Floats, since: int) -> bool:
    """Whether the prices are total-return prices already, of which the dividends have been taken.

    Parameters
    ----------
    close, gap, amount
        Shape (n,): close, overnight log move, dividend.
    since
        First bar after the last split: prices before are no whole cents in any case.

    Returns
    -------
    bool
        True if prices are whole cents after the last dividend and not before, or if they fell by none of the dividends
        over night, by four standard errors. Where neither is seen they count as prices without dividends.
    """
    paid = np.flatnonzero((amount > 0) & np.isfinite(gap))
    paid = paid[paid > 0]
    if not len(paid):
        return False
    last = int(paid[-1])
    early, late = close[max(since, last - _BEFORE) : last], close[last:]
    if min(len(early), len(late)) >= _BARS and _cents(late) >= _CENTS:
        share = _cents(early)
        if share < _NO_CENTS:
            return True
    fall = np.log(1 - np.minimum(amount[paid] / close[paid - 1], 0.5))
    others = gap[np.isfinite(gap) & (amount == 0)]
    if not len(others):
        return False
    usual = _CLIP * 1.4826 * float(np.median(np.abs(others)))
    moved = np.clip(gap[paid], fall - usual, usual)  # news of the day says nothing about dividends
    weight = float(np.sum(fall**2))
    error = max(float(np.std(others)), 0.003) / math.sqrt(weight)
    seen = float(np.sum(moved * fall)) / weight
    return (1 - seen) > _CERTAIN * error and abs(seen) < _POSSIBLE * error


def _cents(prices: Floats) -> float:
    cents = prices * 100
    return float((np.abs(cents - np.round(cents)) < 2e-3 + 2e-7 * cents).mean())
