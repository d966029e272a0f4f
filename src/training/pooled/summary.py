"""What a session of the pooled scope reports of itself: to MLflow, in the log, and in the closing line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from src.core import git
from src.evaluation.grade import GATE_METRICS

if TYPE_CHECKING:
    from src.core.end_state import EndState
    from src.evaluation.multiple_testing import SessionEvidence
    from src.training.pooled.settings import PooledSettings


class PooledSummary:
    """Counts and sentences about one session.

    Parameters
    ----------
    settings : PooledSettings
    key : str
        Key of the session.

    Attributes
    ----------
    reused : int
        Runs whose grade was taken as it stood.
    fits, reused_fits : int
        Fits made now, and fits taken from the store.
    failed : dict
        Runs that failed, with their reasons.
    """

    def __init__(self, settings: PooledSettings, key: str) -> None:
        self._settings, self._key = settings, key
        self.reused = self.fits = self.reused_fits = 0
        self.failed: dict[str, str] = {}

    def description(self) -> dict[str, Any]:
        """Return what MLflow's run of the session shows from the start: key, name, dataset, commit, configuration."""
        settings, training = self._settings, self._settings.training
        families = "+".join(dict.fromkeys(model.family for model in training.models))
        return {
            "key": self._key,
            "name": f"{training.dataset} pooled {families} {settings.label.name} {settings.portfolio.name}",
            "dataset": training.dataset,
            "git_commit": git.git_commit(),
            "config_yaml": training.config_yaml,
        }

    def figures(self, evidence: SessionEvidence, seconds: float) -> dict[str, Any]:
        """Add to the description what is known at the end.

        Parameters
        ----------
        evidence : SessionEvidence
        seconds : float
            Wall time of the session.
        """
        return {
            **self.description(),
            "runs": evidence.grades.height,
            "passed": evidence.passes,
            "passed_registrable": evidence.registrable,
            "expected_lucky_passes": evidence.expected,
            "session_number": evidence.session_number,
            "seconds": seconds,
            "runs_failed": len(self.failed),
        }

    def run_line(self, row: dict[str, Any]) -> str:
        """Return a line on one graded run for the log."""
        values = {metric.name: row[metric.name] for metric in GATE_METRICS} | {"luck_rate": row["luck_rate"]}
        shown = ", ".join(f"{name} {'undefined' if x is None else f'{x:.3f}'}" for name, x in values.items())
        return f"{'passed' if row['passed'] else 'failed'}; {shown}"

    def sentence(self, evidence: SessionEvidence, states: list[EndState], *, survivors_only: bool) -> str:
        """Return the closing line of the stage.

        Parameters
        ----------
        evidence : SessionEvidence
        states : list of EndState
            One an instrument.
        survivors_only : bool
            Whether the dataset lacks the names that were delisted.
        """
        done = sum(state.state == "done" for state in states)
        names = f"{done:,} of {len(states):,} instruments eligible"
        if not evidence.grades.height:
            reasons = "; ".join(f"{name} failed: {reason}" for name, reason in self.failed.items())
            return f"train: {names}; no portfolio to grade{': ' + reasons if reasons else ''}"
        total = evidence.grades.height
        count = f"{evidence.passes:,} of {total:,} portfolio{'' if total == 1 else 's'} passed"
        each = "; ".join(self._portfolio(row) for row in evidence.grades.iter_rows(named=True))
        luck = f"If no model had any skill, {self._lucky(evidence.expected)} would."
        ends = [f"{self.fits:,} fits"]
        ends += [f"{self.reused_fits:,} fits reused"] if self.reused_fits else []
        ends += [f"{self.reused:,} runs reused"] if self.reused else []
        ends += [f"{len(self.failed):,} failed ({', '.join(self.failed)})"] if self.failed else []
        caveats = "Survivors only; borrowing" if survivors_only else "Borrowing"
        caveats += f" is assumed to cost {self._settings.portfolio.borrow_bps:g} bp a year."
        ended = f"{each}. {caveats} {', '.join(ends)}"
        return f"train: {names}; {count} ({evidence.registrable:,} registrable). {luck} {ended}"

    def _lucky(self, expected: float) -> str:
        """Say how many passes luck gives, no more exactly than the draws tell."""
        draws = self._settings.training.grade.common_shifts
        return f"about {expected:.2g}" if expected >= 1.0 / draws else f"fewer than 1 in {draws:,}"

    def _portfolio(self, row: dict[str, Any]) -> str:
        values = [(metric.short_title, row[metric.name], metric.form) for metric in GATE_METRICS]
        shown = ", ".join(f"{title} {'undefined' if x is None else format(x, form)}" for title, x, form in values)
        doubt = f"; t {row['adjusted_t']:.1f} after {row['n_trials']:,} trials" if row["adjusted_t"] is not None else ""
        weak = ": weak" if row["weak"] else ""
        return f"{row['symbol']} by {row['family']}: {shown}{doubt}{weak}"
