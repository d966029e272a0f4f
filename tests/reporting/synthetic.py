"""Invented sessions for the tests of the report: any number of runs, some planted, some lucky, with all columns."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl

from src.config.schema import GradeConfig
from src.reporting.compared import DIFFERENCES
from src.reporting.drift import DRIFT
from src.reporting.report_data import Luck, ReportData, groups, thresholds
from src.reporting.schemas import equity_table, grades_table, states_table
from src.reporting.sessions import SessionsCompared

FAMILIES = ("lightgbm", "xgboost", "catboost")
FIRST = dt.date(2017, 1, 3)


def grades(
    instruments: int = 60, planted: int = 0, seed: int = 1, families: tuple[str, ...] = FAMILIES
) -> pl.DataFrame:
    """A grades table; the first `planted` instruments have skill."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(instruments):
        asset_class = ("stock", "stock", "stock", "etf", "crypto")[i % 5]
        skill = 0.035 if i < planted else 0.0
        majority, held, drawdown = 0.505 + 0.02 * rng.random(), rng.normal(0.4, 0.35), rng.uniform(0.08, 0.3)
        n_oos = int(rng.choice([420, 800, 1541, 1800], p=[0.05, 0.1, 0.25, 0.6]))
        for family in families:
            auc = 0.5 + skill + rng.normal(0, 0.012)
            z = (auc - 0.499) / 0.012
            accuracy = 0.5 + 0.7 * (auc - 0.5) + rng.normal(0.004, 0.009)
            sharpe = held * 0.7 + 30 * (auc - 0.5) * 0.9 + rng.normal(0, 0.25)
            deep = max(0.02, drawdown - 2 * (auc - 0.5) + rng.normal(0, 0.02))
            missed = [
                f"{name} {value:.3f} {'is below' if name != 'max_drawdown' else 'is above'} {limit}"
                for name, value, limit, ok in (
                    ("auc", auc, 0.52, auc >= 0.52),
                    ("accuracy", accuracy, 0.51, accuracy >= 0.51),
                    ("sharpe", sharpe, 0.5, sharpe >= 0.5),
                    ("max_drawdown", deep, 0.2, deep <= 0.2),
                )
                if not ok
            ]
            p = min(1.0, 3 * 0.5 * math.erfc(z / math.sqrt(2)))
            rows.append(
                {
                    "asset_class": asset_class,
                    "symbol": f"{asset_class[0].upper()}{i:03d}" + ("-USD" if asset_class == "crypto" else ""),
                    "family": family,
                    "record_id": f"run-{i:05d}-{family}.1",
                    "session_key": "5e551011",
                    "n_oos": n_oos,
                    "first_oos": FIRST,
                    "last_oos": FIRST + dt.timedelta(days=int(n_oos * 1.45)),
                    "auc": auc,
                    "accuracy": accuracy,
                    "majority_accuracy": majority,
                    "sharpe": sharpe,
                    "buy_hold_sharpe": held,
                    "max_drawdown": deep,
                    "turnover": 40 + 20 * rng.random(),
                    "passed": not missed,
                    "registrable": not missed and n_oos >= 500,
                    "reasons": missed,
                    "suspicious": "AUC 0.71 collapses to 0.50 one bar later"
                    if i == 7 and family == "xgboost"
                    else None,
                    "luck_rate": (rate := float(rng.beta(1.2, 30))),
                    "shift_passes": np.packbits(rng.random(200) < rate).tobytes(),
                    "z": z,
                    "p_value": p,
                    "q_value": p,
                    "deflated_sharpe": float(rng.uniform(0.2, 0.99)),
                    "n_trials": len(families),
                }
            )
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.with_columns(q_value=_q(table))


def _q(table: pl.DataFrame) -> pl.Series:
    """Benjamini-Hochberg over instruments' lowest p, as scipy has it."""
    from scipy.stats import false_discovery_control

    lowest = table.group_by("asset_class", "symbol", maintain_order=True).agg(pl.col("p_value").min())
    q = lowest.drop("p_value").with_columns(q_value=pl.Series(false_discovery_control(lowest["p_value"].to_numpy())))
    return table.drop("q_value").join(q, on=["asset_class", "symbol"], how="left", maintain_order="left")["q_value"]


def luck(table: pl.DataFrame) -> Luck:
    """A simple stand-in of the session's evidence: sum of luck rates, and a range around it."""
    passed = table.filter("passed")
    rates = table["luck_rate"].drop_nulls()
    if len(rates) < max(table.height, 1):
        return Luck(passed.height, passed.select("asset_class", "symbol").unique().height, None, None, None)
    expected = float(rates.sum())
    low, high = float(int(expected * 0.4)), float(int(expected * 2.1 + 2))
    instruments = passed.select("asset_class", "symbol").unique().height
    registrable = int(passed["registrable"].sum())
    sentence = (
        f"{passed.height} of {table.height} runs passed ({instruments} instruments, {registrable} registrable). If no"
        f" model had any skill, about {expected:.0f} would ({expected / 2:.0f} instruments; 90% range {low:.0f} to"
        f" {high:.0f}). Session 2 on these bars."
    )
    return Luck(passed.height, instruments, expected, low, high, sentence, registrable=registrable, session_number=2)


