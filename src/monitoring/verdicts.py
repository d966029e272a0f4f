"""Whether a champion is what its record says, and why: faults, drift and gross reversal.

To see that a Sharpe ratio of 0.5 is gone takes thousands of days, so that is asked of the book and of all champions
together (`src.monitoring.book_verdicts`), and never of a single champion.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.config.schema import MonitorConfig
from src.monitoring.alarms import Alarm
from src.monitoring.judgement import Judgement

_FIGURES = {"auc": "AUC", "sharpe": "Sharpe", "max_drawdown": "drawdown", "hit_rate": "hit rate"}
EXPECTED, FLAGGED, YOUNG, ENDED = "expected", "flagged", "young", "ended"


@dataclass(frozen=True)
class DriftFinding:
    """What the comparison of recent features and scores with those of training found of one champion.

    Attributes
    ----------
    columns : dict
        feature, feature_psi, drift_p, score_psi, score_psi_p of `src.monitoring.tables.CHAMPIONS`.
    is_drift : bool
        Whether it raises the alarm.
    sentence : str
        What drifted; empty where nothing did.
    """

    columns: Mapping[str, Any]
    is_drift: bool = False
    sentence: str = ""


def alarm(
    row: Mapping[str, Any],
    judgement: Judgement,
    drift: DriftFinding | None,
    objections: tuple[str, ...],
    choice: MonitorConfig,
    today: dt.date,
) -> Alarm | None:
    """Name what stands against a present champion.

    Parameters
    ----------
    row : mapping
        Columns of its row so far, those of `src.monitoring.coverage.COVERAGE` included.
    judgement : Judgement
    drift : DriftFinding or None
    objections : tuple of str
        What stands against using its version, such as a changed model.
    choice : MonitorConfig
    today : date
        Of the newest bar.

    Returns
    -------
    Alarm or None
    """
    found: list[tuple[str, dt.date, str]] = []
    if objections:
        found.append(("fault", today, objections[0]))
    elif row["silent"] > choice.max_late:
        found.append(("fault", today, _silence(row, choice)))
    if drift is not None and drift.is_drift:
        found.append(("drift", today, drift.sentence))
    if judgement.crossed is not None:
        found.append(("reversal", judgement.crossed, _reversal(row, judgement, choice)))
    if not found:
        return None
    causes = tuple(dict.fromkeys(cause for cause, _, _ in found))
    return Alarm(causes, min(day for _, day, _ in found).isoformat(), "; ".join(sentence for *_, sentence in found))


def _silence(row: Mapping[str, Any], choice: MonitorConfig) -> str:
    since = f"no decision in time for {row['silent']} sessions (monitor.max_late={choice.max_late})"
    if row.get("refusal"):
        return f"{since}: refused, {row['refusal']}"
    if row.get("missing"):
        return f"{since}: {row['missing']} of its bars have no line in the journal"
    if row.get("last_bar") is not None and row.get("last_bar") == row.get("last"):
        return f"{since}: no tradable bar after {row['last_bar']} (delisted, renamed, or not hydrated)"
    return since


def _reversal(row: Mapping[str, Any], judgement: Judgement, choice: MonitorConfig) -> str:
    return (
        f"its returns turned: Sharpe ratio {_number(judgement.turned)} up to {judgement.crossed} where "
        f"{_number(row.get('null_sharpe'))} was expected, by a test that {choice.false_alarms:.0%} of sound champions "
        f"fail in a year; {_number(row.get('sharpe'))} over all {_days(row['days'])}"
    )


def verdict(row: Mapping[str, Any], raised: Alarm | None, choice: MonitorConfig) -> tuple[str, str]:
    """Give a champion's verdict and its reason.

    Parameters
    ----------
    row : mapping
        Its row so far, with its standing.
    raised : Alarm or None
        That stands against it now.
    choice : MonitorConfig

    Returns
    -------
    (str, str)
        One of expected, flagged, young and ended, and a sentence.
    """
    if row["standing"] != "champion":
        last = f", last decision {row['last']}" if row.get("last") else ""
        return ENDED, f"{row['standing']}{last}; {_record(row)}"
    if raised is not None:
        return FLAGGED, f"{raised.reason} (since {raised.since})"
    if row["days"] < choice.min_days:
        return YOUNG, f"{_days(row['days'])} of {choice.min_days} that it takes before anything is said of returns"
    if row.get("null_sharpe") is None:
        return EXPECTED, f"{_record(row)}; its out-of-sample record is not stored, so there is no band"
    outside = row.get("outside")
    share = 1.0 - choice.band
    where = "inside its band"
    if outside:
        sides = outside_by_side(row) or outside
        where = f"outside its band ({sides}), as {share:.0%} of sound ones are in each figure: no alarm"
    return EXPECTED, f"{_record(row)}; {where}"


def outside_by_side(row: Mapping[str, Any]) -> str:
    """Name the figures outside their bands by side.

    Parameters
    ----------
    row : mapping
        The figures, their bands, and ``outside``.

    Returns
    -------
    str
        ``better: AUC, Sharpe; worse: hit rate``: above the band is better, of a drawdown below it. Empty where none is
        outside.
    """
    sides: dict[str, list[str]] = {"better": [], "worse": []}
    for name in row["outside"].split(", ") if row.get("outside") else ():
        value, low = row.get(name), row.get(f"{name}_low")
        if value is not None and low is not None:
            is_better = (value < low) == (name == "max_drawdown")
            sides["better" if is_better else "worse"].append(_FIGURES.get(name, name))
    return "; ".join(f"{side}: {', '.join(names)}" for side, names in sides.items() if names)


def _record(row: Mapping[str, Any]) -> str:
    if not row["days"]:
        return "no return is complete yet"
    return f"Sharpe ratio {_number(row.get('sharpe'))}, AUC {_number(row.get('auc'), 3)} over {_days(row['days'])}"


def _days(count: int) -> str:
    return f"{count:,} day{'' if count == 1 else 's'}"


def _number(value: float | None, digits: int = 2) -> str:
    return "undefined" if value is None else f"{value:.{digits}f}"
