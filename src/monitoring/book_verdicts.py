"""Whether the book, and all champions together, still have the edge that their out-of-sample records say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.config.schema import MonitorConfig
from src.core.arrays import DateArray, FloatArray
from src.evaluation import metrics
from src.monitoring.alarms import Alarm
from src.monitoring.bands import DailyRecord
from src.monitoring.edge import JointEdge, ScoreEdge, joint_edge, loss_of_edge
from src.monitoring.judgement import Case, Judgement, band_columns, chance, crossing, oos_figures, power, turned_sharpe
from src.monitoring.live_record import TrackRecord
from src.monitoring.nulls import Expectation
from src.monitoring.oos_record import OosRecord
from src.monitoring.sequential import MIN_RECORD, Watch, reversal
from src.monitoring.shrinkage import sharpe_error
from src.monitoring.tables import KINDS

BOOK, CHAMPIONS = "book", "champions"
_POWERS = (("power_1y", 1), ("power_3y", 3))
MOST_CHAMPIONS = 2000
"""Of those with the largest expected edge, whose scores are watched together: more would fill the memory."""


@dataclass(frozen=True)
class Scored:
    """Scores of one champion out of sample and since, for the test of all together.

    Attributes
    ----------
    record : OosRecord
    live : TrackRecord
    expected, error : float
        Shrunk AUC less one half, and its posterior standard deviation.
    """

    record: OosRecord
    live: TrackRecord
    expected: float
    error: float


def book_expectation(own: DailyRecord, champions: Sequence[tuple[DailyRecord, Expectation]]) -> Expectation | None:
    """Shrink the book's own out-of-sample Sharpe ratio as its champions' are shrunk.

    Parameters
    ----------
    own : DailyRecord
        Of the book, from the stored predictions of its champions.
    champions : sequence of (DailyRecord, Expectation)

    Returns
    -------
    Expectation or None
        The ratio times what is left of the champions' mean return (mean over champions of shrunk ratio times standard
        deviation, over that of the unshrunk ones), with the error of the book's ratio times the root of that share;
        None without a ratio.
    """
    ratio = metrics.sharpe(own.net, own.bars_per_year)
    if ratio is None:
        return None
    raw = kept = 0.0
    for record, expected in champions:
        deviation, found = float(np.std(record.net)), metrics.sharpe(record.net, record.bars_per_year)
        if found is not None:
            raw, kept = raw + found * deviation, kept + expected.sharpe * deviation
    share = min(max(kept / raw, 0.0), 1.0) if raw > 0.0 else 1.0
    size, year = np.array([float(own.net.size)]), np.array([own.bars_per_year])
    error = float(sharpe_error(np.array([ratio]), size, year)[0])
    return Expectation(share * ratio, math.sqrt(share) * error, None, None)


def book_judgement(case: Case, choice: MonitorConfig, seed: int) -> Judgement:
    """Judge the book's returns: bands, and the test for the loss of its edge.

    Parameters
    ----------
    case : Case
        Its record out of sample is that of the book of the champions that there are now.
    choice : MonitorConfig
    seed : int
    """
    record, expected = case.record, case.expected
    if record is None or expected is None:
        return Judgement()
    row: dict[str, Any] = {"oos_days": int(record.net.size), "null_sharpe": expected.sharpe, **oos_figures(record)}
    if case.live.days >= 2 and record.net.size >= 2:
        figures = case.live.figures()
        row |= band_columns(figures, record, case.live.days, expected, choice, choice.draws, case.block, seed)
    since = case.live if case.judged_from is None else case.live.since(np.datetime64(case.judged_from))
    if not since.days or record.net.size < MIN_RECORD or not record.net.any() or expected.sharpe <= 0.0:
        return Judgement(row)
    watch = reversal(
        record.net, since.net, sharpe=expected.sharpe, error=expected.sharpe_error, bars_per_year=record.bars_per_year,
        alarms=choice.book_false_alarms, draws=choice.draws, block=case.block, seed=seed, alternative=0.0,
    )  # fmt: skip
    row |= {"evidence": watch.now, "limit": 1.0}
    for name, years in _POWERS:
        row[name] = power(watch, expected.sharpe, 0.0, record.bars_per_year, years)
    crossed = crossing(watch, since, choice.min_days)
    return Judgement(row, watch, crossed, turned_sharpe(since, crossed))


def edge_judgement(
    scored: Sequence[Scored], mean: TrackRecord | None, choice: MonitorConfig, *, block: int, seed: int,
    judged_from: np.datetime64 | None = None,
) -> Judgement:  # fmt: skip
    """Judge the scores of all champions together.

    Parameters
    ----------
    scored : sequence of Scored
    mean : TrackRecord or None
        Of all champions' returns, whose days date the crossing.
    choice : MonitorConfig
    block, seed : int
    judged_from : datetime64, optional
        Decisions up to this day count no more.
    """
    chosen = sorted(scored, key=lambda each: -each.expected)[:MOST_CHAMPIONS]
    days = shared_days([each.live.dates[np.isfinite(each.live.label)] for each in chosen if each.live.label.size])
    days = days if judged_from is None else days[days > judged_from]
    if not days.size or mean is None:
        return Judgement()
    joint = _joint(chosen, days)
    if joint is None or joint.record.size < MIN_RECORD:
        return Judgement()
    looks = round(float(np.median([each.live.bars_per_year for each in chosen])))
    watch = loss_of_edge(
        joint, looks=looks, alarms=choice.book_false_alarms, draws=choice.draws, block=block, seed=seed
    )
    row: dict[str, Any] = {"evidence": watch.now, "limit": 1.0}
    for name, years in _POWERS:
        row[name] = _joint_power(joint, watch, years)
    return Judgement(row, watch, _crossing_day(watch, days, choice.min_days))


def _joint_power(joint: JointEdge, watch: Watch, years: int) -> float | None:
    """Probability that the test sees within some years that all edge is gone."""
    deviation, half = float(np.std(joint.record, ddof=1)), joint.information / 2.0
    if deviation <= 0.0 or not math.isfinite(watch.limit[0]):
        return None
    unit = half / deviation
    return chance(float(watch.limit[0]) / deviation, unit, 2.0 * unit, years * watch.looks)


def shared_days(dates: Sequence[DateArray]) -> DateArray:
    """Days on which at least half of the champions have a label: weekends of a few coins are left out."""
    if not dates:
        return np.empty(0, dtype="datetime64[us]")
    days, count = np.unique(np.concatenate(dates), return_counts=True)
    return days[2 * count >= len(dates)]


def _joint(scored: Sequence[Scored], days: DateArray) -> JointEdge | None:
    calendar = shared_days([each.record.dates for each in scored])
    record = np.full((calendar.size, len(scored)), np.nan)
    live = np.full((days.size, len(scored)), np.nan)
    for column, each in enumerate(scored):
        label, score = each.record.daily.label, each.record.daily.score
        edge = None if label is None or score is None else ScoreEdge.of(label, score)
        if edge is None or label is None or score is None:
            continue
        _place(record[:, column], calendar, each.record.dates, label, score, edge)
        _place(live[:, column], days, each.live.dates, each.live.label, each.live.score, edge)
    expected, errors = (
        np.array(values) for values in zip(*((each.expected, each.error) for each in scored), strict=True)
    )
    return joint_edge(record, live, expected, errors)


def _place(
    column: FloatArray, days: DateArray, dates: DateArray, label: FloatArray, score: FloatArray, edge: ScoreEdge
) -> None:
    """Put a champion's share of each day where the day stands."""
    at = np.searchsorted(days, dates)
    within = (at < days.size) & np.isfinite(label)
    within[within] = days[at[within]] == dates[within]
    column[at[within]] = edge.days(label[within], score[within])


