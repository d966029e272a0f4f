"""How often the monitor sees drift that is not there, in a year of daily looks, and how often where there is.

Features are AR(1) processes that share a third of their variance. The last of them shifts from the first later day on:
one feature alone, or all, by a part of its standard deviation; or one is stuck at its last value. The adversarial AUC
is looked at once, on the last window.

    python -m tests.benchmarks.study_drift --series 100
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
from scipy.signal import lfilter

from src.core.arrays import Matrix
from src.monitoring import adversarial, drift_tests
from tests.benchmarks.study_monitor import say, wilson

YEAR, ALARMS = 252, 0.05


def slow(rows: int, features: int, persistence: float, rng: np.random.Generator) -> Matrix:
    """AR(1) features of variance 1."""
    steps = np.sqrt(1 / 3) * rng.normal(size=(rows + 500, 1)) + np.sqrt(2 / 3) * rng.normal(size=(rows + 500, features))
    series = lfilter([np.sqrt(1 - persistence**2)], [1.0, -persistence], steps, axis=0)
    return series[500:].astype(np.float32)


def changed(later: Matrix) -> Iterator[tuple[str, Matrix]]:
    """Later rows as they are, and with each kind of drift."""
    yield "no drift", later
    for shift in (0.5, 2.0):
        for name, columns in (("one feature", slice(0, 1)), ("all features", slice(None))):
            moved = later.copy()
            moved[:, columns] += np.float32(shift)
            yield f"{name} + {shift:g} sd", moved
    stuck = later.copy()
    stuck[:, 0] = stuck[0, 0]
    yield "one feature stuck", stuck
    absent = later.copy()
    absent[:, 0] = np.nan
    yield "one feature missing", absent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--reference", type=int, default=2000)
    parser.add_argument("--window", type=int, default=60)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--persistence", type=float, nargs="+", default=[0.0, 0.9, 0.98])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for persistence in options.persistence:
        rng = np.random.default_rng(options.seed)
        alarms: dict[str, list[bool]] = {}
        separated: dict[str, list[bool]] = {}
        for number in range(options.series):
            table = slow(options.reference + options.window + YEAR - 1, options.features, persistence, rng)
            reference = table[: options.reference]
            for kind, later in changed(table[options.reference :]):
                statistic = drift_tests.year_of_looks(
                    reference, later, window=options.window, looks=YEAR, alarms=ALARMS, seed=number % 7,
                    draws=options.draws,
                )  # fmt: skip
                alarms.setdefault(kind, []).append(bool((statistic > 1.0).any()))
                p = adversarial.separation(reference, later[: options.window])[1]
                separated.setdefault(kind, []).append(p <= ALARMS)
        for kind, found in alarms.items():
            low, high = wilson(sum(found), len(found))
            once = np.mean(separated[kind])
            say(
                f"persistence {persistence:g}, {kind:<20} alarm in a year {np.mean(found):.1%} ({low:.1%} to"
                f" {high:.1%}); adversarial p <= {ALARMS:g} at one look {once:.1%}"
            )


if __name__ == "__main__":
    main()
