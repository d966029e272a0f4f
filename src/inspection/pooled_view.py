"""The pooled scope's portfolios as status, doctor and the picture of an instrument show them."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.config.paths import DatasetPaths
from src.inspection.files import read_table
from src.market.survivors import survivorship
from src.reporting.pooled_loading import session_settings
from src.reporting.pooled_results import PooledResults
from src.reporting.pooled_sentences import reservations, strength
from src.reporting.schemas import pooled_grades_table

Json = dict[str, Any]
_COLUMNS = (
    "symbol", "family", "passed", "reasons", "auc", "low_volatility_auc", "sharpe", "adjusted_t", "n_trials", "weak",
)  # fmt: skip


def portfolios(paths: DatasetPaths, hydrated: pl.DataFrame | None, *, simulated: bool) -> Json | None:
    """Collect the graded portfolios of a dataset as plain values.

    Parameters
    ----------
    paths : DatasetPaths
    hydrated : DataFrame, optional
        State, first and last bar of every instrument, which say whether delisted names are missing.
    simulated : bool
        Whether the bars are simulated, so that none is missing.

    Returns
    -------
    dict or None
        ``portfolios``, a list; ``survivors_only``; ``reservations``, a sentence. None if no portfolio was graded.
    """
    table = read_table(paths.portfolio_grades)
    if table is None:
        return None
    grades = pooled_grades_table(table)
    classes = grades["symbol"].str.split(".").list.first().unique().sort().to_list()
    known = {} if simulated else survivorship(hydrated, classes)
    found = PooledResults((), survivorship=known, settings=session_settings(paths.portfolios, grades))
    return {
        "portfolios": grades.select(_COLUMNS).to_dicts(),
        "survivors_only": found.survivors_only,
        "reservations": reservations(found),
    }


def portfolio_line(row: Json) -> str:
    """Say what came of a portfolio.

    Parameters
    ----------
    row : dict
        Of ``portfolios``.

    Returns
    -------
    str
        ``stock.neutral by ensemble failed: Sharpe 0.58, t 1.4 after 66 trials: weak; auc 0.51 is below 0.52``.
    """
    reasons = "".join(f"; {reason}" for reason in row["reasons"] or [])
    return f"{row['symbol']} by {row['family']} {'passed' if row['passed'] else 'failed'}: {strength(row)}{reasons}"
