"""Faults of real bars: each is repaired by a rule stated here, or condemns the whole instrument.

A repair of bar k looks at bar k and at earlier ones, never at a later one. A repaired bar is marked; one whose price
had to be invented keeps the last close and has no volume, so that nothing is traded on it. The instrument's reason
counts what each rule did.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import polars as pl

from src.core.code_hash import code_digest
from src.core.finding import BarFinding
from src.core.instruments import KEY, Key
from src.hydration.events_of_dropped import with_events_of_dropped
from src.hydration.file_events import COLUMNS as EVENTS
from src.hydration.file_events import together, with_events
from src.hydration.findings import counted_rules, reason, with_pictures
from src.hydration.neighbours import before_another, last_known, position, previous, so_far
from src.hydration.quarantine import JUMP, SCALE, bars_apart, held_bars, verdicts
from src.hydration.unrecorded_splits import without_unrecorded_splits
from src.market.bar_findings import COLUMN, FACT, values
from src.market.bars import PRICES, schema

NOISE = 1e-5  # a smaller step of the total-return factor is rounding, not a distribution
_ODD_STEP = math.log(1.1)  # a distribution beyond this must be seen in the price
_ODD_RETURN = math.log(1.25)  # it is not, where a total return beyond this remains, larger than twice the price's move
_REPEATS = 3  # a bar like the one before, volume and all, the third time in a row: the vendor repeats it
_STUB_DAYS, _STUB_BARS = 30, 63
_VALUES = [*PRICES, "volume", "adj_close"]

DROPPED = {
    "undated": "{n} {rows} without a readable date dropped",
    "weekend": "{n} weekend {rows} dropped",
    "duplicate": "{n} repeated {rows} dropped",
    "conflict": "{n} {rows} dropped whose date came again with other values (the last one counts)",
    "leading": "{n} {rows} before the first valid close dropped",
    "stub": "{n} {rows} before a gap dropped, the history starts after it",
}
_UNORDERED = "rows came out of order (sorted)"
REPAIRED = {
    "price": "{n} {bars} without a valid close (last close held, no trade)",
    "jump": "{n} {bars} beyond x20 of the last close (last close held, no trade)",
    "no_open": "{n} {bars} without a possible open (no trade)",
    "wick": "{n} {bars} with a high or low beyond x3 of open and close (cut to them)",
    "range": "{n} {bars} whose high and low did not enclose open and close (widened)",
    "no_volume": "{n} {bars} with missing or negative volume (set to zero)",
    "repeat": "{n} {bars} repeating the last ones in every field (no trade)",
    "wrong_sign": "{n} {steps} ignored where adj_close changes its sign",
    "wrong_size": "{n} {steps} of adj_close beyond 10% ignored that the price does not show",
}


def validate(
    raw: pl.DataFrame, basis: str = "auto", interval: str = "1d", exact: bool = False
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Repair the bars of one instrument or of many, and state what was found of each.

    Parameters
    ----------
    raw
        Rows in the order of the source: asset_class, symbol, date, open, high, low, close, volume, and if known
        adj_close (with dividends added back), split (events or factors), dividend, capital_gain (money a share that
        goes ex) and unadjusted_close (as traded). Anything may be null or absurd.
    basis
        ``split_adjusted``: adj_close gives the total-return factor; ``total_return``: the prices are total-return
        prices already; ``auto``: by the presence of adj_close, for each instrument.
    interval
        ``1d``, or an intraday one.
    exact
        adj_close was derived from events: its small steps are distributions, and not its rounding.

    Returns
    -------
    bars : DataFrame
        Columns of `src.market.bars.schema`, sorted by key and date, of the instruments that are fit for use.
    states : DataFrame
        One row per instrument of `raw`: asset_class, symbol, state (done or quarantined), reason (empty if no rule
        applied), rows, first, last, repaired (bars marked), basis, dollar_volume (median of the rows that traded, as
        they came), findings (`src.market.bar_findings.COLUMN`: one for
        each rule that applied, of a quarantined instrument too).
    """
    typed = _typed(raw, basis)
    frame, dropped, moved = _without_faulty_rows(typed, interval)
    frame, named = with_events(frame, basis, exact)
    frame, splits = without_unrecorded_splits(frame, interval)
    frame, leading = _split_off(_closes(frame), pl.col("close").is_null(), "leading")
    frame, stubs = _split_off(frame, _stub(interval), "stub")
    bars = _factors(_bodies(frame))
    bars = bars.with_columns(repaired=pl.any_horizontal("rebased", "restated", *REPAIRED))
    dropped = pl.concat([dropped, leading, stubs])
    states = _states(typed, bars, dropped, together(named, together(splits, moved)), interval)
    columns = [pl.col(name).cast(kind) for name, kind in schema(interval).items()]
    return _of_the_fit(bars, states).select(columns), states


