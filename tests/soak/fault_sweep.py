"""Fail each write, rename, removal and commit of a small run from hydration to promotion, and compare the end.

``python -m tests.soak.fault_sweep --stride 10 --kinds eio kill`` sweeps every tenth point; ``make soak`` runs the same.
For each point: the project stands as before the verb; the verb runs with the fault, and ends with one clear line (or
dies); it runs again without one; the result must be what an undisturbed run leaves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from src.config.compose import compose
from src.inspection.invariants import check
from src.storage.atomic import stale_temporaries
from tests.pipeline_case import VOLATILE, Project
from tests.soak import faulted_command
from tests.soak.fault_points import KILLED, Faults
from tests.soak.faulted_command import Ended

VERBS = ("hydrate", "featurize", "train", "sync", "promote")
KINDS = ("eio", "enospc", "kill", "interrupt")
TINY = (
    "universe.buckets=1",
    "source.simulated.stock=2",
    "source.simulated.etf=1",
    "source.simulated.crypto=1",
    "source.simulated.first=2018-01-02",
    "source.simulated.edge=0.2",
    "model=hist_gradient_boosting",
    "engine.workers=1",
    "features.families=[trend]",
    "grade.min_oos=200",
    "grade.min_oos_promote=200",
    "split.fold_months=36",
)
"""Four instruments, one family of features, one cheap model family, one fold or two."""
CHANGES = {"created", "since", "started", "updated", "made", "moment", "finished", "seconds", "created_at", "seen"}


class Tiny(Project):
    """The tiny project of one sweep; it always stands in the same folder, as paths stand in its database."""

    preload = "tests.soak.preloaded"

    def arguments(self, verb: str, *overrides: str) -> list[str]:
        return super().arguments(verb, *TINY, *overrides)

    def command(self, verb: str, faults: Faults) -> Ended:
        """Run one verb in a child process, with faults."""
        return faulted_command.run(verb, self.arguments(verb)[3:], faults, self.scratch, self.preload)

    @property
    def scratch(self) -> Path:
        return self.root.parent / "scratch"

    def picture(self) -> dict[str, Any]:
        """What the project holds; ids, times and logs aside."""
        held: dict[str, Any] = {}
        data = self.root / "data"
        for path in sorted(data.rglob("*")):
            name = path.relative_to(data).as_posix()
            if path.is_dir() or name.startswith((".locks", ".progress")):
                continue
            held[name] = _content(path)
        if self.database.exists():
            held["runs in MLflow"] = self.tracked()
            held["versions"] = self.registered()
            held["champions"] = self._asked("SELECT alias, name, version FROM registered_model_aliases ORDER BY 1, 2")
            held["metrics"] = self._asked("SELECT key, COUNT(*) FROM latest_metrics GROUP BY 1 ORDER BY 1")
            held["models"] = self._asked(
                "SELECT COUNT(*), status FROM logged_models WHERE lifecycle_stage = 'active' GROUP BY 2"
            )
        artifacts = self.root / "mlruns" / "artifacts"
        held["artifacts"] = sorted(Counter(p.name for p in artifacts.rglob("*") if p.is_file()).items())
        return held

    def leftovers(self) -> list[str]:
        """Temporary files that stand anywhere."""
        return [str(path) for path in stale_temporaries(self.root)]


def _content(path: Path) -> Any:
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
        volatile = [name for name in frame.columns if name in VOLATILE or name in CHANGES]
        if "trials" in path.parts:  # a trial that was interrupted is taken from its run, with fewer facts
            if path.name.endswith(".series.parquet"):
                return frame["interval"].unique().to_list()
            volatile += ["series", "label"]
        return {column.name: _rows(column.to_frame()) for column in frame.drop(volatile)}
    if path.suffix == ".json":
        digests = (
            {"digest", "projected", "held", "passes"} if "cache" in path.parts else set()
        )  # of files with times in them
        return _steady(json.loads(path.read_text(encoding="utf-8")), CHANGES | set(VOLATILE) | digests)
    if path.suffix == ".npy":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return path.name


def _rows(frame: pl.DataFrame) -> str:
    return hashlib.sha256(frame.write_ipc(None).getvalue()).hexdigest()


def _steady(value: Any, volatile: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _steady(each, volatile) for key, each in value.items() if key not in volatile}
    return [_steady(each, volatile) for each in value] if isinstance(value, list) else value


@dataclass
class Sweep:
    """Snapshots of an undisturbed run, and the points of each verb."""

    home: Path
    verbs: tuple[str, ...] = VERBS
    kind: type[Tiny] = Tiny
    before: dict[str, Path] = field(default_factory=dict)
    wanted: dict[str, dict[str, Any]] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)

    @property
    def project(self) -> Tiny:
        return self.kind(self.home / "p")

    def prepare(self) -> None:
        """Run every verb undisturbed, and keep the project before each."""
        (self.home / "scratch").mkdir(parents=True)
        self.project.root.mkdir()
        for verb in self.verbs:
            self.before[verb] = self.home / f"before-{verb}"
            shutil.copytree(self.project.root, self.before[verb])
            log = self.home / f"points-{verb}"
            ended = self.project.command(verb, Faults(self.project.root, log=log))
            assert ended.status == 0, ended.error
            self.points[verb] = ended.points
            self.wanted[verb] = self.project.picture()
            assert not (broken := invariants(self.project)), broken

    def restore(self, verb: str) -> None:
        shutil.rmtree(self.project.root)
        shutil.copytree(self.before[verb], self.project.root)

    def attempt(self, verb: str, kind: str, number: int) -> tuple[str, list[str]]:
        """Fail one point; returns the operation that failed, and what is wrong after it."""
        self.restore(verb)
        ended = self.project.command(verb, Faults(self.project.root, number, kind))
        wrong = _unclear(ended, kind)
        again = self.project.command(verb, Faults(self.project.root))
        if again.status != 0:
            return ended.hit, [*wrong, f"the rerun ended with {again.status}: {again.error[-600:]}"]
        found, wanted = self.project.picture(), self.wanted[verb]
        for name in sorted({*found, *wanted}):
            if found.get(name) != wanted.get(name):
                wrong.append(f"{name}: {_difference(found.get(name), wanted.get(name))}")
        wrong += [f"left behind: {path}" for path in self.project.leftovers()]
        return ended.hit, wrong + invariants(self.project)


def invariants(project: Tiny) -> list[str]:
    """What the project's own checker finds wrong; before training there is nothing to check."""
    if not project.database.exists():
        return []
    return [str(broken) for broken in check(compose(project.arguments("sync")[3:]))]


