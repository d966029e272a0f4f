"""A batch of a source's bars, validated, with one state for each of its instruments."""

from __future__ import annotations

import logging
from dataclasses import replace

import polars as pl

from src.core.end_state import EndState
from src.core.instruments import KEY
from src.hydration.job import HydrationJob
from src.hydration.validation import validate
from src.market import universe
from src.market.bars import STATE_COLUMNS
from src.market.symbols import PLAIN_SYMBOL, hidden_characters
from src.runtime.redaction import shown
from src.sources.declaration import Batch
from src.storage.ledger import SCHEMA

log = logging.getLogger(__name__)
STATES = SCHEMA | STATE_COLUMNS


def validated(job: HydrationJob, batch: Batch) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Validate the bars of a batch up to ``data.until``.

    Parameters
    ----------
    job : HydrationJob
        The hydration.
    batch : Batch
        Bars as the source has them.

    Returns
    -------
    bars, states : DataFrame
        As `validate` returns them.
    """
    raw = batch.bars
    if job.until is not None:
        until = pl.lit(job.until).str.to_date("%Y-%m-%d")
        raw = raw.filter((pl.col("date").cast(pl.Date) <= until).fill_null(True))
    return validate(raw, job.source.basis, job.universe.interval, batch.exact)


def bars_and_states(job: HydrationJob, batch: Batch, keys: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Validated bars of a batch, and the state of every instrument that was wanted of it.

    Parameters
    ----------
    job : HydrationJob
        The hydration.
    batch : Batch
        Bars as the source has them, and what it could not read.
    keys : DataFrame
        asset_class, symbol of the instruments that were wanted; those without bars are skipped.

    Returns
    -------
    bars : DataFrame
        Columns of `src.market.bars.schema`.
    states : DataFrame
        Columns of `STATES`, one row per instrument.
    """
    batch, hidden = _without_hidden(batch, keys)
    clean, states = validated(job, batch)
    liquidity = universe.liquidity(universe.activity(clean), job.split) if clean.height else None
    if liquidity is None:
        states = states.with_columns(liquidity=pl.lit(None, pl.Float64))
    else:
        states = states.join(liquidity.select(*KEY, "liquidity"), on=KEY, how="left")
    return clean, _complete(states.select(STATES.keys()), [*hidden, *batch.unusable], keys, job.until)


def _without_hidden(batch: Batch, keys: pl.DataFrame) -> tuple[Batch, list[EndState]]:
    """Leave out the bars of instruments whose symbol holds characters that can't be seen; these are quarantined."""
    symbols = keys.select(KEY).filter(~pl.col("symbol").str.contains(PLAIN_SYMBOL))
    ended = [
        EndState(kind, symbol, "quarantined", why)
        for kind, symbol in symbols.iter_rows()
        if (why := hidden_characters(symbol))
    ]
    if not ended:
        return batch, []
    apart = pl.DataFrame([state.key for state in ended], schema=dict.fromkeys(KEY, pl.String()), orient="row")
    return replace(batch, bars=batch.bars.join(apart, on=KEY, how="anti", maintain_order="left")), ended


def log_reasons(states: pl.DataFrame) -> None:
    """Log each instrument that is not done, or is done with a remark.

    Parameters
    ----------
    states : DataFrame
        asset_class, symbol, state, reason.
    """
    for row in states.filter((pl.col("reason") != "") | (pl.col("state") != "done")).iter_rows(named=True):
        log.info("%s:%s %s: %s", row["asset_class"], row["symbol"], row["state"], row["reason"])


def _complete(states: pl.DataFrame, unusable: list[EndState], keys: pl.DataFrame, until: str | None) -> pl.DataFrame:
    rows = [(t.asset_class, t.symbol, t.state, shown(t.reason)) for t in unusable]
    kinds = dict.fromkeys((*KEY, "state", "reason"), pl.String())
    bad = pl.DataFrame(rows, schema=kinds, orient="row").unique(KEY, keep="first").join(states, on=KEY, how="anti")
    seen = pl.concat([states.select(KEY), bad.select(KEY)])
    reason = f"the source has no bars{f' up to {until}' if until else ''}"
    absent = keys.select(KEY).join(seen, on=KEY, how="anti")
    absent = absent.with_columns(state=pl.lit("skipped"), reason=pl.lit(reason))
    return pl.concat([states, bad, absent], how="diagonal").with_columns(pl.col("rows", "repaired").fill_null(0))
