"""A pooled session as training stores it: two portfolios on disk, written by hand."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.paths import DatasetPaths
from src.evaluation.pooled.by_instrument import SCHEMA as BY_INSTRUMENT
from src.storage.atomic import write_json, write_parquet

SESSION = "900d5e55"
DAYS = [day for day in (dt.date(2019, 1, 1) + dt.timedelta(days=n) for n in range(1100)) if day.weekday() < 5]
PASSING: dict[str, Any] = {
    "asset_class": "pooled", "symbol": "stock.neutral", "family": "ensemble", "record_id": "aa.0", "run_key": "aa",
    "session_key": SESSION, "graded_by": SESSION, "strategy_key": "s", "passed": True, "reasons": [],
    "registrable": True, "suspicious": None, "n_oos": len(DAYS), "first_oos": DAYS[0], "last_oos": DAYS[-1],
    "auc": 0.523, "accuracy": 0.517, "sharpe": 0.58, "max_drawdown": 0.09, "majority_accuracy": 0.501,
    "buy_hold_sharpe": 0.7, "turnover": 21.0, "luck_rate": 0.005, "z": 2.2, "p_value": 0.02, "sharpe_p_value": 0.03,
    "late_auc": 0.521, "late_sharpe": 0.49, "n_trials": 66, "prior_trials": 65, "ic": 0.021, "ic_t": 2.4, "ic_p": 0.01,
    "net_t": 1.9, "net_p": 0.03, "sharpe_low": -0.1, "sharpe_high": 1.2, "adjusted_p": 0.87, "adjusted_t": 1.4,
    "weak": True, "low_volatility_auc": 0.534, "gross_sharpe": 0.81, "cost_a_year": 0.011, "borrow_a_year": 0.004,
    "break_even_bps": 17.2, "capacity": 12_340_000.0, "beta": 0.01, "volatility_exposure": -0.05,
    "size_exposure": 0.02, "gross_exposure": 1.61, "net_exposure": 0.03, "names": 412.0, "instrument_days": 300_000,
    "luck_turnover": 22.0,
}  # fmt: skip
NEAR = PASSING | {
    "symbol": "etf.neutral", "record_id": "bb.0", "run_key": "bb", "passed": False, "registrable": False,
    "reasons": ["auc 0.513 is below 0.520"], "auc": 0.513, "sharpe": 0.55, "adjusted_t": 3.4, "weak": False,
    "luck_rate": 0.0, "low_volatility_auc": None,
}  # fmt: skip
FAR = NEAR | {
    "reasons": ["auc 0.50 is below 0.52", "sharpe -0.30 is below 0.50"], "auc": 0.501, "sharpe": -0.3,
    "adjusted_t": -0.7, "weak": True,
}  # fmt: skip
CONFIG = """
label: {name: neutral_20, horizon: 20}
scope: {prior_trials: 65}
eligibility: {name: liquid}
portfolio: {name: neutral, borrow_bps: 50.0}
"""


def paths(root: Path) -> DatasetPaths:
    return DatasetPaths(root / "data", "demo", root / "reports")


def lay_out(root: Path, *rows: dict[str, Any], states: pl.DataFrame | None = None) -> DatasetPaths:
    """Write a pooled session of the dataset demo below a folder, by default with one pass and one near miss."""
    stored, chosen = paths(root), rows or (PASSING, NEAR)
    write_parquet(pl.DataFrame(list(chosen), infer_schema_length=None), stored.portfolio_grades)
    for row in chosen:
        for name, table in tables().items():
            write_parquet(table, stored.portfolios / row["record_id"] / f"{name}.parquet")
    write_json({"key": SESSION, "config_yaml": CONFIG}, stored.portfolios / f"session-{SESSION}.json")
    if states is not None:
        write_parquet(states, stored.portfolios / "states.parquet")
    return stored


def tables() -> dict[str, pl.DataFrame]:
    """Returns of each day, and figures by year and horizon."""
    wave = np.array([math.sin(n / 40) for n in range(len(DAYS))])
    daily = pl.DataFrame({"date": DAYS, "stamp": DAYS, "gross": 0.002 * wave + 0.0004})
    daily = daily.with_columns(net=pl.col("gross") - 0.0001)
    years = sorted({day.year for day in DAYS})
    by_year = pl.DataFrame({"year": years, "days": [sum(day.year == year for day in DAYS) for year in years]})
    by_year = by_year.with_columns(ic=pl.lit(0.021), gross=pl.lit(0.08), net=pl.lit(0.055), sharpe=pl.lit(0.58),
                                   turnover=pl.lit(21.0))  # fmt: skip
    decay = pl.DataFrame(
        {"horizon": [1, 5, 20], "ic": [0.004, 0.011, 0.021], "ic_t": [0.9, 1.6, 2.4], "days": [400] * 3}
    )
    return {"daily": daily, "by_year": by_year, "decay": decay}


def hydrated(ended: int = 0, names: int = 40) -> pl.DataFrame:
    """States of hydrate: stocks and one fund, of which some stocks ended in the middle of ten years."""
    first, last, middle = dt.date(2014, 1, 2), dt.date(2023, 12, 29), dt.date(2019, 6, 3)
    rows = [("stock", f"S{n}", "done", "", 2500, first, middle if n < ended else last) for n in range(names)]
    rows.append(("etf", "E0", "done", "", 2500, first, last))
    columns = ["asset_class", "symbol", "state", "reason", "rows", "first", "last"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def by_instrument() -> pl.DataFrame:
    """Forty instruments: one found by both, two by the pooled scores alone, one by its own models alone."""
    rng = np.random.default_rng(5)
    found = ["both", "pooled", "pooled", "own", *["neither"] * 36]
    rows = []
    for number, by in enumerate(found):
        bits, own = (np.packbits(rng.random(200) < rate).tobytes() for rate in (0.05, 0.02))
        pooled = {"auc": 0.53, "accuracy": 0.52, "sharpe": 0.8 - number / 100, "max_drawdown": 0.1, "luck_rate": 0.02}
        ours = {"auc": 0.54, "accuracy": 0.52, "sharpe": 0.9, "max_drawdown": 0.1, "luck_rate": 0.03}
        row = {
            "asset_class": "stock",
            "symbol": f"N{number:02d}",
            "n_days": 900,
            "first_day": DAYS[0],
            "last_day": DAYS[-1],
        }
        row |= pooled | {"passed": by in ("both", "pooled"), "own_family": "ridge", "own_passed": by in ("both", "own")}
        row |= {f"own_{name}": value for name, value in ours.items()}
        rows.append(row | {"found_by": by, "shift_passes": bits, "own_shift_passes": own})
    return pl.DataFrame(rows, schema=BY_INSTRUMENT)
