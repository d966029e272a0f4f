"""How long a look at 11,000 instruments takes, from live ledgers to grades: the budget is a second."""

from __future__ import annotations

import datetime as dt
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from src.config.schema import Config
from src.inspection.overview import overview
from src.inspection.status_view import text
from src.market.bars import STATE_COLUMNS, bucket
from src.storage.atomic import write_json, write_parquet
from src.storage.ledger import SCHEMA, Ledger

SIZES = {"stock": 8000, "etf": 2800, "crypto": 200}
KEYS = [(kind, f"{kind[0]}{number}") for kind, size in SIZES.items() for number in range(size)]
DAY = dt.date(2026, 11, 20)


def test_a_look_at_the_full_universe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    config = Config()
    config.universe.name, config.data.root = "full", str(tmp_path / "data")
    write(tmp_path / "data")
    times = []
    for _ in range(5):
        began = time.perf_counter(), time.process_time()
        found = overview(config.paths, config.universe, config.source, dt.datetime.now(dt.UTC))
        times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    assert found["stages"][0]["all"]["done"] == len(KEYS)
    wall, cpu = (sorted(each)[2] for each in zip(*times, strict=True))
    sys.stdout.write(f"\nstatus: a look at {len(KEYS):,} instruments takes {wall:.2f} s, {cpu:.2f} s of CPU\n")
    assert text(found).count("\n") > 20


def write(root: Path) -> None:
    """Stores of 64 buckets as the stages leave them."""
    bars, features = Ledger(root / "bars" / "full", SCHEMA | STATE_COLUMNS), Ledger(root / "features" / "full")
    hashes = {f"feature_{n}": "0" * 32 for n in range(130)}
    parts: dict[int, list[tuple[str, str]]] = {}
    for key in KEYS:
        parts.setdefault(bucket(*key, 64), []).append(key)
    every = []
    for b, keys in parts.items():
        rows = [(*key, "done", "", 2500, dt.date(2014, 1, 2), DAY, 0, "split_adjusted", 1e6) for key in keys]
        states = pl.DataFrame(rows, schema=bars.schema, orient="row")
        every.append(states.select(features.schema.keys()))
        bars.record(b, "", states, digest="d")
        features.record(b, "", every[-1], bars="d", panel="p", columns=hashes)
        entries = [{**dict(zip(("asset_class", "symbol"), key, strict=True)), **ENTRY} for key in keys]
        write_json({"key": "", "states": entries}, root / "bars" / "full" / "raw" / f"b{b:03d}.json")
    write_parquet(pl.concat(every), root / "states" / "full" / "train.parquet")
    chosen = pl.DataFrame(KEYS, schema=["asset_class", "symbol"], orient="row").with_columns(included=True)
    write_parquet(chosen, root / "bars" / "full" / "universe.parquet")
    runs = {"family": ["lightgbm", "xgboost", "catboost"] * len(KEYS), "passed": [False, True, False] * len(KEYS)}
    write_parquet(pl.DataFrame(runs), root / "grades" / "full.parquet")


ENTRY = {
    "provider": "yahoo", "name": "", "state": "fetched", "tries": 0, "next_attempt": None, "error_class": "",
    "reason": "", "first": "2014-01-02", "last": "2026-11-20", "rows": 2500, "content_hash": "0" * 32,
    "checked": "2026-11-20T21:40:00.000000+00:00", "facts": {"currency": "USD", "type": "EQUITY"},
}  # fmt: skip
