"""How the figures came about: settings, costs, thresholds, what each figure means, and what the page can't say."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from src.core.instruments import ASSET_CLASSES
from src.reporting.formatting import DASH, day, limit, plain, whole
from src.reporting.rendering import render
from src.reporting.session_data import Material

MEANINGS = (
    (
        "out of sample",
        "Predictions of walk-forward folds, each made by a model fitted on earlier bars only, put end to "
        "end; every figure of a grade is computed on these.",
    ),
    ("AUC", "Chance that a bar that rose was scored above one that fell; 0.5 knows nothing."),
    ("accuracy", "Share of bars whose direction was named rightly, at a probability of one half."),
    ("majority", "Accuracy of always naming the commoner direction of the same bars."),
    (
        "Sharpe ratio",
        "Mean over standard deviation of daily net returns, a year's worth (252 bars; crypto 365), flat "
        "days included, cash at zero.",
    ),
    ("max drawdown", "Deepest fall of net equity from a peak, as a share of that peak; the start counts as a peak."),
    ("always long", "The same instrument held on the same days with the same sizing and costs, no model asked."),
    ("turnover", "Traded position changes per year, in units of the equity."),
    (
        "luck rate",
        "Share of circular shifts of the run's predictions against its returns that clear all four "
        "thresholds: how often the same model without skill would pass.",
    ),
    ("z", "The run's AUC less the mean of its shifts, over their standard deviation."),
    ("p-value", "Chance of an AUC this far above its shifts without skill, times every trial made on the instrument."),
    (
        "q-value",
        "Benjamini-Hochberg over all graded instruments: among instruments under 0.10 at most about one in "
        "ten is luck.",
    ),
    (
        "deflated Sharpe ratio",
        "Chance that the active return's true Sharpe ratio is above zero, given how many "
        "trials were made (Bailey and Lopez de Prado 2014).",
    ),
    (
        "expected lucky passes",
        "Sum of luck rates; its range comes from shifts common to all runs, because instruments "
        "move together and passes come in bursts.",
    ),
    (
        "flagged",
        "Better than its kind of data allows, so a fault is looked for; not registered until a person clears it.",
    ),
    ("may be registered", "Passed, long enough out of sample, and not too good to be true."),
)


def chosen(settings: Mapping[str, object]) -> str:
    """Say how the instruments were chosen, and which way that leans."""
    most = {kind: settings.get(f"universe.{kind}") for kind in ASSET_CLASSES}
    ranked = [f"{count:,} of class {kind}" for kind, count in most.items() if isinstance(count, int)]
    if settings.get("universe.symbols"):
        return "The instruments were named by hand: whoever did so may have known how they fared since."
    if ranked:
        return (
            f"The universe is the most traded instruments ({', '.join(ranked)}), by median daily dollar volume in the "
            "year before the first possible out-of-sample date. One whose bars begin later is ranked by its own first "
            "year, which leans towards names that were to become well known."
        )
    return "The universe is all that the source lists, whatever is traded of it."


def limits(material: Material) -> str:
    """Write what the reader must know before putting money on any of this."""
    survivors = (
        "These bars are simulated, so no instrument is missing from the list. On real data, a universe picked from "
        "today's listing lacks the thousands that were delisted, and its results are biased upwards."
        if material.simulated
        else "The universe was picked from a listing that lacks most of the thousands of delisted names. Those that "
        "survived did better than those that did not, so results here are biased upwards, always-long's included; "
        "compare with always-long rather than with zero."
    )
    return render(
        "limits",
        limits=[
            chosen(material.settings),
            survivors,
            "A grade is of the procedure (walk-forward refits). A registered model is refitted on all data and has "
            "not itself been tested on bars it has not seen.",
            "Evidence from shifts runs a little high for trees, which makes it conservative; runs of one instrument, "
            "and instruments of one market, are not independent.",
            "Costs are estimates: large orders, borrowing, taxes and outages are not in them.",
        ],
    )


def method(material: Material) -> str:
    """Write how the session was made: data, dates, thresholds, costs, meanings, and the settings in full."""
    grades, settings = material.grades, material.settings
    span = grades.select(
        first=pl.col("first_oos").min(),
        last=pl.col("last_oos").max(),
        fewest=pl.col("n_oos").min(),
        most=pl.col("n_oos").max(),
    ).row(0, named=True)
    pairs = [
        ("dataset", material.dataset),
        *material.about.items(),
        ("out of sample", f"{day(span['first'])} to {day(span['last'])}"),
        ("bars out of sample", f"{whole(span['fewest'])} to {whole(span['most'])} a run"),
        ("folds", folds(settings)),
        ("thresholds", "; ".join(_bound(material))),
        ("costs", costs(settings)),
        *((("tuning", tuning(grades)),) if tuning(grades) else ()),
        ("sessions", ", ".join(grades["session_key"].drop_nulls().unique().sort().to_list()[:5]) or DASH),
    ]
    lines = "\n".join(f"{key}: {_setting(value)}" for key, value in sorted(settings.items()))
    return render("method", made=pairs, meanings=MEANINGS, settings=lines)


def tuning(grades: pl.DataFrame) -> str:
    """Say among how many trials the settings of runs were chosen; empty where none were."""
    tuned = grades.filter(pl.col("tuning_trials") > 0).group_by("family", "asset_class", maintain_order=True)
    most = tuned.agg(pl.col("tuning_trials").max()).sort("family", "asset_class").iter_rows()
    said = [f"{family} for class {kind} among {trials:,}" for family, kind, trials in most]
    if not said:
        return ""
    return f"settings chosen by trials inside the first training window: {'; '.join(said)}"


def folds(settings: Mapping[str, object]) -> str:
    """Say how training and testing alternate; a dash where the settings do not tell."""
    keys = ("split.first_train_bars", "split.fold_months", "split.embargo", "label.horizon")
    if any(key not in settings for key in keys):
        return DASH
    first, months, embargo, horizon = (settings[key] for key in keys)
    return (
        f"walk-forward: at least {first} bars to train on, fitted again every {months} months, {embargo} bars of "
        f"embargo, label over {horizon} bar{'' if horizon == 1 else 's'}"
    )


def costs(settings: Mapping[str, object]) -> str:
    """Say what a unit of turnover costs; a dash where the settings do not tell."""
    points = {k.rsplit(".", 1)[1]: v for k, v in settings.items() if k.startswith("strategy.cost_bps.")}
    if not points:
        return DASH
    listed = ", ".join(f"{name} {plain(float(str(value)))}" for name, value in sorted(points.items()))
    return (
        f"the largest of basis points ({listed}), half a cent over the as-traded price, and half the estimated spread, "
        "per unit of turnover"
    )


def _bound(material: Material) -> list[str]:
    return [
        f"{t.name} {'at least' if t.at_least else 'at most'} {limit(t.metric, t.limit)}" for t in material.thresholds
    ]


def _setting(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list | tuple) else str(value)
