"""All searches side by side: one stream of attempts, in which each search waits for its own batch alone.

A search is a sequence, since the next proposal depends on the last scores, and all workers do its batches. So the
trials are the same for any number of workers, and several searches fill each other's gaps.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.failure import Failure
from src.runtime.redaction import shown
from src.tuning.trial import Attempt, Score

if TYPE_CHECKING:
    from src.config.schema import ModelConfig, TuneConfig
    from src.tuning.sample import Sample, SampledInstrument
    from src.tuning.study import FinishedTrial, Study
    from src.tuning.window import Window

log = logging.getLogger(__name__)
DEFAULT, WINNER = -1, -2
"""In the place of a trial's number: attempts of the confirmation, under the default settings and the best ones."""


@dataclass
class Search:
    """One search at work: trials in turn, then the confirmation of the best of them.

    Parameters
    ----------
    study : Study
        Proposes settings and stores the trials.
    model : ModelConfig
        The family with its default settings.
    window : Window
        Which bars are read.
    sample : Sample
        Instruments that search, and those that confirm.
    tune : TuneConfig
        Number of trials, size of a batch, and limits.
    seed : int
        Seed of the fits.

    Attributes
    ----------
    done : bool
        Whether nothing is left to do.
    failure : Failure, optional
        Why the search has no winner, where the default settings or the confirmation failed.
    """

    study: Study
    model: ModelConfig
    window: Window
    sample: Sample
    tune: TuneConfig
    seed: int
    begun: float = field(default_factory=time.monotonic)
    ready: deque[Attempt] = field(default_factory=deque)
    done: bool = False
    failure: Failure | None = None
    _scores: dict[tuple[int, int], Score] = field(default_factory=dict)
    _awaited: int = 0
    _next: int = 0
    _params: dict[str, Any] = field(default_factory=dict)
    _trial: int = 0
    _failed: str | None = None  # reason of the trial's last failure

    def start(self) -> None:
        """Begin the next trial, or the confirmation after the last one."""
        late = self.tune.timeout is not None and time.monotonic() - self.begun >= self.tune.timeout
        finished = self.study.finished
        if len(finished) < self.tune.trials and not (late and finished):
            self._params, self._next = self.study.ask(), 0
            self._trial = len(finished)
            self._make_batch()
            return
        if finished[0].reason:
            self.failure = Failure(f"the default settings fail: {finished[0].reason}")
        best = None if self.failure else self.best()
        if best is None or best.number == 0 or self.study.remembered(f"confirmed-{best.number}"):
            self.done = True
            return
        self._confirm(best)

    def take(self, item: Attempt, result: Score | Failure) -> None:
        """Take the result of an attempt; after the last of a batch, go on.

        Parameters
        ----------
        item : Attempt
            One of this search's attempts.
        result : Score or Failure
            What came of it.
        """
        if isinstance(result, Score):
            self._scores[item.trial, item.index] = result
        else:
            log.error("%s: %s", self.study.name, result.reason, extra={"traceback": result.traceback})
            self._failed = shown(f"{':'.join(item.instrument.key) if item.instrument else ''}: {result.reason}")
        self._awaited -= 1
        if self._awaited:
            return
        if self._failed and self._trial >= 0:
            self.study.fail(self._failed)
        elif self._failed:
            self.failure, self.done = Failure(f"no confirmation: {self._failed}"), True
            return
        elif self._trial < 0:
            self._store_confirmation()
            return
        elif self._goes_on():
            return
        self._scores, self._failed = {}, None
        self.start()

    def best(self) -> FinishedTrial | None:
        """Choose the best complete trial.

        Returns
        -------
        FinishedTrial or None
            That of the highest mean AUC, the earlier of equal ones; None where no trial is complete.
        """
        complete = [trial for trial in self.study.finished if not trial.pruned and not trial.reason]
        return max(complete, key=lambda trial: (trial.value, -trial.number), default=None)

    def _make_batch(self) -> None:
        """Make the attempts on the next instruments ready."""
        end = min(self._next + self.tune.batch, len(self.sample.search))
        self._add(self._trial, self._params, range(self._next, end), self.sample.search)

    def _goes_on(self) -> bool:
        """Report a batch; return whether another one follows."""
        end = min(self._next + self.tune.batch, len(self.sample.search))
        scores = [self._scores[self._trial, index] for index in range(self._next, end)]
        worth = self.study.report([score.auc for score in scores], [score.cpu_seconds for score in scores])
        self._next = end
        if end == len(self.sample.search):
            self.study.complete()
        elif not worth:
            self.study.prune()
        else:
            self._make_batch()
            return True
        return False

    def _confirm(self, best: FinishedTrial) -> None:
        self._trial, self._params = WINNER, best.params
        everyone = range(len(self.sample.confirm))
        self._add(WINNER, best.params, everyone, self.sample.confirm)
        self._add(DEFAULT, self.study.defaults, everyone, self.sample.confirm)

    def _store_confirmation(self) -> None:
        """Store the scores of the best and the default settings on the confirming instruments."""
        best = self.best()
        assert best is not None
        indices = range(len(self.sample.confirm))
        stored = {}
        for name, trial in (("winner", WINNER), ("default", DEFAULT)):
            scores = [self._scores[trial, index] for index in indices]
            stored[name] = {
                "auc": [score.auc for score in scores],
                "without": [[None if np.isnan(v) else float(v) for v in score.without] for score in scores],
                "cpu_seconds": [score.cpu_seconds for score in scores],
            }
        self.study.remember(f"confirmed-{best.number}", stored)
        self.done = True

    def _add(
        self, trial: int, params: dict[str, Any], indices: range, instruments: Sequence[SampledInstrument]
    ) -> None:
        model = replace(self.model, params=type(self.model.params)(**{**asdict(self.model.params), **params}))
        for index in indices:
            names = self.sample.feature_names
            self.ready.append(Attempt(0, trial, index, instruments[index], model, names, self.seed))
        self._awaited += len(indices)


class Scheduler:
    """The attempts of several searches as one stream, as long as any of them has something to do.

    Parameters
    ----------
    searches : sequence of Search
        They are started here.
    """

    def __init__(self, searches: Sequence[Search]) -> None:
        self.searches = list(searches)
        for search in self.searches:
            search.start()

    def attempts(self) -> Iterator[Attempt]:
        """Yield the attempts of the searches in turn.

        Yields
        ------
        Attempt
            A pause where every search waits for attempts that are under way.
        """
        turn = 0
        while not all(search.done for search in self.searches):
            waiting = [index for index, search in enumerate(self.searches) if search.ready]
            if not waiting:
                yield Attempt()
                continue
            chosen = next((index for index in waiting if index >= turn), waiting[0])
            turn = chosen + 1
            yield replace(self.searches[chosen].ready.popleft(), search=chosen)

    def take(self, item: Attempt, result: Score | Failure | None) -> None:
        """Hand the result of an attempt to its search.

        Parameters
        ----------
        item : Attempt
            One of `attempts`.
        result : Score, Failure or None
            What came of it; None of a pause.
        """
        if result is not None and item.instrument is not None:
            self.searches[item.search].take(item, result)

    @property
    def trials(self) -> int:
        """Number of trials finished so far."""
        return sum(len(search.study.finished) for search in self.searches)
