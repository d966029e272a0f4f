"""What came of the decisions of single instruments: the journal's lines beside the bars as they are now.

Labels and returns are those of training's own code (`src.evaluation.labels.decisions`). A position's path is that of
the lines, and its turnover pays the rate that the line said.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import FloatArray
from src.core.instruments import KEY, Key
from src.evaluation import labels
from src.evaluation.labels import Decisions, HedgedDecisions
from src.evaluation.strategy import trading_conditions
from src.market.bars import BarStore, bucket
from src.market.calendar import is_session, next_session, session_open

if TYPE_CHECKING:
    from src.signals.recorded_runs import ChampionRun

CHAMPION = ["name", "version"]
DECISION = ["asset_class", "symbol", "decided_on"]
RESTATED = 5e-4
"""Relative change of a close beyond which a decision counts as restated: the cost of a trade."""
LINES = (
    *CHAMPION, "scope", "record_id", *DECISION, "book_date", "trade_on", "state", "reason", "score",
    "position", "cost_rate", "close", "factor", "kind", "said_at",
)  # fmt: skip
"""Columns that the monitor reads of the journal's lines."""
HISTORY = dt.timedelta(days=10)
"""After its open, beyond which a decision is no late one but one on the past."""
COINS_WAIT = dt.timedelta(hours=6)
"""After midnight in UTC, within which a coin's decision is in time: its bar has to be fetched first."""
CAME: dict[str, Any] = {
    "label": pl.Float64(),  # 1 up, 0 down; null where it is zero or not known yet
    "change": pl.Float64(),  # return of the bar that the position is held; null where it is not complete
    "stamp": pl.Datetime("us"),  # of the open at which it is complete
    "close_now": pl.Float64(),
    "factor_now": pl.Float64(),
    "split_now": pl.Float64(),  # 1 where the split history is not known
}
_BAR: dict[str, Any] = dict(zip(DECISION, (pl.String(), pl.String(), pl.Datetime("us")), strict=True)) | CAME


@dataclass(frozen=True)
class InstrumentOutcomes:
    """Decisions with what came of them, and the bars on which there should have been one.

    Attributes
    ----------
    decisions : DataFrame
        One row a said decision, sorted by champion and bar: columns of the journal's lines, those of `CAME`, and
        timing (live or replayed), late, judged (whether its run is recorded), turnover, gross, cost, net, restated.
    tradable : DataFrame
        asset_class, symbol, decided_on: tradable bars since the first decision of each instrument.
    """

    decisions: pl.DataFrame
    tradable: pl.DataFrame


def instrument_outcomes(said: pl.DataFrame, runs: Mapping[str, ChampionRun], store: BarStore) -> InstrumentOutcomes:
    """Look up what came of decisions on single instruments.

    Parameters
    ----------
    said : DataFrame
        Lines of the journal that were said (not refused), of scope=instrument: columns of `LINES`.
    runs : mapping
        Recorded runs by record id. Lines of other runs are left without an outcome.
    store : BarStore
        Bars as they are now.

    Returns
    -------
    InstrumentOutcomes
        A decision whose return is not complete yet, or whose bar is gone, has null in its returns.

    Raises
    ------
    StageError
        If the bars can't be read.
    """
    said = with_timing(said)
    parts, tradable = [], [pl.DataFrame(schema={name: _BAR[name] for name in DECISION})]
    for lines, run in _by_outcome(said, runs):
        bars = pl.concat([pl.DataFrame(schema=_BAR), *_bars_of(lines, run, store)])
        parts.append(lines.join(bars, on=DECISION, how="left").with_columns(judged=True))
        tradable.append(bars.select(DECISION))
    unknown = said.filter(~pl.col("record_id").is_in(list(runs))) if runs else said
    nothing = [pl.lit(None, dtype=kind).alias(name) for name, kind in CAME.items()]
    parts.append(unknown.with_columns(*nothing, judged=False))
    joined = pl.concat(parts, how="vertical").sort(*CHAMPION, *DECISION)
    return InstrumentOutcomes(with_returns(joined), pl.concat(tradable).unique().sort(DECISION))


def with_timing(said: pl.DataFrame) -> pl.DataFrame:
    """Add how a decision was said: ``timing``, live where it was said before its open, else replayed, and ``late``.

    Late are decisions said after their open, and those replayed of days after the champion's first live one. What is
    said more than `HISTORY` after its open is of the past, such as the last bars of a file or of simulated data.
    """
    at = pl.col("said_at").dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us"))
    live = (pl.col("kind") == "book") & (at <= pl.col("_opens")).fill_null(False)
    began = pl.col("decided_on").filter(pl.col("timing") == "live").min().over(CHAMPION)
    return (
        said.join(open_times(said), on=["asset_class", "trade_on"], how="left")
        .with_columns(timing=pl.when(live).then(pl.lit("live")).otherwise(pl.lit("replayed")))
        .with_columns(
            late=(pl.col("timing") == "replayed")
            & (
                ((pl.col("kind") == "book") & (at <= pl.col("_opens") + HISTORY).fill_null(False))
                | (pl.col("decided_on") > began).fill_null(False)
            )
        )
        .drop("_opens")
    )


def open_times(rows: pl.DataFrame) -> pl.DataFrame:
    """Look up until when what is to be traded on each session is in time: asset_class, trade_on, _opens (UTC)."""
    keys = rows.select("asset_class", "trade_on").unique().drop_nulls().rows()
    opens = [(*key, _open_of(*key).replace(tzinfo=None)) for key in keys]
    schema: dict[str, Any] = {"asset_class": pl.String, "trade_on": pl.Date, "_opens": pl.Datetime("us")}
    return pl.DataFrame(opens, schema=schema, orient="row")


