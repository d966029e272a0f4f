"""How much of the book's own record is the choice of its champions.

Two figures say it, from all graded runs of single instruments, without a fit:

*Books without skill.* Each run stores whether its decisions, displaced in time, would have passed the four thresholds,
at displacements that are common to all runs, and the z-score of its AUC there. At each displacement the champions are
chosen again: of each instrument the run with the highest z that passes, and of these as many as there are champions. A
book of them is chosen from records without skill as ours was from the real ones. The share of such books that reach
our Sharpe ratio is its p-value; the share that clears all thresholds is the luck rate.

*Held out.* On each half of the days champions are chosen by the same rule from that half alone and traded on the
other. No day is traded by a book that it helped to choose. Half the days choose worse than all of them, so the figure
is a cautious one; it is of the procedure, not of today's champions.

Both books hold each run as its grade does, at equal shares, each weight cut at ``max_weight``; runs of different
instruments are not netted and the other caps are left out. Pooled champions are few and were chosen among few: in the
books without skill they are their own returns less their mean before costs, displaced alike; held out, they are traded
on a half where the other clears the thresholds of Sharpe ratio and drawdown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.instruments import KEY, POOLED
from src.evaluation.grade import Thresholds
from src.signals.own_book import BookRecord
from src.signals.own_decisions import GradedRuns
from src.signals.own_halves import HeldOutHalves
from src.signals.own_inputs import OwnInputs
from src.signals.own_nulls import NullBooks
from src.signals.own_rule import ChoosingRule
from src.storage import atomic
from src.training.run_tables import remedy

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import BookConfig, GradeConfig


@dataclass(frozen=True)
class SelectionBias:
    """What the record owes to the choice of the champions; None where it is not known.

    Attributes
    ----------
    null_books : int
        Books without skill.
    null_champions : float
        Their champions, on average.
    null_sharpe, null_sharpe_high : float
        Median of their Sharpe ratios, and the value that one in twenty exceeds.
    sharpe_p_value : float
        Share of them, ours counted, that reach our Sharpe ratio.
    luck_rate : float
        Share of them that clear the four thresholds.
    held_out_sharpe, held_out_drawdown : float
        Of books chosen on one half of the days and traded on the other.
    held_out_champions : float
        Champions of a half, on average.
    """

    null_books: int = 0
    null_champions: float | None = None
    null_sharpe: float | None = None
    null_sharpe_high: float | None = None
    sharpe_p_value: float | None = None
    luck_rate: float | None = None
    held_out_sharpe: float | None = None
    held_out_drawdown: float | None = None
    held_out_champions: float | None = None

    def figures(self) -> dict[str, Any]:
        """Return all of it by name."""
        return asdict(self)


def selection_bias(
    found: OwnInputs,
    paths: DatasetPaths,
    choice: BookConfig,
    gate: GradeConfig,
    record: BookRecord,
    bars_per_year: float,
    null_books: int,
) -> SelectionBias:
    """Choose champions again, without skill and on half of the days, and trade them.

    Parameters
    ----------
    found : OwnInputs
        Of today's champions.
    paths : DatasetPaths
        The grades of all runs, their predictions and bars.
    choice : BookConfig
    gate : GradeConfig
    record : BookRecord
        Of today's champions.
    bars_per_year : float
    null_books : int
        At most as many as runs store displacements.

    Returns
    -------
    SelectionBias
        Nothing without champions of single instruments, whose choice is what is repeated, or without grades.
    """
    wanted = sum(stake.scope != POOLED for stake in found.stakes)
    if not wanted or not paths.grades.is_file():
        return SelectionBias()
    graded = _graded(paths)
    if graded.is_empty():
        return SelectionBias()
    rule = ChoosingRule(record, choice, Thresholds.of(gate), wanted, _pooled_share(found, choice), bars_per_year)
    nulls = NullBooks.of(graded, rule, null_books)
    halves = HeldOutHalves(rule)
    for runs in GradedRuns(paths).read(graded):
        for run in runs:
            halves.consider(run)
            nulls.add(run)
    return SelectionBias(**nulls.figures(found), **halves.figures(found))


def _pooled_share(found: OwnInputs, choice: BookConfig) -> float:
    return choice.pooled_share if found.pooled_net else 0.0


def _graded(paths: DatasetPaths) -> pl.DataFrame:
    """Runs that have what is needed; none of a release that did not store it."""
    columns = ["record_id", *KEY, "graded_by", "shift_passes", "shift_z"]
    with atomic.read_errors(paths.grades, remedy()):
        rows = pl.scan_parquet(paths.grades, glob=False)
        if not set(columns) <= set(rows.collect_schema().names()):
            return pl.DataFrame()
        return rows.select(columns).drop_nulls().collect()
