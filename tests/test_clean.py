"""What is old is shown, then removed; a champion never."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.clean import REQUEST_KEYS, clean
from src.config.paths import TABLES
from src.config.schema import Config
from src.core.errors import ConfigError
from src.inspection.cleanup import Leftover, find_leftovers, superseded_portfolios
from src.runtime.arguments import split_arguments
from src.storage.atomic import write_parquet, write_text
from src.tracking.settings import TrackedDataset
from src.training.run_store import shard_name
from tests.reporting import pooled_case
from tests.tracking.tracking_case import Case, case


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A project with two instruments, the first of them trained again while its first version was champion."""
    monkeypatch.chdir(tmp_path)
    made = case(tmp_path, monkeypatch)
    made.add("stock", "AAA")
    made.add("stock", "BBB")
    made.project()
    for name in ("stock.AAA", "stock.BBB"):
        made.client().set_registered_model_alias(name, "champion", "1")
    made.graded.clear()
    made.add("stock", "AAA", attempt=1)
    made.add("stock", "BBB", attempt=1)
    made.project()
    made.client().set_registered_model_alias("stock.BBB", "champion", "2")
    made.save()
    return made


def leftovers(config: Config) -> list[Leftover]:
    return find_leftovers(config.paths, Path(config.data.logs), TrackedDataset.of(config))


def versions(project: Case) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for each in project.client().search_model_versions():
        found.setdefault(each.name, []).append(int(each.version))
    return {name: sorted(numbers) for name, numbers in sorted(found.items())}


def models(project: Case) -> set[str]:
    return {folder.name.rpartition(".")[2] for folder in (project.store.root / "models").iterdir()}


def test_showing_removes_nothing(project: Case, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path for path in project.root.rglob("*") if path.is_file())
    line = clean(project.config, {})
    assert sorted(path for path in project.root.rglob("*") if path.is_file()) == before
    assert line.endswith("can be removed; nothing was removed, yes=true removes them")
    out = capsys.readouterr().out
    assert "version 1 of stock.BBB: its run was superseded" in out
    assert "models of 1 superseded run of demo" in out


def test_superseded_versions_and_models_are_removed_and_every_champion_stays(project: Case) -> None:
    assert versions(project) == {"stock.AAA": [1, 2], "stock.BBB": [1, 2]}
    clean(project.config, {"yes": "true"})
    assert versions(project) == {"stock.AAA": [1, 2], "stock.BBB": [2]}
    client = project.client()
    assert client.get_model_version_by_alias("stock.AAA", "champion").version == 1
    import mlflow

    loaded = mlflow.pyfunc.load_model("models:/stock.AAA@champion")
    assert loaded is not None
    champion = client.get_run(client.get_model_version("stock.AAA", "1").run_id).data.tags["alpha.record_id"]
    kept = {folder.name for folder in (project.store.root / "models").iterdir()}
    assert champion in kept
    assert len(kept) == 3


def test_cleaning_twice_finds_nothing_more(project: Case) -> None:
    clean(project.config, {"yes": "true"})
    assert clean(project.config, {"yes": "true"}) == "clean: removed 0 things, 0 bytes"


