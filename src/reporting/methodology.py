"""How the results were made: settings, costs, thresholds, what each figure means, and what the page can't say."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from src.core.instruments import ASSET_CLASSES
from src.reporting.formatting import DASH, integer, iso_date, significant, threshold_value
from src.reporting.rendering import render
from src.reporting.report_data import ReportData, Threshold

MEANINGS = (
    (
        "out of sample",
        "Predictions of the walk-forward folds put end to end, each made by a model that was fitted on earlier bars "
        "only. Every figure of a grade is computed on these.",
    ),
    ("AUC", "Probability that a bar that rose has a higher score than a bar that fell; 0.5 means no information."),
    ("accuracy", "Share of bars whose direction was predicted correctly, at a probability of one half."),
    ("majority", "Accuracy of always predicting the more common direction of the same bars."),
    (
        "Sharpe ratio",
        "Mean over standard deviation of daily net returns, annualised (252 bars; crypto 365), including flat days, "
        "with cash at zero.",
    ),
    ("max drawdown", "Deepest fall of net equity from a peak, as a share of that peak. The start counts as a peak."),
    ("always long", "The same instrument held on the same days with the same sizing and costs, without a model."),
    ("turnover", "Traded position changes per year, as a multiple of equity."),
    (
        "luck rate",
        "Share of circular shifts of the run's predictions against its returns that clear all thresholds: how often "
        "the same model would pass without skill. Sizes and costs stay with their dates.",
    ),
    ("z", "The run's AUC minus the mean AUC of its shifts, divided by their standard deviation."),
    (
        "p-value",
        "Probability of an AUC this far above its shifts without skill: Student's t on z, with as many degrees of "
        "freedom as the shifts are worth, since neighbours are alike; 1 below the bars that registration demands. The "
        "q-value charges it for every trial on the instrument's series, under whatever name.",
    ),
    (
        "p-value of the Sharpe ratio",
        "The same for money: of the run's Sharpe ratio among those of its shifts, net of costs.",
    ),
    (
        "q-value",
        "Benjamini-Hochberg over all graded instruments: of those below 0.10, at most about one in ten is luck.",
    ),
    (
        "deflated Sharpe ratio",
        "Probability that the true Sharpe ratio of the active return is above zero, given the number of trials (Bailey "
        "and Lopez de Prado 2014).",
    ),
    (
        "stepdown p",
        "Probability that any of the session's runs has a z this high without skill, once the runs with a higher z are "
        "set aside (Romano and Wolf 2005, over the shifts common to all runs).",
    ),
    (
        "expected lucky passes",
        "Sum of luck rates. Its range comes from shifts common to all runs, because instruments move together and "
        "passes come in bursts.",
    ),
    (
        "flagged",
        "Better than this kind of data allows (an AUC, a Sharpe ratio, or a z together with an AUC above the limits of "
        "the gate's settings), gone one bar later as what a fault of the data shows would be, or passed on repaired or "
        "stale prices. A flagged run is not registered until a person clears it.",
    ),
    (
        "one bar later",
        "AUC against the sign of the next one-bar return, with every prediction used one bar late. Data that look one "
        "bar ahead keep at most 12% of the excess over 0.5, real passes about half.",
    ),
    ("registrable", "Passed, with enough out-of-sample bars, and not flagged."),
)
_FOLD_SETTINGS = ("split.first_train_bars", "split.fold_months", "split.embargo", "label.horizon")


def universe_selection(settings: Mapping[str, object]) -> str:
    """Say how the instruments were selected, and in which direction this biases the results.

    Parameters
    ----------
    settings : mapping
        Values of the configuration by dotted key.

    Returns
    -------
    str
    """
    most = {asset_class: settings.get(f"universe.{asset_class}") for asset_class in ASSET_CLASSES}
    ranked = [f"{count:,} of class {asset_class}" for asset_class, count in most.items() if isinstance(count, int)]
    if settings.get("universe.symbols"):
        return "The instruments were selected by hand, possibly with knowledge of how they performed since."
    if ranked:
        return (
            f"The universe consists of the most traded instruments ({', '.join(ranked)}), by median daily dollar "
            "volume in the year before the first possible out-of-sample date. An instrument whose bars begin later is "
            "ranked by its own first year, which favours names that later became well known."
        )
    return "The universe consists of everything that the source lists, whatever its trading volume."


def limits_section(data: ReportData) -> str:
    """Write what the reader must know before trading on any of this.

    Returns
    -------
    str
        HTML.
    """
    survivorship = (
        "These bars are simulated, so no instrument is missing from the list. On real data, a universe taken from "
        "today's listing lacks thousands of delisted names, and its results are biased upwards."
        if data.simulated
        else "The universe was taken from a listing that lacks most of the thousands of delisted names. The survivors "
        "did better than the names that are missing, so results here are biased upwards, including those of always "
        "long. Compare with always long rather than with zero."
    )
    return render(
        "limits",
        limits=[
            universe_selection(data.settings),
            survivorship,
            *([data.research] if data.research else []),
            "A grade applies to the procedure (walk-forward refits). A registered model is refitted on all data and "
            "has not itself been tested on unseen bars.",
            "Luck rates are slightly too high: simulated models without skill passed 0.9 to 1 times as often as "
            "expected. Runs on one instrument, and instruments of one market, are not independent.",
            "Costs are estimates. They exclude the impact of large orders, taxes and outages, and borrowing except for "
            "an assumed rate in pooled portfolios.",
        ],
    )


def method_section(data: ReportData) -> str:
    """Write how the session was made: data, dates, thresholds, costs, meanings, and all settings.

    Returns
    -------
    str
        HTML.
    """
    grades, settings = data.grades, data.settings
    tuning = tuning_trials(grades)
    facts = [
        ("dataset", data.dataset),
        *data.bar_facts.items(),
        *([] if data.pooled_only else _out_of_sample(grades)),
        ("folds", folds(settings)),
        ("thresholds", "; ".join(_threshold(threshold) for threshold in data.thresholds)),
        ("costs", costs(settings)),
        *([("tuning", tuning)] if tuning else []),
        ("sessions", ", ".join(grades["session_key"].drop_nulls().unique().sort().to_list()[:5]) or DASH),
    ]
    lines = "\n".join(f"{key}: {_setting(value)}" for key, value in sorted(settings.items()))
    return render("method", facts=facts, meanings=MEANINGS, settings=lines)


def _out_of_sample(grades: pl.DataFrame) -> list[tuple[str, str]]:
    """Dates and numbers of bars that the grades of one instrument's models rest on."""
    span = grades.select(
        first=pl.col("first_oos").min(),
        last=pl.col("last_oos").max(),
        fewest=pl.col("n_oos").min(),
        most=pl.col("n_oos").max(),
    ).row(0, named=True)
    return [
        ("out of sample", f"{iso_date(span['first'])} to {iso_date(span['last'])}"),
        ("out-of-sample bars", f"{integer(span['fewest'])} to {integer(span['most'])} per run"),
    ]


