"""Two machines that write one dataset by mistake: what is registered stays, and what the other is busy with as well."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import pytest

from src.core.errors import StageError
from src.inspection import cleanup
from src.tracking import store
from src.tracking.champions import Champions
from src.tracking.client_runs import ClientRuns
from src.tracking.duplicates import DOUBLED, SUPERSEDED
from src.tracking.writer_tag import WRITER, writer_tag
from tests.tracking.routes_case import look_anew
from tests.tracking.tracking_case import Case, case, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
DAY = 24 * 3600


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    made = case(tmp_path, monkeypatch)
    made.config.tracking.route = "client"
    look_anew()
    return made


def doubled(made: Case, **changes: Any) -> dict[str, str]:
    """Project as a command does that looked before another had written; MLflow's run of each record."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientRuns, "recorded", lambda *_: {})
        for name, act in changes.items():
            patch.setattr(store.MlflowStore, name, act)
        return made.project()


def unregistered(*_arguments: Any) -> str:
    raise StageError("the other command ended here")


def known(made: Case) -> str:
    """The run that counts, as a command finds it that looks for the first time; the bulk route finds the same."""
    look_anew()
    found = set(made.project().values())
    made.config.tracking.route = "auto"
    assert set(made.project().values()) == found
    made.config.tracking.route = "client"
    return found.pop()


@pytest.mark.parametrize("registered", [0, 1])
def test_the_run_behind_a_champion_stays_and_the_one_without_a_version_goes(made: Case, registered: int) -> None:
    made.add("crypto", "BTC-USD")
    changes = [{}, {"register": unregistered}] if registered == 0 else [{"register": unregistered}, {}]
    runs = [set(doubled(made, **each).values()).pop() for each in changes]
    client = made.client()
    client.set_registered_model_alias("crypto.BTC-USD", "champion", "1")
    assert known(made) == runs[registered]
    assert client.get_run(runs[1 - registered]).info.lifecycle_stage == "deleted"
    champion = client.get_model_version_by_alias("crypto.BTC-USD", "champion")
    assert champion.run_id == runs[registered]
    assert (local(client.get_model_version_download_uri("crypto.BTC-USD", champion.version)) / "MLmodel").is_file()


@pytest.mark.parametrize("champion", [None, "1", "2"])
def test_of_two_registered_runs_the_champions_or_the_first_counts_and_the_other_is_tagged(
    made: Case, champion: str | None
) -> None:
    made.add("crypto", "BTC-USD")
    runs = [set(doubled(made).values()).pop() for _ in range(2)]
    client = made.client()
    if champion:
        client.set_registered_model_alias("crypto.BTC-USD", "champion", champion)
    kept = int(champion or 1)
    assert known(made) == runs[kept - 1]
    assert client.get_run(runs[2 - kept]).data.tags[SUPERSEDED] == DOUBLED
    assert not client.get_run(runs[kept - 1]).data.tags.get(SUPERSEDED)
    assert {each.run_id for each in client.search_model_versions()} == set(runs)
    with store.open_store(made.tracked) as target:
        champions = Champions(target)
        assert champions.best("crypto.BTC-USD") == champions.version("crypto.BTC-USD", kept)
        offered = [each.message for each in cleanup.superseded_versions(target, champions)]
    assert offered == [f"version {3 - kept} of crypto.BTC-USD: its run was superseded"]


def test_a_champion_that_a_person_chooses_later_counts_from_then_on(made: Case) -> None:
    made.add("crypto", "BTC-USD")
    runs = [set(doubled(made).values()).pop() for _ in range(2)]
    assert known(made) == runs[0]
    made.client().set_registered_model_alias("crypto.BTC-USD", "champion", "2")
    assert known(made) == runs[1]
    assert not made.client().get_run(runs[1]).data.tags.get(SUPERSEDED)


def test_a_duplicate_that_another_machine_may_be_writing_is_removed_only_after_a_day(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.add("crypto", "BTC-USD")
    first = set(doubled(made).values()).pop()
    with monkeypatch.context() as patch:
        patch.setattr(platform, "node", lambda: "elsewhere")
        second = set(doubled(made, register=unregistered).values()).pop()
    client = made.client()
    assert known(made) == first
    assert client.get_run(second).info.lifecycle_stage == "active"
    now = time.time()
    monkeypatch.setattr("src.tracking.writer_tag.time.time", lambda: now + 2 * DAY)
    assert known(made) == first
    assert client.get_run(second).info.lifecycle_stage == "deleted"


def test_unfinished_runs_of_another_machine_are_swept_only_after_a_day(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made.add("crypto", "BTC-USD")
    run = made.project()[record]
    client, where = made.client(), made.client().get_run(run).info.experiment_id
    with monkeypatch.context() as patch:
        patch.setattr(platform, "node", lambda: "elsewhere")
        tags = {"alpha.record_id": "x.0", WRITER: writer_tag()}
    half = client.create_run(where, int(1000 * (time.time() - 30 * DAY)), tags)  # a run begins when it was trained
    model = client.create_logged_model(where, "half", half.info.run_id, tags)
    look_anew()
    made.project()
    assert client.get_run(half.info.run_id).info.lifecycle_stage == "active"
    assert model.model_id in {each.model_id for each in client.search_logged_models([where])}
    now = time.time()
    monkeypatch.setattr("src.tracking.writer_tag.time.time", lambda: now + 2 * DAY)
    look_anew()
    made.project()
    assert client.get_run(half.info.run_id).info.lifecycle_stage == "deleted"
    left = [each.model_id for each in client.search_logged_models([where])]
    assert left == [client.get_run(run).data.params["model_id"]]


def test_a_registered_model_keeps_its_files_when_its_run_was_deleted(made: Case) -> None:
    record = made.add("crypto", "BTC-USD")
    run = made.project()[record]
    client = made.client()
    where, model = client.get_run(run).info.experiment_id, client.get_run(run).data.params["model_id"]
    folder = local(client.get_logged_model(model).artifact_location)
    client.delete_run(run)
    look_anew()
    made.project()
    assert model in {each.model_id for each in client.search_logged_models([where])}
    assert (folder / "MLmodel").is_file()
