"""A batch of a source's bars, validated, with one state for each of its instruments."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from src.core.end_state import EndState
from src.core.finding import BarFinding
from src.core.instruments import KEY, Key
from src.hydration.findings import column, with_remarks
from src.hydration.job import HydrationJob
from src.hydration.validation import validate
from src.market import universe
from src.market.bar_findings import FACT
from src.market.bars import STATE_COLUMNS
from src.market.symbols import PLAIN_SYMBOL, hidden_characters
from src.runtime.redaction import shown
from src.sources.declaration import Batch
from src.storage.ledger import SCHEMA

log = logging.getLogger(__name__)
STATES = SCHEMA | STATE_COLUMNS
_RULES = {"failed": "unreadable", "quarantined": "unfit", "skipped": "no_bars"}
"""Rule of an instrument that the source could not give, by its state, where the source names none."""


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
        Columns of `STATES`, one row per instrument, and its findings (`src.market.bar_findings.COLUMN`).
    """
    batch, hidden = _without_hidden(batch, keys)
    clean, states = validated(job, batch)
    liquidity = universe.liquidity(universe.activity(clean), job.split) if clean.height else None
    if liquidity is None:
        states = states.with_columns(liquidity=pl.lit(None, pl.Float64))
    else:
        states = states.join(liquidity.select(*KEY, "liquidity"), on=KEY, how="left")
    states = _complete(states, [*hidden, *batch.unusable], keys, job.until)
    states = with_remarks(_with_origins(states, batch, job.source.kind), batch.remarks)
    return clean, states.select(*STATES.keys(), FACT)


def _without_hidden(batch: Batch, keys: pl.DataFrame) -> tuple[Batch, list[EndState]]:
    """Leave out the bars of instruments whose symbol holds characters that can't be seen; these are quarantined."""
    symbols = keys.select(KEY).filter(~pl.col("symbol").str.contains(PLAIN_SYMBOL))
    ended = [
        EndState(kind, symbol, "quarantined", why, rule="hidden_characters")
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


def _with_origins(states: pl.DataFrame, batch: Batch, kind: str) -> pl.DataFrame:
    """Add where each instrument's bars came from: what the source says of it, else the source's name."""
    origins = [batch.origins.get((k, symbol)) or kind for k, symbol in states.select(KEY).iter_rows()]
    return states.with_columns(origin=pl.Series(origins, dtype=pl.String))


def _complete(states: pl.DataFrame, unusable: list[EndState], keys: pl.DataFrame, until: str | None) -> pl.DataFrame:
    """Add the instruments without bars, each with the one finding that says why."""
    ended: dict[Key, EndState] = {}
    for each in unusable:
        ended.setdefault(each.key, each)
    bad = _ended(ended.values()).join(states, on=KEY, how="anti")
    seen = pl.concat([states.select(KEY), bad.select(KEY)])
    why = f"the source has no bars{f' up to {until}' if until else ''}"
    absent = keys.select(KEY).join(seen, on=KEY, how="anti").unique(KEY, maintain_order=True)
    none = _ended(EndState(kind, symbol, "skipped", why, rule="no_bars") for kind, symbol in absent.iter_rows())
    return pl.concat([states, bad, none], how="diagonal").with_columns(pl.col("rows", "repaired").fill_null(0))


def _ended(ended: Iterable[EndState]) -> pl.DataFrame:
    """Rows of states with one finding each; the rule is that of the end, or its state."""
    rows = [(e.asset_class, e.symbol, e.state, shown(e.reason), e.rule or _RULES.get(e.state, e.state)) for e in ended]
    kinds = dict.fromkeys((*KEY, "state", "reason", "rule"), pl.String())
    table = pl.DataFrame(rows, schema=kinds, orient="row")
    found = [[BarFinding(row["rule"], row["state"], row["reason"])] for row in table.iter_rows(named=True)]
    return table.drop("rule").with_columns(column(found))
