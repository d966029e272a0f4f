"""The look at the book and at all champions together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.instruments import POOLED
from src.evaluation.metrics import equity
from src.monitoring import tables
from src.monitoring.alarms import Alarm, AlarmState
from src.monitoring.bands import DailyRecord
from src.monitoring.book_record import mean_of_champions, shared_mean
from src.monitoring.book_verdicts import (
    BOOK,
    CHAMPIONS,
    Scored,
    book_expectation,
    book_judgement,
    book_rows,
    edge_judgement,
    loss,
)
from src.monitoring.judgement import Case, Judgement
from src.monitoring.live_record import TrackRecord
from src.monitoring.nulls import Expectation
from src.monitoring.oos_record import OosRecord
from src.monitoring.verdicts import EXPECTED, FLAGGED, YOUNG

if TYPE_CHECKING:
    from src.config.schema import MonitorConfig
    from src.monitoring.gathered import Gathered


@dataclass(frozen=True)
class BookReview:
    """What was found: columns of `src.monitoring.tables.BOOK` and `BOOK_DAYS`."""

    table: pl.DataFrame
    days: pl.DataFrame


def book_review(
    found: Gathered,
    history: DailyRecord | None,
    records: Mapping[str, OosRecord],
    expected: Mapping[str, Expectation],
    state: AlarmState,
    choice: MonitorConfig,
    seed: int,
) -> BookReview:
    """Judge the book by its returns, and all champions together by their scores.

    Parameters
    ----------
    found : Gathered
    history : DailyRecord or None
        The book's own out-of-sample record; the mean of its champions' stands in for one that is not known.
    records, expected : mapping
        By record id.
    state : AlarmState
        Changed: it keeps what is raised.
    choice : MonitorConfig
    seed : int

    Returns
    -------
    BookReview
    """
    present = {champion: each.record_id for champion, each in found.crowned.items()}
    known = {key: record_id for key, record_id in present.items() if record_id in records and record_id in expected}
    pairs = [(records[each].daily, expected[each]) for each in known.values()]
    mean = mean_of_champions(found.records)
    own_mean = _mean_record([records[each] for each in known.values()])
    subjects: list[tuple[str, TrackRecord | None, Judgement]] = []
    for subject, live, own in ((BOOK, found.book, history or own_mean), (CHAMPIONS, mean, own_mean)):
        judgement = Judgement()
        if live is not None and own is not None:
            case = Case(live, own, book_expectation(own, pairs), state.judged_from(subject), choice.block)
            judgement = book_judgement(case, choice, seed)
        if subject == CHAMPIONS:
            judgement = _with_edge(judgement, _scored(found, known, records, expected), mean, state, choice, seed)
        subjects.append((subject, live, judgement))
    rows = [row for each in subjects for row in _judged_rows(*each, state, choice)]
    return BookReview(tables.frame(rows, tables.BOOK), _days(subjects))


def _scored(
    found: Gathered,
    known: Mapping[tuple[str, int], str],
    records: Mapping[str, OosRecord],
    expected: Mapping[str, Expectation],
) -> list[Scored]:
    scored = []
    for champion, record_id in known.items():
        area, error, run = expected[record_id].auc, expected[record_id].auc_error, found.runs.get(record_id)
        if (
            area is not None
            and error is not None
            and run is not None
            and run.key[0] != POOLED
            and champion in found.records
        ):
            scored.append(Scored(records[record_id], found.records[champion], area - 0.5, error))
    return scored


def _with_edge(
    judgement: Judgement,
    scored: list[Scored],
    mean: TrackRecord | None,
    state: AlarmState,
    choice: MonitorConfig,
    seed: int,
) -> Judgement:
    """Bands of the mean of all champions' returns, with the test of their scores in place of that of returns."""
    seen = state.judged_from(CHAMPIONS)
    edge = edge_judgement(
        scored, mean, choice, block=choice.block, seed=seed, judged_from=None if seen is None else np.datetime64(seen)
    )
    replaced = (
        "evidence",
        "limit",
        "power_1y",
        "power_3y",
        "oos_cost_a_year",
    )  # single champions' costs are not stored
    bands = {name: value for name, value in judgement.row.items() if name not in replaced}
    return Judgement(bands | edge.row, edge.watch, edge.crossed)


def _mean_record(records: list[OosRecord]) -> DailyRecord | None:
    """Mean of the champions' out-of-sample returns of each day, at equal shares."""
    if not records:
        return None
    dates = [each.dates for each in records]
    days, net = shared_mean(dates, [each.daily.net for each in records])
    cost = shared_mean(dates, [each.daily.cost for each in records])[1]
    year = float(np.median([each.daily.bars_per_year for each in records]))
    return DailyRecord(net, cost, year) if days.size > 1 else None


def _judged_rows(
    subject: str, live: TrackRecord | None, judgement: Judgement, state: AlarmState, choice: MonitorConfig
) -> list[dict[str, Any]]:
    rows = book_rows(subject, live, judgement)
    raised = state.update(subject, loss(subject, rows[0], judgement, choice))
    named, reason = _verdict(rows[0], raised, choice)
    seen = state.acknowledged.get(subject)
    since = dt.date.fromisoformat(raised.since) if raised else None
    said = {"verdict": named, "reason": reason, "since": since, "acknowledged": str(seen) if seen else None}
    return [row | said for row in rows]


def _verdict(row: Mapping[str, Any], raised: Alarm | None, choice: MonitorConfig) -> tuple[str, str]:
    if raised is not None:
        return FLAGGED, f"{raised.reason} (since {raised.since})"
    if row["days"] < choice.min_days:
        return YOUNG, f"{row['days']} days of {choice.min_days} that it takes before anything is said of returns"
    ratio = "undefined" if row.get("sharpe") is None else f"{row['sharpe']:.2f}"
    if row.get("sharpe_low") is None:
        return EXPECTED, f"Sharpe ratio {ratio}; without an out-of-sample record there is no band"
    place = "outside" if row.get("outside") else "inside"
    band = f"{choice.band:.0%} {row['sharpe_low']:.1f} to {row['sharpe_high']:.1f}"
    outside = f" in {row['outside']}" if row.get("outside") else ""
    power = ""
    if row.get("power_1y") is not None and row.get("power_3y") is not None:
        power = f"; a lost edge would show in {row['power_1y']:.0%} of years, {row['power_3y']:.0%} of three years"
    return EXPECTED, f"{place} its band{outside} (Sharpe ratio {ratio}, {band}{power})"


def _days(subjects: list[tuple[str, TrackRecord | None, Judgement]]) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=tables.BOOK_DAYS)]
    for subject, live, _ in subjects:
        if live is None or not live.days:
            continue
        days = {
            "subject": pl.repeat(subject, live.days, eager=True),
            "date": pl.Series(live.dates).cast(pl.Date),
            "kind": pl.Series(["live" if each else "replayed" for each in live.live]),
            **{name: getattr(live, name) for name in ("gross", "cost", "net", "turnover")},
            "equity": equity(live.net),
        }
        parts.append(pl.DataFrame(days).select(pl.col(name).cast(kind) for name, kind in tables.BOOK_DAYS.items()))
    return pl.concat(parts)
