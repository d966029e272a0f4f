"""No experiment gets a place for its artifacts in or around the folder of models, however the place is spelled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from src.tracking.artifact_places import overlapping, resolved
from src.tracking.tracking_store import ArtifactPlacesMixin
from tests.tracking import postgresql_case
from tests.tracking.test_registry_store import model_of
from tests.tracking.tracking_case import Case, case, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    with postgresql_case.cluster() as folder:
        yield folder


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    uri = None
    if request.param == "postgresql":
        uri = postgresql_case.make(request.getfixturevalue("cluster"), "places")
    with pytest.MonkeyPatch.context() as patch:
        made = case(tmp_path_factory.mktemp("places"), patch, uri)
        made.add("crypto", "BTC-USD")
        made.ids = made.project()  # type: ignore[attr-defined]
        yield made


PLAIN = {
    "the model's folder": "{model}",
    "a folder in it": "{model}/code",
    "the folder of models": "{models}",
    "a parent": "{root}",
    "the root": "/",
    "a file URI": "file://{model}",
    "a file URI with a host": "file://localhost{model}",
    "doubled slashes": "file://{doubled}",
    "a slash at the end": "{model}/",
    "upper case": "{upper}",
    "dots": "{model}/../../models",
    "dots in a URI": "file://{root}/demo/x/../models",
    "an encoded letter": "file://{encoded}",
    "encoded dots": "file://{root}/demo/x/%2e%2E/models",
    "an encoded slash": "file://{root}/demo%2Fmodels",
}
VEILED = {"a link": "{link}", "a link in a URI": "file://{link}/m-1", "twice encoded": "file://{twice}"}


def place(base: Case, pattern: str) -> str:
    folder = local(base.client().get_logged_model(model_of(base, "BTC-USD")).artifact_location)
    link = base.root / "link"
    if not link.exists():
        link.symlink_to(folder.parents[1], target_is_directory=True)
    model, root = folder.as_posix(), (base.root / "mlruns" / "artifacts").as_posix()
    return pattern.format(
        model=model, models=folder.parents[1].as_posix(), root=root, link=link.as_posix(), upper=model.upper(),
        doubled=model.replace("/models/", "//models/"), encoded=model.replace("models", "m%6Fdels"),
        twice=model.replace("models", "m%256Fdels"),
    )  # fmt: skip


@pytest.mark.parametrize("pattern", [*PLAIN.values(), *VEILED.values()], ids=[*PLAIN, *VEILED])
def test_a_place_in_or_around_models_is_refused(base: Case, pattern: str) -> None:
    client = base.client()
    with pytest.raises(MlflowException, match="alpha-loop gate: .* overlaps") as caught:
        client.create_experiment("evil", place(base, pattern))
    assert caught.value.error_code == "PERMISSION_DENIED"
    assert client.get_experiment_by_name("evil") is None


SEEN_BY_SQL = [name for name in PLAIN if name not in ("an encoded letter", "the root")]


@pytest.mark.parametrize("pattern", [PLAIN[name] for name in SEEN_BY_SQL], ids=SEEN_BY_SQL)
def test_the_database_refuses_the_plain_spellings_from_any_client(base: Case, pattern: str) -> None:
    store = SqlAlchemyStore(base.uri, (base.root / "elsewhere").as_uri())
    assert not isinstance(store, ArtifactPlacesMixin)
    with pytest.raises(MlflowException, match="alpha-loop gate: the artifact location overlaps"):
        store.create_experiment("evil", place(base, pattern))


def test_places_beside_models_are_allowed(base: Case) -> None:
    client = base.client()
    root = (base.root / "mlruns" / "artifacts").as_uri()
    for number, location in enumerate((None, f"{root}/quick", f"{root}/demo", f"{root}/demo2", "s3://bucket/demo")):
        found = client.get_experiment(client.create_experiment(f"fine-{number}", location))
        assert found.artifact_location == location or location is None


def test_an_empty_location_means_mlflows_own_as_a_server_passes_it_on(base: Case) -> None:
    client = base.client()
    found = client.get_experiment(client.create_experiment("by-server", ""))
    assert found.artifact_location.endswith(f"/{found.experiment_id}")


def test_the_place_of_models_is_never_moved(base: Case) -> None:
    with base.sql() as execute, pytest.raises(Exception, match="artifact location overlaps"):
        execute("UPDATE experiments SET artifact_location = 'file:///elsewhere' WHERE name = 'alpha-loop/demo'")


@pytest.mark.parametrize(
    ("one", "other"),
    [("file:///C:/Loop/mlruns", "file:///c:/loop/mlruns"), ("C:\\Loop\\mlruns", "c:/loop/./mlruns/"),
     ("s3://bucket/a/../b", "S3://bucket/b/"), ("file:///a/%2e%2e/b", "/b"), ("file:////b", "/b"), ("/b/?/..", "/b")],
)  # fmt: skip
def test_one_place_has_one_spelling(one: str, other: str) -> None:
    assert resolved(one) == resolved(other)


def test_a_servers_own_scheme_names_the_folder_behind_it(tmp_path: Path) -> None:
    models = (tmp_path / "demo").as_uri()
    served = tmp_path.as_uri()
    assert overlapping("mlflow-artifacts:/demo/models/m-1", [models], served) == models
    assert overlapping("mlflow-artifacts://host:5000/demo/models", [models], str(tmp_path)) == models
    assert overlapping("mlflow-artifacts:/demonstration", [models], served) is None
    assert overlapping(os.fspath(tmp_path / "demo2"), [models]) is None


def test_a_database_that_is_not_ours_takes_any_place(base: Case, tmp_path: Path) -> None:
    import shutil

    import mlflow

    from tests.tracking.tracking_case import _template

    path = tmp_path / "theirs.db"
    shutil.copy(_template(), path)
    uri = f"sqlite:///{path}"
    mlflow.set_tracking_uri(uri)
    try:
        client: Any = mlflow.MlflowClient(uri, uri)
        outer = client.create_experiment("outer", (tmp_path / "a").as_uri())
        client.create_logged_model(outer, "any")
        client.create_experiment("inner", (tmp_path / "a" / "b").as_uri())
    finally:
        base.client()
