"""From bars and events as served to what validation takes: total return by the events, and one series of two sources.

A dividend D with ex-date at bar k multiplies the total return by C[k-1] / (C[k-1] - D), C the close in the bars' own
split basis; an ex-date without a bar counts at the next one. The product cumulates forward from 1 at the first bar, so
a later dividend changes no earlier row. The provider's own adj_close is no input: it is compared with the events, and a
disagreement is reported.

Source of the step: Yahoo and CRSP adjust the history before an ex-date by 1 - D / C[k-1] (CRSP Calculations Guide,
"cumulative factor to adjust price"); ours is its inverse, from the other end.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from src.core.instruments import KEY, Key
from src.hydration.declared_dividends import LARGE, TWICE_DAYS, checked, contained_gains
from src.hydration.live.history import SERIES
from src.hydration.live.refresh import MONEY
from src.hydration.moves import Floats
from src.market.bars import PRICES
from src.sources import registry

OVERLAP = 60  # bars in common, the latest, that the splice looks at
MIN_OVERLAP = 5
SPLICE = 2e-4  # relative, beside the rounding of both sources' closes
AGREEMENT = 5e-4  # of a step of the provider's adj_close with that of its events, relative
_INSIDE = 0.9  # share of the common bars within tolerance
_DECIMALS = 6


@dataclass(frozen=True)
class Derived:
    """Bars for `src.hydration.validation.validate`, and remarks on instruments.

    Attributes
    ----------
    bars
        asset_class, symbol, date, open, high, low, close, volume, adj_close (total return, from the events; null
        throughout if only an archive's total-return prices are known), split (as-traded price over price; null if the
        split history is not known), dividend (what went ex on the bar and is in adj_close; null of an archive, and of
        a provider that continues one).
    remarks
        By instrument: events that make no sense, a splice that failed.
    apart
        Instruments whose archive and provider do not fit: their live rows stand alone, and are to be fetched whole.
    """

    bars: pl.DataFrame
    remarks: dict[Key, list[str]] = field(default_factory=dict)
    apart: set[Key] = field(default_factory=set)


def derived(bars: pl.DataFrame, events: pl.DataFrame) -> Derived:
    """Bars with total return and split history of one instrument or of many.

    Parameters
    ----------
    bars
        As stored, of all sources; rows may be repeated, out of order, or absurd: they are passed on.
    events
        As stored.
    """
    remarks: dict[Key, list[str]] = defaultdict(list)
    apart: set[Key] = set()
    live = pl.col("source").is_in(registry.archive_names()).not_()
    rows = _with_ratio(_numbered(bars.filter(live).with_columns(_volume())), events, remarks)
    rows = _with_split(rows, events, remarks)
    unknown = pl.lit(None, pl.Float64)
    bulk = _numbered(bars.filter(~live)).with_columns(ratio=unknown, split=unknown, dividend=unknown)
    both = bulk.select(KEY).unique().join(rows.select(KEY).unique(), on=KEY)
    simple = [rows.join(both, on=KEY, how="anti", maintain_order="left").with_columns(_adjusted())]
    simple.append(bulk.join(both, on=KEY, how="anti", maintain_order="left"))
    spliced = [_spliced(old, new, remarks, apart) for old, new in _pairs(bulk, rows, both)]
    columns = [*KEY, "date", *PRICES, "volume", "adj_close", "split", "dividend"]
    whole = pl.concat([part.select(columns) for part in [*simple, *spliced]])
    return Derived(whole.sort(KEY, maintain_order=True), dict(remarks), apart)


def _volume() -> pl.Expr:
    """Volume in coins, also from providers that count that of coins in dollars."""
    by_dollars = pl.col("source").is_in(registry.dollar_volume_providers())
    dollars = (pl.col("asset_class") == "crypto") & by_dollars & (pl.col("close") > 0)
    return pl.when(dollars).then(pl.col("volume") / pl.col("close")).otherwise("volume").alias("volume")


def disagreements(bars: pl.DataFrame, events: pl.DataFrame) -> dict[Key, str]:
    """Instruments whose adj_close and events give different total returns.

    Parameters
    ----------
    bars, events
        One answer per instrument, each of one vintage: adj_close of earlier answers is in another basis.

    Returns
    -------
    dict of (asset_class, symbol) to str
        A message on the largest disagreement; instruments without one are left out.
    """
    given = bars.filter((pl.col("adj_close") > 0) & pl.col("adj_close").is_finite())
    clean = _with_ratio(_numbered(given), events, defaultdict(list))
    clean = _clean(clean).with_columns(theirs=pl.col("adj_close") / pl.col("close"))
    clean = clean.with_columns(_step("theirs"), ours=_step("ratio"))
    clean = clean.with_columns(off=(pl.col("theirs") / pl.col("ours") - 1).abs())
    doubtful = clean.filter((pl.col("off") > AGREEMENT).any().over("g"))
    rounding = _rounding("adj_close") + _rounding("close")
    doubtful = doubtful.with_columns(room=AGREEMENT + rounding + rounding.shift(1).over("g"))
    odd = doubtful.filter(pl.col("off") > pl.col("room")).with_columns(n=pl.len().over("g"))
    worst = odd.sort("off", descending=True, maintain_order=True).unique("g", keep="first", maintain_order=True)
    return {(row["asset_class"], row["symbol"]): _disagreement(row) for row in worst.iter_rows(named=True)}


def _disagreement(row: dict[str, Any]) -> str:
    return (
        f"{row['n']:,} step{'s' if row['n'] > 1 else ''} of the provider's adj_close disagree with its events (the"
        f" largest on {row['date']}: {row['theirs'] - 1:+.4%} against {row['ours'] - 1:+.4%}): the events count"
    )


def _numbered(bars: pl.DataFrame) -> pl.DataFrame:
    """Rows of a series together, in their order, with its number `g`."""
    rows = bars.sort(SERIES, maintain_order=True)
    begins = pl.any_horizontal(pl.col(name) != pl.col(name).shift(1) for name in SERIES).fill_null(True)
    return rows.with_columns(g=begins.cast(pl.UInt32).cum_sum())


def _clean(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a date with a valid close, in order; of repeated dates the last row counts, as in validation."""
    dated = rows.drop_nulls("date").sort("g", "date", maintain_order=True)
    again = (pl.col("g") == pl.col("g").shift(-1)) & (pl.col("date") == pl.col("date").shift(-1))
    valid = (pl.col("close") > 0) & pl.col("close").is_finite()
    return dated.filter(~again.fill_null(False) & valid.fill_null(False))


