"""Whether each champion said what it should have, and in time."""

from __future__ import annotations

import datetime as dt

import polars as pl

from src.core.instruments import KEY, POOLED
from src.market.calendar import session_count
from src.monitoring.outcomes import CHAMPION

COVERAGE = {
    "pending": pl.Int64(),
    "missing": pl.Int64(),
    "refused": pl.Int64(),
    "late": pl.Int64(),
    "restated": pl.Int64(),
    "silent": pl.Int64(),
    "first": pl.Date(),
    "last": pl.Date(),
    "refusal": pl.String(),  # reason of the latest refusal, where nothing was said since
    "last_bar": pl.Date(),  # tradable bar of a single instrument
}
_COUNTS = [name for name, kind in COVERAGE.items() if kind == pl.Int64() and name != "silent"]


def coverage(
    lines: pl.DataFrame, decisions: pl.DataFrame, tradable: pl.DataFrame, ends: pl.DataFrame, newest: dict[str, dt.date]
) -> pl.DataFrame:
    """Count what each champion said, and what it should have said.

    Parameters
    ----------
    lines : DataFrame
        All lines of the journal, refused ones included.
    decisions : DataFrame
        What came of those that were said: `src.monitoring.outcomes.InstrumentOutcomes.decisions`.
    tradable : DataFrame
        asset_class, symbol, decided_on of tradable bars; for a pooled champion, its class's sessions under the symbol
        of its name.
    ends : DataFrame
        name, version, end (date): the day up to which a decision is expected; null for the present champion.
    newest : dict
        Day of the newest bar of each asset class.

    Returns
    -------
    DataFrame
        name, version and the columns of `COVERAGE`. ``missing`` are the tradable bars after a champion's first
        decision without one; ``silent`` the sessions of the class up to its newest bar since the last decision that was
        said in time (or replayed before the first live one), 0 for a former champion.
    """
    said = decisions.group_by(CHAMPION).agg(
        pl.col("net").is_null().filter(pl.col("judged") & ~pl.col("restated")).sum().cast(pl.Int64).alias("pending"),
        *(pl.col(name).sum().cast(pl.Int64) for name in ("late", "restated")),
        pl.col("decided_on").min().cast(pl.Date).alias("first"),
        pl.col("decided_on").max().cast(pl.Date).alias("last"),
        pl.col("decided_on").filter(~pl.col("late")).max().cast(pl.Date).alias("_timely"),
    )
    table = lines.group_by(CHAMPION).agg(
        (pl.col("state") == "refused").sum().cast(pl.Int64).alias("refused"),
        pl.col("asset_class").drop_nulls().first(),
        pl.col("book_date").min().alias("_began"),
    )
    for part in (said, _missing(decisions, tradable, ends), _refusals(lines), _last_bars(decisions, tradable), ends):
        table = table.join(part, on=CHAMPION, how="left")
    silent = pl.struct("asset_class", "_timely", "_began", "end").map_elements(
        lambda row: _sessions_since(row, newest), return_dtype=pl.Int64
    )
    filled = table.with_columns(pl.col(_COUNTS).fill_null(0), silent.alias("silent"))
    return filled.select(*CHAMPION, *COVERAGE).sort(CHAMPION)


def _sessions_since(row: dict[str, object], newest: dict[str, dt.date]) -> int:
    """Sessions after the last timely decision, or from the first book on, up to the newest bar of the class."""
    said, asset_class = row["_timely"], str(row["asset_class"])
    first = said + dt.timedelta(days=1) if isinstance(said, dt.date) else row["_began"]
    if row["end"] is not None or not isinstance(first, dt.date) or asset_class not in newest:
        return 0
    return session_count(asset_class, first, newest[asset_class])


def _missing(decisions: pl.DataFrame, tradable: pl.DataFrame, ends: pl.DataFrame) -> pl.DataFrame:
    """Tradable bars from the first decision of a champion to its end on which it said nothing."""
    subject = pl.when(pl.col("scope") == POOLED).then(pl.col("name")).otherwise(pl.col("symbol"))
    said = decisions.with_columns(symbol=subject).select(*CHAMPION, *KEY, "decided_on").unique()
    first = said.group_by(*CHAMPION, *KEY).agg(pl.col("decided_on").min().alias("_first")).join(ends, on=CHAMPION)
    expected = first.join(tradable, on=KEY).filter(
        pl.col("decided_on") >= pl.col("_first"),
        pl.col("end").is_null() | (pl.col("decided_on").cast(pl.Date) <= pl.col("end")),
    )
    without = expected.join(said, on=[*CHAMPION, *KEY, "decided_on"], how="anti")
    return without.group_by(CHAMPION).agg(pl.len().cast(pl.Int64).alias("missing"))


def _refusals(lines: pl.DataFrame) -> pl.DataFrame:
    """Reason of each champion's latest line, where that was refused."""
    latest = (
        lines.sort("book_date")
        .group_by(CHAMPION)
        .agg(
            pl.col("state").filter(pl.col("book_date") == pl.col("book_date").max()),
            pl.col("reason")
            .filter(pl.col("book_date") == pl.col("book_date").max())
            .drop_nulls()
            .first()
            .alias("refusal"),
        )
    )
    whole = pl.col("state").list.eval(pl.element() == "refused").list.all()
    return latest.filter(whole).select(*CHAMPION, "refusal")


def _last_bars(decisions: pl.DataFrame, tradable: pl.DataFrame) -> pl.DataFrame:
    owned = decisions.filter(pl.col("scope") != POOLED).select(*CHAMPION, *KEY).unique()
    bars = tradable.group_by(KEY).agg(pl.col("decided_on").max().cast(pl.Date).alias("last_bar"))
    return owned.join(bars, on=KEY).select(*CHAMPION, "last_bar")
