"""Files beside runs: written once, whole, again after a loss, and alike through a file and through a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.core.errors import StageError
from src.tracking import run_artifacts
from src.tracking.location import StoreLocation, store_location
from src.tracking.run_artifacts import record_artifacts, session_run_ids
from tests.tracking.tracking_case import GOOD, SESSION, Case, case, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
FILES = {"tear_sheet.html": b"<p>\xc3\xa9</p>", "data/days.csv": b"date,net\n"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with pytest.MonkeyPatch.context() as patch:
        project = case(tmp_path_factory.mktemp("artifacts"), patch)
        project.add("crypto", "BTC-USD")
        project.add("stock", "AAPL", metrics={**GOOD, "sharpe": 0.1})
        project.ids = list(project.project().values())  # type: ignore[attr-defined]
        yield project


@pytest.fixture
def where(made: Case) -> StoreLocation:
    return store_location(made.config.tracking)


def _kept(made: Case, run_id: str) -> dict[str, bytes]:
    folder = local(made.client().get_run(run_id).info.artifact_uri)
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_run_without_files_does_not_keep_others_from_theirs(made: Case, where: StoreLocation) -> None:
    bare, whole = made.ids  # type: ignore[attr-defined]
    before = _kept(made, bare)
    files = {bare: ("none", dict[str, bytes]), whole: ("some", lambda: FILES)}
    assert record_artifacts(where, "demo", files) == 1
    assert (_kept(made, bare), _kept(made, whole)) == (before, FILES)
    assert run_artifacts.DIGEST not in made.client().get_run(bare).data.tags


def test_files_are_made_once_and_again_when_they_change_or_are_lost(made: Case, where: StoreLocation) -> None:
    run_id, counted = made.ids[0], Counter[str]()  # type: ignore[attr-defined]

    def make() -> dict[str, bytes]:
        counted["made"] += 1
        return FILES

    assert record_artifacts(where, "demo", {run_id: ("one", make), "unknown": ("one", make)}) == 1
    assert _kept(made, run_id) == FILES
    assert record_artifacts(where, "demo", {run_id: ("one", make)}) == 0
    assert counted["made"] == 1
    assert record_artifacts(where, "demo", {run_id: ("two", lambda: {**FILES, "data/days.csv": b"x"})}) == 1
    assert _kept(made, run_id)["data/days.csv"] == b"x"
    import shutil

    shutil.rmtree(local(made.client().get_run(run_id).info.artifact_uri))
    assert record_artifacts(where, "demo", {run_id: ("two", make)}) == 1
    assert _kept(made, run_id) == FILES


def test_a_command_that_is_killed_between_files_and_tag_is_made_good(
    made: Case, where: StoreLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = made.ids[1]  # type: ignore[attr-defined]
    wanted = {run_id: ("one", lambda: FILES)}

    def dying(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_artifacts, "_tag", dying)
        with pytest.raises(KeyboardInterrupt):
            record_artifacts(where, "demo", wanted)
    assert [record_artifacts(where, "demo", wanted) for _ in range(2)] == [1, 0]


def test_no_file_leaves_the_folder_of_its_run(made: Case, where: StoreLocation) -> None:
    for path in ("../models/MLmodel", "/etc/passwd", "a/../../b"):
        with pytest.raises(StageError, match="must stay below"):
            record_artifacts(where, "demo", {made.ids[0]: (path, lambda path=path: {path: b""})})  # type: ignore[attr-defined]


def test_the_session_of_a_dataset_is_found_and_no_other(made: Case, where: StoreLocation) -> None:
    found = session_run_ids(where, "demo")
    assert list(found) == [SESSION]
    assert made.client().get_run(found[SESSION]).data.tags["alpha.session"] == SESSION
    assert session_run_ids(where, "full") == {}
    nowhere = StoreLocation("sqlite:///x", made.root / "none.db", None)
    assert session_run_ids(nowhere, "demo") == {} == dict.fromkeys(range(record_artifacts(nowhere, "demo", {})))


def test_the_client_writes_what_the_file_route_writes(
    made: Case, where: StoreLocation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As into a bucket: the run's folder counts as out of reach, and MLflow's own repository writes it."""
    run_id = made.ids[0]  # type: ignore[attr-defined]
    monkeypatch.setattr(run_artifacts._Run, "folder", property(lambda _: None))
    monkeypatch.setattr(run_artifacts.sqlite_runs, "REVISIONS", {})
    assert record_artifacts(where, "demo", {run_id: ("client", lambda: FILES)}) == 1
    assert _kept(made, run_id) == FILES
    assert made.client().get_run(run_id).data.tags[run_artifacts.DIGEST] == "client"
