"""Report which runs passed and how many passes are luck: metrics.json, tables for `dvc plots`, and one offline page.

``python -m src.report universe=full`` reads the grades, states and equity that training stored, and writes
``reports/<dataset>/``. The same inputs give the same bytes.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.commands import command
from src.core.dotted import dotted
from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.reporting.report_data import ReportData
    from src.reporting.tear_sheets.plan import PlannedSheet
    from src.reporting.tear_sheets.writing import Written

log = logging.getLogger("src.report")  # also where this module is the command

# Sections that shape the figures; engine and tracking do not.
_SECTIONS = (
    "universe",
    "source",
    "features",
    "label",
    "split",
    "strategy",
    "model",
    "grade",
    "eligibility",
    "portfolio",
)
_POOLED_KEYS = ("scope", "label", "model")  # that experiment=pooled chooses
_LOCAL_PATHS = ("source.path", "universe.file")


def report(config: Config) -> str:
    """Write the report of the configured dataset and return the closing line."""
    from src.market.choices import settled
    from src.reporting.book_page import write_book_page
    from src.reporting.dvc_plots import write_plots_script
    from src.reporting.methodology import METHOD_PAGE
    from src.reporting.page import method_page, page, quality_page
    from src.reporting.quality import QUALITY_PAGE
    from src.reporting.sessions_page import sessions_page
    from src.reporting.sessions_section import SESSIONS_PAGE
    from src.reporting.summary import plot_tables, summary
    from src.reporting.summary_image import summary_image
    from src.reporting.tear_sheets.plan import sheet_links
    from src.storage.atomic import write_json, write_text
    from src.training.session_choices import require_session

    config = settled("report", config)
    require_session("report", config)
    folder = config.paths.reports
    data = read(config)
    plans = _sheets(data, config)
    data = dataclasses.replace(data, sheets=sheet_links(plans))
    write_json(summary(data), folder / "metrics.json")
    for name, table in plot_tables(data).items():
        write_text(table.write_csv(), folder / "plots" / f"{name}.csv")
    write_text(page(data), folder / "index.html")
    write_text(quality_page(data), folder / QUALITY_PAGE)
    write_text(method_page(data), folder / METHOD_PAGE)
    write_text(sessions_page(data), folder / SESSIONS_PAGE)
    write_text(summary_image(data), folder / "summary.svg")
    write_plots_script(folder.parent)
    written = _write_sheets(plans, config)
    write_book_page(config.paths, config.book.capital)  # links to the sheets there are
    if written.missing:
        there = {record: address for record, address in data.sheets.items() if record not in written.missing}
        write_text(page(dataclasses.replace(data, sheets=there)), folder / "index.html")
    _record(written, data, config)
    return closing_line(data, folder / "index.html")


def _sheets(data: ReportData, config: Config) -> list[PlannedSheet]:
    """Tear sheets that the dataset should have."""
    from src.reporting.tear_sheets.plan import SheetSettings, planned_sheets

    limits = {threshold.metric: threshold.limit for threshold in data.thresholds}
    return planned_sheets(config.paths, SheetSettings(limits, data.run_pages, data.simulated))


def _write_sheets(plans: list[PlannedSheet], config: Config) -> Written:
    """Write the tear sheets that changed."""
    from src.reporting.formatting import counted
    from src.reporting.tear_sheets.plan import sheets_folder
    from src.reporting.tear_sheets.writing import write_sheets

    written = write_sheets(config.paths, plans, config.engine)
    folder = sheets_folder(config.paths).as_posix()
    log.info("%s in %s, %d of them written now", counted(len(written.plans), "tear sheet"), folder, len(written.made))
    return written


def _record(written: Written, data: ReportData, config: Config) -> None:
    """Log the tear sheets, and the report of one session, to MLflow."""
    from src.reporting.formatting import counted
    from src.reporting.tear_sheets.recording import record_sheets

    sessions = data.grades["graded_by"].drop_nulls().unique().to_list() if "graded_by" in data.grades.columns else []
    session = sessions[0] if len(sessions) == 1 else None
    if runs := record_sheets(config.paths, config.tracking, written, session):
        log.info("files of %s are new in MLflow", counted(runs, "run"))


def read(config: Config) -> ReportData:
    """Read everything that the report shows.

    Raises
    ------
    StageError
        If there are no grades, or a stored table can't be read.
    """
    from src.reporting import loading
    from src.reporting.pooled_loading import read_pooled
    from src.reporting.report_data import ReportData, groups, thresholds

    paths = config.paths
    grades = loading.read_grades(paths)
    bars = loading.read_bar_facts(paths)
    found = loading.read_quality(paths)
    states = loading.read_states(paths)
    data = ReportData(
        dataset=config.dataset,
        grades=grades,
        states=states,
        luck=loading.passes_against_luck(grades),
        groups=groups(grades, loading.passes_against_luck),
        thresholds=thresholds(config.grade),
        planted=bars.planted,
        simulated=bars.simulated,
        settings=settings(config),
        bar_facts=bars.facts,
        placebo=loading.read_placebo(paths, grades),
        quality=found,
        around=loading.read_around(paths, found),
        hydrate_command=config.hydrate_command,
        pooled=read_pooled(paths, states, simulated=bars.simulated),
        train_commands=train_commands(config),
    )
    return _with_runs(data, config)


def _with_runs(data: ReportData, config: Config) -> ReportData:
    """Add what is read of single runs: curves of the best, features, MLflow's pages, settings that were tried."""
    from src.reporting import loading
    from src.reporting.best_passes import best_runs
    from src.reporting.drift import read_drift
    from src.reporting.research_sentence import research_sentence
    from src.reporting.run_pages import recorded
    from src.reporting.sessions import read_sessions
    from src.reporting.several_settings import overfitting
    from src.tracking.settings import TrackedDataset
    from src.training.run_store import RunStore

    paths = config.paths
    importance = loading.read_importance(paths, data.grades)
    in_mlflow = recorded(TrackedDataset.of(config))
    return dataclasses.replace(
        data,
        equity=loading.read_equity(paths, best_runs(data)),
        importance=importance,
        run_pages=in_mlflow.pages,
        champion_runs=in_mlflow.champions,
        research=research_sentence(paths, importance),
        drift=read_drift(paths, data.grades, config.seed),
        sessions=read_sessions(paths, data.grades),
        overfitting=overfitting(RunStore(paths.runs), config.strategy, config.label.horizon, paths.report_cache),
    )