def _before(name: str) -> pl.Expr:
    """Value of the series' bar before; null at its first."""
    return pl.when(pl.col("g") == pl.col("g").shift(1)).then(pl.col(name).shift(1))


def _step(name: str) -> pl.Expr:
    return (pl.col(name) / _before(name)).alias(name)


def _with_ratio(rows: pl.DataFrame, events: pl.DataFrame, remarks: dict[Key, list[str]]) -> pl.DataFrame:
    """Rows with `ratio`, total-return price over price: 1 at the first bar, stepping up at each ex-date."""
    clean = _clean(rows)
    paid = _paid(clean, events, remarks)
    clean = clean.join(paid, on=["g", "date"], how="left", maintain_order="left").with_columns(before=_before("close"))
    clean = _sensible(clean, remarks)
    below = (pl.col("money") < pl.col("before")).fill_null(False)
    step = pl.when(below).then(pl.col("before") / (pl.col("before") - pl.col("money"))).otherwise(1.0)
    stepped = clean.with_columns(step=step).filter(pl.col("step") != 1)
    known = stepped.select("g", "date", ratio=pl.col("step").cum_prod().over("g")).sort("date", maintain_order=True)
    rows = _asof(rows, known, "date", "backward").with_columns(pl.col("ratio").fill_null(1.0))
    counted = clean.select("g", "date", dividend=pl.when(below).then("money").otherwise(0.0))
    rows = rows.join(counted, on=["g", "date"], how="left", maintain_order="left")
    return rows.with_columns(pl.col("dividend").fill_null(0.0))


