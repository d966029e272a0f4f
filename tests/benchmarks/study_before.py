"""Grades of the same instruments by two versions of the project, run by run, with intervals.

    python -m tests.benchmarks.study_before data-before data --universe full

takes the folders of data of two checkouts that trained the same bars. AUCs are paired run by run and day by day: the
interval of the mean difference draws whole calendar blocks of all instruments together, since these move together.
Instruments with a planted edge (simulated bars) stand apart.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from src.evaluation import metrics
from src.training.run_store import RunStore
from tests.benchmarks.paired import auc_influence, block_sums, interval, replicates

PAIR = ["asset_class", "symbol", "family"]
FIGURES = ["passed", "sharpe", "luck_rate", "planted", "record_id"]


def paired(before: Path, after: Path, universe: str) -> pl.DataFrame:
    """One row a run that both have: columns of the grades, those of `after` with the suffix ``_after``."""
    first, second = (
        pl.read_parquet(root / "grades" / f"{universe}.parquet").filter(pl.col("symbol").is_not_null())
        for root in (before, after)
    )
    return first.select(*PAIR, *FIGURES).join(second.select(*PAIR, *FIGURES), on=PAIR, suffix="_after")


def auc_differences(runs: pl.DataFrame, stores: tuple[RunStore, RunStore]) -> tuple[list[float], np.ndarray]:
    """AUC after less before of each run, on the days that both predict; and the influences by calendar block."""
    differences, sums = [], []
    for part in runs.iter_slices(200):
        tables = [
            {key[0]: rows for key, rows in store.oos(part[name]).group_by("record_id")}
            for store, name in zip(stores, ("record_id", "record_id_after"), strict=True)
        ]
        for was, now in part.select("record_id", "record_id_after").iter_rows():
            both = tables[0][was].join(tables[1][now], on="date", suffix="_after").sort("date")
            label = both["label"].to_numpy()
            scores = both["probability"].to_numpy(), both["probability_after"].to_numpy()
            values = [metrics.auc(label, score) for score in scores]
            if None in values:
                continue
            differences.append(float(values[1]) - float(values[0]))  # type: ignore[arg-type]
            moved = (auc_influence(label, scores[1]) - auc_influence(label, scores[0])) / label.size
            sums.append(block_sums(both["date"].cast(pl.Date).to_physical().to_numpy().astype(np.int64), moved))
    return differences, np.sum(sums, axis=0) / max(len(sums), 1)


def lines(before: Path, after: Path, universe: str) -> Iterator[str]:
    """The comparison as a table in Markdown."""
    stores = RunStore(before / "runs" / universe), RunStore(after / "runs" / universe)
    runs = paired(before, after, universe)
    yield "| runs | n | AUC, after - before (90%) | Sharpe ratio, after - before | passed | by luck about |"
    yield "|---|---|---|---|---|---|"
    for planted in sorted(runs["planted"].unique().to_list()):
        for (family,), part in runs.filter(planted=planted).group_by("family", maintain_order=True):
            found, sums = auc_differences(part, stores)
            low, high = interval(replicates(sums[:, np.newaxis]).ravel()) if found else (np.nan, np.nan)
            mean = float(np.mean(found)) if found else np.nan
            moved = (part["sharpe_after"] - part["sharpe"]).drop_nulls().to_numpy()
            error = moved.std(ddof=1) / np.sqrt(moved.size) if moved.size > 1 else np.nan
            luck = [f"{float(part[name].sum()):.0f}" for name in ("luck_rate", "luck_rate_after")]
            yield (
                f"| {family}{', planted' if planted else ''} | {part.height} | {mean:+.4f} ({mean + low:+.4f} to "
                f"{mean + high:+.4f}) | {moved.mean():+.3f} ± {error:.3f} | {part['passed'].sum()} -> "
                f"{part['passed_after'].sum()} | {' -> '.join(luck)} |"
            )


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="data folder of the checkout before")
    parser.add_argument("after", type=Path)
    parser.add_argument("--universe", required=True)
    chosen = parser.parse_args()
    for line in lines(chosen.before, chosen.after, chosen.universe):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
