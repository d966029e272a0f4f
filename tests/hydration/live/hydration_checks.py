"""What must hold for a store after a hydration: its files compared with the oracle of the world."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tests.hydration.live.hydration_case import WORKERS, Case, Done
from tests.loopback.faults import ODD
from tests.loopback.names import Instrument
from tests.loopback.oracle import PRICES, Expected, expected

KEY = ["asset_class", "symbol"]
STATES = {"fetched": ("done",), "unknown": ("skipped",), "unfit": ("quarantined",), "failed": ("failed",)}
_TIMES = ("checked", "next_attempt", "tries")  # fields of a ledger's entry that depend on the moment of a kill
Problems = list[str]


def every_symbol_ended_right(case: Case, store: str) -> Problems:
    """For each instrument, check its state, its provider, and every stored value against the served one."""
    wrong: Problems = []
    instruments = {(each.asset_class, each.yahoo): each for each in case.wanted()}
    seen: Counter[tuple[str, str]] = Counter()
    for b in range(case.size.buckets):
        ledger = json.loads((case.bars(store) / "raw" / f"b{b:03d}.json").read_text(encoding="utf-8"))
        bars = _by_key(sorted((case.bars(store) / "raw").glob(f"b{b:03d}-*.parquet")))
        events = _by_key([case.bars(store) / "raw" / f"e{b:03d}.parquet"])
        for entry in ledger["states"]:
            key = (entry["asset_class"], entry["symbol"])
            seen[key] += 1
            if key not in instruments:
                wrong.append(f"{key}: was not requested")
                continue
            due = _expected(case, instruments[key])
            wrong += [f"{key} ({due.fault}): {each}" for each in _entry(case, instruments[key], due, entry)]
            wrong += [f"{key} ({due.fault}): {each}" for each in _values(due, bars.get(key), events.get(key))]
    wrong += [f"{key}: {seen[key]} entries" for key in instruments if seen[key] != 1]
    return wrong


def every_bar_is_published_right(case: Case, store: str) -> Problems:
    """Check the states of all instruments, and prices, total returns and splits of those without a fault."""
    wrong: Problems = []
    path = case.data(store) / "states" / "loop" / "hydrate.parquet"
    states = {(row["asset_class"], row["symbol"]): row for row in pl.read_parquet(path).iter_rows(named=True)}
    instruments = {(each.asset_class, each.yahoo): each for each in case.wanted()}
    wrong += [f"{key}: in the states, and not in the world" for key in states.keys() - instruments.keys()]
    published: dict[tuple[str, str], int] = {}
    for b in range(case.size.buckets):
        for key, bars in _by_key(sorted(case.bars(store).glob(f"b{b:03d}-*.parquet"))).items():
            due = _expected(case, instruments[key])
            published[key] = b
            if due.state == "fetched" and due.fault not in ODD:
                wrong += [f"{key} ({due.fault}): {each}" for each in _published(due, bars)]
    for key, each in instruments.items():
        due, row = _expected(case, each), states.get(key)
        allowed = ("done", "quarantined") if due.fault in ODD else STATES[due.state]
        if row is None or row["state"] not in allowed or (row["state"] != "done" and not row["reason"]):
            wrong.append(f"{key} ({due.fault}): must be {' or '.join(allowed)} with a reason, got {row}")
        elif (row["state"] == "done") != (key in published):
            wrong.append(f"{key}: {row['state']}, yet its bars are {'' if key in published else 'not '}there")
    return wrong


def no_request_was_wasted(case: Case, lost: int = 0) -> Problems:
    """Check the requests by symbol: one, and one more for each spoilt answer.

    A few more are allowed, which distinguish an outage from faulty symbols. `lost`: answers that kills may have cost.
    """
    wrong, again, asked = [], 0, case.loopback.ask("asked")
    lost += max(3, len(case.faults.plans) // 10)
    for each in case.wanted():
        plan = case.faults.plans.get(each.yahoo)
        n = asked.get(f"{case.provider(each)} {each.yahoo}", 0)
        if plan is None or plan.kind in ODD:
            if each.kind != "coin":
                again += n - 1
        elif n > lost + (plan.times or 4) + 2 and each.kind != "coin":
            wrong.append(f"{each.symbol} ({plan}): asked {n} times")
    if again > lost:
        wrong.append(f"{again} questions were asked again though their answers were good, at most {lost} may be")
    if again < 0:
        wrong.append(f"{-again} sound symbols were never asked for")
    return wrong


def politeness_was_kept(case: Case) -> Problems:
    """Check that no window has more requests than the ceiling allows, and that a Retry-After is kept.

    Each worker has one request under way at most, which may be late. While a refusal is read, a worker may send one
    more; a client that does not keep a Retry-After sends as many as the ceiling allows.
    """
    wrong: Problems = []
    for provider in case.loopback.ask("counts")["providers"]:
        if "." in provider:
            continue
        verdict = case.loopback.ask("politeness", provider=provider)
        for window, most in verdict["windows"].items():
            allowed = case.size.ceiling * float(window) + 1 + WORKERS  # requests may get closer together on the way
            if most > allowed:
                wrong.append(f"{provider}: {most} requests within {window} s, at most {allowed:g} may be")
        if verdict["inside_retry_after"] > 2 * WORKERS:
            wrong.append(f"{provider}: {verdict['inside_retry_after']} requests within a Retry-After")
    return wrong


def memory_stayed_flat(done: Done, limit: float) -> Problems:
    """Check that memory is below `limit` MiB, and no higher in the last third of a run than in the second."""
    n = len(done.memory)
    if n < 12:
        return [f"only {n} looks at the memory"]
    second, last = np.median(done.memory[n // 3 : 2 * n // 3]), np.median(done.memory[2 * n // 3 :])
    wrong = [f"{max(done.memory):,.0f} MiB at most, {limit:,.0f} allowed"] if max(done.memory) > limit else []
    return wrong + ([f"grew from {second:,.0f} to {last:,.0f} MiB"] if last > 1.15 * second + 30 else [])


def stores_are_identical(case: Case, one: str, other: str) -> Problems:
    """Compare every file of two stores, byte by byte; in ledgers without times and tries."""
    first, second = content(case.bars(one)), content(case.bars(other))
    wrong = [f"{name}: only in {one if name in first else other}" for name in sorted(first.keys() ^ second.keys())]
    wrong += [f"{name} differs" for name in sorted(first.keys() & second.keys()) if first[name] != second[name]]
    states = [pl.read_parquet(case.data(store) / "states" / "loop" / "hydrate.parquet") for store in (one, other)]
    return wrong if states[0].equals(states[1]) else [*wrong, "the states differ"]


def rows(path: Path) -> int:
    """Rows of a Parquet file."""
    return int(pl.scan_parquet(path, hive_partitioning=False).select(pl.len()).collect().item())


def content(root: Path) -> dict[str, Any]:
    """Every file under a folder: bytes, or JSON without what depends on when it was written."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            name = path.relative_to(root).as_posix()
            found[name] = _timeless(json.loads(path.read_bytes())) if path.suffix == ".json" else path.read_bytes()
    return found


