"""What officers, directors and large holders do with their own shares in the open market, by their Forms 4 and 5.

A trade counts from the close after which its form was known. Money is put over the money that all traded in the same
bars. Where the forms are complete and hold no trade, a flow is 0; where nothing says whether they are, it is NaN.
"""

from __future__ import annotations

import numpy as np

from src.features.facts import (
    Facts,
    Mask,
    count,
    covered_bars,
    covered_for,
    days_since,
    distinct,
    flow,
    since_bar,
    within,
)
from src.features.registry import family, feature
from src.features.windows import Array, total

FAMILY = family("insiders", group="research", order=150)
_YEAR, _HALF, _QUARTER = 365.0, 180.0, 90.0


@feature(
    FAMILY,
    bars=(21, 63, 126),
    window=lambda bars: bars + 1,
    source="Lakonishok and Lee (2001), Are insider trades informative?, RFS 14:79",
)
def insider_net_buying(insider_trades: Facts, dollar_volume: Array, bars: int) -> Array:
    """USD that insiders bought less USD that they sold in the open market, over the money traded, in n bars.

    Returns
    -------
    float64, shape (bars,), any sign
        0 without a trade. NaN where forms are not covered, or in a window without volume.
    """
    return _over_traded(insider_trades, _signed(insider_trades), dollar_volume, bars)


@feature(
    FAMILY,
    bars=(63,),
    window=lambda bars: bars + 1,
    source="Jeng, Metrick and Zeckhauser (2003), Estimating the returns to insider trading, REStat 85:453",
)
def insider_purchases(insider_trades: Facts, dollar_volume: Array, bars: int) -> Array:
    """USD that insiders bought in the open market, over the money traded, in n bars.

    Returns
    -------
    float64, shape (bars,), at least 0
        0 without a purchase. NaN where forms are not covered, or in a window without volume.
    """
    return _over_traded(insider_trades, _bought(insider_trades), dollar_volume, bars)


@feature(
    FAMILY,
    bars=(63,),
    window=lambda bars: bars + 1,
    source="Cohen, Malloy and Pomorski (2012), Decoding inside information, JF 67:1009",
)
def insider_opportunistic_buying(insider_trades: Facts, dollar_volume: Array, bars: int) -> Array:
    """Net buying of those who did not trade in the same calendar month of each of three years before.

    USD bought less sold, over the money traded, in n bars; trades of insiders with no such history don't count.

    Returns
    -------
    float64, shape (bars,), any sign
        0 without such a trade. NaN where forms are not covered, or in a window without volume.
    """
    chosen = insider_trades.fields["routine"] == 0
    return _over_traded(insider_trades, np.where(chosen, _signed(insider_trades), 0.0), dollar_volume, bars)


@feature(
    FAMILY,
    bars=(63,),
    window=lambda bars: bars + 1,
    source="Cohen, Malloy and Pomorski (2012), Decoding inside information, JF 67:1009",
)
def insider_routine_buying(insider_trades: Facts, dollar_volume: Array, bars: int) -> Array:
    """Net buying of those who traded in the same calendar month of each of three years before.

    USD bought less sold, over the money traded, in n bars.

    Returns
    -------
    float64, shape (bars,), any sign
        0 without such a trade. NaN where forms are not covered, or in a window without volume.
    """
    chosen = insider_trades.fields["routine"] == 1
    return _over_traded(insider_trades, np.where(chosen, _signed(insider_trades), 0.0), dollar_volume, bars)


@feature(
    FAMILY,
    bars=(63,),
    window=lambda bars: bars + 1,
    source="Seyhun (1986), Insiders' profits, costs of trading, and market efficiency, JFE 16:189",
)
def insider_officer_buying(insider_trades: Facts, dollar_volume: Array, bars: int) -> Array:
    """Net buying of officers: USD bought less sold, over the money traded, in n bars.

    Returns
    -------
    float64, shape (bars,), any sign
        0 without such a trade. NaN where forms are not covered, or in a window without volume.
    """
    chosen = insider_trades.fields["officer"] == 1
    return _over_traded(insider_trades, np.where(chosen, _signed(insider_trades), 0.0), dollar_volume, bars)


