"""One champion's record beside the band that its own out-of-sample record gives, and the test for a gross reversal."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from src.config.schema import MonitorConfig
from src.evaluation import metrics
from src.monitoring.bands import DailyRecord, bands
from src.monitoring.kept_results import KeptResults
from src.monitoring.live_record import TrackRecord, record_row
from src.monitoring.nulls import Expectation
from src.monitoring.power import crossing_probabilities
from src.monitoring.sequential import MIN_RECORD, REVERSED_SHARPE, Watch, reversal
from src.monitoring.tables import METRICS

THREADS = 2
"""Sorting and drawing release the interpreter's lock."""
_SERIES = ("statistic", "limit")
LEAST_DRAWS = 200
TOTAL_DRAWS = 3_000_000
"""Draws for all champions together: with thousands of them, each gets fewer."""


@dataclass(frozen=True)
class Case:
    """What one champion, or the book, is judged by.

    Attributes
    ----------
    live : TrackRecord
        Since it was crowned, replayed days included.
    record : DailyRecord or None
        Out of sample; None where it is not stored.
    expected : Expectation or None
    judged_from : date or None
        Decisions up to this day do not count in the test: a person has looked at them.
    block : int
        Mean length of the bootstrap's blocks.
    turnover : float or None
        A year, as graded.
    """

    live: TrackRecord
    record: DailyRecord | None
    expected: Expectation | None
    judged_from: dt.date | None = None
    block: int = 20
    turnover: float | None = None


@dataclass(frozen=True)
class Judgement:
    """What was found.

    Attributes
    ----------
    row : dict
        Columns of a row of `src.monitoring.tables.CHAMPIONS`.
    watch : Watch or None
        None where nothing can be said yet.
    crossed : date or None
        Day of the first decision after which the test crossed its limit.
    turned : float or None
        Sharpe ratio of the decisions up to that day.
    """

    row: dict[str, Any] = field(default_factory=dict)
    watch: Watch | None = None
    crossed: dt.date | None = None
    turned: float | None = None


def judgements(cases: Sequence[Case], choice: MonitorConfig, seed: int, path: Path) -> Iterator[Judgement]:
    """Judge champions, in their order; those whose case is the same as before are not judged again.

    Parameters
    ----------
    cases : sequence of Case
    choice : MonitorConfig
    seed : int
        Of the bootstrap.
    path : Path
        File in which judgements are kept.

    Yields
    ------
    Judgement
    """
    draws = draws_for(len(cases), choice.draws)
    kept = KeptResults(path, judged)

    def one(case: Case) -> Judgement:
        made = kept.of([case, choice, draws, seed], lambda: _as_json(judged(case, choice, draws, seed)))
        return _from_json(made)

    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(one, cases)
    kept.write()


def _as_json(each: Judgement) -> dict[str, Any]:
    watch = None if each.watch is None else dataclasses.asdict(each.watch)
    if watch is not None:
        watch |= {name: watch[name].tolist() for name in _SERIES}
    crossed = None if each.crossed is None else each.crossed.isoformat()
    return {"row": each.row, "watch": watch, "crossed": crossed, "turned": each.turned}


def _from_json(kept: dict[str, Any]) -> Judgement:
    watch, crossed = kept["watch"], kept["crossed"]
    if watch is not None:
        watch = Watch(**watch | {name: np.array(watch[name], dtype=np.float64) for name in _SERIES})
    return Judgement(kept["row"], watch, crossed and dt.date.fromisoformat(crossed), kept["turned"])


