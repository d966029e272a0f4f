"""One netted book from the lines of all champions, within the caps.

Every champion has a share of the capital: `book.pooled_share` goes to the pooled ones where both scopes have champions,
the rest to the instruments', equally within a scope. A line weighs its share times its position, in risk units already:
the strategy sized it by volatility. What a hedged line sells is in the book as well, member by member.

A refused line's share is not given to the others. What happens to the position depends on why it is refused:

- The champion can't be vouched for (ungated, a changed model or feature code): it decides nothing, and its share is in
  cash. Keeping the position would be to follow a model that is not known to be the one that was graded.
- The instrument can't be traded on what is known (``holds``: its bar is missing or late): its weight stays that of the
  book before, and so does the hedge of it. Selling because of a gap in the data is a decision too, and one that no
  model made. The weight is outside the caps' reach, counts towards them, and the others make room for it.

Cash is what the weights leave of 1. The proceeds of short sales are in it: a book long 0.5 and short 0.5 has cash of 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.errors import StageError
from src.core.instruments import KEY, Key
from src.signals.caps import CAPS, Caps, capped
from src.signals.tables import book_frame

if TYPE_CHECKING:
    from src.config.schema import BookConfig

Portfolio = Mapping[Key, float]
"""Weights of instruments."""
IDENTITY = ["name", *KEY]
_NOTHING: Mapping[str, Portfolio] = {}
_NO_RATES: Portfolio = {}


def netted(
    lines: pl.DataFrame,
    before: Portfolio,
    choice: BookConfig,
    hedges: Mapping[str, Portfolio] = _NOTHING,
    cost_rates: Portfolio = _NO_RATES,
) -> pl.DataFrame:
    """Net the lines of one day.

    Parameters
    ----------
    lines : DataFrame
        Columns of `src.signals.tables.LINES`, of one book_date, in any order. Refused lines take their champion's share
        into cash, or hold (see above).
    before : mapping
        Weight of each instrument in the book before.
    choice : BookConfig
    hedges : mapping
        What a unit of the hedge consists of, by the name of a champion or else by asset class, see
        `src.signals.hedges`.
    cost_rates : mapping
        Cost per unit of turnover of instruments that have no line of their own, such as members of a hedge.

    Returns
    -------
    DataFrame
        Columns of `src.signals.tables.BOOK`, sorted by key: one row an instrument with a weight, wanted, now or before.
        What the weights leave of 1 is cash. The cost of an instrument without a rate of its own is that of the dearest
        line of its class. ``capped_by`` is ``held`` for one that keeps its weight because it can't be traded.

    Raises
    ------
    StageError
        If a hedged line has no hedge in `hedges`.
    ValueError
        If the lines are of several dates, or there are two of a champion for an instrument.
    """
    _check(lines)
    lines = _with_shares(lines.sort(IDENTITY), choice.pooled_share)
    said = lines.filter(pl.col("state") == "said").with_columns(part=pl.col("share") * pl.col("position"))
    kept = _kept(lines, said, before)
    wanted = {key: 0.0 for key in before} | _summed(said)
    stays = pl.Series([key in kept for key in said.select(KEY).iter_rows()], dtype=pl.Boolean)
    _sell_hedges(said.filter(~stays), hedges, wanted)
    _sell_hedges(_kept_parts(lines, kept, before), hedges, wanted)
    wanted |= {key: before[key] for key in kept}
    keys = sorted(wanted)
    target, now = (np.array([of.get(key, 0.0) for key in keys], dtype=np.float64) for of in (wanted, before))
    classes = sorted({asset_class for asset_class, _ in keys})
    codes = np.array([classes.index(asset_class) for asset_class, _ in keys], dtype=np.int64)
    held = np.array([key in kept for key in keys], dtype=np.bool_)
    weight, cut_by = capped(target, now, codes, held, Caps.of(choice, classes))
    facts = _Facts(lines, cost_rates)
    rows = []
    for i, key in enumerate(keys):
        if target[i] or weight[i] or now[i]:
            capped_by = "held" if held[i] else ",".join(np.array(CAPS)[cut_by[i]]) or None
            weights = {"wanted": target[i], "weight": weight[i], "before": now[i], "capped_by": capped_by}
            rows.append(facts.of(key) | weights | {"cost": abs(weight[i] - now[i]) * facts.rate(key)})
    return book_frame(rows)


def champion_shares(champions: pl.DataFrame, pooled_share: float) -> dict[str, float]:
    """Divide the capital between the champions.

    Parameters
    ----------
    champions : DataFrame
        scope and name, in any number of rows a champion.
    pooled_share : float
        Of the capital, to pooled champions where there are champions of both scopes.

    Returns
    -------
    dict of str to float
        Share of each champion by name; they sum to 1.
    """
    names = champions.select("scope", "name").unique().sort("name")
    pooled = names.filter(pl.col("scope") == "pooled")["name"].to_list()
    single = names.filter(pl.col("scope") != "pooled")["name"].to_list()
    to_pooled = pooled_share if pooled and single else float(bool(pooled))
    shares = {name: to_pooled / len(pooled) for name in pooled}
    return shares | {name: (1.0 - to_pooled) / len(single) for name in single}


def cash(book: pl.DataFrame) -> float:
    """Return what the weights of a book leave of the capital, proceeds of short sales included."""
    return 1.0 - float(book["weight"].sum())


def _check(lines: pl.DataFrame) -> None:
    """Refuse what no day has: these are faults of the caller's, not of the data."""
    if lines["book_date"].n_unique() > 1:
        raise ValueError(f"lines must be of one book, got {lines['book_date'].n_unique()} dates: net one day at a time")
    twice = lines.filter(lines.select(IDENTITY).is_duplicated())
    if twice.height:
        name, asset_class, symbol = twice.select(IDENTITY).row(0)
        raise ValueError(f"{name} must decide once a day on {asset_class} {symbol}, got several lines: net one of them")
    unknown = lines.filter((pl.col("state") == "said") & ~pl.col("position").is_finite().fill_null(False))
    if unknown.height:
        raise ValueError(f"{unknown['name'][0]} must have a position in a line that is said, got none: refuse the line")


