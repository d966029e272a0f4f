"""What to do next, as the state of a dataset suggests it: one or two commands that work as they stand."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from src.config.commands import command
from src.core.instruments import KEY
from src.reporting.formatting import counted
from src.reporting.report_data import CREDIBLE_Q, ReportData

MOST_STEPS = 2


@dataclass(frozen=True)
class NextStep:
    """One thing to do.

    Attributes
    ----------
    text : str
        Why, as a sentence.
    command : str
        What to type; empty where something is to be looked at.
    link : str
        Address of what to look at; empty for none.
    """

    text: str
    command: str = ""
    link: str = ""


def next_steps(data: ReportData) -> list[NextStep]:
    """Say what to do next.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    list of NextStep
        At most `MOST_STEPS`, the most urgent first.
    """
    return [*_untrained(data), *_flagged(data), *_champions(data), *_without_skill(data), *_pooled(data)][:MOST_STEPS]


def _untrained(data: ReportData) -> list[NextStep]:
    if data.grades.height or data.pooled is not None:
        return []
    return [NextStep("Nothing is graded yet. Train:", _command(data, "train"))]


def _flagged(data: ReportData) -> list[NextStep]:
    """Flagged passes wait for a person."""
    flagged = data.passing.filter(pl.col("suspicious").is_not_null()).height
    if not flagged:
        return []
    verb = "is" if flagged == 1 else "are"
    return [
        NextStep(
            f"{counted(flagged, 'pass', 'passes')} {verb} too good to be true. Look before you clear any.",
            link="#runs",
        )
    ]


def _champions(data: ReportData) -> list[NextStep]:
    """Champions decide; passes with evidence become champions."""
    champions, ready = len(data.champion_runs), promising(data)
    if champions:
        return [
            NextStep(f"{counted(champions, 'champion')} can decide for the next open:", _command(data, "predict")),
            NextStep("Each day after the close, all in one command:", _command(data, "daily")),
        ]
    if not ready:
        return []
    verb = "has" if ready == 1 else "have"
    text = f"{counted(ready, 'model')} {verb} a pass with a q-value of at most {CREDIBLE_Q:.2f}. Promote:"
    return [NextStep(text, _command(data, "promote"))]


def promising(data: ReportData) -> int:
    """Count the instruments and portfolios with a registrable pass whose q-value is credible.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    int
    """
    credible = data.grades.filter("passed", pl.col("registrable").fill_null(False), pl.col("q_value") <= CREDIBLE_Q)
    portfolios = () if data.pooled is None else data.pooled.portfolios
    return credible.select(KEY).n_unique() + sum(each.passed and not each.weak for each in portfolios)


def _without_skill(data: ReportData) -> list[NextStep]:
    """Passes without evidence: what misses which demand."""
    if not data.passing.height or data.champion_runs or promising(data):
        return []
    return [
        NextStep(
            "No pass is more than luck. See which demand each one misses:", _command(data, "promote", "dry_run=true")
        )
    ]


def _pooled(data: ReportData) -> list[NextStep]:
    """The scope that was not trained."""
    if data.pooled is None and "pooled" in data.train_commands and data.grades.height:
        return [NextStep("Rank all names of a class against each other:", data.train_commands["pooled"])]
    if data.pooled_only and "instrument" in data.train_commands:
        return [NextStep("Train a model for each instrument, too:", data.train_commands["instrument"])]
    if data.grades.height and not data.passing.height:
        return [NextStep("Nothing passed. Search for better settings:", _command(data, "tune"))]
    return []


def _command(data: ReportData, verb: str, *words: str) -> str:
    return command(verb, *words, stored=data.dataset)