def _crossing_day(watch: Watch, days: DateArray, min_days: int) -> Any:
    above = np.flatnonzero(watch.statistic > watch.limit)
    above = above[above >= min_days - 1]
    return days[above[0]].astype("datetime64[D]").item() if above.size else None


def loss(subject: str, row: Mapping[str, Any], judgement: Judgement, choice: MonitorConfig) -> Alarm | None:
    """Name the loss of an edge, where the test has crossed its limit."""
    if judgement.crossed is None:
        return None
    what = "the book has lost its edge" if subject == BOOK else "the champions together have lost their edge"
    figure = "" if judgement.turned is None else f": Sharpe ratio {_shown(judgement.turned)} up to {judgement.crossed}"
    if figure and row.get("null_sharpe") is not None:
        figure += f" where {_shown(row.get('null_sharpe'))} was expected"
    rate = f"by a test with a false alarm in {choice.book_false_alarms:.0%} of years"
    over = f"; Sharpe ratio {_shown(row.get('sharpe'))} over all {row['days']:,} days"
    return Alarm(("edge",), judgement.crossed.isoformat(), f"{what}{figure}, seen on {judgement.crossed} {rate}{over}")


def book_rows(subject: str, live: TrackRecord | None, judgement: Judgement) -> list[dict[str, Any]]:
    """Rows of `src.monitoring.tables.BOOK` of one subject, without verdicts: all days, live and replayed ones."""
    rows = []
    for kind in KINDS:
        part = None if live is None else live.of(kind)
        row: dict[str, Any] = {"subject": subject, "kind": kind, "days": 0 if part is None else part.days}
        if part is not None and part.days:
            first, last = (part.dates[at].astype("datetime64[D]").item() for at in (0, -1))
            row |= {"first": first, "last": last, **part.figures()}
            row["gross_return"] = float(metrics.equity(part.gross)[-1] - 1.0)
        rows.append(row | (judgement.row if kind == "all" else {}))
    return rows


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