def closing_line(data: ReportData, page: Path) -> str:
    """Give the last line of the command: instruments, passes against luck, and where the page is.

    Parameters
    ----------
    data : ReportData
        The session.
    page : Path
        The page that was written.

    Returns
    -------
    str
    """
    from src.reporting.formatting import counted
    from src.reporting.headline import first_line

    return f"report: {counted(data.universe_size, 'instrument')}; {first_line(data)} See {page.as_posix()}"


def train_commands(config: Config) -> dict[str, str]:
    """Write the commands that train each scope.

    Parameters
    ----------
    config : Config

    Returns
    -------
    dict of str to str
        By scope: ``instrument`` and ``pooled``; ``second``: a session that trades the same fits by another strategy.
    """
    name = config.universe.name
    pooled = command("train", "experiment=pooled", dataset=name, without=_POOLED_KEYS)
    other = f"strategy={'long_flat' if config.strategy.name == 'long_short' else 'long_short'}"
    if config.scope.kind == "instrument":
        second = command("train", other, dataset=name)
        return {"instrument": command("train", dataset=name), "pooled": pooled, "second": second}
    apart = ("experiment", *_POOLED_KEYS)
    own, second = (command("train", "scope=instrument", *more, dataset=name, without=apart) for more in ((), (other,)))
    return {"instrument": own, "pooled": pooled, "second": second}


def settings(config: Config) -> dict[str, object]:
    """Give the settings that shape the figures.

    Returns
    -------
    dict
        Values by dotted key, without local paths and secrets.
    """
    from src.runtime.redaction import masked_values

    sections = {name: masked_values(getattr(config, name)) for name in _SECTIONS}
    flat = dotted({**sections, "data.until": config.data.until, "seed": config.seed})
    return {key: value for key, value in flat.items() if key not in _LOCAL_PATHS}


if __name__ == "__main__":
    main("report", report)
