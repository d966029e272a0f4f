"""Faults that look ahead, planted into 20 real series and taken through hydrate, featurize and train; genuine skill.

Each series is written once for each fault under another symbol, into one dataset with a sound panel of the same
market. Printed is whether hydration quarantined it, training flagged its run, or it was harmless: not passed, and no
AUC that chance does not explain, or none that the sound series lacks. Any other is missed.

    python -m tests.benchmarks.study_lookahead faults --folder /tmp/lookahead
    python -m tests.benchmarks.study_lookahead genuine
    python -m tests.benchmarks.study_lookahead passes --root data --universe full

The first needs the shared market file, and about half an hour on two cores. The last grades the stored runs of a
dataset again and counts which passes are flagged.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from src.config.compose import compose
from src.config.schema import GradeConfig
from src.core.instruments import KEY
from src.evaluation.assessment import assess
from src.evaluation.labels import decisions
from src.evaluation.suspicion import collapses, too_good
from src.market.bars import BarStore
from src.storage.atomic import write_json
from tests.evaluation.skill_case import clears, edge, later, z_of
from tests.hydration.look_ahead_faults import FAULTS, MILD_FAULTS, Fault
from tests.market_case import MARKET

SHARES = {"stock": 12, "etf": 4, "crypto": 4}  # of 20 series
PANEL = {"stock": 30, "etf": 20, "crypto": 20}  # sound instruments, which market-relative features look at
BARS = {"stock": 2200, "etf": 2200, "crypto": 1800}  # at least
SIGNIFICANT = 0.01


def show(what: object) -> None:
    print(what, flush=True)  # noqa: T201 (a study prints its result)


def prepare(folder: Path) -> dict[str, str]:
    """Write the faulty series and the panel; returns the fault of each symbol's ending."""
    bars = pl.read_parquet(MARKET / "bars.parquet").with_columns(pl.col(pl.Float32).cast(pl.Float64))
    whole = bars.group_by(KEY).agg(pl.len().alias("n"), (pl.col("close") <= 0).any().alias("odd")).sort(KEY)
    frames, panel = [], []
    planted: dict[str, Fault] = {"none": lambda frame: frame, **FAULTS, **MILD_FAULTS}
    endings = {f"F{number:02d}": name for number, name in enumerate(planted)}
    for kind, least in BARS.items():
        keys = whole.filter((pl.col("asset_class") == kind) & (pl.col("n") >= least) & ~pl.col("odd"))
        drawn = keys.sample(fraction=1.0, shuffle=True, seed=20)["symbol"].to_list()
        panel += [[kind, symbol] for symbol in drawn[-PANEL[kind] :]]
        for symbol in drawn[: SHARES[kind]]:
            one = bars.filter((pl.col("asset_class") == kind) & (pl.col("symbol") == symbol)).sort("date")
            for ending, name in endings.items():
                frames.append(planted[name](one).with_columns(symbol=pl.lit(f"{symbol}_{ending}")).select(bars.columns))
    sound = bars.join(pl.DataFrame(panel, schema=KEY, orient="row"), on=KEY, how="semi")
    folder.mkdir(parents=True, exist_ok=True)
    pl.concat([sound, *frames], how="vertical_relaxed").write_parquet(folder / "faulty.parquet")
    write_json(sorted(panel), folder / "data" / "bars" / "full" / "panel.json")
    return endings


def study_faults(folder: Path, model: str) -> None:
    """Plant, run the pipeline, and print what became of each fault."""
    if not (MARKET / "bars.parquet").is_file():
        show(f"skipped: {MARKET / 'bars.parquet'} is absent")
        return
    endings = prepare(folder)
    words = ["universe=full", "source=folder", f"source.path={folder / 'faulty.parquet'}", f"model={model}"]
    words += [f"data.root={folder / 'data'}", f"data.logs={folder / 'logs'}", f"data.reports={folder / 'reports'}"]
    words += [f"tracking.uri=sqlite:///{(folder / 'mlflow.db').as_posix()}"]
    for verb in ("hydrate", "featurize", "train"):
        subprocess.run([sys.executable, "-m", f"src.{verb}", *words], check=True)
    show_outcomes(folder, endings)