def tuning_trials(grades: pl.DataFrame) -> str:
    """Say from how many trials the settings of the runs were selected.

    Parameters
    ----------
    grades : DataFrame
        In `schemas.GRADE_SCHEMA`.

    Returns
    -------
    str
        By family and asset class; empty if no settings were tuned.
    """
    tuned = grades.filter(pl.col("tuning_trials") > 0).group_by("family", "asset_class", maintain_order=True)
    most = tuned.agg(pl.col("tuning_trials").max()).sort("family", "asset_class").iter_rows()
    trials = [f"{family} for class {asset_class} from {number:,} trials" for family, asset_class, number in most]
    return f"settings selected inside the first training window: {'; '.join(trials)}" if trials else ""


def folds(settings: Mapping[str, object]) -> str:
    """Say how training and testing alternate.

    Parameters
    ----------
    settings : mapping
        Values of the configuration by dotted key.

    Returns
    -------
    str
        A dash if a setting of the split is missing.
    """
    if any(key not in settings for key in _FOLD_SETTINGS):
        return DASH
    first, months, embargo, horizon = (settings[key] for key in _FOLD_SETTINGS)
    return (
        f"walk-forward: at least {first} bars to train on, refitted every {months} months, embargo of {embargo} bars, "
        f"label over {horizon} bar{'' if horizon == 1 else 's'}"
    )


def costs(settings: Mapping[str, object]) -> str:
    """Say what a unit of turnover costs.

    Parameters
    ----------
    settings : mapping
        Values of the configuration by dotted key.

    Returns
    -------
    str
        A dash if the settings contain no costs.
    """
    bps = {key.rsplit(".", 1)[1]: value for key, value in settings.items() if key.startswith("strategy.cost_bps.")}
    if not bps:
        return DASH
    by_class = ", ".join(f"{name} {significant(float(str(value)))}" for name, value in sorted(bps.items()))
    return (
        f"per unit of turnover, the largest of basis points ({by_class}), half a cent over the as-traded price, and "
        "half the estimated spread"
    )


def _threshold(threshold: Threshold) -> str:
    side = "at least" if threshold.at_least else "at most"
    return f"{threshold.name} {side} {threshold_value(threshold.metric, threshold.limit)}"


def _setting(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list | tuple) else str(value)
