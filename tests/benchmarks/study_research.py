"""Is the effect of research found where it was planted, and nothing where it was left out?

``python -m tests.benchmarks.study_research --seeds 3`` makes simulated universes without any edge in their prices and,
for each, a research world with the effects of conf/research/simulated.yaml and one without. The real commands hydrate,
ingest, featurize and train both sets of features, and compare them. One line a world and scope.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from src.core.project import ROOT
from tests import process_case

WORLDS = {
    "planted": (),
    "insiders alone": ("research.simulated.text=0",),
    "text alone": ("research.simulated.insiders=0",),
    "none": ("research.simulated.insiders=0", "research.simulated.text=0"),
}
SETS = ("all", "all+research")


def command(root: Path, verb: str, *words: str) -> str:
    """Run a command, as typed, with all its files below a folder; returns what it prints."""
    folders = [
        f"data.root='{(root / 'data').as_posix()}'",
        f"data.logs='{(root / 'logs').as_posix()}'",
        f"data.reports='{(root / 'reports').as_posix()}'",
        f"tracking.uri='sqlite:///{(root / 'mlflow.db').as_posix()}'",
        f"tracking.artifacts='{(root / 'artifacts').as_posix()}'",
    ]
    environment = {**os.environ, "DVC_ROOT": str(root), "DVC_STAGE": "study"}
    done = process_case.run(
        [sys.executable, "-m", f"src.{verb}", "universe=demo", *folders, *words],
        cwd=ROOT, env=environment, check=False, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{verb}: {done.stdout}{done.stderr}")
    return done.stdout


def studied(root: Path, seed: int, stocks: int, world: str, scopes: list[str], family: str) -> Iterator[str]:
    """Train both sets of features in one world; a line for each scope."""
    words = [
        f"source.simulated.seed={seed}", f"source.simulated.stock={stocks}", "source.simulated.etf=0",
        "source.simulated.crypto=0", "source.simulated.edge=0", "source.simulated.pooled_edge=0",
    ]  # fmt: skip
    command(root, "hydrate", *words)
    command(root, "ingest", *words, "research=simulated", f"research.simulated.seed={seed}", *WORLDS[world])
    command(root, "featurize", *words, "features=all+research")
    for scope in scopes:
        model = [f"model={family}"] if scope == "instrument" else []
        for features in SETS:
            command(root, "train", f"scope={scope}", *words, f"features={features}", *model)
        shown = command(root, "compare", f"scope={scope}", f"features={SETS[1]}", f"base={SETS[0]}", *model)
        cleared = re.search(r"(?m)^thresholds cleared\s+(\d+)\s+(\d+)", shown)
        passes = f"; {cleared[1]} and {cleared[2]} cleared the thresholds" if cleared else ""
        yield f"{seed} {world:15} {shown.strip().splitlines()[-1].partition('; quarters in')[0]}{passes}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="universes")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--stocks", type=int, default=40)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=["planted", "none"])
    parser.add_argument("--scopes", nargs="+", choices=("instrument", "pooled"), default=["instrument", "pooled"])
    parser.add_argument("--family", default="lightgbm", help="of the models of single instruments")
    chosen = parser.parse_args()
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        for world in chosen.worlds:
            with tempfile.TemporaryDirectory() as folder:
                for line in studied(Path(folder), seed, chosen.stocks, world, chosen.scopes, chosen.family):
                    sys.stdout.write(f"{line}\n")
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
