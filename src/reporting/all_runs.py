"""All runs of the session in one table: passes first, with links to tear sheets, bars and MLflow."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from src.core.instruments import KEY
from src.evaluation.grade import GATE_METRICS
from src.reporting.data_table import DataColumn, DataTable, data_table
from src.reporting.formatting import DASH, counted
from src.reporting.quality import QUALITY_PAGE
from src.reporting.quality_instruments import anchor
from src.reporting.report_data import ReportData, most_credible_first

NAME = "all-runs"
"""Id of the table."""
FILTERS = {"passed": "passed", "champions": "champion", "flagged": "is_flagged", "near misses": "near_miss"}
_KINDS = {".3f": "three", ".2f": "ratio"}


def runs_section(data: ReportData) -> str:
    """Write the table of all runs.

    Returns
    -------
    str
        HTML; empty without runs.
    """
    if data.grades.is_empty():
        return ""
    passes = counted(data.luck.passes, "pass", "passes")
    caption = (
        f"{counted(data.grades.height, 'run')}, the {passes} first, then by the instrument's evidence, then the run's"
    )
    return data_table(
        DataTable(NAME, caption, columns(has_bars=data.quality is not None), run_rows(data), FILTERS, noun="runs")
    )


def columns(*, has_bars: bool) -> tuple[DataColumn, ...]:
    """Declare the columns.

    Parameters
    ----------
    has_bars : bool
        Whether it is known what hydration did about the bars.

    Returns
    -------
    tuple of DataColumn
    """
    gate = (DataColumn(m.name, m.short_title, metric_kind(m.form)) for m in GATE_METRICS)
    bars = DataColumn("outcome", "its bars", hint="What hydration did about them", link="bars_page", choices=True)
    return (
        DataColumn("symbol", "symbol", hint="Leads to the tear sheet where there is one", link="sheet"),
        DataColumn("asset_class", "class", choices=True),
        DataColumn("family", "family", choices=True),
        *gate,
        DataColumn("majority_accuracy", "majority", "percent", shown=False),
        DataColumn("buy_hold_sharpe", "always long", "ratio", shown=False),
        DataColumn("luck_rate", "luck rate", "percent"),
        DataColumn("z", "z", "ratio"),
        DataColumn("p_value", "p", "probability", shown=False),
        DataColumn("q_value", "q", "probability"),
        DataColumn("deflated_sharpe", "deflated", "ratio", shown=False),
        DataColumn("turnover", "turnover", "count", shown=False),
        DataColumn("n_oos", "bars", "count", hint="Out-of-sample bars"),
        DataColumn("passed", "passed", "flag", shown=False),
        DataColumn("standing", "registrable", choices=True),
        DataColumn("suspicious", "flagged", "prose", shown=False, appears_with="is_flagged"),
        DataColumn("misses", "misses", "prose", shown=False, appears_with="near_miss"),
        *([bars] if has_bars else []),
        DataColumn(
            "record_id",
            "run",
            "id",
            hint="Leads to the run in MLflow, while its server runs at the address of the link",
            link="run_page",
        ),
    )


def metric_kind(form: str) -> str:
    """Give the kind of a data table's column for a metric of the gate.

    Parameters
    ----------
    form : str
        Format specification of the metric.

    Returns
    -------
    str
    """
    return "percent" if form.endswith("%") else _KINDS.get(form, "ratio")


def run_rows(data: ReportData) -> pl.DataFrame:
    """Give one row a run with everything that the table shows, links to and filters by.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    DataFrame
        Passes first, each part by evidence: those without evidence last, flagged runs after all others.
    """
    missed = pl.sum_horizontal((~t.is_cleared()).cast(pl.Int32) for t in data.thresholds)
    rows = most_credible_first(data.grades).sort("passed", descending=True, maintain_order=True)
    return rows.with_columns(
        misses=pl.col("reasons").list.join("; "),
        near_miss=~pl.col("passed") & (missed == 1),
        is_flagged=pl.col("suspicious").is_not_null(),
        standing=_standing(),
        champion=pl.col("record_id").is_in(sorted(data.champion_runs)),
        sheet=addresses(data.sheets),
        run_page=addresses(data.run_pages),
    ).join(_bars(data), on=KEY, how="left", maintain_order="left")


def _standing() -> pl.Expr:
    """Whether a pass may be registered, and why not."""
    return (
        pl.when(~pl.col("passed"))
        .then(pl.lit(None, pl.String))
        .when(pl.col("suspicious").is_not_null())
        .then(pl.lit("flagged"))
        .when(pl.col("registrable").is_null())
        .then(pl.lit(DASH))
        .when("registrable")
        .then(pl.lit("yes"))
        .otherwise(pl.lit("too few bars"))
    )


def addresses(pages: Mapping[str, str]) -> pl.Expr:
    """Look up the page of each run.

    Parameters
    ----------
    pages : mapping of str to str
        Address by ``record_id``.

    Returns
    -------
    Expr
        Null for a run without one.
    """
    return pl.col("record_id").replace_strict(
        list(pages), list(pages.values()), default=None, return_dtype=pl.String
    )  # fmt: skip


def _bars(data: ReportData) -> pl.DataFrame:
    """What hydration made of each instrument, and where the quality page says so; empty where it is not known."""
    if data.quality is None:
        return pl.DataFrame(schema={**dict.fromkeys(KEY, pl.String), "outcome": pl.String, "bars_page": pl.String})
    outcomes = data.quality.instruments.select(*KEY, "outcome").unique(KEY, keep="first", maintain_order=True)
    pages = [f"{QUALITY_PAGE}#{anchor(k, s)}" for k, s in outcomes.select(KEY).iter_rows()]
    return outcomes.with_columns(bars_page=pl.Series(pages, dtype=pl.String))