@functools.cache
def rules_digest() -> str:
    """Hash of the code that repairs and condemns; when it changes, hydration does its work again.

    Returns
    -------
    str
        From `code_digest`: comments, docstrings, names and modules don't count, operators and constants do.
    """
    return code_digest(validate)


def _typed(raw: pl.DataFrame, basis: str) -> pl.DataFrame:
    """The columns of validation in float64, infinities and NaN as null, with the order of the source."""
    absent = {name: pl.lit(None, pl.Float64) for name in ("adj_close", *EVENTS) if name not in raw.columns}
    if basis == "total_return":
        absent["adj_close"] = pl.lit(None, pl.Float64)
    raw = raw.with_columns(**absent)
    values = [pl.col(name).cast(pl.Float64) for name in [*_VALUES, *EVENTS]]
    return raw.select(*KEY, "date", *(pl.when(v.is_finite()).then(v) for v in values)).with_row_index("row")


def _without_faulty_rows(
    frame: pl.DataFrame, interval: str
) -> tuple[pl.DataFrame, pl.DataFrame, dict[Key, list[BarFinding]]]:
    """Drop rows that are no bars: no date, a weekend of an exchange, a date that comes again. Sort the rest.

    Their events go to the next row (`events_of_dropped`), and the findings say which.
    """
    weekend = (pl.col("asset_class") != "crypto") & (pl.col("date").dt.weekday() > 5) & pl.lit(interval == "1d")
    frame, undated = _split_off(frame, pl.col("date").is_null(), "undated")
    frame = frame.sort(*KEY, "date", "row").with_columns(g=pl.struct(KEY).rle_id())
    again = ((pl.col("g") == pl.col("g").shift(-1)) & (pl.col("date") == pl.col("date").shift(-1))).fill_null(False)
    alike = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in _VALUES)
    frame = frame.with_columns(again=again, alike=alike, weekend=weekend)
    frame, moved = with_events_of_dropped(frame)
    frame, weekends = _split_off(frame, pl.col("weekend"), "weekend")
    frame = frame.with_columns(g=pl.col("g").rle_id(), unordered=(pl.col("row") < previous("row")).fill_null(False))
    frame, conflicts = _split_off(frame, pl.col("again") & ~pl.col("alike"), "conflict")
    frame, duplicates = _split_off(frame, pl.col("again"), "duplicate")
    return frame.with_columns(apart=bars_apart(interval)), pl.concat([undated, weekends, conflicts, duplicates]), moved


