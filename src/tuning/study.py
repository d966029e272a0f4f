"""One Optuna study that proposes settings, takes their scores, and goes on after an interruption.

A trial is proposed from the finished ones and a seed of its own (the configured seed and the count of finished trials),
so a study that was interrupted proposes what an undisturbed one would have. A trial that ran when the study was killed
is marked as failed without a reason, counts nowhere, and is done again. Only this module imports Optuna.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.models.registry import family
from src.tuning.search_space import proposal

if TYPE_CHECKING:
    from optuna.study import Study as OptunaStudy
    from optuna.trial import FrozenTrial, Trial

STARTUP_TRIALS = 10  # random ones, before the sampler learns from them
POOLED = "pooled_"
"""Begins the scope of a study of pooled settings; the asset class follows."""


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that counts.

    Attributes
    ----------
    number : int
        Optuna's number of it.
    params : dict
        Settings by name.
    scores : list of float
        AUC of each instrument in order: of all of them, unless the trial was pruned or failed. Of a pooled model the
        portfolio's Sharpe ratio alone.
    cpu_seconds : list of float
        CPU seconds of each instrument.
    pruned : bool
        Whether it ended before all instruments were tried.
    reason : str, optional
        Why it failed, where it did.
    """

    number: int
    params: dict[str, Any]
    scores: list[float]
    cpu_seconds: list[float]
    pruned: bool = False
    reason: str | None = None

    @property
    def value(self) -> float:
        """Mean score of the instruments on which it was tried."""
        return float(np.mean(self.scores))


