"""How the results were made: settings, costs, thresholds, what each figure means, and what the page can't say."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from src.core.instruments import ASSET_CLASSES
from src.evaluation.glossary import EVIDENCE_TERMS, GRADE_TERMS, POOLED_TERMS
from src.reporting.formatting import DASH, integer, iso_date, significant, threshold_value
from src.reporting.rendering import render
from src.reporting.report_data import ReportData, Threshold

METHOD_PAGE = "method.html"
_EXPLAINED = (*GRADE_TERMS, *EVIDENCE_TERMS)
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
    """Write what the reader must know before trading on any of this, in brief.

    Returns
    -------
    str
        HTML; the method page has the whole of it.
    """
    missing = (
        "No instrument is missing from simulated bars. Real listings lack delisted names, which biases results upwards."
        if data.simulated
        else "Most delisted names are missing, so results are biased upwards. Compare with always long, not with zero."
    )
    assumed = "Some features rest on filings, texts or option chains, whose dates are in part assumed."
    brief = [
        missing,
        *([assumed] if data.research else []),
        "A grade is of the procedure. The registered model is refitted on all data and is itself untested.",
        "Costs are estimates, without market impact, taxes and outages. Borrowing has an assumed rate.",
        "Luck rates are slightly too high. Runs on one market depend on each other.",
    ]
    return render("limits", limits=brief, method=METHOD_PAGE)


def limits_in_full(data: ReportData) -> str:
    """Write the limits with their reasons.

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
    limits = [
        universe_selection(data.settings),
        survivorship,
        *([data.research] if data.research else []),
        "A grade applies to the procedure (walk-forward refits). A registered model is refitted on all data and "
        "has not itself been tested on unseen bars.",
        "Luck rates are slightly too high: simulated models without skill passed 0.9 to 1 times as often as "
        "expected. Runs on one instrument, and instruments of one market, are not independent.",
        "Costs are estimates. They exclude the impact of large orders, taxes and outages, and borrowing except for "
        "an assumed rate in pooled portfolios.",
        "The best of many, selected after the fact, look better than they are: expect less of them from now on.",
    ]
    return render("limits", limits=limits, method="")


def made_section(data: ReportData) -> str:
    """Write how the session was made: data, dates, folds, thresholds and costs.

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
    return render("definitions", pairs=facts, class_="made")


def figures_section(data: ReportData) -> str:
    """Write what each figure of the pages means.

    Returns
    -------
    str
        HTML.
    """
    terms = (*_EXPLAINED, *(POOLED_TERMS if data.pooled is not None else ()))
    return render("definitions", pairs=[(each.title, each.definition) for each in terms], class_="meanings")


def settings_section(data: ReportData) -> str:
    """Write all settings that shape the figures.

    Returns
    -------
    str
        HTML.
    """
    return render(
        "settings", settings="\n".join(f"{key}: {_setting(value)}" for key, value in sorted(data.settings.items()))
    )


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
