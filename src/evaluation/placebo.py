"""The placebo arm: features rotated in time, so that no model can have skill, and what passes all the same.

The luck rates say how many passes luck explains. The placebo arm measures it: a share of the instruments is trained a
second time with the features of row t - offset at row t (circular), so that features and labels are years apart. The
offset is one for all instruments of a session. Instruments move together, so passes come in bursts: one offset is one
draw, and a calibration needs several sessions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import IntArray, Matrix
from src.core.hashing import text_digest
from src.core.instruments import Key
from src.evaluation.multiple_testing import passes_at_shifts, session_evidence

ARM = "placebo"
"""Value of ``arm`` in a run's key parts, and of its param and tag in MLflow. Runs of the real arm have none."""
DISTANCE = 756
"""Bars: features of a placebo run are always further than this from their label (three years of trading days)."""
OFFSETS = 500
"""Number of different offsets that sessions draw from."""
_RANGE = (0.05, 0.95)


def offset_of(session_key: str) -> int:
    """Offset of a session's placebo arm: another seed, label, model or feature set draws another one.

    Parameters
    ----------
    session_key : str
        Key of the session.

    Returns
    -------
    int
        Bars, from ``DISTANCE + 1`` to ``DISTANCE + OFFSETS``.
    """
    return DISTANCE + 1 + int(text_digest(session_key, ARM, "offset"), 16) % OFFSETS


def bars_needed(offset: int, horizon: int, longest_window: int) -> int:
    """Number of bars from which on an instrument can be rotated.

    The first `offset` rows get features of the end of the series, which lie after their labels. There have to be enough
    bars that these features, with all that they look back at, begin after the label has ended.

    Parameters
    ----------
    offset : int
        Bars by which the features are rotated.
    horizon : int
        Bars of the label from entry to exit.
    longest_window : int
        Bars that the features look back at most, the row's own included.

    Returns
    -------
    int
    """
    return offset + horizon + 1 + max(DISTANCE + 1, longest_window)


def rotated(features: Matrix, offset: int) -> Matrix:
    """Give row t the features of row t - offset; the first rows get those of the end.

    Parameters
    ----------
    features : float32, shape (bars, features)
        Row by row those of the bars.
    offset : int
        Bars, with more than `DISTANCE` to either end.

    Returns
    -------
    float32, shape (bars, features)
        A new array; each column holds the same values as before.

    Raises
    ------
    ValueError
        If a row would get features of a bar that is at most `DISTANCE` bars away.

    Examples
    --------
    >>> rows = np.arange(2000, dtype=np.float32)[:, None]
    >>> float(rotated(rows, 800)[1000, 0]), float(rotated(rows, 800)[100, 0])
    (200.0, 1300.0)
    """
    bars = features.shape[0]
    if not DISTANCE < offset < bars - DISTANCE:
        raise ValueError(f"an offset must leave more than {DISTANCE} bars on both sides, got {offset} of {bars} bars")
    return np.roll(features, offset, axis=0)


def chosen(instruments: Iterable[Key], session_key: str, share: float) -> set[Key]:
    """Choose the instruments of the placebo arm, by a hash of instrument and session.

    Parameters
    ----------
    instruments : iterable of (asset_class, symbol)
        Those that could be rotated.
    session_key : str
        Key of the session.
    share : float
        From 0 to 1.

    Returns
    -------
    set of (asset_class, symbol)
        The share of the instruments, rounded up. Those of a smaller share are among those of a larger one.
    """
    ordered = sorted(set(instruments), key=lambda key: text_digest(session_key, ARM, *key))
    return set(ordered[: math.ceil(round(share * len(ordered), 9))])


@dataclass(frozen=True)
class PlaceboPasses:
    """Placebo runs that passed, and what luck expects.

    Attributes
    ----------
    runs, passed : int
        Graded runs, and those that cleared the four thresholds.
    expected, low, high : float, int, int
        Sum of their luck rates, and the 5 to 95% range of the passes by the common shifts.
    """

    runs: int
    passed: int
    expected: float
    low: int
    high: int

    def figures(self) -> dict[str, Any]:
        """Give the counts under the names that outputs use."""
        return {
            "runs": self.runs, "passed": self.passed, "expected": self.expected, "low": self.low, "high": self.high,
        }  # fmt: skip


