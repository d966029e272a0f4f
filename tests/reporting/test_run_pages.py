from pathlib import Path

import polars as pl
import pytest

from src.config.schema import Config
from src.core.errors import StageError
from src.reporting import run_pages
from src.reporting.run_pages import Recorded, recorded
from src.storage.atomic import write_parquet
from src.tracking.crowned_versions import CrownedVersion
from src.tracking.settings import TrackedDataset


@pytest.fixture
def tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrackedDataset:
    config = Config()
    config.universe.name, config.data.root = "demo", str(tmp_path)
    write_parquet(pl.DataFrame({"record_id": ["a", "b"], "mlflow_run_id": ["m1", None]}), config.paths.grades)
    write_parquet(pl.DataFrame({"record_id": ["p"], "mlflow_run_id": ["m2"]}), config.paths.portfolio_grades)
    champion = CrownedVersion("stock.A", 1, "m1", "a", "s")
    monkeypatch.setattr(run_pages, "crowned_versions", lambda _: [champion, CrownedVersion("stock.B", 1, "", "", "")])
    monkeypatch.setattr(run_pages, "experiment_id", lambda _, name: "7" if name == "alpha-loop/demo" else None)
    return TrackedDataset.of(config)


def test_runs_of_both_scopes_that_mlflow_has_lead_there(tracked: TrackedDataset) -> None:
    page = "http://127.0.0.1:5000/#/experiments/7/runs/"
    assert recorded(tracked) == Recorded({"a": f"{page}m1", "p": f"{page}m2"}, frozenset({"a"}))


def test_without_tracking_or_an_experiment_there_are_no_links(
    tracked: TrackedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked.tracking.enabled = False
    assert recorded(tracked) == Recorded()
    tracked.tracking.enabled = True
    monkeypatch.setattr(run_pages, "experiment_id", lambda *_: None)
    assert recorded(tracked) == Recorded()


def test_a_store_that_does_not_answer_costs_the_links_alone(
    tracked: TrackedDataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def silent(*_: object) -> str:
        raise StageError("the database does not answer")

    monkeypatch.setattr(run_pages, "experiment_id", silent)
    assert recorded(tracked) == Recorded()
    assert "no links to MLflow" in caplog.text and "does not answer" in caplog.text
