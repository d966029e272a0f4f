"""Lines of a day, and a book netted from them by plain loops."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.schema import BookConfig
from src.core.instruments import ASSET_CLASSES, Key
from src.market.bars import BarStore, Manifest
from src.signals.tables import lines_frame

DAY = dt.date(2025, 3, 3)


def stored_bars(frame: pl.DataFrame, root: Path, panel: list[Key] | None = None) -> BarStore:
    """A store of one bucket with these bars."""
    store = BarStore(root)
    store.write_manifest(Manifest("d", "1d", "folder", "", "auto", 1, None, "", "", complete=True))
    ends = frame.group_by("asset_class", "symbol").agg(pl.col("date").max().alias("last"))
    states = [dict.fromkeys(store.ledger.schema) | row | {"state": "done"} for row in ends.sort("symbol").to_dicts()]
    store.record(0, "job", pl.DataFrame(states, schema=store.ledger.schema), store.write_bucket(0, frame))
    store.write_panel(panel or [])
    return store


def line(name: str, key: Key, position: float | None = 0.5, **values: Any) -> dict[str, Any]:
    """One line of a champion; pooled where its name says so."""
    scope = "pooled" if name.startswith("pooled.") else "instrument"
    about = {"book_date": DAY, "name": name, "scope": scope, "asset_class": key[0], "symbol": key[1], "state": "said"}
    traded = {"position": position, "cost_rate": 0.001, "close": 10.0, "trade_on": DAY + dt.timedelta(days=1)}
    return about | traded | values


def random_lines(
    seed: int, instruments: int = 12
) -> tuple[pl.DataFrame, dict[Key, float], dict[str, dict[Key, float]]]:
    """Lines of both scopes, some refused, some holding, some hedged; weights before; hedges."""
    rng = np.random.default_rng(seed)
    keys = [(ASSET_CLASSES[each % 3], f"S{each}") for each in range(instruments)]
    rows = []
    for key in keys:
        for family in range(int(rng.integers(0, 3))):
            refused = rng.random() < 0.2
            hedge = float(rng.uniform(0.5, 1.5)) if rng.random() < 0.3 and key[0] == "stock" else None
            values = (
                {"hedge": hedge, "state": "refused", "holds": bool(rng.random() < 0.5)} if refused else {"hedge": hedge}
            )
            rows.append(
                line(f"{key[0]}.{key[1]}.{family}", key, None if refused else float(rng.uniform(-1, 1)), **values)
            )
    for portfolio in range(int(rng.integers(0, 3))):
        chosen = [key for key in keys if key[0] == "stock"]
        rows += [line(f"pooled.stock.{portfolio}", key, float(rng.normal(0, 0.4))) for key in chosen]
    before = {key: float(rng.normal(0, 0.1)) for key in keys if rng.random() < 0.5}
    panel = [key for key in keys if key[0] == "stock"]
    return lines_frame(rows), before, {"stock": {key: 1.0 / len(panel) for key in panel}}


def naive_wanted(
    lines: pl.DataFrame, before: dict[Key, float], choice: BookConfig, hedges: dict[str, dict[Key, float]]
) -> tuple[dict[Key, float], set[Key]]:
    """What each instrument is to weigh before any cap, and which keep their weight, line by line."""
    rows = lines.to_dicts()
    names: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        names["pooled" if row["scope"] == "pooled" else "single"].add(row["name"])
    both = bool(names["pooled"]) and bool(names["single"])
    shares = {}
    for kind, part in (("pooled", choice.pooled_share), ("single", 1.0 - choice.pooled_share)):
        for name in names[kind]:
            shares[name] = (part if both else 1.0) / len(names[kind])
    kept = {(row["asset_class"], row["symbol"]) for row in rows if row["state"] == "refused" and row["holds"]} & set(
        before
    )
    wanted: dict[Key, float] = defaultdict(float)
    for row in rows:
        key = (row["asset_class"], row["symbol"])
        part = 0.0
        if row["state"] == "said":
            part = shares[row["name"]] * row["position"]
            wanted[key] += part
        if key in kept:
            speaking = [
                r for r in rows if (r["asset_class"], r["symbol"]) == key and (r["state"] == "said" or r["holds"])
            ]
            part = (
                before[key] * shares[row["name"]] / sum(shares[r["name"]] for r in speaking) if row in speaking else 0.0
            )
        if row["hedge"] is not None:
            for member, weight in hedges[key[0]].items():
                wanted[member] -= part * row["hedge"] * weight
    return {**wanted, **{key: before[key] for key in kept}}, kept


def naive_capped(
    wanted: dict[Key, float], before: dict[Key, float], kept: set[Key], choice: BookConfig
) -> dict[Key, float]:
    """Cut the weights, one instrument after the other."""
    keys = sorted({*wanted, *before})

    def reduced(weights: dict[Key, float]) -> dict[Key, float]:
        out = dict(weights)
        for key in keys:
            if key not in kept:
                out[key] = max(-choice.max_weight, min(choice.max_weight, out[key]))
        for group in (*([key for key in keys if key[0] == kind] for kind in ASSET_CLASSES), keys):
            limit = (
                choice.max_gross if group is keys else choice.max_class_weight.get(group[0][0], 1e9) if group else 0.0
            )
            fixed = sum(abs(out[key]) for key in group if key in kept)
            moving = sum(abs(out[key]) for key in group if key not in kept)
            if fixed + moving > limit and moving:
                for key in group:
                    if key not in kept:
                        out[key] *= max(limit - fixed, 0.0) / moving
        return out

    now = {key: before.get(key, 0.0) for key in keys}
    aim = reduced({key: before[key] if key in kept else wanted.get(key, 0.0) for key in keys})
    if sum(abs(aim[key] - now[key]) for key in keys) <= choice.max_turnover:
        return aim
    base = reduced(now)
    reducing = sum(abs(base[key] - now[key]) for key in keys)
    going = sum(abs(aim[key] - base[key]) for key in keys)
    if reducing >= choice.max_turnover:
        return {key: now[key] + choice.max_turnover / reducing * (base[key] - now[key]) for key in keys}
    part = min((choice.max_turnover - reducing) / going, 1.0)
    return {key: base[key] + part * (aim[key] - base[key]) for key in keys}