@dataclass(frozen=True)
class PlaceboEvidence:
    """Placebo runs of one session beside those of all sessions of the dataset.

    Attributes
    ----------
    session, total : PlaceboPasses
        Of the session, and of all sessions.
    sessions : int
        Sessions with placebo runs.
    """

    session: PlaceboPasses
    total: PlaceboPasses
    sessions: int

    def sentence(self) -> str:
        """Say how many placebo runs passed, and how many luck expects.

        Returns
        -------
        str
            ``3 of 105 runs passed with rotated features; luck expects 4.1 (90% range 1 to 9). Over 10 sessions: 31 of
            1,020, 40.2 expected (90% range 24 to 60).``
        """
        one, all_of_them = self.session, self.total
        line = (
            f"{one.passed:,} of {one.runs:,} run{'' if one.runs == 1 else 's'} passed with rotated features; luck "
            f"expects {one.expected:,.1f} (90% range {one.low:,} to {one.high:,})."
        )
        if self.sessions < 2:
            return line
        return (
            f"{line} Over {self.sessions:,} sessions: {all_of_them.passed:,} of {all_of_them.runs:,}, "
            f"{all_of_them.expected:,.1f} expected (90% range {all_of_them.low:,} to {all_of_them.high:,})."
        )


def placebo_evidence(session: pl.DataFrame, others: Mapping[str, pl.DataFrame]) -> PlaceboEvidence:
    """Compare the passes of placebo runs with those that luck expects, for one session and for all.

    The range of one session counts its passes at each of the 200 common shifts, as the evidence of real runs does. The
    range of the total convolves these counts over the sessions: each session has an offset of its own, and is taken as
    an independent draw. A run that two sessions share counts once.

    Parameters
    ----------
    session : DataFrame
        Placebo grades of the session: asset_class, symbol, run_key, passed, luck_rate, shift_passes and what else
        `session_evidence` reads.
    others : mapping
        Key of each other session to its placebo grades.

    Returns
    -------
    PlaceboEvidence
    """
    parts = _without_repeats([session, *(others[key] for key in sorted(others))])
    own = [_passes(part) for part in parts]
    low, high = _summed_range([passes_at_shifts(part) for part in parts])
    total = PlaceboPasses(
        runs=sum(part.runs for part in own),
        passed=sum(part.passed for part in own),
        expected=sum(part.expected for part in own),
        low=low,
        high=high,
    )
    return PlaceboEvidence(own[0], total, sum(part.runs > 0 for part in own))


def _passes(grades: pl.DataFrame) -> PlaceboPasses:
    found = session_evidence(grades)
    return PlaceboPasses(grades.height, found.passes, found.expected, found.low, found.high)


def _without_repeats(parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Drop from each table the runs of the tables before it."""
    seen: set[str] = set()
    left = []
    for part in parts:
        left.append(part.filter(~pl.col("run_key").is_in(list(seen))))
        seen.update(part["run_key"])
    return left


def _summed_range(counts: Sequence[IntArray]) -> tuple[int, int]:
    """5 and 95% quantiles of the sum of one count of each session, all combinations equally likely."""
    counts = [count for count in counts if count.size]
    if not counts:
        return 0, 0
    length = sum(int(count.max()) for count in counts) + 1
    spectrum = np.ones(length // 2 + 1, dtype=np.complex128)
    for count in counts:
        spectrum *= np.fft.rfft(np.bincount(count, minlength=length) / count.size, length)
    below = np.cumsum(np.fft.irfft(spectrum, length))
    low, high = (int(np.searchsorted(below, share - 1e-9)) for share in _RANGE)  # 1e-9: the rounding of the transform
    return low, high
