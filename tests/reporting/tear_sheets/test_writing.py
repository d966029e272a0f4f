"""Sheets are written where they changed, removed where their run has none, and fail alone."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from src.config.paths import DatasetPaths
from src.config.schema import EngineConfig, TrackingConfig
from src.reporting.tear_sheets import recording, sheet_scripts, writing
from src.reporting.tear_sheets.plan import PlannedSheet, sheet_links, sheets_folder
from src.reporting.tear_sheets.sheet import TearSheet
from src.reporting.tear_sheets.sheet_page import Surroundings
from src.reporting.tear_sheets.writing import Written, write_sheets
from src.tracking.errors import StoreUnreachable
from tests.reporting.sheet_case import instrument_sheet

ONE = EngineConfig(workers=1)


def planned(name: str, digest: str = "d1") -> PlannedSheet:
    return PlannedSheet(
        name, f"stock.{name}.lightgbm.html", digest, Surroundings("demo"), f"run of {name}", f"shown {digest}"
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record ids whose sheets were computed; that of BAD can't be, and GONE has none."""
    asked: list[str] = []

    def read(paths: DatasetPaths, record_ids: list[str]) -> Iterator[TearSheet]:
        for name in record_ids:
            if name == "BAD":
                raise ZeroDivisionError("of a figure")
            asked.append(name)
            if name != "GONE":
                yield instrument_sheet(60, symbol=name, record_id=name)

    for module in (writing, recording):
        monkeypatch.setattr(module, "read_sheets", read)
    return asked


@pytest.fixture
def paths(tmp_path: Path) -> DatasetPaths:
    return DatasetPaths(tmp_path / "data", "demo", tmp_path / "reports")


def stored(paths: DatasetPaths) -> set[str]:
    return {path.name for path in sheets_folder(paths).iterdir()}


def test_only_what_changed_is_written_again(paths: DatasetPaths, asked: list[str]) -> None:
    plans = [planned("A"), planned("B")]
    assert write_sheets(paths, plans, ONE).made == {"A", "B"}
    assert stored(paths) == {plan.name for plan in plans} | {sheet_scripts.SCRIPT_FILE}
    script = sheets_folder(paths) / sheet_scripts.SCRIPT_FILE
    before = script.stat().st_mtime_ns
    assert write_sheets(paths, plans, ONE) == Written(tuple(plans))
    assert write_sheets(paths, [plans[0], planned("B", "d2")], ONE).made == {"B"}
    assert asked == ["A", "B", "B"]
    assert script.stat().st_mtime_ns == before


def test_a_sheet_whose_run_has_none_any_more_is_removed(paths: DatasetPaths, asked: list[str]) -> None:
    write_sheets(paths, [planned("A"), planned("B")], ONE)
    write_sheets(paths, [planned("B")], ONE)
    assert stored(paths) == {planned("B").name, sheet_scripts.SCRIPT_FILE}
    write_sheets(paths, [], ONE)
    assert stored(paths) == set()


def test_a_sheet_that_cannot_be_made_costs_itself_alone(
    paths: DatasetPaths, asked: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    write_sheets(paths, [replace(planned("BAD"), record_id="A"), planned("C")], ONE)
    with caplog.at_level(logging.WARNING):
        written = write_sheets(paths, [planned("A"), planned("BAD", "d2"), planned("C", "d2"), planned("GONE")], ONE)
    assert written.missing == ("BAD", "GONE")
    assert written.made == {"A", "C"}
    assert planned("BAD").name not in stored(paths), "a page of former data is no sheet of these"
    assert [r.getMessage() for r in caplog.records] == [
        "the tear sheet stock.BAD.lightgbm.html can't be made (ZeroDivisionError: of a figure)"
    ]


def test_links_are_relative_to_the_page_and_encoded() -> None:
    plan = replace(planned("A"), name="stock.A%2FB~1f.lightgbm.html")
    assert sheet_links([plan]) == {"A": "sheets/stock.A%252FB~1f.lightgbm.html"}


def test_a_worker_hands_its_warnings_back(paths: DatasetPaths, asked: list[str]) -> None:
    assert writing.heard_batch(writing.SheetBatch(paths, (planned("BAD"),))) == [
        "the tear sheet stock.BAD.lightgbm.html can't be made (ZeroDivisionError: of a figure)"
    ]
    assert not [each for each in logging.getLogger("src").handlers if isinstance(each, writing._Heard)]


def test_each_run_gets_its_sheet_and_tables_and_the_session_its_report(
    paths: DatasetPaths, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}

    def record(location, dataset, files):
        made.update({run: (digest, make()) for run, (digest, make) in files.items()})
        return len(files)

    monkeypatch.setattr(recording, "record_artifacts", record)
    monkeypatch.setattr(recording, "session_run_ids", lambda *_: {"5e55": "session run"})
    paths.reports.mkdir(parents=True)
    (paths.reports / "index.html").write_text(
        'page <a href="book.html">Book</a> <a href="#top">top</a> {"link":"sheet"}', encoding="utf-8"
    )
    written = Written((planned("A"), planned("B"), replace(planned("C"), mlflow_run_id=None)), frozenset({"A", "B"}))
    assert recording.record_sheets(paths, TrackingConfig(), written, "5e55") == 3
    assert set(made) == {"run of A", "run of B", "session run"}
    digest, files = made["run of A"]
    assert digest == "shown d1"
    assert {"tear_sheet.html", "data/equity.csv", "data/folds.csv", "data/predictions.parquet"} <= set(files)
    assert b"stock.A by lightgbm" in files["tear_sheet.html"]
    assert made["session run"][1] == {"index.html": b'page <span>Book</span> <a href="#top">top</a> {"link":""}'}


def test_a_sheet_that_its_bars_no_longer_give_leaves_the_others_their_files(
    paths: DatasetPaths, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, made = recording.read_sheets, {}
    monkeypatch.setattr(recording, "read_sheets", lambda at, ids: known(at, [each for each in ids if each != "A"]))
    monkeypatch.setattr(
        recording, "record_artifacts", lambda *of: made.update({run: len(make()) for run, (_, make) in of[2].items()})
    )
    recording.record_sheets(paths, TrackingConfig(), Written((planned("A"), planned("B"))), None)
    assert made["run of A"] == 0 and made["run of B"] > 0


def test_a_store_that_does_not_answer_costs_a_warning(
    paths: DatasetPaths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> int:
        raise StoreUnreachable("nothing at postgresql://user:secret@host/db answers")

    monkeypatch.setattr(recording, "record_artifacts", fails)
    assert recording.record_sheets(paths, TrackingConfig(), Written((planned("A"),)), None) == 0
    (message,) = [record.getMessage() for record in caplog.records]
    assert "python -m src.report universe=demo" in message
    assert "secret" not in message
    assert recording.record_sheets(paths, TrackingConfig(enabled=False), Written((planned("A"),)), None) == 0