@dataclass
class Study:
    """A study in the storage: a new one, or the one of that name.

    Parameters
    ----------
    path : Path
        The sqlite file of all studies of a dataset.
    name : str
        Name of the study; it holds the hash of everything that a trial's value depends on.
    family : str
        Model family.
    scope : str
        Asset class, ``all``, or ``pooled_`` and an asset class.
    defaults : dict
        The settings to beat: trial 0.
    seed : int
        Seed of the proposals.
    prune_p : float
        Wilcoxon p-value below which a trial that is behind the best one ends; 0 never ends one.
    max_cost : float
        Most that a trial may cost, in units of the default settings.
    about : dict
        Facts for a person who opens the study.
    """

    path: Path
    name: str
    family: str
    scope: str
    defaults: dict[str, Any]
    seed: int
    prune_p: float
    max_cost: float
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with _quiet():
            self._study = self._open()
        for trial in self._study.get_trials(deepcopy=False):
            if not trial.state.is_finished():
                self._end(trial.number, "FAIL")
        self.finished = [done for trial in self._study.get_trials(deepcopy=False) if (done := _finished(trial))]
        self._trial: Trial | None = None
        self._params: dict[str, Any] = {}
        self._scores: list[float] = []
        self._cpu_seconds: list[float] = []

    def ask(self) -> dict[str, Any]:
        """Begin a trial.

        Returns
        -------
        dict
            Its settings by name; those of the first trial are the default settings.
        """
        with _quiet():
            self._study.sampler = self._sampler(len(self.finished))
            self._trial = self._study.ask()
            self._params = proposal(self._trial, self.family, self.defaults, self.max_cost)
        self._scores, self._cpu_seconds = [], []
        return dict(self._params)

    def report(self, scores: Sequence[float], cpu_seconds: Sequence[float]) -> bool:
        """Add the scores of the next instruments of the running trial.

        Parameters
        ----------
        scores : sequence of float
            AUC of each instrument, in order.
        cpu_seconds : sequence of float
            CPU seconds of each instrument.

        Returns
        -------
        bool
            Whether the trial is worth going on with: False where, instrument by instrument, it is behind the best trial
            by Wilcoxon's signed-rank test.
        """
        trial = self._running()
        for value in scores:
            trial.report(value, len(self._scores))
            self._scores.append(value)
        self._cpu_seconds += cpu_seconds
        if not self.prune_p or not self.finished:
            return True
        with _quiet():
            return not trial.should_prune()

    def complete(self) -> None:
        """End the trial with the mean of its scores."""
        self._close("COMPLETE")

    def prune(self) -> None:
        """End the trial before all instruments were tried."""
        self._close("PRUNED")

    def fail(self, reason: str) -> None:
        """End the trial because a library raised: it counts as made, and is not made again.

        Parameters
        ----------
        reason : str
            The instrument and its error.
        """
        self._close("FAIL", reason)

    def remember(self, key: str, value: Any) -> None:
        """Store a value with the study.

        Parameters
        ----------
        key : str
            Name of the value.
        value : object
            Anything that JSON can hold.
        """
        self._study.set_user_attr(key, value)

    def remembered(self, key: str) -> Any:
        """Return a value that was stored with the study.

        Parameters
        ----------
        key : str
            Name of the value.

        Returns
        -------
        object
            None where nothing is stored under the name.
        """
        return self._study.user_attrs.get(key)

    def count_confirmed(self) -> int:
        """Return the number of settings that were ever tried on the confirming instruments."""
        return sum(key.startswith("confirmed-") for key in self._study.user_attrs)

    def trials_made(self) -> int:
        """Count the trials ever made for this family on any of the same classes.

        Returns
        -------
        int
            Trials of other seeds, windows and samples count too.
        """
        import optuna

        made = 0
        for study in optuna.get_all_study_summaries(self._study._storage, include_best_trial=False):
            family, scope = (study.user_attrs.get(name) for name in ("family", "scope"))
            if family == self.family and _share_days(str(scope), self.scope):
                trials = self._study._storage.get_all_trials(study._study_id, deepcopy=False)
                made += sum(_finished(trial) is not None for trial in trials)
        return made

    def _open(self) -> OptunaStudy:
        import optuna
        from sqlalchemy import event

        self.path.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{self.path.resolve().as_posix()}")
        event.listen(storage.engine, "connect", _write_ahead)
        storage.engine.dispose()
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=self.prune_p)
        study = optuna.create_study(
            storage=storage, study_name=self.name, direction="maximize", pruner=pruner, load_if_exists=True
        )
        if not study.user_attrs:
            for key, value in {**self.about, "family": self.family, "scope": self.scope}.items():
                study.set_user_attr(key, value)
        return study

    def _sampler(self, count: int) -> Any:
        from optuna.samplers import PartialFixedSampler, RandomSampler, TPESampler

        own = int(np.random.SeedSequence([self.seed, count]).generate_state(1)[0])
        if not count:
            fixed = {name: self.defaults[name] for name in family(self.family).SPACE if name in self.defaults}
            return PartialFixedSampler(fixed, RandomSampler(seed=own))
        return TPESampler(seed=own, n_startup_trials=STARTUP_TRIALS, multivariate=True, constant_liar=False)

    def _running(self) -> Trial:
        if self._trial is None:
            raise RuntimeError("no trial was begun: call ask() first")
        return self._trial

    def _close(self, state: str, reason: str | None = None) -> None:
        trial = self._running()
        trial.set_user_attr("params", self._params)
        trial.set_user_attr("cpu_seconds", self._cpu_seconds)
        if reason:
            trial.set_user_attr("reason", reason)
        self._end(trial.number, state, float(np.mean(self._scores)) if state == "COMPLETE" else None)
        pruned = state == "PRUNED"
        self.finished.append(FinishedTrial(trial.number, self._params, self._scores, self._cpu_seconds, pruned, reason))
        self._trial = None

    def _end(self, number: int, state: str, value: float | None = None) -> None:
        from optuna.trial import TrialState

        with _quiet():
            self._study.tell(number, value, state=TrialState[state])


def _finished(trial: FrozenTrial) -> FinishedTrial | None:
    """Return a trial that counts; None of one that was interrupted or waits."""
    reason = trial.user_attrs.get("reason")
    if trial.state.name not in ("COMPLETE", "PRUNED") and not (trial.state.name == "FAIL" and reason):
        return None
    scores = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    about = trial.user_attrs
    return FinishedTrial(
        trial.number, about["params"], scores, about["cpu_seconds"], trial.state.name == "PRUNED", reason
    )


def _share_days(scope: str, other: str) -> bool:
    """Whether trials of two studies chose among the same kind of settings on the same classes."""
    return scope == other or ("all" in (scope, other) and not any(name.startswith(POOLED) for name in (scope, other)))


def _write_ahead(connection: Any, _record: Any) -> None:
    """Wait for the disk only now and then: a power cut may cost the last scores, which are then computed again."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's lines on each trial and its warnings about experimental features."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
