"""Hash of the project's own code in a fit and in a grade: a corrected rule must not be mistaken for the old one.

Like those of features, the hashes are of normalised syntax: a comment or a docstring changes nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from src import fits, labels, metrics, procedure, splits, strategy
from src.assess import assess
from src.core.code_hash import code_digest
from src.luck import Shifts
from src.models import family

_FIT = (procedure.bars_per_year, labels.decisions, splits.walk_forward, fits.examples, procedure._out_of_sample)
_RETURNS = (
    procedure.bars_per_year, labels.decisions, strategy.directions, strategy.exposures, strategy.market,
    strategy.performance,
    metrics.auc, metrics.accuracy, metrics.sharpe, metrics.max_drawdown,
)  # fmt: skip


@cache
def fit_code(name: str, *, relative: bool) -> str:
    """Hash of label, split and fit for one model family; a relative label's panel is part of it."""
    library: Any = family(name)
    panel = (labels.panel_returns,) if relative else ()
    return code_digest(*_FIT, *panel, library.fit, library.predict)


@cache
def returns_code() -> str:
    """Hash of what turns stored predictions into returns and into the four metrics."""
    return code_digest(*_RETURNS)


@cache
def grade_code() -> str:
    """Hash of all that a grade holds: the four metrics, the baselines, the verdict and the evidence."""
    return code_digest(assess, Shifts.common, Shifts.luck_rate.fget)  # type: ignore[attr-defined]
