"""An invented session of 30,000 runs with long texts, undefined figures and symbols that try to be markup."""

from __future__ import annotations

import numpy as np
import polars as pl

from src.reporting.report_data import ReportData
from src.reporting.schemas import equity_table
from tests.reporting.synthetic import equity, grades, report_data

RUNS = 30_000
ODD = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0", "NA", 'a"b,c & d')
"""Symbols of the first runs, which pass."""


def large() -> ReportData:
    """Make the session from fifty copies of a small one."""
    rng = np.random.default_rng(5)
    table = pl.concat([grades(200, planted=40)] * 50).with_columns(number=pl.int_range(pl.len()))
    noise = pl.Series(rng.normal(0, 0.01, RUNS))
    table = table.with_columns(
        symbol=pl.format("{}.{}-A-LONG-SYMBOL", "symbol", pl.col("number") // 600),
        record_id=pl.Series([rng.bytes(12).hex() for _ in range(RUNS)]),
        auc=(pl.col("auc") + noise).round_sig_figs(6),
        sharpe=pl.when(pl.col("number") % 97 != 5).then((pl.col("sharpe") + noise).round_sig_figs(6)),
        suspicious=pl.when(pl.col("number") % 40 == 7).then(
            pl.format("AUC {} collapses to 0.501 one bar later: a repaired close knows the next bar", pl.col("auc"))
        ),
    )
    odd = pl.when(pl.col("number") < len(ODD)).then(pl.col("number").replace_strict(dict(enumerate(ODD)), default=None))
    is_odd = pl.col("number") < len(ODD)
    table = table.with_columns(symbol=pl.coalesce(odd, "symbol"), passed=pl.col("passed") | is_odd)
    runs = table["record_id"].to_list()
    return report_data(
        table, luck=report_data(table.head(60)).luck, equity=equity_table(equity(table.filter("passed").head(3))),
        run_pages={run: f"http://127.0.0.1:5000/#/experiments/1/runs/{rng.bytes(16).hex()}" for run in runs},
        sheets={run: f"sheets/{run}.html" for run in table.filter("passed")["record_id"]},
        champion_runs=frozenset(runs[:500]),
    )  # fmt: skip
