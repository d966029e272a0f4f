"""What the pooled scope's ranks and fits cost: beside fits of the bare libraries, by `make bench`, or at full size:

    python -m tests.benchmarks.bench_pooled FOLDER --names 10000 --days 2600

The second form fills FOLDER with a table of 16 million rows and 130 columns (2 GiB; what is there is used again), and
prints for each family the fit of the last of five folds, the scores of a part of the rows, and what five folds and all
rows come to. Seconds are of CPU, which other work on the machine disturbs least; memory is anonymous, without the files
that are mapped, above that of a process that has imported the library.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.config.compose import compose
from src.features.store import FeatureStore
from src.market.cross_section import CrossSection
from src.models.registry import family, pooled_family
from src.training.pooled.eligible_features import EligibleRows
from src.training.pooled.ranks import RankTable, _save, _write_index, rank_table

pytestmark = pytest.mark.timeout(1800)
FAMILIES = ("lightgbm", "ridge", "catboost", "xgboost")
COLUMNS = [f"feature_{j:03d}" for j in range(130)]
FOLDS, EVERY, SHARE, SCORED = 5, 10, 0.6, 500_000


@dataclass(frozen=True)
class Cost:
    """CPU seconds, and MiB of anonymous memory at most."""

    rows: int
    read: float
    fit: float
    memory: float
    scored: int
    score: float


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def anonymous() -> float:
    """MiB of this process's memory that no file stands behind; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), 0.0)