def equity(table: pl.DataFrame, seed: int = 3) -> pl.DataFrame:
    """Equity curves of the passing runs and of always-long."""
    rng = np.random.default_rng(seed)
    frames = []
    for row in table.filter("passed").iter_rows(named=True):
        n = row["n_oos"]
        held = rng.normal(0.0003, 0.006, n)
        net = 0.5 * held + rng.normal(0.0003, 0.003, n)
        stamps = [row["first_oos"] + dt.timedelta(days=int(k * 1.45)) for k in range(n)]
        frames.append(
            pl.DataFrame(
                {
                    "record_id": [row["record_id"]] * n,
                    "stamp": stamps,
                    "equity": np.cumprod(1 + net),
                    "always_long_equity": np.cumprod(1 + held),
                }
            )
        )
    return pl.concat(frames) if frames else pl.DataFrame()


def states(table: pl.DataFrame, skipped: int = 6, note: str = "") -> dict[str, pl.DataFrame]:
    """States of three stages: every graded instrument done, some skipped, quarantined or failed."""
    done = table.select("asset_class", "symbol").unique(maintain_order=True).rows()
    extra = [("stock", f"THIN{k}") for k in range(skipped)] + [
        ("stock", "PRTA"),
        ("etf", "VATE"),
        ("crypto", "BAD-USD"),
    ]
    tables = {}
    for stage in ("hydrate", "featurize", "train"):
        rows = []
        for k, (asset_class, symbol) in enumerate(done):
            note = f"repaired: {k % 7 + 1} prices outside their range" if k % 11 == 0 and stage == "hydrate" else ""
            rows.append((asset_class, symbol, "done", note, 2500, FIRST, FIRST))
        for k, (asset_class, symbol) in enumerate(extra):
            state, reason = "skipped", note or f"insufficient data: {300 + 17 * k} of 900 bars"
            if symbol in ("PRTA", "VATE"):
                state, reason = (
                    "quarantined",
                    "adjusted close has the wrong sign on 12 of 2,400 bars; frozen since 2021-03-04",
                )
            elif symbol == "BAD-USD":
                state, reason = "failed", "file truncated"
            elif stage != "train":
                state, reason = "done", ""
            rows.append((asset_class, symbol, state, reason, 0, None, None))
        names = ["asset_class", "symbol", "state", "reason", "rows", "first", "last"]
        tables[stage] = states_table(pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None), stage)
    return tables


def importance() -> pl.DataFrame:
    """Shares of the gain of four features in two families."""
    names, groups = ["rsi_14", "roc_5", "atr_14", "obv_21"], ["momentum", "momentum", "volatility", "volume"]
    even = {name: [0.25] * 4 for name in FAMILIES}
    return pl.DataFrame({"feature": names, "group": groups, **even, "all runs": [0.4, 0.1, 0.3, 0.2]})


def drift() -> pl.DataFrame:
    """Two features, of which one drifts."""
    same = {"group": "price", "usual": 0.05, "limit": 0.1, "folds": 4, "much_usual": 0.0, "instruments": 8}
    rows = [
        {"feature": "return_1", "psi": 0.3, "above": 3, "much": 0.5, **same},
        {"feature": "rsi_14", "psi": 0.04, "above": 0, "much": 0.0, **same},
    ]
    return pl.DataFrame(rows).select(pl.col(name).cast(kind) for name, kind in DRIFT.items())


def sessions(table: pl.DataFrame) -> SessionsCompared | None:
    """The session of some grades beside another, which passed what this one failed."""
    if table.is_empty():
        return None
    sides = {name: pl.col(name) for name in ("auc", "sharpe", "max_drawdown")}
    change = pl.when("passed").then(pl.lit("gained")).otherwise(pl.lit("lost"))
    pairs = table.select(
        "asset_class", "symbol", "family", change.alias("change"), *sides,
        *(value.alias(f"{name}_last") for name, value in sides.items()),
    )  # fmt: skip
    listed = [
        {"session": key, "name": "demo", "runs": table.height, "passed": 3, "auc": 0.51, "sharpe": 0.2}
        for key in ("5e551010", "5e551011")
    ]
    rows = [
        {"kind": kind, "base": base, "other": other, "measure": measure, "pairs": 9, "instruments": 3, "quarters": 20,
         "base_mean": 0.5, "other_mean": 0.51, "difference": 0.01, "low": 0.002, "high": 0.018}
        for kind, base, other in (("session", "last session", "this session"), ("family", *FAMILIES[:2]))
        for measure in ("auc", "net")
    ]  # fmt: skip
    settings = pl.DataFrame({"setting": ["seed"], "last": ["7"], "this": ["8"]})
    return SessionsCompared(
        pl.DataFrame(listed), "5e551011", "5e551010", pairs, 0, settings, pl.DataFrame(rows, schema=DIFFERENCES)
    )


def report_data(table: pl.DataFrame | None = None, planted: int = 0, **changes: object) -> ReportData:
    """All that a report shows, invented."""
    raw = grades(planted=planted) if table is None else table
    table = grades_table(raw)
    keys = raw.select("asset_class", "symbol").unique(maintain_order=True).rows() if raw.width else []
    parts: dict[str, object] = {
        "dataset": "demo",
        "grades": table,
        "states": states(table),
        "luck": luck(table),
        "groups": groups(table, luck),
        "thresholds": thresholds(GradeConfig()),
        "equity": changes["equity"] if "equity" in changes else equity_table(equity(table)),
        "importance": importance(),
        "drift": drift(),
        "sessions": sessions(table),
        "planted": frozenset(keys[:planted]) if planted else None,
        "simulated": bool(planted),
        "settings": {"strategy.cost_bps.stock": 5.0, "strategy.cost_bps.crypto": 10.0, "seed": 7, "data.until": None},
        "bar_facts": {"bars": "simulated", "last bar": "2024-12-31"},
    }
    return ReportData(**{**parts, **changes})  # type: ignore[arg-type]