def _unclear(ended: Ended, kind: str) -> list[str]:
    """What is wrong with how a faulted command ended."""
    if kind == "kill":
        return (
            [] if ended.status in (KILLED, 0) else [f"ended with {ended.status} instead of dying: {ended.error[-400:]}"]
        )
    wrong = []
    if kind == "interrupt" and ended.status == 130:
        return [] if "Traceback" not in ended.error else [f"a traceback on the terminal: {ended.error[-1200:]}"]
    lines = [line for line in ended.error.splitlines() if line.strip()]
    if ended.status not in (0, 1):
        wrong.append(f"status {ended.status}")
    if "Traceback" in ended.error or "Logging error" in ended.error or "Exception ignored" in ended.error:
        wrong.append(f"a traceback on the terminal: {ended.error[-1200:]}")
    if ended.status == 1 and not lines:
        wrong.append("no message")
    if ended.status == 1 and kind == "enospc" and not any("disk full" in line for line in lines):
        wrong.append(f"the disk is full, and it says: {ended.error[-400:]}")
    return wrong


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return ", ".join(str(key) for key in {*found, *wanted} if found.get(key) != wanted.get(key)) + " differ"
    return f"{_short(found)} instead of {_short(wanted)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 160 else text[:160] + "..."


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--offset", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--verbs", nargs="+", default=list(VERBS))
    parser.add_argument("--home", type=Path, required=True)
    chosen = parser.parse_args()
    shutil.rmtree(chosen.home, ignore_errors=True)
    sweep = Sweep(chosen.home.absolute(), VERBS[: max(map(VERBS.index, chosen.verbs)) + 1])
    begun = time.monotonic()
    sweep.prepare()
    say(f"undisturbed in {time.monotonic() - begun:.0f} s; points: {sweep.points}")
    bad = total = 0
    for verb in chosen.verbs:
        for kind in chosen.kinds:
            for number in range(chosen.offset, sweep.points[verb] + 1, chosen.stride):
                total += 1
                try:
                    hit, wrong = sweep.attempt(verb, kind, number)
                except AssertionError as error:
                    hit, wrong = "", [str(error)]
                bad += bool(wrong)
                for line in wrong:
                    say(f"WRONG {verb} {kind} {number} ({hit}): {' | '.join(line.splitlines())}")
        say(f"{verb}: {total} points so far, {bad} wrong; {time.monotonic() - begun:,.0f} s")
    return 1 if bad else 0


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