def draws_for(cases: int, wanted: int) -> int:
    """Draws for each of a number of champions: as many as are wanted, and fewer where all would be too many."""
    return min(wanted, max(LEAST_DRAWS, TOTAL_DRAWS // max(cases, 1)))


def judged(case: Case, choice: MonitorConfig, draws: int, seed: int) -> Judgement:
    """Judge one champion.

    Parameters
    ----------
    case : Case
    choice : MonitorConfig
    draws : int
    seed : int

    Returns
    -------
    Judgement
    """
    row = record_row(case.live)
    if case.record is None or case.expected is None:
        return Judgement(row)
    row |= {"oos_days": int(case.record.net.size), "null_sharpe": case.expected.sharpe, "null_auc": case.expected.auc}
    row |= oos_figures(case.record)
    row |= _graded_cost(case, row)
    if case.live.days >= 2 and case.record.net.size >= 2:
        row |= band_columns(row, case.record, case.live.days, case.expected, choice, draws, case.block, seed)
    since = case.live if case.judged_from is None else case.live.since(np.datetime64(case.judged_from))
    watch = _watch(since, case, choice, draws, seed)
    if watch is None:
        return Judgement(row)
    row |= {"evidence": watch.now, "limit": 1.0}
    row["power"] = power(watch, case.expected.sharpe, REVERSED_SHARPE, case.record.bars_per_year)
    crossed = crossing(watch, since, choice.min_days)
    return Judgement(row, watch, crossed, turned_sharpe(since, crossed))


def turned_sharpe(record: TrackRecord, crossed: dt.date | None) -> float | None:
    """Sharpe ratio of the decisions up to the day on which a test crossed its limit."""
    if crossed is None:
        return None
    upto = record.dates <= np.datetime64(crossed)
    return metrics.sharpe(record.net[upto], record.bars_per_year)


def power(watch: Watch, sharpe: float, alternative: float, bars_per_year: float, years: int = 1) -> float | None:
    """Probability that a test sees within some years that a Sharpe ratio has gone to zero.

    Parameters
    ----------
    watch : Watch
        Its first limit holds throughout.
    sharpe : float
        That was expected.
    alternative : float
        For which the test is made, as `src.monitoring.sequential.reversal` takes it.
    bars_per_year : float
    years : int

    Returns
    -------
    float or None
        For independent normal days; None where nothing was expected.
    """
    if sharpe <= 0.0 or not watch.limit.size or not math.isfinite(watch.limit[0]):
        return None
    root = math.sqrt(bars_per_year)
    allowance = (sharpe - min(alternative, sharpe - 0.25)) / (2.0 * root)
    return chance(float(watch.limit[0]), allowance, sharpe / root, years * watch.looks)


def chance(limit: float, allowance: float, shift: float, looks: int) -> float:
    """Probability that Page's statistic crosses a constant limit within a number of looks, on a grid of its arguments.

    Limits are rounded to a quarter and the others to 0.004 standard deviations of a day, so that thousands of champions
    need a few hundred evaluations.
    """
    return _chance(round(4.0 * limit) / 4.0, round(250.0 * allowance) / 250.0, round(250.0 * shift) / 250.0, looks)


@lru_cache(maxsize=4096)
def _chance(limit: float, allowance: float, shift: float, looks: int) -> float:
    return float(crossing_probabilities(np.full(looks, limit), allowance, shift)[-1])


def oos_figures(record: DailyRecord) -> dict[str, float | None]:
    """Figures of the out-of-sample record, as columns ``oos_``."""
    label = np.empty(0) if record.label is None else record.label
    score = np.empty(0) if record.score is None else record.score
    none = np.zeros(record.net.size)
    whole = TrackRecord(
        dates=np.arange(record.net.size), gross=record.net, cost=record.cost, net=record.net, turnover=none,
        live=none.astype(np.bool_), bars_per_year=record.bars_per_year, label=label, score=score,
        scored_live=np.zeros(label.size, dtype=np.bool_),
    )  # fmt: skip
    found = {f"oos_{name}": value for name, value in whole.figures().items()}
    unknown = ("oos_turnover_a_year", *(() if record.cost.any() else ("oos_cost_a_year",)))
    return {name: None if name in unknown else value for name, value in found.items()}


def _graded_cost(case: Case, row: Mapping[str, Any]) -> dict[str, float | None]:
    """Turnover as graded, and what it would cost: as stored of a pooled champion, else at the mean rate since."""
    turnover, cost = case.turnover, row["oos_cost_a_year"]
    traded = float(case.live.turnover.sum())
    if cost is None and turnover is not None and traded > 0.0:
        cost = turnover * float(case.live.cost.sum()) / traded
    return {"oos_turnover_a_year": turnover, "oos_cost_a_year": cost}


def band_columns(
    row: Mapping[str, Any],
    record: DailyRecord,
    days: int,
    expected: Expectation,
    choice: MonitorConfig,
    draws: int,
    block: int,
    seed: int,
) -> dict[str, Any]:
    """Draw the bands of as many days, and name the figures that are outside of theirs."""
    centre = {"sharpe": expected.sharpe} | ({} if expected.auc is None else {"auc": expected.auc})
    errors = {"sharpe": expected.sharpe_error} | ({} if expected.auc_error is None else {"auc": expected.auc_error})
    found = bands(record, days, level=choice.band, draws=draws, block=block, seed=seed, centre=centre, errors=errors)
    columns: dict[str, Any] = {}
    outside = []
    for name in METRICS:
        band = found.get(name)
        if band is None:
            continue
        columns |= {f"{name}_low": band.low, f"{name}_high": band.high}
        if band.holds(row.get(name)) is False:
            outside.append(name)
    return columns | {"outside": ", ".join(outside) or None}


def crossing(watch: Watch, record: TrackRecord, min_days: int) -> dt.date | None:
    """Day of the first decision after which a test crossed its limit, not before `min_days` of them."""
    above = np.flatnonzero(watch.statistic > watch.limit)
    above = above[above >= min_days - 1]
    if not above.size:
        return None
    day: dt.date = record.dates[above[0]].astype("datetime64[D]").item()
    return day


def _watch(live: TrackRecord, case: Case, choice: MonitorConfig, draws: int, seed: int) -> Watch | None:
    record, expected = case.record, case.expected
    if record is None or expected is None or not live.days or record.net.size < MIN_RECORD or not record.net.any():
        return None
    if float(np.std(record.net)) <= 1e-15 * float(np.abs(record.net).max()):
        return None
    return reversal(
        record.net, live.net, sharpe=expected.sharpe, error=expected.sharpe_error, bars_per_year=record.bars_per_year,
        alarms=choice.false_alarms, draws=draws, block=case.block, seed=seed,
    )  # fmt: skip
