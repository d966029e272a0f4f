"""What the pooled scope stores beside its runs: grades, states, and the tables of each portfolio."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.end_state import EndState
from src.evaluation.pooled.assessment import POOLED_SCHEMA
from src.storage import atomic
from src.storage.ledger import SCHEMA as STATES
from src.training.run_tables import GRADE_SCHEMA

if TYPE_CHECKING:
    from src.config.schema import EligibilityConfig
    from src.evaluation.pooled.assessment import PooledAssessment
    from src.training.pooled.class_data import ClassData

GRADES: dict[str, Any] = {**GRADE_SCHEMA, **POOLED_SCHEMA}
"""Columns of a row of the pooled scope's grades."""
TABLES = ("daily", "by_year", "decay", "weights")
"""Tables of a portfolio, each a file of its run's folder."""
_NOTE = "tables.json"


def grade_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make a table of grades; what a row lacks is null, and a figure that is undefined is null, never NaN."""
    columns = [pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in GRADES.items()]
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))


def write_tables(folder: Path, assessed: PooledAssessment, data: ClassData, grade_key: str) -> None:
    """Write the tables of one portfolio, and last a note of what made them.

    Parameters
    ----------
    folder : Path
        ``data/portfolios/<dataset>/<record_id>``.
    assessed : PooledAssessment
    data : ClassData
        Names and dates of its weights.
    grade_key : str
        Of the settings and the code that traded and graded it.
    """
    daily, held = assessed.daily, assessed.portfolio
    (folder / _NOTE).unlink(missing_ok=True)
    if held.long_only is not None:
        daily = daily.with_columns(long_only=pl.Series(held.long_only), long_only_net=pl.Series(held.long_only_net))
    weights = trade_weights(assessed, data)
    for name, table in zip(TABLES, (daily, assessed.by_year, assessed.decay, weights), strict=True):
        atomic.write_parquet(table, folder / f"{name}.parquet")
    atomic.write_json({"grade_key": grade_key}, folder / _NOTE)


def are_of(folder: Path, grade_key: str) -> bool:
    """Whether the tables of a run are whole and of these settings: portfolios of one name share the run's folder.

    Parameters
    ----------
    folder : Path
        ``data/portfolios/<dataset>/<record_id>``.
    grade_key : str
    """
    whole = all((folder / name).is_file() for name in (*(f"{table}.parquet" for table in TABLES), _NOTE))
    return whole and bool(atomic.read_json(folder / _NOTE).get("grade_key") == grade_key)


def trade_weights(assessed: PooledAssessment, data: ClassData) -> pl.DataFrame:
    """Weights from each trade day on.

    Returns
    -------
    DataFrame
        date (of the decision), symbol, weight; names without a position are left out.
    """
    traded = assessed.portfolio
    rows, columns = np.nonzero(traded.held)
    symbols = pl.Series(data.section.symbols, dtype=pl.String)
    return pl.DataFrame(
        {
            "date": traded.dates[traded.trades][rows].astype("datetime64[D]"),
            "symbol": symbols.gather(traded.columns[columns]),
            "weight": traded.held[rows, columns],
        }
    )


def end_states(data: ClassData, days: slice, choice: EligibilityConfig) -> list[EndState]:
    """How each instrument of a class ended: done where it was eligible on a graded day, else skipped with the reason.

    Parameters
    ----------
    data : ClassData
    days : slice
        Graded days.
    choice : EligibilityConfig

    Returns
    -------
    list of EndState
        ``rows`` counts the graded days on which the instrument was eligible.
    """
    section, within = data.section, data.eligible[days]
    dates = section.dates[days].astype("datetime64[D]")
    counts, bars = within.sum(axis=0), section.traded.sum(axis=0)
    first, last = within.argmax(axis=0), len(dates) - 1 - within[::-1].argmax(axis=0)
    most = np.nan_to_num(data.styles.dollar_volume, nan=0.0).max(axis=0, initial=0.0)
    states = [EndState(*key, "skipped", _no_bars(data)) for key in sorted(data.bars.names - _keys(data))]
    for j, symbol in enumerate(section.symbols):
        key = (section.asset_class, symbol)
        if counts[j]:
            states.append(EndState(*key, "done", "", int(counts[j]), dates[first[j]].item(), dates[last[j]].item()))
        else:
            states.append(EndState(*key, "skipped", _reason(int(bars[j]), float(most[j]), section.asset_class, choice)))
    return states


def with_failures(states: list[EndState], reasons: str, *, all_failed: bool) -> list[EndState]:
    """Say of the instruments of a class that were to be ranked which of its runs failed.

    Parameters
    ----------
    states : list of EndState
        Of `end_states`.
    reasons : str
        Which runs failed and why; empty where none did.
    all_failed : bool
        Whether no run is left, so that the instruments failed too.
    """
    state = "failed" if all_failed else "done"
    return [replace(each, state=state, reason=reasons) if each.state == "done" else each for each in states]


def _keys(data: ClassData) -> set[tuple[str, str]]:
    return {(data.section.asset_class, symbol) for symbol in data.section.symbols}


def _no_bars(data: ClassData) -> str:
    until = data.bars.until
    return "no tradable bars" if until is None else f"no tradable bars up to split.until={until}"


def _reason(bars: int, most: float, asset_class: str, choice: EligibilityConfig) -> str:
    least = choice.min_dollar_volume[asset_class]
    if bars < choice.history:
        return f"{bars:,} tradable bars, fewer than eligibility.history={choice.history}"
    if most < least:
        return (
            f"traded at most {most:,.0f} a day (median of {choice.window} bars), less than "
            f"eligibility.min_dollar_volume={least:,.0f}"
        )
    return f"on no graded day eligible: too thinly traded, or fewer than eligibility.min_names={choice.min_names} names"


def write_states(states: list[EndState], path: Path) -> None:
    """Write the states table: one row an instrument, sorted by key."""
    rows = [{name: vars(state)[name] for name in STATES} for state in states]
    atomic.write_parquet(pl.DataFrame(rows, schema=STATES, orient="row").sort("asset_class", "symbol"), path)
