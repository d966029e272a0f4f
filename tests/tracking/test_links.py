"""Addresses of MLflow's pages."""

from __future__ import annotations

import json
import socket
import sqlite3
from pathlib import Path
from urllib.parse import parse_qs, unquote

import pytest

from src.tracking.errors import StoreUnreachable
from src.tracking.links import compare_address, experiment_id, experiment_ids, model_address, run_address
from src.tracking.location import StoreLocation


def _store(folder: Path) -> StoreLocation:
    database = folder / "mlflow.db"
    return StoreLocation(f"sqlite:///{database}", database, folder.as_uri())


@pytest.fixture
def store(tmp_path: Path) -> StoreLocation:
    location = _store(tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT)")
        connection.execute("CREATE TABLE logged_models (model_id TEXT)")
        rows = [(0, "Default", "active"), (7, "alpha-loop/demo", "active"), (8, "alpha-loop/gone", "deleted")]
        connection.executemany("INSERT INTO experiments VALUES (?, ?, ?)", rows)
    connection.close()
    return location


def test_an_experiment_is_found_by_its_name_unless_it_was_deleted(store: StoreLocation) -> None:
    assert experiment_id(store, "alpha-loop/demo") == "7"
    assert experiment_id(store, "alpha-loop/gone") is None
    assert experiment_ids(store) == {"Default": "0", "alpha-loop/demo": "7"}


def test_a_store_that_is_not_there_yet_has_no_experiment_and_is_not_made_by_the_question(tmp_path: Path) -> None:
    assert experiment_id(_store(tmp_path), "alpha-loop/demo") is None
    assert not (tmp_path / "mlflow.db").exists()


def test_a_server_that_does_not_answer_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(StoreUnreachable, match=f"no MLflow server answers at {address}"):
        experiment_id(StoreLocation(address, None, None), "alpha-loop/demo")


def test_a_comparison_names_its_runs_and_experiment_as_the_page_reads_them() -> None:
    page, _, query = compare_address("3", ["one", "two"], "http://host:1").partition("?")
    read = {key: json.loads(values[0]) for key, values in parse_qs(query).items()}
    assert page == "http://host:1/#/compare-runs"
    assert read == {"runs": ["one", "two"], "experiments": ["3"]}


@pytest.mark.parametrize("name", ["stock.AAPL", "stock.BRK%2FB", "etf.A B?&#c"])
def test_the_name_of_a_model_survives_its_address(name: str) -> None:
    address = model_address(name, 4)
    assert unquote(address.partition("#/models/")[2].removesuffix("/versions/4")) == name
    assert address.count("/") == model_address("plain", 4).count("/")


def test_a_run_stands_below_its_experiment() -> None:
    assert run_address("3", "abc", "http://host:1") == "http://host:1/#/experiments/3/runs/abc"
