"""A model's folder is file for file what training writes; a run made by hand enters the registry by no door."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from src.core.project import ROOT
from src.models import registry as families
from src.tracking import model_files, released_code
from src.tracking.model_files import check_files, folder_digest
from src.tracking.registry_gate import CandidateModel, GateRefusal
from tests import process_case, warm_case
from tests.tracking.test_registry_store import fresh_run, model_of, run_of
from tests.tracking.tracking_case import GOOD, Case, case, folder_of, local

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
MODEL, RUN = "m-" + "a" * 32, "b" * 32


def made(folder: Path, family: str = "lightgbm") -> Path:
    folder_of(family).write(folder, MODEL, RUN)
    return folder


def check(folder: Path, **params: str) -> str:
    """Check a folder whose digest the run names as it is: what a forger would do."""
    digest = {} if "model_digest" in params else {"model_digest": folder_digest(folder)}
    return check_files(folder, CandidateModel(MODEL, RUN, folder.as_uri(), params | digest))


@pytest.mark.parametrize("family", list(families.FAMILIES))
def test_what_training_writes_is_admitted(tmp_path: Path, family: str) -> None:
    folder = made(tmp_path / "model", family)
    assert check(folder) == hashlib.sha256((folder / "model" / families.family(family).FILE).read_bytes()).hexdigest()


def _pickled(folder: Path) -> None:
    import cloudpickle

    (folder / "python_model.pkl").write_bytes(cloudpickle.dumps(print))


def _flavor(folder: Path, **changes: Any) -> None:
    text = yaml.safe_load((folder / "MLmodel").read_text())
    text["flavors"]["python_function"] |= changes
    (folder / "MLmodel").write_text(yaml.safe_dump(text, sort_keys=False, width=1000))


def _further_flavor(folder: Path) -> None:
    text = yaml.safe_load((folder / "MLmodel").read_text())
    text["flavors"]["sklearn"] = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    (folder / "MLmodel").write_text(yaml.safe_dump(text, sort_keys=False, width=1000))


def _changed_loader(folder: Path) -> None:
    (old,) = (folder / "code").glob("alpha_loop_loader_*.py")
    content = old.read_bytes() + b"\nimport os\n"
    name = f"alpha_loop_loader_{hashlib.sha256(content).hexdigest()[:8]}"
    old.unlink()
    (folder / "code" / f"{name}.py").write_bytes(content)
    _flavor(folder, loader_module=name)


def _of_another_family(folder: Path) -> None:
    (old,) = (folder / "code").glob("alpha_loop_lightgbm_*.py")
    content = families.standalone_module("xgboost").encode()
    old.unlink()
    (folder / "code" / f"alpha_loop_xgboost_{hashlib.sha256(content).hexdigest()[:8]}.py").write_bytes(content)


def _append(name: str, text: str) -> Callable[[Path], Any]:
    def spoil(folder: Path) -> None:
        with (folder / name).open("a") as stream:
            stream.write(text)

    return spoil


def _link(folder: Path) -> None:
    (folder / "requirements.txt").rename(folder.parent / "requirements.txt")
    (folder / "requirements.txt").symlink_to(folder.parent / "requirements.txt")


def _about(folder: Path, **changes: Any) -> None:
    about = json.loads((folder / "model" / "model.json").read_text()) | changes
    (folder / "model" / "model.json").write_text(json.dumps(about, indent=1))


FORGED: dict[str, Callable[[Path], Any]] = {
    "a pickle beside": _pickled,
    "a pickle in place of the model": lambda folder: (folder / "model/model.txt").rename(folder / "model/a.pkl"),
    "another loader": lambda folder: _flavor(folder, loader_module="mlflow.pyfunc.model"),
    "a cloudpickled python model": lambda folder: _flavor(folder, python_model="python_model.pkl"),
    "a further flavour": _further_flavor,
    "another code path": lambda folder: _flavor(folder, code="../elsewhere"),
    "a key more": _append("MLmodel", "model_code_path: evil.py\n"),
    "a key twice": _append("MLmodel", f"model_id: {MODEL}\n"),
    "a loader of someone's own": _changed_loader,
    "functions of another family": _of_another_family,
    "a requirement more": _append("requirements.txt", "evil==1.0\n"),
    "a requirement from elsewhere": _append("requirements.txt", "--index-url http://evil\n"),
    "another environment": _append("python_env.yaml", "build_dependencies: [evil]\n"),
    "a hidden file": lambda folder: (folder / ".hidden").write_text("x"),
    "a name in capitals": lambda folder: (folder / "mlmodel").write_text("x"),
    "a folder more": lambda folder: (folder / "model" / "deep" / "deeper").mkdir(parents=True),
    "a module that hides another": lambda folder: (folder / "code" / "numpy.py").write_text("print('mine')"),
    "a link": _link,
    "another file named": lambda folder: _about(folder, file="../MLmodel"),
    "other features": lambda folder: _about(folder, features=["close"]),
    "a family unknown": lambda folder: _about(folder, family="evil"),
    "a broken description": lambda folder: (folder / "model" / "model.json").write_text("[" * 100_000),
    "a note that is none of MLflow's": lambda folder: (folder / "registered_model_meta").write_text("!!python/name:os"),
    "a note with more in it": lambda folder: (folder / "registered_model_meta").write_text("{model_name: a, evil: b}"),
}  # fmt: skip


@pytest.mark.parametrize("spoil", FORGED.values(), ids=list(FORGED))
def test_a_folder_that_training_did_not_write_is_refused_although_its_digest_fits(
    tmp_path: Path, spoil: Callable[[Path], Any]
) -> None:
    folder = made(tmp_path / "model")
    spoil(folder)
    with pytest.raises(GateRefusal, match="not what training writes"):
        check(folder)


def test_the_folder_itself_is_no_link(tmp_path: Path) -> None:
    made(tmp_path / "elsewhere")
    (tmp_path / "model").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(GateRefusal, match="is a link"):
        check(tmp_path / "model")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in the file system")
def test_a_pipe_in_place_of_a_file_is_refused_unread(tmp_path: Path) -> None:
    folder = made(tmp_path / "model")
    digest = folder_digest(folder)
    (folder / "requirements.txt").unlink()
    os.mkfifo(folder / "requirements.txt")
    with pytest.raises(GateRefusal, match="not a plain file"):
        check(folder, model_digest=digest)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    folder = made(tmp_path / "model")
    with (folder / "MLmodel").open("r+b") as stream:
        stream.truncate(model_files.LARGEST_TEXT + 1)
    with pytest.raises(GateRefusal, match="too large"):
        check(folder, model_digest="0")


def test_what_mlflow_notes_when_it_loads_a_model_may_stand(tmp_path: Path) -> None:
    folder = made(tmp_path / "model")
    (folder / "registered_model_meta").write_text("model_name: crypto.BTC-USD\nmodel_version: '1'\n")
    check(folder)


def test_another_runs_folder_or_another_native_file_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "model")
    candidate = CandidateModel(MODEL, "c" * 32, folder.as_uri(), {"model_digest": folder_digest(folder)})
    with pytest.raises(GateRefusal, match="names another run or model"):
        check_files(folder, candidate)
    with pytest.raises(GateRefusal, match="not the file that the run names"):
        check(folder, model_sha256="0" * 64)


def test_the_list_of_released_code_is_in_step() -> None:
    loader = released_code.current_loader()
    assert loader in released_code.LOADERS, f'add to LOADERS in src/tracking/released_code.py: "{loader}": True,'
    for family in ("catboost", "hist_gradient_boosting", "lightgbm", "xgboost"):
        digest = released_code.current_functions(family)
        line = f'add to FUNCTIONS["{family}"] in src/tracking/released_code.py: "{digest}",'
        assert digest in released_code.FUNCTIONS[family], line


# the registry ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with pytest.MonkeyPatch.context() as patch:
        project = case(tmp_path_factory.mktemp("files"), patch)
        project.add("crypto", "BTC-USD")
        project.ids = project.project()  # type: ignore[attr-defined]
        yield project


def test_a_run_forged_whole_with_a_pickled_model_is_not_registered(base: Case, tmp_path: Path) -> None:
    client = base.client()
    experiment = client.get_experiment_by_name("alpha-loop/demo").experiment_id
    run = client.create_run(experiment).info.run_id
    model = client.create_logged_model(experiment, "forged", run)
    folder = local(model.artifact_location)
    marker = tmp_path / "ran"
    code = f"""