def test_the_registry_is_read_without_a_request_a_model_and_one_that_a_person_registered_stays(
    project: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    client = project.client()
    old = client.get_model_version("stock.BBB", "1")
    client.create_registered_model("my-own")
    client.create_model_version("my-own", old.source, old.run_id)
    asked: list[str] = []

    def counting(name: str) -> Any:
        real = getattr(mlflow.MlflowClient, name)
        return lambda *arguments, **named: asked.append(name) or real(*arguments, **named)

    with monkeypatch.context() as patch:
        for name in ("get_run", "get_logged_model", "search_model_versions"):
            patch.setattr(mlflow.MlflowClient, name, counting(name))
        messages = [leftover.message for leftover in leftovers(project.config)]
    assert "version 1 of stock.BBB: its run was superseded" in messages
    assert asked == []
    clean(project.config, {"yes": "true"})
    assert versions(project) == {"my-own": [1], "stock.AAA": [1, 2], "stock.BBB": [2]}
    assert mlflow.pyfunc.load_model("models:/my-own/1") is not None


def test_where_the_registry_can_not_be_read_nothing_is_removed(project: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_tracked: TrackedDataset, **_how: bool) -> Any:
        raise OSError("the store is down")

    monkeypatch.setattr("src.tracking.store.open_store", broken)
    before = models(project)
    with pytest.raises(OSError, match="the store is down"):
        clean(project.config, {"yes": "true"})
    assert models(project) == before


def test_a_dataset_with_champions_keeps_what_they_came_from(project: Case) -> None:
    for table in ("bars", "features"):
        write_text("x", project.root / "data" / table / "demo" / "manifest.json")
    clean(project.config, {"drop": "demo", "yes": "true"})
    left = {path.parent.name for path in (project.root / "data").glob("*/demo")}
    assert left == {"runs"}


def stored(root: Path, dataset: str) -> None:
    for table in TABLES:
        write_text("x" * 2048, root / "data" / table / dataset / "manifest.json")
    write_text("x", root / "data" / "grades" / f"{dataset}.parquet")
    write_text("x", root / "reports" / dataset / "index.html")


def test_a_dataset_without_champions_is_removed_whole_and_the_others_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    stored(tmp_path, "full")
    stored(tmp_path, "quick")
    for table in ("full", "full/pending"):
        write_text("x", tmp_path / "data" / "trials" / table / "1a2b3c4d.trials.parquet")
    write_text("x", tmp_path / "data" / "journal" / "full" / "chain.jsonl")
    write_text("x", tmp_path / "data" / "journal" / "full.head.json")
    clean(Config(), {})
    assert "dataset full stays; drop=full would remove it" in capsys.readouterr().out
    assert clean(Config(), {"drop": "full", "yes": "true"}).startswith("clean: removed 10 things, 16.0 KB")
    assert {path.parent.name for path in tmp_path.glob("data/*/*/manifest.json")} == {"quick"}
    assert not (tmp_path / "reports" / "full").exists()
    assert len(list((tmp_path / "data" / "journal").rglob("*.json*"))) == 2  # the one record of what was said
    trials = tmp_path / "data" / "trials" / "full"
    assert len(list(trials.rglob("*.trials.parquet"))) == 2  # removing its runs must not make a pass look less lucky


def test_older_logs_and_files_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    from src.core import process

    write_text("new", tmp_path / "logs" / "training.log")
    write_text("old", tmp_path / "logs" / "training.log.1")
    left = tmp_path / "data" / "bars" / "demo" / f".tmp-{process.host_tag()}-4194000-1-0"
    left.mkdir(parents=True)
    assert [leftover.message for leftover in leftovers(Config())] == [
        "1 file of killed processes in data",
        "1 older log",
    ]
    clean(Config(), {"yes": "true"})
    assert not left.exists()
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["training.log"]


def test_the_request_is_separated_from_the_configuration() -> None:
    arguments = ["universe=full", "yes=true", "drop=demo", "--help"]
    assert split_arguments(arguments, REQUEST_KEYS.__contains__) == (
        {"yes": "true", "drop": "demo"},
        ["universe=full", "--help"],
    )


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"yes": "sure"}, "yes must be true or false, got 'sure'"),
        ({"drop": "nothing"}, "drop must name a dataset on disk (there are none), got 'nothing'"),
    ],
)
def test_a_wrong_request_is_refused(
    request_: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        clean(Config(), request_)
    assert str(caught.value) == message


def test_ranks_are_a_cache_that_is_offered_on_request_alone(project: Case, capsys: pytest.CaptureFixture[str]) -> None:
    ranks = project.config.paths.ranks / "stock" / "close.npy"
    write_text("x" * 2_000_000, ranks)
    clean(project.config, {"yes": "true"})
    assert ranks.exists() and "ranks" not in capsys.readouterr().out
    clean(project.config, {"cache": "true"})
    assert ranks.exists() and "ranks of demo: training with scope=pooled computes them again" in capsys.readouterr().out
    clean(project.config, {"cache": "true", "yes": "true"})
    assert not ranks.exists()
    with pytest.raises(ConfigError, match="cache must be true or false, got 'maybe'"):
        clean(project.config, {"cache": "maybe"})


def test_the_tables_of_a_superseded_portfolio_are_removed_and_those_of_the_latest_stay(tmp_path: Path) -> None:
    paths = pooled_case.lay_out(tmp_path, pooled_case.PASSING, pooled_case.PASSING | {"record_id": "aa.1"})
    runs = pl.DataFrame({"record_id": ["aa.0", "aa.1"], "run_key": ["aa"] * 2, "attempt": [0, 1]})
    write_parquet(
        runs.cast({"attempt": pl.Int32}), paths.portfolios / f"{shard_name(0, pooled_case.SESSION)}.runs.parquet"
    )
    assert list(superseded_portfolios(paths, {"aa.0"})) == []
    (found,) = superseded_portfolios(paths, set())
    found.remove()
    assert not (paths.portfolios / "aa.0").exists() and (paths.portfolios / "aa.1" / "daily.parquet").exists()