def _sensible(clean: pl.DataFrame, remarks: dict[Key, list[str]]) -> pl.DataFrame:
    """Rows with `money`, what was paid before each, without payments that can't be, or that are named twice.

    Only series with something to decide are looked at one by one: a gain that may lie in the dividend, an amount that
    is large, or that is the last one again.
    """
    total = pl.sum_horizontal("dividend", "gain")
    clean = clean.with_columns(money=total)
    paid = clean.filter(pl.col("money") > 0)
    last = pl.when(pl.col("g") == pl.col("g").shift(1)).then(pl.col("money").shift(1))
    soon = (pl.col("date").cast(pl.Date) - pl.col("date").cast(pl.Date).shift(1)).dt.total_days() <= TWICE_DAYS
    doubt = (pl.col("gain") > 0) | (pl.col("money") > LARGE * pl.col("before")) | ((pl.col("money") == last) & soon)
    doubtful = paid.filter(doubt.fill_null(False))["g"].unique().sort().to_list()
    if not doubtful:
        return clean
    money, groups = clean["money"].to_numpy().copy(), clean["g"].to_numpy()
    for g in doubtful:
        start, end = np.searchsorted(groups, g), np.searchsorted(groups, g, side="right")
        money[start:end] = _counted(clean[int(start) : int(end)], remarks)
    return clean.with_columns(money=pl.Series(money))


def _counted(rows: pl.DataFrame, remarks: dict[Key, list[str]]) -> Floats:
    """What was paid before each bar of one series, and why not all that was named."""
    close, dividend, gain = (rows[name].fill_null(0.0).to_numpy() for name in ("close", "dividend", "gain"))
    within = contained_gains(close, dividend, gain)
    days = rows["date"].cast(pl.Date).to_list()
    said = [f"capital gain of {gain[k]:g} on {days[k]} is in the dividend: it counts once" for k in within.nonzero()[0]]
    move = np.concatenate([[0.0], np.diff(np.log(close))])
    kept, found = checked(days, close, move, dividend + np.where(within, 0.0, gain))
    said += [each.text for each in found]
    if said:
        remarks[rows["asset_class"][0], rows["symbol"][0]] += said
    return kept


def _asof(rows: pl.DataFrame, known: pl.DataFrame, on: str, strategy: Any, exact: bool = True) -> pl.DataFrame:
    """Rows with what is known of their series as of `on`; they are sorted for it only where they are out of order."""
    mixed = (pl.col("g") == pl.col("g").shift(1)) & (pl.col(on) < pl.col(on).shift(1)).fill_null(True)
    in_order = not rows.select(mixed.any() | pl.col(on).has_nulls()).item()
    found = rows if in_order else rows.with_row_index("_row").sort(on, nulls_last=True, maintain_order=True)
    found = found.join_asof(known, on=on, by="g", strategy=strategy, allow_exact_matches=exact, check_sortedness=False)
    return found if in_order else found.sort("_row").drop("_row")


def _paid(clean: pl.DataFrame, events: pl.DataFrame, remarks: dict[Key, list[str]]) -> pl.DataFrame:
    """Dividends and capital gains of each bar (g, date, dividend, gain): the sums of what went ex since the last."""
    money = events.filter(pl.col("kind").is_in(MONEY)).unique(maintain_order=True)
    good = ((pl.col("value") > 0) & pl.col("value").is_finite()).fill_null(False)
    for row in money.filter(~good).iter_rows(named=True):
        remarks[row["asset_class"], row["symbol"]].append(f"{row['kind']} of {row['value']} on {row['date']} ignored")
    money = money.filter(good).join(_series(clean), on=SERIES, maintain_order="left")
    money = money.sort("date", "kind", "value", maintain_order=True)
    days = clean.select("g", bar="date", date=pl.col("date").cast(pl.Date)).sort("bar", maintain_order=True)
    found = money.join_asof(days, on="date", by="g", strategy="forward", check_sortedness=False).drop_nulls("bar")
    gain = pl.col("kind") == "capital_gain"
    sums = {"dividend": pl.col("value").filter(~gain).sum(), "gain": pl.col("value").filter(gain).sum()}
    return found.group_by("g", date="bar", maintain_order=True).agg(**sums)


def _with_split(rows: pl.DataFrame, events: pl.DataFrame, remarks: dict[Key, list[str]]) -> pl.DataFrame:
    """Rows with `split`, the product of the splits after them."""
    splits = events.filter(kind="split").unique(maintain_order=True)
    good = ((pl.col("value") > 0) & pl.col("value").is_finite()).fill_null(False)
    for row in splits.filter(~good).iter_rows(named=True):
        what = "without a ratio" if row["value"] is None else f"of {row['value']:g}"
        remarks[row["asset_class"], row["symbol"]].append(f"split {what} on {row['date']} ignored: a ratio is above 0")
    splits = splits.filter(good)
    splits = splits.join(_series(rows), on=SERIES, maintain_order="left").sort("date", "value", maintain_order=True)
    later = splits.select("g", day="date", split=pl.col("value").cum_prod(reverse=True).over("g"))
    later = later.unique(["g", "day"], keep="first", maintain_order=True)
    found = _asof(rows.with_columns(day=pl.col("date").cast(pl.Date)), later, "day", "forward", exact=False)
    return found.drop("day").with_columns(pl.col("split").fill_null(1.0))


