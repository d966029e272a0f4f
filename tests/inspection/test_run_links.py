"""The pages of MLflow that `ui` and `data` name: those of the datasets, and an instrument's families side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest

from src.inspection.run_links import comparison, dataset_lines
from src.tracking.links import runs_address
from src.tracking.location import StoreLocation
from tests.tracking.tracking_case import GOOD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
SERVER = "http://host:1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with pytest.MonkeyPatch.context() as patch:
        project = case(tmp_path_factory.mktemp("links"), patch)
        for family, z in (("lightgbm", 1.0), ("xgboost", 3.0), ("catboost", 2.0)):
            project.add("stock", "AAPL", family)
            project.graded[-1]["z"] = z
        project.add("crypto", "AAPL", metrics={**GOOD, "sharpe": 0.1})
        project.save()
        project.ids = project.project()  # type: ignore[attr-defined]
        yield project


def _compared(address: str) -> list[str]:
    return list(json.loads(parse_qs(address.partition("?")[2])["runs"][0]))


def test_the_families_of_one_instrument_are_compared_the_strongest_first(made: Case) -> None:
    found = comparison(made.config, ("stock", "AAPL"), SERVER)
    assert found is not None
    by_z = sorted(made.graded[:3], key=lambda row: -row["z"])
    assert (found[0], _compared(found[1])) == (3, [made.ids[row["record_id"]] for row in by_z])  # type: ignore[attr-defined]
    coin = comparison(made.config, ("crypto", "AAPL"), SERVER)
    assert coin is not None
    assert coin[0] == 1
    assert comparison(made.config, ("etf", "AAPL"), SERVER) is None


def test_a_superseded_run_is_not_compared(made: Case) -> None:
    first = made.ids[made.graded[0]["record_id"]]  # type: ignore[attr-defined]
    made.client().set_tag(first, "alpha.superseded", "true")
    found = comparison(made.config, ("stock", "AAPL"), SERVER)
    made.client().delete_tag(first, "alpha.superseded")
    assert found is not None
    assert found[0] == 2
    assert first not in _compared(found[1])


def test_the_chosen_dataset_comes_first_and_one_without_runs_says_what_to_type(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = {"alpha-loop/a": "3", "alpha-loop/demo": "1", "other/x": "4"}
    monkeypatch.setattr("src.inspection.run_links.experiment_ids", lambda _: ids)
    lines = list(dataset_lines(made.config, SERVER))
    assert [address for _, address in lines] == [runs_address("1", SERVER), runs_address("3", SERVER)]
    del ids["alpha-loop/demo"]
    line, address = next(iter(dataset_lines(made.config, SERVER)))
    assert (address, "python -m src.train" in line) == ("", True)


def test_a_server_is_asked_for_nothing_where_training_noted_no_run(made: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    where = StoreLocation("http://host:1", None, None)
    monkeypatch.setattr("src.inspection.run_links.store_location", lambda _: where)
    assert comparison(made.config, ("stock", "AAPL")) is None
