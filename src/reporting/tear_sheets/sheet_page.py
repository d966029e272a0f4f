"""The page of one run: its verdict, figures and charts, as one HTML document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from src.config.commands import command
from src.reporting import vega
from src.reporting.glossary import explained
from src.reporting.rendering import render, trusted
from src.reporting.tear_sheets import sheet_charts as charts
from src.reporting.tear_sheets import time_charts
from src.reporting.tear_sheets.sheet import TearSheet
from src.reporting.tear_sheets.sheet_figures import figures_section, first_figures
from src.reporting.tear_sheets.sheet_tables import drawdown_listing, fold_listing, trades_section
from src.tracking.links import model_address

HERE = Path(__file__).parent
RANGES = (("all", 0), ("5 years", 1826), ("3 years", 1096), ("1 year", 365), ("3 months", 91))
_FINER = {"net": 4, "costs": 4, "contribution": 4, "offset": 2, "value_rank": 2, "place": 0, "names": 0}
_LEVELS = "Dashed lines: the threshold, and no skill (AUC 0.5, Sharpe ratio 0)."
Link = tuple[str, str]
"""Address and text."""


@dataclass(frozen=True)
class Surroundings:
    """What a sheet shows that is not of its run: thresholds and links.

    Attributes
    ----------
    dataset : str
    thresholds : mapping of str to float
        By metric.
    pages : tuple of (str, str)
        Addresses and texts of the report's pages, and of sheets of the same instrument.
    tracked : tuple of (str, str)
        Of the run in MLflow.
    models : str
        Address of the server that shows the registered model of a champion; empty where there is none.
    simulated : bool
        Whether the bars are simulated.
    """

    dataset: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    pages: tuple[Link, ...] = ()
    tracked: tuple[Link, ...] = ()
    models: str = ""
    simulated: bool = False


@dataclass(frozen=True)
class Scripts:
    """How a page gets its scripts.

    Attributes
    ----------
    policy : str
        Content security policy that lets these run and nothing else.
    elements : str
        HTML of the script elements.
    """

    policy: str
    elements: str


def sheet_page(sheet: TearSheet, around: Surroundings, scripts: Scripts, digest: str = "") -> str:
    """Write the page.

    Parameters
    ----------
    sheet : TearSheet
    around : Surroundings
    scripts : Scripts
    digest : str
        Of all that the page is made from; it stands in the head.

    Returns
    -------
    str
        HTML. The same arguments give the same bytes.
    """
    title = f"{sheet.registered_name} by {sheet.family}"
    style = (HERE.parent / "page.css").read_text(encoding="utf-8") + (HERE / "sheet.css").read_text(encoding="utf-8")
    return str(
        render(
            "sheet", title=title, style=style, policy=scripts.policy, scripts=scripts.elements, digest=digest,
            around=around, sheet=sheet, period=charts.period(sheet), tiles=first_figures(sheet),
            ranges=[(text, days) for text, days in RANGES if days < sheet.days.height * 1.5],
            data=_shared(sheet), sections=[part for part in _sections(sheet, around.thresholds) if part[2]],
            identity=_identity(sheet), tracked=_tracked(sheet, around),
            ui=command("ui", stored=around.dataset), server=_server(sheet, around),
        )
    )  # fmt: skip


def _shared(sheet: TearSheet) -> str:
    """Data sets that several charts draw."""
    tables = [(time_charts.DAYS, time_charts.day_table(sheet)), ("points", charts.contribution_points(sheet))]
    if sheet.information.height:
        tables.append(("information", sheet.information.rename({"ic": "rank_ic"})))
    if sheet.score_groups.height:
        tables.append(("groups", time_charts.group_table(sheet)))
    return trusted("".join(vega.shared_data(name, table, finer=_FINER) for name, table in tables if table.height))


def _sections(sheet: TearSheet, limits: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """Anchor, heading and HTML of each part; empty where the run has nothing of it."""
    thresholds = dict(limits)
    linear, logarithmic = time_charts.equity_charts(sheet)
    equity = render("sheet_equity", linear=vega.figure(linear), logarithmic=vega.figure(logarithmic))
    drawdown = _pair(vega.figure(time_charts.drawdown_chart(sheet)), drawdown_listing(sheet), wide_first=True)
    rolling = _drawn(time_charts.rolling_charts(sheet, thresholds))
    folds = _pair(*(vega.figure(each) for each in charts.fold_charts(sheet, thresholds))) + fold_listing(sheet)
    return [
        ("equity-curve", "Equity", equity),
        (
            "drawdowns",
            "Drawdowns",
            _noted("Orange: the worst, from their peak until made good.", drawdown) if sheet.drawdowns.height else "",
        ),
        ("returns-by-month", "Months and years", _months(sheet)),
        ("rolling", "Rolling one-year Sharpe ratio and AUC", _noted(_LEVELS, rolling) if rolling else ""),
        ("folds", "Folds", _noted(_LEVELS, folds) if sheet.folds.height else ""),
        ("figures", "All figures", figures_section(sheet)),
        ("luck", "The run among its own shifts", _luck(sheet)),
        ("exposure-and-costs", "Exposure and costs", _drawn(time_charts.exposure_charts(sheet))),
        ("rank-correlation", "Rank correlation of scores and returns", _information(sheet)),
        ("score-groups", "Names by score", _groups(sheet)),
        ("distribution", "Returns and calibration" if sheet.calibration.height else "Returns", _distribution(sheet)),
        ("features", "Features", _features(sheet)),
        ("trades", "Trades" if "entry" in sheet.trades.columns else "Names", trades_section(sheet)),
    ]


def _months(sheet: TearSheet) -> str:
    note = "Net return of each month, in percent."
    return _noted(
        note, _pair(vega.figure(charts.month_chart(sheet)), vega.figure(charts.year_chart(sheet)), wide_first=True)
    )


def _luck(sheet: TearSheet) -> str:
    drawn = charts.luck_charts(sheet)
    if not drawn:
        return ""
    note = "Scores moved against returns by every number of bars that counts: what this run would have earned by luck."
    return render("sheet_note", note=note) + _pair(*(vega.figure(each) for each in drawn))


def _information(sheet: TearSheet) -> str:
    return vega.figure(time_charts.information_chart(sheet)) if sheet.information.height else ""


def _groups(sheet: TearSheet) -> str:
    return vega.figure(time_charts.group_chart(sheet)) if sheet.score_groups.height else ""


def _distribution(sheet: TearSheet) -> str:
    drawn = [charts.distribution_chart(sheet)] if sheet.distribution.height else []
    drawn += [charts.calibration_chart(sheet)] if sheet.calibration.height else []
    note = "Dashed curve: a normal law of the same mean and variance." if sheet.distribution.height else ""
    note += (
        " Calibration: upright lines are intervals of 95%; dashed: as predicted." if sheet.calibration.height else ""
    )
    return _noted(note.strip(), _pair(*(vega.figure(each) for each in drawn))) if drawn else ""


def _noted(note: str, body: str) -> str:
    """What the colours and lines of a part mean, and the part."""
    return render("sheet_note", note=note) + body


def _features(sheet: TearSheet) -> str:
    if sheet.contributions.is_empty():
        return ""
    drawn = [charts.contribution_chart(sheet)]
    drawn += [charts.summary_chart(sheet)] if sheet.contribution_points.height else []
    note = render("sheet_note", note=sheet.contribution_note) if sheet.contribution_note else ""
    return note + _pair(*(vega.figure(each) for each in drawn))


def _drawn(drawn: Sequence[vega.Chart]) -> str:
    """Charts one below the other, each with its name."""
    named = [(explained(chart.name.replace("-", "_")), vega.figure(chart)) for chart in drawn]
    return render("sheet_stack", charts=named) if named else ""


def _pair(*parts: str, wide_first: bool = False) -> str:
    """Parts side by side where the window is wide enough."""
    shown = [part for part in parts if part]
    return render("sheet_pair", parts=shown, wide_first=wide_first) if shown else ""


def _tracked(sheet: TearSheet, around: Surroundings) -> tuple[Link, ...]:
    """Pages of MLflow."""
    if not around.models:
        return around.tracked
    return (*around.tracked, (model_address(sheet.registered_name, server=around.models), "the registered model"))


def _server(sheet: TearSheet, around: Surroundings) -> str:
    """Where the pages of MLflow are assumed to be, without ``http://``."""
    addresses = [address for address, _ in _tracked(sheet, around)]
    return addresses[0].partition("/#/")[0].removeprefix("http://") if addresses else ""


def _identity(sheet: TearSheet) -> list[tuple[str, str]]:
    named = [("record", sheet.record_id), ("run key", sheet.run_key), ("MLflow run", sheet.mlflow_run_id or "")]
    return [(name, value) for name, value in named if value]