def _series(rows: pl.DataFrame) -> pl.DataFrame:
    """Number of each series."""
    return rows.group_by("g", maintain_order=True).agg(pl.col(name).first() for name in SERIES)


def _adjusted() -> pl.Expr:
    return (pl.col("close") * pl.col("ratio")).alias("adj_close")


def _pairs(bulk: pl.DataFrame, rows: pl.DataFrame, both: pl.DataFrame) -> list[Any]:
    parts = [
        f.join(both, on=KEY, how="semi", maintain_order="left").partition_by(KEY, as_dict=True) for f in (bulk, rows)
    ]
    return [(parts[0][key], parts[1][key]) for key in sorted(parts[0])]


def _spliced(bulk: pl.DataFrame, live: pl.DataFrame, remarks: dict[Key, list[str]], apart: set[Key]) -> pl.DataFrame:
    """Archive rows, then live rows in the archive's basis; the live rows alone where the two do not fit.

    Over the latest bars in common the total returns must have one ratio, within `SPLICE` and the rounding of either
    source. An archive without adj_close has total-return prices: what was paid up to its last bar is in them already,
    so the live series begins there with a total return of its own price.
    """
    key: Key = (bulk["asset_class"][0], bulk["symbol"][0])
    has_adjusted = bulk["adj_close"].is_not_null().any()
    archive = _clean(bulk).with_columns(total=pl.col("adj_close") if has_adjusted else pl.col("close"))
    ours = _clean(live)
    common = archive.join(ours.select("date", l_ratio="ratio", l_close="close"), on="date").sort("date").tail(OVERLAP)
    reason, scale = _one_ratio(common)
    if reason:
        remarks[key].append(f"the archive's bars and the provider's do not fit: {reason}; the provider's stand alone")
        apart.add(key)
        return live.with_columns(_adjusted())
    end = archive["date"].max()
    paid = float(ours.filter(pl.col("date") <= end)["ratio"][-1])
    base = scale * paid if not has_adjusted else float(np.median(common["close"] / common["l_close"]))
    base = 1.0 if abs(base - 1) <= SPLICE else base
    total = 1 / paid if not has_adjusted else scale / base
    after = live.filter(pl.col("date") > end).with_columns(*(pl.col(name) * base for name in PRICES))
    after = after.with_columns(
        adj_close=pl.col("close") * (pl.col("ratio") * total),
        volume=pl.col("volume") / base,
        split=pl.col("split") / base,
        dividend=pl.lit(None, pl.Float64),
    )
    before = bulk if has_adjusted else bulk.with_columns(adj_close=pl.col("close"))
    return pl.concat([before.select(after.columns), after])


def _one_ratio(common: pl.DataFrame) -> tuple[str, float]:
    """Why two series can't be joined (empty if they can), and the ratio of their total returns, archive to live."""
    if common.height < MIN_OVERLAP:
        return f"{common.height} bars in common, {MIN_OVERLAP} are needed", 1.0
    ratio = common["total"] / (common["l_close"] * common["l_ratio"])
    scale = float(np.median(ratio.to_numpy()))
    room = common.select(SPLICE + _rounding("close") + _rounding("l_close")).to_series()
    inside = ((ratio / scale - 1).abs() <= room).sum() / common.height
    if inside >= _INSIDE:
        return "", scale
    return f"{1 - inside:.0%} of {common.height} bars in common are not in the one ratio of {scale:.6g}", scale


def _rounding(name: str) -> pl.Expr:
    """Relative half unit of the last decimal that a series of prices uses, where that is coarser than six decimals."""
    price, half = pl.col(name), pl.lit(0.0)
    for decimals in range(_DECIMALS, -1, -1):
        whole = ((price - price.round(decimals)).abs() <= 1e-7 * price).all().over("g")
        half = pl.when(whole).then(0.5 * 10.0**-decimals / price).otherwise(half)
    return half