import pathlib, sys, mlflow
class Evil(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        pathlib.Path({str(marker)!r}).write_text("ran")
    def predict(self, context, model_input, params=None):
        return [1.0]
mlflow.pyfunc.save_model(sys.argv[1], python_model=Evil(), pip_requirements=["mlflow"])
"""
    warm_case.run(["-c", code, str(folder)], ROOT, cwd=tmp_path).check_returncode()
    params = {"model_id": model.model_id, "model_digest": folder_digest(folder), "registered_name": "crypto.BTC-USD"}
    client.log_batch(run, [Metric(key, value, 0, 0) for key, value in GOOD.items()])
    client.log_batch(run, params=[Param(key, value) for key, value in params.items()])
    client.finalize_logged_model(model.model_id, "READY")
    client.set_terminated(run)
    with pytest.raises(MlflowException, match="not what training writes"):
        client.create_model_version("crypto.BTC-USD", f"models:/{model.model_id}", run)
    assert not marker.exists()


def test_a_forged_run_with_a_folder_in_our_format_needs_a_record(base: Case) -> None:
    client = base.client()
    run, model = fresh_run(base, GOOD, recorded=False)
    with pytest.raises(MlflowException, match="does not clear: training stored no such run"):
        client.create_model_version("stock.HAND", f"models:/{model}", run)
    other = client.get_run(run_of(base, "BTC-USD")).data.tags["alpha.record_id"]
    better = {**GOOD, "sharpe": 3.0}
    run, model = fresh_run(base, better, tags={"alpha.record_id": other})
    with pytest.raises(MlflowException, match="sharpe 3 is not the 0.9 that training stored"):
        client.create_model_version("stock.HAND", f"models:/{model}", run)
    run, model = fresh_run(base, GOOD)
    client.create_registered_model("my-own")
    assert client.create_model_version("my-own", f"models:/{model}", run).run_id == run


def test_a_model_whose_record_is_gone_is_not_loaded(base: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    client = base.client()
    version = client.search_model_versions(f"run_id = '{run_of(base, 'BTC-USD')}'")[0]
    uri = f"models:/{version.name}/{version.version}"
    assert mlflow.pyfunc.load_model(uri) is not None
    tag = client.get_run(version.run_id).data.tags["alpha.record_id"]
    client.set_tag(version.run_id, "alpha.record_id", "0" * 24 + ".0")
    with pytest.raises(MlflowException, match="training stored no such run"):
        mlflow.pyfunc.load_model(uri)
    client.set_tag(version.run_id, "alpha.record_id", tag)
    kept, gone = base.root / "data", base.root / "gone"
    kept.rename(gone)  # a machine that does not have the folder: the rules of the database decide alone
    assert mlflow.pyfunc.load_model(uri) is not None
    gone.rename(kept)
    assert model_of(base, "BTC-USD")


def test_checking_a_folder_imports_no_library_of_a_family() -> None:
    code = (
        "import sys, src.tracking.model_files; print([each for each in ('lightgbm', 'polars') if each in sys.modules])"
    )
    done = process_case.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