def _with_shares(lines: pl.DataFrame, pooled_share: float) -> pl.DataFrame:
    shares = champion_shares(lines, pooled_share)
    share = pl.Series("share", [shares[name] for name in lines["name"]], dtype=pl.Float64)
    held = (pl.col("state") != "said") & pl.col("holds").fill_null(False)
    return lines.with_columns(share, holds=held)


def _summed(parts: pl.DataFrame) -> dict[Key, float]:
    """Sum the parts of each instrument in the order of the rows, which is that of the names."""
    out: dict[Key, float] = {}
    for asset_class, symbol, part in parts.select(*KEY, "part").iter_rows():
        out[asset_class, symbol] = out.get((asset_class, symbol), 0.0) + part
    return out


def _kept(lines: pl.DataFrame, said: pl.DataFrame, before: Portfolio) -> set[Key]:
    """Instruments whose weight stays, because a line of theirs holds.

    Where a whole pooled champion holds, they are the instruments of its class that no line speaks of today: the others
    stand.
    """
    holding = lines.filter("holds").select(KEY).rows()
    spoken_of = set(said.select(KEY).rows())
    whole = {asset_class for asset_class, symbol in holding if not symbol}
    of_whole = {key for key in before if key[0] in whole and key not in spoken_of}
    return of_whole | {key for key in holding if key in before}


def _kept_parts(lines: pl.DataFrame, kept: set[Key], before: Portfolio) -> pl.DataFrame:
    """Lines of instruments that keep their weight, each with its champion's part of it, by the shares of these."""
    keys = lines.select(KEY).rows()
    stays = pl.Series([key in kept for key in keys], dtype=pl.Boolean)
    weight = pl.Series([before.get(key, 0.0) for key in keys], dtype=pl.Float64)
    holding = lines.with_columns(weight=weight).filter(stays & (pl.col("holds") | (pl.col("state") == "said")))
    return holding.with_columns(part=pl.col("weight") * pl.col("share") / pl.col("share").sum().over(KEY))


def _sell_hedges(parts: pl.DataFrame, hedges: Mapping[str, Portfolio], wanted: dict[Key, float]) -> None:
    """Take what each hedged part sells from the wanted weights.

    Raises
    ------
    StageError
        If there is no hedge for it.
    """
    hedged = parts.filter(pl.col("hedge").is_not_null() & (pl.col("part") != 0.0))
    units: dict[str, float] = {}
    for name, asset_class, sold in hedged.select("name", "asset_class", pl.col("part") * pl.col("hedge")).iter_rows():
        of = name if name in hedges else asset_class
        if not hedges.get(of):
            raise StageError(
                f"{name} is hedged, and the hedge of {asset_class} has no member with bars: hydrate the pinned panel, "
                "or the fund of its label"
            )
        units[of] = units.get(of, 0.0) + sold
    for of, sold in units.items():
        for key, weight in hedges[of].items():
            wanted[key] = wanted.get(key, 0.0) - sold * weight


class _Facts:
    """What the rows of a book show beside the weights, looked up in the lines."""

    def __init__(self, lines: pl.DataFrame, cost_rates: Portfolio) -> None:
        said = pl.col("state") == "said"
        own = lines.group_by(KEY, maintain_order=True).agg(
            pl.col("trade_on").max(),
            pl.col("close").drop_nulls().last(),
            pl.col("cost_rate").min().alias("rate"),
            said.sum().cast(pl.Int64).alias("champions"),
        )
        self._own = {(row["asset_class"], row["symbol"]): row for row in own.iter_rows(named=True)}
        of_class = lines.group_by("asset_class").agg(pl.col("trade_on").max(), pl.col("cost_rate").max())
        self._class = {name: (day, rate) for name, day, rate in of_class.iter_rows()}
        self._book_date = lines["book_date"][0] if lines.height else None
        self._rates = cost_rates

    def of(self, key: Key) -> dict[str, Any]:
        """Key, dates, close and number of champions of an instrument."""
        own = self._own.get(key, {})
        trade_on = own.get("trade_on") or self._class.get(key[0], (None, None))[0]
        shown = {"close": own.get("close"), "champions": own.get("champions", 0), "trade_on": trade_on}
        return {"book_date": self._book_date, "asset_class": key[0], "symbol": key[1], **shown}

    def rate(self, key: Key) -> float:
        """Cost per unit of turnover; 0 where nothing is known of the class."""
        own = self._own.get(key, {}).get("rate")
        found = self._rates.get(key, self._class.get(key[0], (None, None))[1]) if own is None else own
        return 0.0 if found is None else float(found)
