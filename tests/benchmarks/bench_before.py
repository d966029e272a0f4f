"""What every command costs now, as a ratio to what it cost before, in one run: part of ``make bench``.

Before is the last commit where the working tree differs from it, else the one before it; ``ALPHA_BENCH_BASE`` names
another (``git describe`` words). Its files are laid beside in a folder of their own and run by the same Python, each
command of the one tree next to the same command of the other, first the one, then the other. CPU times of the command
and its workers are compared: other work on the machine disturbs them least.

    ALPHA_BENCH_BASE=v1.2 ALPHA_BENCH_INSTRUMENTS=120 make bench
"""

from __future__ import annotations

import io
import os
import statistics
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from src.core.project import ROOT
from src.core.unknown_verb import verbs
from tests.market_case import MARKET

pytestmark = pytest.mark.timeout(4 * 3600)
INSTRUMENTS = int(os.environ.get("ALPHA_BENCH_INSTRUMENTS", "60"))
PAIRS = 3
KEY = ["asset_class", "symbol"]


@dataclass
class Tree:
    """Files of one commit, and a folder for what its commands make."""

    name: str
    code: Path
    root: Path
    spent: dict[str, dict[int, float]] = field(default_factory=dict)  # CPU seconds by step and pair

    def command(self, step: str, pair: int, verb: str, *words: str) -> None:
        """Run a command to its end and keep its CPU seconds, those of its workers included."""
        environment = {**os.environ, "DVC_STAGE": "bench", "DVC_ROOT": str(self.root), "PYTHONPATH": str(self.code)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        before = os.times()
        done = subprocess.run(
            [sys.executable, "-m", f"src.{verb}", *words],
            cwd=self.code, env=environment, capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
        after = os.times()
        if done.returncode == 0:
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            self.spent.setdefault(step, {})[pair] = cpu
        else:
            sys.stdout.write(f"\n{self.name}: {step} ended with {done.returncode}: {done.stderr[-300:]}\n")

    def settings(self, bars: Path | None, pair: int) -> list[str]:
        """Overrides of a stage, with data of its own for each pair."""
        root = self.root / str(pair)
        simulated = ["source=simulated", f"source.simulated.stock={INSTRUMENTS}", "source.simulated.pooled_edge=0"]
        return [
            "universe=full", "universe.buckets=8", "universe.options=0",
            *(["source=folder", f"source.path='{bars}'"] if bars else simulated),
            *(f"data.{name}='{root / name}'" for name in ("logs", "reports")), f"data.root='{root / 'data'}'",
            f"tracking.uri='sqlite:///{(root / 'mlflow.db').as_posix()}'", f"tracking.artifacts='{root / 'artifacts'}'",
        ]  # fmt: skip


def base() -> str:
    """The commit to compare with."""
    if "ALPHA_BENCH_BASE" in os.environ:
        return os.environ["ALPHA_BENCH_BASE"]
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, check=False).returncode
    return "HEAD" if changed else "HEAD~1"


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, Tree]:
    """The commit before and this tree."""
    folder = tmp_path_factory.mktemp("before")
    archive = subprocess.run(["git", "archive", base()], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"no commit to compare with: {archive.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder / "code", filter="data")
    made = Tree("before", folder / "code", folder / "before"), Tree("now", ROOT, folder / "now")
    for tree in made:
        tree.root.mkdir()
    return made


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Real bars of some instruments; None where there are none, and simulated ones take their place."""
    if not (MARKET / "bars.parquet").is_file():
        return None
    every = pl.scan_parquet(MARKET / "bars.parquet")
    keys = every.select(KEY).unique().sort(KEY).collect()
    chosen = keys.gather_every(max(1, keys.height // INSTRUMENTS)).head(INSTRUMENTS)
    path = tmp_path_factory.mktemp("bars") / "bars.parquet"
    every.join(chosen.lazy(), on=KEY, how="semi").sink_parquet(path)
    return path


def in_pairs(trees: tuple[Tree, Tree], pair: int, step: str, verb: str, *words: str, at: list[list[str]]) -> None:
    """Run a step in both trees, the other one first every second time."""
    for tree, settings in [*zip(trees, at, strict=True)][:: -1 if pair % 2 else 1]:
        tree.command(step, pair, verb, *settings, *words)


def show(trees: tuple[Tree, Tree]) -> None:
    """Print the ratios of this run."""
    before, now = trees
    lines = [f"| CPU s, {INSTRUMENTS} instruments, against {base()} | before | now | ratio (of each pair) |"]
    lines += ["|---|---|---|---|"]
    for step, spent in now.spent.items():
        was = before.spent.get(step, {})
        medians = [f"{statistics.median(each.values()):.2f}" if each else "-" for each in (was, spent)]
        ratios = sorted(cpu / was[pair] for pair, cpu in spent.items() if was.get(pair))
        of_pairs = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})" if ratios else "-"
        lines.append(f"| {step} | {' | '.join(medians)} | {of_pairs} |")
    sys.stdout.write("\n" + "\n".join(lines) + "\n")


def test_stages(trees: tuple[Tree, Tree], bars: Path | None) -> None:
    for pair in range(PAIRS):
        at = [tree.settings(bars, pair) for tree in trees]
        for step, verb, *words in (
            ("hydrate", "hydrate"),
            ("featurize", "featurize"),
            ("train", "train", "model=all"),
            ("train, nothing to do", "train", "model=all"),
            ("report", "report", "model=all"),
            ("report, nothing to do", "report", "model=all"),
            ("promote", "promote"),
            ("sync, nothing to do", "sync", "model=all"),
            ("featurize, nothing to do", "featurize"),
        ):
            in_pairs(trees, pair, step, verb, *words, at=at)
    show(trees)


def test_starts(trees: tuple[Tree, Tree]) -> None:
    for tree in trees:
        tree.spent.clear()
    for pair in range(PAIRS):
        for verb in verbs():
            in_pairs(trees, pair, f"{verb} --help", verb, "--help", at=[[], []])
    show(trees)
