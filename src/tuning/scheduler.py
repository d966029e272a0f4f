"""All searches side by side: one stream of attempts, of which each search always waits for its own batch alone.

A search is a sequence (what is proposed next depends on how the last did), and its batches are done by all workers. So
the trials are the same for any number of workers, and several searches fill the gaps of each other.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from src.engine.outcome import Failure
from src.tuning.trial import Attempt, Fault, Score

if TYPE_CHECKING:
    from src.config.schema import ModelConfig, TuneConfig
    from src.tuning.sample import Instrument, Sample
    from src.tuning.study import Finished, Search
    from src.tuning.window import Window

log = logging.getLogger(__name__)
DEFAULT, WINNER = -1, -2  # tickets of the confirmation; a trial's is its number


@dataclass
class Lane:
    """One search at work: trials in turn, then the confirmation of the best of them.

    Parameters
    ----------
    search : Search
    model : ModelConfig
        The family with its default settings.
    window : Window
    sample : Sample
    tune : TuneConfig
    seed : int
        Of the fits.
    """

    search: Search
    model: ModelConfig
    window: Window
    sample: Sample
    tune: TuneConfig
    seed: int
    begun: float = field(default_factory=time.monotonic)
    ready: deque[Attempt] = field(default_factory=deque)
    done: bool = False
    stopped: str | None = None
    _got: dict[tuple[int, int], Score] = field(default_factory=dict)
    _wanted: int = 0
    _next: int = 0
    _settings: dict[str, Any] = field(default_factory=dict)
    _ticket: int = 0
    _fault: str | None = None

    def start(self) -> None:
        """Begin the next trial, or what follows the last one."""
        late = self.tune.timeout is not None and time.monotonic() - self.begun >= self.tune.timeout
        if len(self.search.finished) < self.tune.trials and not (late and self.search.finished):
            self._settings, self._next = self.search.ask(), 0
            self._ticket = len(self.search.finished)
            self._batch()
            return
        if self.search.finished[0].fault:
            self.stopped = f"the default settings fail: {self.search.finished[0].fault}"
        best = None if self.stopped else self.best()
        if best is None or best.number == 0 or self.search.remembered(f"confirmed-{best.number}"):
            self.done = True
            return
        self._confirm(best)

    def take(self, item: Attempt, result: Score | Fault | Failure) -> None:
        """Keep what came of an attempt; with the last of a batch, go on."""
        if isinstance(result, Score):
            self._got[item.ticket, item.place] = result
        else:
            log.error("%s: %s\n%s", self.search.name, result.reason, result.traceback)
            self._fault = f"{':'.join(item.instrument.key) if item.instrument else ''}: {result.reason}"
        self._wanted -= 1
        if self._wanted:
            return
        if self._fault and self._ticket >= 0:
            self.search.fail(self._fault)
        elif self._fault:
            self.stopped, self.done = f"no confirmation: {self._fault}", True
            return
        elif self._ticket < 0:
            self._settle()
            return
        elif self._goes_on():
            return
        self._got, self._fault = {}, None
        self.start()

    def best(self) -> Finished | None:
        """Best complete trial; the earlier of equal ones."""
        complete = [each for each in self.search.finished if not each.pruned and not each.fault]
        return max(complete, key=lambda each: (each.value, -each.number), default=None)

    def _batch(self) -> None:
        """Make the next instruments' attempts ready."""
        upto = min(self._next + self.tune.batch, len(self.sample.search))
        self._give(self._ticket, self._settings, range(self._next, upto), self.sample.search)

    def _goes_on(self) -> bool:
        """Report a batch; return whether another one follows."""
        upto = min(self._next + self.tune.batch, len(self.sample.search))
        scores = [self._got[self._ticket, place] for place in range(self._next, upto)]
        worth = self.search.report([each.auc for each in scores], [each.cpu for each in scores])
        self._next = upto
        if upto == len(self.sample.search):
            self.search.complete()
        elif not worth:
            self.search.prune()
        else:
            self._batch()
            return True
        return False

    def _confirm(self, best: Finished) -> None:
        self._ticket, self._settings = WINNER, best.params
        everyone = range(len(self.sample.confirm))
        self._give(WINNER, best.params, everyone, self.sample.confirm)
        self._give(DEFAULT, self.search.defaults, everyone, self.sample.confirm)

    def _settle(self) -> None:
        """Keep the scores of winner and default settings on the confirming instruments."""
        best = self.best()
        assert best is not None
        both = [[self._got[ticket, place] for place in range(len(self.sample.confirm))] for ticket in (WINNER, DEFAULT)]
        kept = {
            name: {
                "auc": [each.auc for each in scores],
                "without": [[None if np.isnan(v) else float(v) for v in each.without] for each in scores],
                "cpu": [each.cpu for each in scores],
            }
            for name, scores in zip(("winner", "default"), both, strict=True)
        }
        self.search.remember(f"confirmed-{best.number}", kept)
        self.done = True

    def _give(self, ticket: int, settings: dict[str, Any], places: range, who: Sequence[Instrument]) -> None:
        model = replace(self.model, params=type(self.model.params)(**{**asdict(self.model.params), **settings}))
        for place in places:
            names = self.sample.names
            self.ready.append(Attempt(0, ticket, place, who[place], model, names, self.seed))
        self._wanted += len(places)


class Lanes:
    """The attempts of several searches as one stream, as long as any of them has something to do."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.lanes = list(lanes)
        for lane in self.lanes:
            lane.start()

    def attempts(self) -> Iterator[Attempt]:
        """Yield attempts; a rest where every search waits for one that is under way."""
        turn = 0
        while not all(lane.done for lane in self.lanes):
            waiting = [index for index, lane in enumerate(self.lanes) if lane.ready]
            if not waiting:
                yield Attempt()
                continue
            index = next((each for each in waiting if each >= turn), waiting[0])
            turn = index + 1
            yield replace(self.lanes[index].ready.popleft(), lane=index)

    def take(self, item: Attempt, result: Score | Fault | Failure | None) -> None:
        """Hand the outcome of an attempt to its search."""
        if result is not None and item.instrument is not None:
            self.lanes[item.lane].take(item, result)

    @property
    def trials(self) -> int:
        """Trials finished so far."""
        return sum(len(lane.search.finished) for lane in self.lanes)