@feature(FAMILY, window=1, source="Lakonishok and Lee (2001), RFS 14:79, net purchase ratio, p. 86")
def insider_purchase_ratio(insider_trades: Facts) -> Array:
    """(Purchases - sales) / (purchases + sales), by number, in 180 days.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        0 without a trade. NaN where forms are not covered.
    """
    start = within(insider_trades, _HALF)
    bought, sold = (count(insider_trades, side, start) for side in (_is(insider_trades, 1), _is(insider_trades, -1)))
    ratio = (bought - sold) / np.maximum(bought + sold, 1.0)
    return np.where(covered_for(insider_trades, _HALF), ratio, np.nan)


@feature(FAMILY, window=1, source="Lakonishok and Lee (2001), RFS 14:79; Kang, Kim and Wang (2018), Cluster trading")
def insider_breadth(insider_trades: Facts) -> Array:
    """Number of different insiders who bought less that of those who sold, in 90 days.

    Returns
    -------
    float64, shape (bars,), any sign
        0 without a trade. NaN where forms are not covered.
    """
    owner = insider_trades.fields["owner"]
    buyers = distinct(insider_trades, _is(insider_trades, 1), owner, _QUARTER)
    sellers = distinct(insider_trades, _is(insider_trades, -1), owner, _QUARTER)
    return np.where(covered_for(insider_trades, _QUARTER), buyers - sellers, np.nan)


@feature(FAMILY, window=1, source="Jagolinzer (2009), SEC Rule 10b5-1 and insiders' strategic trade, MS 55:224")
def insider_planned_selling_share(insider_trades: Facts) -> Array:
    """USD sold under 10b5-1 plans over all USD sold in 180 days, of sales whose form says whether there is a plan.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        NaN without such a sale, or where forms are not covered.
    """
    planned, start = insider_trades.fields["planned"], within(insider_trades, _HALF)
    chosen = _is(insider_trades, -1) & ~np.isnan(planned)
    sold = np.where(chosen, -_signed(insider_trades), 0.0)
    under_plan = flow(insider_trades, np.where(planned == 1, sold, 0.0), start)
    every = flow(insider_trades, sold, start)
    there = covered_for(insider_trades, _HALF) & (every > 0)
    return np.where(there, under_plan / np.where(there, every, 1.0), np.nan)


@feature(FAMILY, window=1, source="Jeng, Metrick and Zeckhauser (2003), REStat 85:453; definition")
def insider_purchase_age(insider_trades: Facts) -> Array:
    """Days since the last open-market purchase of an insider was known, at most 365.

    Returns
    -------
    float64, shape (bars,), in [0, 365]
        365 where there was none in a covered year. NaN where forms are not covered.
    """
    return days_since(insider_trades, _is(insider_trades, 1), _YEAR)


def _signed(trades: Facts) -> Array:
    """USD of each trade, negative for a sale; a correction counts by what it adds. NaN where no price is stated."""
    return trades.fields["value"]


def _is(trades: Facts, side: int) -> Mask:
    """Purchases (1) or sales (-1); a correction of an earlier trade is no trade of its own."""
    return np.asarray((trades.fields["shares"] * side > 0) & (trades.fields["correction"] != 1))


def _bought(trades: Facts) -> Array:
    return np.where(_is(trades, 1), _signed(trades), 0.0)


def _over_traded(trades: Facts, value: Array, dollar_volume: Array, bars: int) -> Array:
    """Money of the trades that became known in n bars over the money traded in them."""
    traded = total(dollar_volume, bars)
    there = covered_bars(trades, bars) & (traded > 0)
    return np.where(there, flow(trades, value, since_bar(trades, bars)) / np.where(there, traded, 1.0), np.nan)
