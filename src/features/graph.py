"""Features in the order of their evaluation: those for many instruments at once, and those for each alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.features.catalog import is_own, kinds_of, lookup, reach
from src.features.facts import Facts
from src.features.panel_lookup import Members
from src.features.registry import INGREDIENTS, KINDS, PANEL, RAW, Feature, FeatureError, inputs, looks_at_all
from src.features.windows import Array, finish

Arrays = dict[str, Any]  # arrays of shape (bars,), `Members` or `Facts`
Step = tuple[str, Callable[..., Array], tuple[str, ...]]


class FeatureGraph:
    """Features in an order in which each finds its inputs computed; shared intermediate results come once.

    Most formulas look at a window of bars, and are evaluated once for many instruments that stand one after the other:
    rows whose window reaches into the instrument before are cut as warm-up. Formulas that look at a whole series (a
    running average), at facts, or that are the user's own, and all that these take as inputs, are evaluated on each
    instrument alone.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = list(features)
        self.kinds = kinds_of(self.features)
        shelf: dict[str, Feature | Callable[..., Array]] = {}
        for item in features:
            shelf |= item.shelf
        self.guarded = any(_is_foreign(item.name) for item in features)
        entries = shelf | {item.name: item for item in features}
        self.steps: list[Step] = []
        alone: set[str] = set()
        for name in dict.fromkeys(name for item in features for name in reach(item)):
            if name not in (*RAW, *PANEL, *KINDS):
                entry = entries.get(name) or lookup(name)
                needed = inputs(entry.function if isinstance(entry, Feature) else entry)
                self.steps.append((name, entry, needed))
                if name in shelf or _is_foreign(name) or looks_at_all(entry) or not {*KINDS}.isdisjoint(needed):
                    alone.add(name)
        for name, _, needed in reversed(self.steps):
            if name in alone:
                alone.update(needed)
        self.alone = [step for step in self.steps if step[0] in alone]
        self.joint = [step for step in self.steps if step[0] not in alone]
        self.shared = {label for _, _, needed in self.joint for label in needed}  # inputs of formulas evaluated at once

    def bare(self, arrays: Arrays) -> Arrays:
        """Values of one instrument by feature, before warm-up and infinities are cut; raises as `run` does."""
        arrays = self.run(self.steps, arrays)
        return {item.name: arrays[item.name] for item in self.features}

    def run(self, steps: Sequence[Step], arrays: Arrays) -> Arrays:
        """Inputs and the results of steps, by name.

        Beside features of the user's own, inputs are read-only, so that none can change what another computes from.

        Raises
        ------
        FeatureError
            A formula raised: names the feature and says why.
        """
        lock = _locked if self.guarded else _as_is
        arrays = {name: lock(values) for name, values in arrays.items()}
        with np.errstate(all="ignore"):
            for step in steps:
                arrays[step[0]] = lock(_result(step, arrays))
        return arrays

    def write_joint(self, arrays: Arrays, block: NDArray[np.float32], rows: Sequence[slice]) -> None:
        """Evaluate formulas that look at windows for all instruments at once.

        Parameters
        ----------
        arrays : inputs of all instruments, one after the other, by name; they are used up.
        block : float32, shape (features, rows of all)
            Takes the features.
        rows : of each instrument.

        Raises
        ------
        FeatureError
            A formula raised, on whichever instrument.
        """
        places = {item.name: (at, item.window) for at, item in enumerate(self.features)}
        last = {label: at for at, (_, _, needed) in enumerate(self.joint) for label in needed}
        with np.errstate(all="ignore"):
            for at, step in enumerate(self.joint):
                values = _result(step, arrays)
                if step[0] in places:
                    place, window = places[step[0]]
                    finish(values, window, block[place], rows)
                if step[0] in last:
                    arrays[step[0]] = values
                for label in step[2]:
                    if last[label] == at:  # what is used no more makes room in the cache
                        arrays.pop(label, None)


def _result(step: Step, arrays: Arrays) -> Array:
    name, function, needed = step
    try:
        return function(*[arrays[label] for label in needed])
    except Exception as error:
        raise FeatureError(f"feature {name} failed: {type(error).__name__}: {error}") from error


def _is_foreign(name: str) -> bool:
    """Whether a feature is not the project's, nor one of its ingredients taken for one."""
    return is_own(name) and name not in INGREDIENTS


def _as_is(values: Any) -> Any:
    return values


def _locked(values: Any) -> Any:
    """The same values, which can't be written to."""
    if isinstance(values, np.ndarray):
        values = values.view()
        values.flags.writeable = False
    if isinstance(values, Facts):
        return values.locked()
    return Members(_locked(values.row), _locked(values.values)) if isinstance(values, Members) else values
