"""What a session reports of itself: to MLflow at its start and end, in the log, and in the closing line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from src.core import git
from src.evaluation.grade import GATE_METRICS, Thresholds, grade
from src.evaluation.multiple_testing import SessionEvidence
from src.runtime import memory
from src.training.session_states import SessionStates
from src.training.settings import TrainingSettings


@dataclass
class Totals:
    """Sums over the results that came back.

    Attributes
    ----------
    runs : int
        Runs that were fitted.
    instruments : int
        Instruments of which at least one run was graded.
    fit_seconds : float
        CPU seconds of the workers.
    worker_bytes : int
        Most memory that any worker took.
    """

    runs: int = 0
    instruments: int = 0
    fit_seconds: float = 0.0
    worker_bytes: int = 0


class SessionSummary:
    """Counts and sentences about one session.

    Parameters
    ----------
    settings : TrainingSettings
        Choices that shape the session.
    key : str
        Key of the session.
    states : SessionStates
        State of every instrument so far.
    totals : Totals
        Sums so far.
    """

    def __init__(self, settings: TrainingSettings, key: str, states: SessionStates, totals: Totals) -> None:
        self._settings = settings
        self._key = key
        self._states = states
        self._totals = totals

    def description(self) -> dict[str, Any]:
        """Return what MLflow's run of the session shows from the start: key, name, dataset, commit, configuration."""
        settings = self._settings
        families = "+".join(dict.fromkeys(model.family for model in settings.models))
        return {
            "key": self._key,
            "name": f"{settings.dataset} {families} {settings.label.name} {settings.strategy.name}",
            "dataset": settings.dataset,
            "git_commit": git.git_commit(),
            "config_yaml": settings.config_yaml,
        }

    def figures(self, evidence: SessionEvidence, seconds: float) -> dict[str, Any]:
        """Add to the description what is known at the end.

        Parameters
        ----------
        evidence : SessionEvidence
            Passes, and how many of them luck explains.
        seconds : float
            Wall time of the session.

        Returns
        -------
        dict
            The description, counts, expected lucky passes, and the throughput that no other output holds.
        """
        totals = self._totals
        return {
            **self.description(),
            "instruments": len(self._states),
            **{f"instruments_{state}": self._states.count(state) for state in ("done", "skipped", "failed")},
            "runs": evidence.grades.height,
            "runs_trained": totals.runs,
            "passed": evidence.passes,
            "passed_instruments": evidence.instruments,
            "passed_registrable": evidence.registrable,
            "expected_lucky_passes": evidence.expected,
            "expected_lucky_low": evidence.low,
            "expected_lucky_high": evidence.high,
            "expected_lucky_instruments": evidence.expected_instruments,
            "expected_lucky_instruments_low": evidence.low_instruments,
            "expected_lucky_instruments_high": evidence.high_instruments,
            "passed_deflated": evidence.deflated_passes,
            "expected_lucky_deflated": evidence.expected_deflated,
            "session_number": evidence.session_number,
            "seconds": seconds,
            "fit_seconds": totals.fit_seconds,
            "instruments_per_hour": totals.instruments / seconds * 3600.0 if seconds else 0.0,
            "memory_parent_gib": memory.peak_bytes() / memory.GIB,
            "memory_worker_gib": totals.worker_bytes / memory.GIB,
            "runs_failed": self._states.failed_runs(),
        }

    def memory(self) -> str:
        """Return a line on the most memory that this process and the largest of its workers took."""
        parent, worker = memory.peak_bytes() / memory.GIB, self._totals.worker_bytes / memory.GIB
        return f"memory: at most {parent:.2f} GiB here, {worker:.2f} GiB in a worker"

    def unregistrable_passes(self, grades: pl.DataFrame, demanded: Thresholds) -> int:
        """Count the passes that clear this command's thresholds alone, and not those that the registry demands.

        Parameters
        ----------
        grades : DataFrame
            Grades of the session.
        demanded : Thresholds
            What the registry demands.

        Returns
        -------
        int
        """
        if demanded == Thresholds.of(self._settings.grade):
            return 0
        metrics = [metric.name for metric in GATE_METRICS]
        return sum(not grade(row, demanded).passed for row in grades.filter("passed").select(metrics).to_dicts())

    def sentence(self, evidence: SessionEvidence) -> str:
        """Return the closing line of the stage.

        Parameters
        ----------
        evidence : SessionEvidence
            Passes, and how many of them luck explains.

        Returns
        -------
        str
            Instruments, runs, passes, the luck among them, the session's number, reused runs, skips and failures.
        """
        total, reused = len(self._states), evidence.grades.height - self._totals.runs
        before = f"{reused:,} run{'' if reused == 1 else 's'} reused, " if reused else ""
        failed = self._states.failed_runs()
        folder = f"{self._settings.paths.runs.as_posix()}/failures"
        runs = f" ({failed:,} run{'' if failed == 1 else 's'}: see {folder})" if failed else ""
        ended = f"{self._states.count('skipped'):,} skipped, {self._states.count('failed'):,} failed{runs}"
        result = evidence.sentence().removesuffix(".")
        return f"train: {total:,} instrument{'' if total == 1 else 's'}; {result}; {before}{ended}"


def run_line(row: dict[str, Any], fit_seconds: float | None) -> str:
    """Return a line on one graded run for the log.

    Parameters
    ----------
    row : dict
        Row of the grades.
    fit_seconds : float, optional
        CPU seconds of its fits; None where stored predictions were graded again.

    Returns
    -------
    str
    """
    metrics = {name: row[name] for name in (*(metric.name for metric in GATE_METRICS), "luck_rate")}
    shown = ", ".join(f"{name} {'undefined' if value is None else f'{value:.3f}'}" for name, value in metrics.items())
    verdict = "passed" if row["passed"] else "failed"
    return f"{verdict}; {shown}; " + ("graded again" if fit_seconds is None else f"fitted in {fit_seconds:.2f} s")
