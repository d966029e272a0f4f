"""Hashes of the project's own code in a fit and in a grade, so that a corrected rule is not mistaken for the old one.

They are hashes of normalised syntax: comments, docstrings, and the names and places of functions change nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from src.core.code_hash import code_digest
from src.evaluation import labels, splits, strategy
from src.evaluation.assessment import assess
from src.evaluation.grade import GATE_METRICS
from src.evaluation.label_kinds.registry import label_kind
from src.evaluation.shift_test import Shifts
from src.models.registry import family
from src.training import expanding_window, walk_forward

_FIT = (
    walk_forward.bars_per_year,
    labels.unhedged,
    splits.walk_forward,
    expanding_window.examples,
    walk_forward._out_of_sample,
)
_RETURNS = (
    walk_forward.bars_per_year,
    labels.unhedged,
    strategy.directions,
    strategy.exposures,
    strategy.trading_conditions,
    strategy.performance,
    *(metric.compute for metric in GATE_METRICS),
)


@cache
def fit_code(family_name: str, label: str) -> str:
    """Hash the code of label, split and fit.

    Parameters
    ----------
    family_name : str
        The model family whose fit and prediction are part of it.
    label : str
        The kind of label: its outcome, the market that it compares with, and the hedge with its costs are part of it.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    library: Any = family(family_name)
    kind = label_kind(label)
    market = (kind.market,) if kind.market else ()
    hedge = (kind.hedge, labels.hedged, strategy.hedged_conditions) if kind.hedge else ()
    shared = (library.fit_windows,) if hasattr(library, "fit_windows") else ()
    return code_digest(*_FIT, kind.outcome, *market, *hedge, library.fit, *shared, library.predict)


@cache
def returns_code() -> str:
    """Hash the code that turns stored predictions into returns and into the four metrics.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return code_digest(*_RETURNS)


@cache
def grade_code() -> str:
    """Hash the code of everything that a grade holds: the metrics, the baselines, the verdict and the evidence.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return code_digest(assess, Shifts.common, Shifts.common_z, Shifts.luck_rate.fget)  # type: ignore[attr-defined]