def _split_off(frame: pl.DataFrame, fault: pl.Expr, rule: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows without the fault, and how many had it: asset_class, symbol, rule, n, first, last."""
    faulty = frame.with_columns(fault=fault.fill_null(False))["fault"]
    day = pl.col("date").cast(pl.Date)
    count = (
        frame.select(*KEY, "date")
        .filter(faulty)
        .group_by(KEY)
        .agg(
            pl.lit(rule).alias("rule"),
            pl.len().cast(pl.Int64).alias("n"),
            day.min().alias("first"),
            day.max().alias("last"),
        )
    )
    return (frame.filter(~faulty) if faulty.any() else frame), count  # most rules find nothing: no copy


def _of_the_fit(bars: pl.DataFrame, states: pl.DataFrame) -> pl.DataFrame:
    """Bars of the instruments that are done, in their order: by key and date."""
    unfit = states.filter(pl.col("state") != "done").select(KEY)
    groups = bars.select("g", *KEY).filter(position() == 0).join(unfit, on=KEY, how="semi")["g"]
    return bars.filter(~pl.col("g").is_in(groups.implode()))


def _step() -> pl.Expr:
    """Step of the ratio adj_close / close from the bar before; 1 if it is not known."""
    return (pl.col("ratio") / previous("ratio")).fill_null(1.0)


def _move(price: str) -> pl.Expr:
    """Log total return from the last close; a step of the wrong sign counts as none; 0 at the first bar."""
    step = pl.when(_step() > 0).then(_step()).otherwise(1.0)
    return (pl.col(price) / previous("close") * step).log().fill_null(0.0)


def _closes(frame: pl.DataFrame) -> pl.DataFrame:
    """Hold the last close where a close is missing, not positive, or impossible after the last one."""
    valid = (pl.col("close") > 0).fill_null(False)
    frame = frame.with_columns(price=~valid, raw=pl.when(valid).then("close"))
    ratio = pl.when(pl.col("adj_close") != 0).then(pl.col("adj_close")) / pl.col("raw")
    frame = frame.with_columns(ratio=last_known(ratio), close=last_known(pl.col("raw")))
    frame = frame.with_columns(raw_move=_move("close"))
    far = pl.lit(math.log(SCALE))
    alone = (pl.col("close") / previous("close")).log().abs()
    frame = frame.with_columns(stretch=pl.max_horizontal(pl.col("raw_move").abs(), alone))
    lone = alone > far  # the close alone, whatever adj_close says of it
    lone = lone & ((pl.col("close") / pl.col("open")).log().abs() > far) & (pl.col("open") > 0)
    frame = frame.with_columns(jump=held_bars(frame["g"], frame["raw_move"]) | lone.fill_null(False))
    held = pl.col("jump") | pl.col("price")
    frame = frame.with_columns(jump=pl.col("jump") & ~pl.col("price"))
    close, ratio = (last_known(pl.when(~held).then(name)) for name in ("raw", "ratio"))
    return frame.with_columns(close=close, ratio=ratio)


def _stub(interval: str) -> pl.Expr:
    """Bars before a gap of over 30 days, if they are fewer than 63: the listing had not really begun.

    A longer history stays whatever gap comes later: no later bar may take away what a model was trained on.
    """
    if interval != "1d":
        return pl.lit(False)
    days = (pl.col("date") - previous("date")).dt.total_days().fill_null(0)
    parted = (days > _STUB_DAYS) & (position() < _STUB_BARS)
    return before_another(parted)


def _bodies(frame: pl.DataFrame) -> pl.DataFrame:
    """Give each bar an open, high, low and volume that are possible beside its close and after the last one."""
    alike = pl.all_horizontal(pl.col(name) == previous(name) for name in [*PRICES, "volume"]).fill_null(False)
    frame = frame.with_columns(alike=alike, before=previous("close").fill_null(pl.col("close")))
    streak = pl.all_horizontal(pl.col("alike").shift(i).fill_null(False) for i in range(_REPEATS))
    held = pl.col("price") | pl.col("jump")
    above, below = pl.max_horizontal("before", "close") * JUMP, pl.min_horizontal("before", "close") / JUMP
    possible = ((pl.col("open") > 0) & pl.col("open").is_between(below, above)).fill_null(False)
    frame = frame.with_columns(
        held=held,
        repeat=streak & (pl.col("volume") > 0) & ~held,
        no_open=~possible & ~held,
        no_volume=~(pl.col("volume") >= 0).fill_null(False) & ~held,
        open=pl.when(possible & ~held).then("open").otherwise("before"),
    )
    return _ranges(frame).with_columns(
        volume=pl.when(pl.any_horizontal("held", "no_open", "no_volume", "repeat")).then(0.0).otherwise("volume")
    )


def _ranges(frame: pl.DataFrame) -> pl.DataFrame:
    """Cut highs and lows that are beyond x3 of open and close, widen those that do not enclose them."""
    top, bottom = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    judged = ~pl.col("held") & ~pl.col("no_open")
    far = (pl.col("high") > top * JUMP) | (pl.col("low") < bottom / JUMP)
    slack = 1 + 1e-6  # float32 files round each price on its own
    encloses = (pl.col("high") * slack >= top) & (pl.col("low") <= bottom * slack)
    high = pl.when(~pl.col("held") & (pl.col("high") <= top * JUMP)).then(pl.max_horizontal("high", top)).otherwise(top)
    low = pl.when(~pl.col("held") & (pl.col("low") >= bottom / JUMP)).then(pl.min_horizontal("low", bottom))
    beyond = pl.max_horizontal(_excess("high", top), _excess(bottom, "low"))
    wick = far.fill_null(False) & judged
    stretch = pl.when("jump").then("stretch").when(wick).then(beyond.log())
    return frame.with_columns(
        wick=wick,
        stretch=stretch,
        range=~(encloses | far).fill_null(False) & judged,
        high=high,
        low=low.otherwise(bottom),
    )


def _excess(upper: str | pl.Expr, lower: str | pl.Expr) -> pl.Expr:
    """Ratio of two prices; null unless both are positive."""
    above, below = (pl.col(each) if isinstance(each, str) else each for each in (upper, lower))
    return pl.when((above > 0) & (below > 0)).then(above / below)


def _factors(frame: pl.DataFrame) -> pl.DataFrame:
    """Total-return factor, 1 at the first bar and cumulating forward, from the steps that can be distributions.

    Steps of the wrong sign, and those beyond 10% that the price does not show, are ignored. Steps below `NOISE`, or
    below what the rounding of adj_close explains, don't count. Adds the log total return (`move`), the same to the open
    (`gap`) and the days since the bar before.
    """
    frame = frame.with_columns(step=_step(), price_move=(pl.col("close") / previous("close")).log().fill_null(0.0))
    size = pl.col("step").abs().log()
    total = (pl.col("price_move") + size).abs()
    unseen = (size.abs() > _ODD_STEP) & (total > _ODD_RETURN) & (total > 2 * pl.col("price_move").abs())
    frame = frame.with_columns(wrong_sign=pl.col("step") <= 0, wrong_size=(pl.col("step") > 0) & unseen)
    frame = frame.with_columns(stretch=pl.when("wrong_size").then(size.abs()).otherwise("stretch"))
    none = pl.any_horizontal("wrong_sign", "wrong_size") | (
        (pl.col("step") - 1).abs() < pl.max_horizontal(pl.lit(NOISE), pl.when("exact").then(0.0).otherwise(_rounding()))
    )
    frame = frame.with_columns(step=pl.when(none).then(1.0).otherwise("step"))
    return frame.with_columns(
        factor=pl.col("step").cum_prod().over("g"),
        move=pl.col("price_move") + pl.col("step").log(),
        gap=(pl.col("open") / pl.col("before") * pl.col("step")).log(),
        days=(pl.col("date") - previous("date")).dt.total_days().fill_null(0),
    )


def _rounding() -> pl.Expr:
    """Relative error of a step where adj_close has come with two, or four, decimals in all bars so far."""
    adjusted = (pl.col("adj_close") * pl.col("basis")).abs()
    before = (previous("adj_close") * previous("basis")).abs()
    error = pl.lit(0.0)
    for unit in (1e-4, 1e-2):
        parts = adjusted / unit
        whole = ((parts - parts.round()).abs() < 1e-3 + parts * 1e-7).fill_null(True)
        coarse = so_far(whole)
        error = pl.when(coarse).then(unit / adjusted + unit / before).otherwise(error)
    return pl.when(pl.col("adj_close") != pl.col("raw")).then(error).otherwise(0.0).fill_null(0.0)


def _states(
    typed: pl.DataFrame,
    bars: pl.DataFrame,
    dropped: pl.DataFrame,
    splits: dict[Key, list[BarFinding]],
    interval: str,
) -> pl.DataFrame:
    """One row per instrument of the source, with its state and the findings of all rules."""
    figures = bars.group_by("g").agg(
        pl.first(*KEY),
        pl.len().cast(pl.Int64).alias("rows"),
        pl.col("date").first().cast(pl.Date).alias("first"),
        pl.col("date").last().cast(pl.Date).alias("last"),
        pl.col("repaired").sum().cast(pl.Int64),
        pl.col("unordered").any(),
        pl.col("adj_close").is_not_null().any().alias("adjusted"),
    )
    found = typed.group_by(KEY).agg(
        pl.len().cast(pl.Int64).alias("raw_rows"),
        dollar_volume=(pl.col("close") * pl.col("volume")).filter(pl.col("close") > 0, pl.col("volume") > 0).median(),
    )
    rules = counted_rules(bars, dropped, REPAIRED, DROPPED)
    judged = with_pictures(verdicts(bars, dropped, splits, interval), bars)
    table = found.join(figures, on=KEY, how="left").sort(KEY)
    rows = [_state(row, rules, judged) for row in table.iter_rows(named=True)]
    kinds: dict[str, Any] = dict.fromkeys((*KEY, "state", "reason"), pl.String())
    kinds |= {"rows": pl.Int64(), "first": pl.Date(), "last": pl.Date(), "repaired": pl.Int64(), "basis": pl.String()}
    kinds["dollar_volume"] = pl.Float64()
    kinds[FACT] = COLUMN
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _state(
    row: dict[str, Any], rules: dict[Key, list[BarFinding]], judged: dict[Key, list[BarFinding]]
) -> dict[str, Any]:
    key = row["asset_class"], row["symbol"]
    verdict = [each for each in judged.get(key, []) if each.effect == "quarantined"]
    notes = [each for each in judged.get(key, []) if each.effect != "quarantined"]
    if not row["rows"]:
        none = f"none of {row['raw_rows']:,} rows has a valid date and close" if row["raw_rows"] else "no rows"
        verdict = [BarFinding("no_valid_bar", "quarantined", none, row["raw_rows"], row["raw_rows"])]
    unordered = [BarFinding("unordered", "noted", _UNORDERED)] if row["unordered"] else []
    findings = [*verdict, *rules.get(key, []), *unordered, *notes]
    state = "quarantined" if verdict else "done"
    return {
        **{name: row[name] for name in ("asset_class", "symbol", "first", "last")},
        "state": state,
        "reason": reason(findings, state),
        "rows": row["rows"] or 0,
        "repaired": row["repaired"] or 0,
        "dollar_volume": row["dollar_volume"],
        "basis": "split_adjusted" if row["adjusted"] else "total_return",
        FACT: values(findings),
    }