def _timeless(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _timeless(value) for key, value in tree.items() if key not in _TIMES}
    return [_timeless(each) for each in tree] if isinstance(tree, list) else tree


def _expected(case: Case, instrument: Instrument) -> Expected:
    start = dt.date.fromisoformat(case.size.start)
    return expected(case.world, case.faults, instrument, start, case.provider(instrument))


def _entry(case: Case, instrument: Instrument, due: Expected, entry: dict[str, Any]) -> Problems:
    wrong = [f"must be {due.state}, is {entry['state']}: {entry['reason']}"] if entry["state"] != due.state else []
    if due.state == "fetched" and entry["provider"] != case.provider(instrument):
        wrong.append(f"served by {entry['provider']}, not by {case.provider(instrument)}")
    if due.state != "fetched" and not entry["reason"]:
        wrong.append("no words about why")
    if due.state == "failed" and entry["next_attempt"] is None:
        wrong.append("no time is set at which it is due again")
    return wrong


def _values(due: Expected, bars: pl.DataFrame | None, events: pl.DataFrame | None) -> Problems:
    if due.state != "fetched" or due.days is None or due.values is None:
        return [f"{bars.height} bars stored"] if bars is not None and bars.height else []
    if bars is None:
        return ["no bars stored"]
    stored = bars.select(pl.col(name).fill_null(float("nan")) for name in PRICES).to_numpy()
    days = bars["date"].to_numpy().astype("datetime64[D]")
    if len(days) != len(due.days):
        return [f"{len(days)} bars stored, {len(due.days)} served"]
    one, other = _sorted(days, stored), _sorted(due.days, due.values)
    wrong = [] if np.array_equal(one[0], other[0]) else ["other dates than served"]
    if not np.array_equal(one[1], other[1], equal_nan=True):
        k = int(np.argmax((~np.isclose(one[1], other[1], rtol=0, atol=0, equal_nan=True)).any(axis=1)))
        wrong.append(f"other values than served, first on {one[0][k]}: {one[1][k]} for {other[1][k]}")
    listed = [] if events is None else sorted(events.select("date", "kind", "value").rows())
    meant = sorted((each.day.item(), each.kind, each.value) for each in due.events)
    return wrong if listed == meant else [*wrong, f"events {listed[:3]}..., served {meant[:3]}..."]


def _sorted(days: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((*values.T, days))
    return days[order], values[order]


def _published(due: Expected, bars: pl.DataFrame) -> Problems:
    assert due.days is not None and due.values is not None
    if not np.array_equal(bars["date"].to_numpy().astype("datetime64[D]"), due.days):
        return ["published dates are not those served"]
    close, adjusted = due.values[:, 3], due.values[:, 4]
    wrong = [] if np.array_equal(bars["close"].to_numpy(), close) else ["published closes are not those served"]
    if bars["repaired"].any():
        wrong.append("a sound series was repaired")
    if np.isfinite(adjusted).all():
        total = (bars["close"] * bars["factor"]).to_numpy()
        off = np.abs(total / total[-1] * adjusted[-1] / adjusted - 1).max()
        wrong += [f"total return is {off:.1e} off the provider's"] if off > 2e-5 else []
        after = np.ones(len(due.days))
        for each in due.events:
            after[due.days < each.day] *= each.value if each.kind == "split" else 1.0
        if not np.allclose(bars["split"].to_numpy(), after, rtol=1e-9):
            wrong.append("splits are not those served")
    return wrong


def _by_key(paths: list[Path]) -> dict[tuple[str, str], pl.DataFrame]:
    frames = [pl.read_parquet(path, hive_partitioning=False) for path in paths if path.is_file()]
    if not frames:
        return {}
    parts = pl.concat(frames).partition_by(KEY, as_dict=True, maintain_order=True)
    return {(str(kind), str(symbol)): part for (kind, symbol), part in parts.items()}