def show_outcomes(folder: Path, endings: dict[str, str]) -> None:
    """Print what became of the series of each fault, and which were missed."""
    ending = pl.col("symbol").str.extract(r"_(F\d\d)$").replace_strict(endings, default=None).alias("fault")
    states = pl.read_parquet(folder / "data/states/full/hydrate.parquet").with_columns(ending)
    grades = pl.read_parquet(folder / "data/grades/full.parquet")
    shows = pl.col("passed") | (pl.col("p_value") < SIGNIFICANT)
    runs = grades.group_by(KEY).agg(
        flagged=pl.col("suspicious").is_not_null().any(), shows=(shows & pl.col("suspicious").is_null()).any()
    )
    table = states.filter(pl.col("fault").is_not_null()).join(runs, on=KEY, how="left")
    table = table.with_columns(
        pl.col("shows", "flagged").fill_null(False), stem=pl.col("symbol").str.replace(r"_F\d\d$", "")
    )
    sound = table.filter(pl.col("fault") == "none").select("asset_class", "stem", before="shows")
    table = table.join(sound, on=["asset_class", "stem"], how="left")
    quarantined, flagged = pl.col("state") == "quarantined", pl.col("flagged")
    missed = ~quarantined & pl.col("shows") & ~pl.col("before")
    counts = table.group_by("fault", maintain_order=True).agg(
        pl.len().alias("series"),
        quarantined.sum().alias("quarantined"),
        (flagged & ~missed).sum().alias("flagged"),
        (~quarantined & ~flagged & ~missed).sum().alias("harmless"),
        missed.sum().alias("missed"),
    )
    with pl.Config(tbl_rows=40, fmt_str_lengths=60, tbl_hide_dataframe_shape=True):
        show(counts.sort("fault"))
        show(table.filter(missed).select("fault", *KEY))


def study_genuine(worlds: int) -> None:
    """Print which share of genuine passes is flagged, by the score's autocorrelation."""
    rng = np.random.default_rng(0)
    for persistence in (0.0, 0.5, 0.8):
        rows = []
        for number in range(worlds):
            score, change = edge((500, 800, 1100, 1400, 1700)[number % 5], persistence, rng.uniform(0.05, 0.14), rng)
            found, net = later(score, change)
            if found.area is not None and clears(score, change, net):
                signs = too_good({"auc": found.area, "z": z_of(score, change)}, GradeConfig())
                rows.append((found.area, collapses(found), bool(signs)))
        areas, gone, good = (np.array(column) for column in zip(*rows, strict=True))
        usual = (areas >= 0.53) & (areas <= 0.58)
        show(
            f"autocorrelation {persistence}: {areas.size} passes, AUC {np.quantile(areas, 0.05):.3f} to"
            f" {np.quantile(areas, 0.95):.3f}; flagged as collapsed {gone.mean():.1%}, too good {good.mean():.1%},"
            f" either {(gone | good).mean():.1%};"
            f" with an AUC of 0.53 to 0.58: {usual.sum()} passes, flagged {(gone | good)[usual].mean():.1%}"
        )


def study_passes(root: Path, universe: str) -> None:
    """Grade the stored runs of a dataset again, and print which passes are flagged."""
    config = compose([f"universe={universe}", "model=all"])
    bars, found = BarStore(root / "bars" / universe), []
    for path in sorted((root / "runs" / universe).glob("*.runs.parquet")):
        stored = pl.read_parquet(path)
        held = bars.read_bucket(int(path.name[1:4])).partition_by(KEY, as_dict=True)
        decided = {key: decisions(frame, config.label) for key, frame in held.items()}
        for run in stored.iter_rows(named=True):
            of_run = decided[run["asset_class"], run["symbol"]]
            positions = of_run.positions(np.asarray(run["oos_date"], dtype="datetime64[us]"))
            score = np.asarray(run["oos_probability"])
            row = assess(score, positions, of_run, config.strategy, config.grade).row()
            found.append({name: row[name] for name in (*KEY, "auc", "late_auc", "z", "passed", "suspicious")})
    table = pl.DataFrame(found, infer_schema_length=None)
    one_bar = pl.col("suspicious").str.contains("standard errors")
    passed = table.filter("passed")
    show(
        passed.group_by("asset_class").agg(
            pl.len().alias("passes"),
            pl.col("suspicious").is_not_null().sum().alias("flagged"),
            one_bar.sum().alias("collapsed"),
            pl.col("suspicious").str.starts_with("z ").sum().alias("z"),
        )
    )
    with pl.Config(tbl_rows=100, fmt_str_lengths=150):
        show(passed.filter(pl.col("suspicious").is_not_null()).sort(KEY))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("faults", "genuine", "passes"))
    parser.add_argument("--folder", type=Path, default=Path("lookahead"))
    parser.add_argument("--model", default="lightgbm")
    parser.add_argument("--worlds", type=int, default=3000)
    parser.add_argument("--root", type=Path, default=Path("data"))
    parser.add_argument("--universe", default="full")
    given = parser.parse_args()
    if given.part == "faults":
        study_faults(given.folder.absolute(), given.model)
    elif given.part == "genuine":
        study_genuine(given.worlds)
    else:
        study_passes(given.root, given.universe)


if __name__ == "__main__":
    main()
