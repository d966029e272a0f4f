"""What was trained, read from Python: grades, predictions, equity, bars, features, champions, option chains.

    from src import results
    results.grades("quick")

Each function reads what the stages stored under the project's folder, and of it the part alone that is asked for.
``universe`` names the dataset, such as ``quick`` or ``quick-1h``; without it, that of ``params.yaml`` is read. The
project is the one at or above the working directory, unless ``root`` or the variable ``ALPHA_LOOP_ROOT`` names another.
Frames are of Polars, or of pandas if `frame` says so; their columns are named as in the stored tables. Errors of
the caller are `ConfigError`, a stage that has not run or a damaged file is a `StageError`; both say what to type.
"""

from __future__ import annotations

from src.core.errors import ConfigError, StageError
from src.inspection.reading.chains import facts, options
from src.inspection.reading.champion import Champion, PooledChampion
from src.inspection.reading.champions import champion, champions
from src.inspection.reading.days import book, journal, lines, monitor
from src.inspection.reading.grades import grades, runs, sessions, verdict
from src.inspection.reading.portfolios import portfolios, returns, weights
from src.inspection.reading.predictions import equity, predictions, scan_predictions
from src.inspection.reading.series import bars, features, scan_bars, scan_features
from src.inspection.reading.sheets import SheetOfRun, tear_sheet
from src.inspection.reading.states import reasons, states

__all__ = [
    "Champion",
    "ConfigError",
    "PooledChampion",
    "SheetOfRun",
    "StageError",
    "bars",
    "book",
    "champion",
    "champions",
    "equity",
    "facts",
    "features",
    "grades",
    "journal",
    "lines",
    "monitor",
    "options",
    "portfolios",
    "predictions",
    "reasons",
    "returns",
    "runs",
    "scan_bars",
    "scan_features",
    "scan_predictions",
    "sessions",
    "states",
    "tear_sheet",
    "verdict",
    "weights",
]