def _open_of(asset_class: str, day: dt.date) -> dt.datetime:
    """Until when a decision is in time: a coin's day opens as the bar closes on which it is decided."""
    opens = session_open(asset_class, day if is_session(asset_class, day) else next_session(asset_class, day))
    return opens + COINS_WAIT if asset_class == "crypto" else opens


def with_returns(joined: pl.DataFrame) -> pl.DataFrame:
    """Add turnover, gross, cost and net of each decision, and whether its bar was restated.

    Parameters
    ----------
    joined : DataFrame
        Lines with the columns of `CAME`, sorted by champion, instrument and bar.

    Returns
    -------
    DataFrame
        The turnover is against the position of the line before, from cash before the first; the position after the
        last is still open, so no exit is paid. Gross, cost and net are null where the return is not complete.
    """
    path = [*CHAMPION, *KEY]
    known = pl.col("change").is_not_null()
    return (
        joined.with_columns(turnover=(pl.col("position") - pl.col("position").shift(1).over(path).fill_null(0.0)).abs())
        .with_columns(
            gross=pl.col("position") * pl.col("change"),
            cost=pl.when(known).then(pl.col("turnover") * pl.col("cost_rate")),
            restated=_restated(path),
        )
        .with_columns(net=pl.col("gross") - pl.col("cost"))
    )


def _restated(path: list[str]) -> pl.Expr:
    """Whether a bar is materially another than the journal says, beyond what later splits and dividends explain.

    Splits and dividends since move all prices before them alike: the total-return close of a bar that was not restated
    moves as those of the decisions around it do, or its close as traded is what the journal says.
    """
    scale = (pl.col("close_now") * pl.col("factor_now")) / (pl.col("close") * pl.col("factor"))
    level = scale.rolling_median(5, center=True, min_samples=1).over(path)
    off = [
        (scale / level - 1.0).abs(),
        (pl.col("close_now") / pl.col("close") - 1.0).abs(),
        (pl.col("close_now") * pl.col("split_now") / pl.col("close") - 1.0).abs(),
    ]
    is_gone = pl.col("close_now").is_null()
    return pl.col("judged") & (is_gone | pl.all_horizontal((each > RESTATED).fill_null(False) for each in off))


def _by_outcome(said: pl.DataFrame, runs: Mapping[str, ChampionRun]) -> Iterator[tuple[pl.DataFrame, ChampionRun]]:
    """Yield the lines whose outcomes the same settings decide, with one of their runs."""
    groups: dict[str, list[str]] = defaultdict(list)
    for record_id in said["record_id"].unique().to_list():
        if record_id in runs:
            groups[runs[record_id].outcome_key].append(record_id)
    for key in sorted(groups):
        yield said.filter(pl.col("record_id").is_in(groups[key])), runs[min(groups[key])]


def _bars_of(lines: pl.DataFrame, run: ChampionRun, store: BarStore) -> Iterator[pl.DataFrame]:
    """Yield what came of each tradable bar since the first of the lines, a bucket at a time: columns of `_BAR`."""
    if not store.exists():
        return
    market = labels.read_market(store, run.label, lambda bars: bars)
    firsts = lines.group_by(KEY).agg(pl.col("decided_on").min()).rows()
    count, wanted = store.manifest.buckets, defaultdict(list)
    for asset_class, symbol, first in firsts:
        wanted[bucket(asset_class, symbol, count)].append(((asset_class, symbol), first))
    for number in sorted(set(wanted) & set(store.buckets())):
        first_of = dict(wanted[number])
        bars = store.read_bucket(number, symbols=sorted(first_of))
        if market is None:  # outright outcomes need nothing of what was before
            bars = bars.filter(pl.col("date").cast(pl.Datetime("us")) >= min(first_of.values()))
        yield _came(bars.partition_by(KEY, maintain_order=True), run, market, first_of)


def _came(
    instruments: Sequence[pl.DataFrame], run: ChampionRun, market: pl.DataFrame | None, first_of: Mapping[Key, Any]
) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=_BAR)]
    for bars in instruments:
        found = labels.decisions(bars, run.label, market)
        if not found.size:
            continue
        own = bars.select("close", "factor", "split")[found.rows]
        table = pl.DataFrame(
            {
                "asset_class": pl.repeat(found.asset_class, found.size, eager=True),
                "symbol": pl.repeat(found.symbol, found.size, eager=True),
                "decided_on": pl.Series(found.dates).cast(pl.Datetime("us")),
                "label": found.label,
                "change": _change(found, run),
                "stamp": pl.Series(found.stamps).cast(pl.Datetime("us")),
                "close_now": own["close"].cast(pl.Float64),
                "factor_now": own["factor"].cast(pl.Float64),
                "split_now": own["split"].cast(pl.Float64).fill_null(1.0).fill_nan(1.0),
            }
        ).with_columns(pl.col("label", "change").fill_nan(None))
        parts.append(table.filter(pl.col("decided_on") >= first_of[found.asset_class, found.symbol]))
    return pl.concat(parts)


def _change(found: Decisions, run: ChampionRun) -> FloatArray:
    """Return of the bar that each position is held, less what changes of a hedge's ratio cost."""
    if not isinstance(found, HedgedDecisions):
        return found.bar_return
    return trading_conditions(np.arange(found.size, dtype=np.int64), found, run.strategy).change