def peak_of(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What work returns, its CPU seconds, and the most memory beyond that before it, in MiB."""
    before, peak, done = anonymous(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.process_time()
    try:
        found = work()
    finally:
        seconds = time.process_time() - began
        done.set()
        watcher.join()
    return found, seconds, max(0.0, peak[0] - before)


# the tables ----------------------------------------------------------------------------------------------------------


def section(names: int, days: int) -> tuple[CrossSection, np.ndarray]:
    """Weekdays from 2014 on, and which pairs are eligible: each name on its own share of consecutive days."""
    random = np.random.default_rng(1)
    dates = np.busday_offset(np.datetime64("2014-01-01", "D"), np.arange(days), roll="forward")
    symbols = tuple(f"S{n:05d}" for n in range(names))
    first = (random.random(names) * 2 * (1 - SHARE) * days).astype(int)
    eligible = np.arange(days)[:, np.newaxis] >= first
    none = np.empty((0, 0))
    small = none.astype(np.float32)
    return CrossSection(
        "stock", dates, symbols, 252.0, none, none, small, small, small, np.empty(0, np.int64)
    ), eligible


def table(folder: Path, names: int, days: int) -> RankTable:
    """Random ranks, written as `rank_table` writes them."""
    found, eligible = section(names, days)
    rows = EligibleRows.of(found, eligible)
    files = {name: f"{name}-{names:08d}.npy" for name in COLUMNS}
    folder.mkdir(parents=True, exist_ok=True)
    for j, file in enumerate(files.values()):
        if not (folder / file).exists():
            column = np.frombuffer(np.random.default_rng(j).bytes(rows.size), dtype=np.uint8)
            _save(column, folder / file)
    _write_index(folder, rows, files, "bench")
    return RankTable.open(folder)


def outcome(x: np.ndarray, seed: int) -> np.ndarray:
    """Noise with a little skill in it: a rank IC of about 0.02."""
    random = np.random.default_rng(seed)
    signal = x[:, :10].astype(np.float32).sum(axis=1) / np.float32(254 * np.sqrt(10 / 12)) * np.float32(0.02)
    return (signal + random.standard_normal(len(x), dtype=np.float32)).astype(np.float32)


# the fits ------------------------------------------------------------------------------------------------------------


def cost(folder: Path, name: str) -> Cost:
    """Fit a family to every tenth day but the last fold's, and score some rows: in a process of its own."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"
    ranks, library = RankTable.open(folder), pooled_family(name)
    library.LIBRARY.load()
    params = compose(["scope=pooled", f"model={name}"]).model.pooled
    began = time.process_time()
    x = ranks.read(ranks.days(slice(0, len(ranks.dates), EVERY)))
    read = time.process_time() - began
    y = outcome(x, 1)

    def fitted() -> Any:
        return library.fit_pooled(x, y, params, 7, list(ranks.columns), objective="regression")

    model, fit, memory = peak_of(fitted)
    rows = ranks.read(slice(0, min(SCORED, ranks.rows)))
    began = time.process_time()
    library.score(model, rows)
    return Cost(len(x), read, fit, memory + x.nbytes / 2**20, len(rows), time.process_time() - began)


def apart(folder: Path, name: str) -> Cost:
    """The same in a new process, so that memory of another family counts for none."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(cost, folder, name).result()


def line(name: str, found: Cost, rows: int) -> tuple[str, float]:
    """The costs in words, and the CPU seconds of five folds and of all rows."""
    folds = sum(range(1, FOLDS + 1)) / FOLDS  # the training rows of all folds, in those of the last
    whole = folds * (found.read + found.fit) + rows / max(found.scored, 1) * found.score
    return (
        f"{name}: {found.rows:,} rows read in {found.read:.1f} s, fitted in {found.fit:.1f} s with {found.memory:,.0f}"
        f" MiB; {found.score / found.scored * 1e6:.2f} us a scored row; {FOLDS} folds and {rows:,} rows: {whole:.0f} s"
    ), whole


def full(folder: Path, names: int, days: int, families: list[str]) -> None:
    """Print what each family costs at full size."""
    ranks = table(folder, names, days)
    say(f"{ranks.rows:,} rows, {len(ranks.columns)} columns")
    total = 0.0
    for name in families:
        text, seconds = line(name, apart(folder, name), ranks.rows)
        total += seconds
        say(text)
    say(f"together {total:.0f} s of CPU, {total / 2 / 60:.1f} min on two cores")


# the ranks -----------------------------------------------------------------------------------------------------------


def features(root: Path, found: CrossSection, columns: list[str], buckets: int = 4) -> FeatureStore:
    """Random features of all names on all days."""
    random, store = np.random.default_rng(2), FeatureStore(root)
    for b in range(buckets):
        symbols = found.symbols[b::buckets]
        keys = {
            "asset_class": np.repeat("stock", len(symbols) * len(found.dates)),
            "symbol": np.repeat(np.array(symbols), len(found.dates)),
            "date": np.tile(found.dates, len(symbols)),
        }
        size = len(keys["date"])
        block = random.standard_normal((len(columns), size), dtype=np.float32)
        store.write_bucket(b, columns, pl.DataFrame(keys), block)
        store.ledger.record(b, "", [], bars=str(b), panel="", columns={}, checked={})
    return store


def build(root: Path, names: int, days: int, columns: list[str]) -> tuple[int, float, float]:
    """Rows, CPU seconds and MiB of ranking features from a store."""
    found, eligible = section(names, days)
    store = features(root / "features", found, columns)
    hashes = {name: "code" for name in columns}
    made, seconds, memory = peak_of(lambda: rank_table(root / "ranks", found, eligible, store, hashes, 7))
    return made.rows, seconds, memory


def test_ranks_from_a_store(tmp_path: Path) -> None:
    rows, seconds, memory = build(tmp_path, 2000, 150, COLUMNS[:32])
    each = seconds / rows / 32
    say(f"\nranks: {rows:,} rows x 32 columns in {seconds:.1f} s of CPU with {memory:.0f} MiB;"
        f" 16 million rows x 130 columns would take {each * 16e6 * 130:.0f} s")  # fmt: skip


# beside the bare libraries -------------------------------------------------------------------------------------------


def bare(name: str, x: np.ndarray, y: np.ndarray, params: Any) -> None:
    """The library's own call on the same rows as floats, which is what one writes first."""
    values, module = x.astype(np.float32), family(name)
    settings: Any = module._settings(params, 7, "cpu") if name != "ridge" else {}  # type: ignore[attr-defined]
    if name == "lightgbm":
        import lightgbm

        settings |= {"objective": "regression"}
        lightgbm.train(settings, lightgbm.Dataset(values, y, params=settings), params.rounds)
    elif name == "xgboost":
        import xgboost

        data = xgboost.QuantileDMatrix(values, y, max_bin=params.max_bin, nthread=1)
        xgboost.train(settings | {"objective": "reg:squarederror"}, data, params.rounds)
    elif name == "catboost":
        import catboost

        catboost.CatBoost(settings | {"loss_function": "RMSE"}).fit(catboost.Pool(values, y, thread_count=1))
    else:
        from sklearn.linear_model import Ridge

        Ridge(alpha=params.l2).fit(values / 254 - 0.5, y)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_fit_beside_the_bare_library(name: str) -> None:
    random = np.random.default_rng(3)
    x = random.integers(0, 256, size=(60_000, 130), dtype=np.uint8)
    y, params = outcome(x, 4), compose(["scope=pooled", f"model={name}"]).model.pooled
    pooled_family(name).fit_pooled(x[:2000], y[:2000], params, 7, COLUMNS, objective="regression")  # imports
    _, ours, memory = peak_of(lambda: pooled_family(name).fit_pooled(x, y, params, 7, COLUMNS, objective="regression"))
    _, theirs, other = peak_of(lambda: bare(name, x, y, params))
    say(f"\n{name}: {ours:.2f} s of CPU and {memory:.0f} MiB, the bare library {theirs:.2f} s and {other:.0f} MiB:"
        f" {ours / theirs:.2f} times its time")  # fmt: skip


def main() -> None:
    """Measure at the size asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--days", type=int, default=2_600)
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    chosen = parser.parse_args()
    full(chosen.folder, chosen.names, chosen.days, chosen.families)


if __name__ == "__main__":
    main()
