"""A new model family is one file and its Hydra option: the real commands train, grade, register and load it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.core.project import ROOT
from src.models.registry import FAMILIES
from src.training import code_keys
from tests import process_case
from tests.pipeline_case import Project

TOY = Path(__file__).with_name("toy_logistic.py")
OPTION = """
defaults:
  - /schema/model/toy_logistic@_here_
  - _self_
family: toy_logistic
params:
  steps: 5
  penalty: 100.0
"""
TINY = (
    "universe.buckets=1",
    "source.simulated.stock=2",
    "source.simulated.etf=0",
    "source.simulated.crypto=0",
    "source.simulated.edge=0.2",
    "features.families=[momentum]",
    "engine.workers=1",
)
BOTH = ("model=all", "model.members=[toy_logistic,hist_gradient_boosting]")
ALONE = """
import importlib.util, json, sys, warnings
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder)]
warnings.simplefilter("ignore")
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pandas.DataFrame(json.loads(sys.argv[2]), columns=json.loads(sys.argv[3]))
print(json.dumps([model.predict(rows).tolist(), importlib.util.find_spec("src") is None]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the code with the toy added, after hydrate, featurize and train."""
    home = tmp_path_factory.mktemp("home")
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, home)
    shutil.copy(TOY, home / "src" / "models")
    (home / "conf" / "model" / "toy_logistic.yaml").write_text(OPTION, encoding="utf-8")
    made = Project(tmp_path_factory.mktemp("project"), home)
    made.must("hydrate", *TINY)
    made.must("featurize", *TINY)
    made.must("train", *TINY, *BOTH)
    return made


def test_its_runs_are_graded_beside_those_of_the_others(project: Project) -> None:
    grades = project.grades().sort("symbol", "family")
    assert grades.select("symbol", "family").rows() == [
        (symbol, family) for symbol in ("SIM01", "SIM02") for family in ("hist_gradient_boosting", "toy_logistic")
    ]
    assert grades["auc"].null_count() == 0
    assert grades.filter(pl.col("symbol") == "SIM01")["passed"].to_list() == [True, True], "the planted edge is seen"
    assert grades["mlflow_run_id"].null_count() == 0


def test_what_passes_is_registered_and_loads_without_this_project(project: Project) -> None:
    passed = project.grades().filter(pl.col("passed"))["record_id"].to_list()
    assert sorted(record for _, _, record in project.registered()) == sorted(passed)
    folders = [path.parent for path in sorted((project.root / "mlruns" / "artifacts").rglob("MLmodel"))]
    assert len(folders) == len(passed)
    for folder in folders:
        about = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))
        rows = np.random.default_rng(1).normal(size=(20, len(about["features"]))).astype(np.float32)
        rows[3] = np.nan
        content = json.dumps([[None if np.isnan(value) else float(value) for value in row] for row in rows])
        arguments = [sys.executable, "-c", ALONE, str(folder), content, json.dumps(about["features"])]
        done = process_case.run(arguments, cwd=project.root, capture_output=True, text=True, check=True)
        probability, alone = json.loads(done.stdout.splitlines()[-1])
        assert alone
        assert probability == by_family(project, about["family"], folder / "model" / about["file"], rows)


def by_family(project: Project, family: str, path: Path, rows: np.ndarray) -> list[float]:
    """What the family's module says in the project itself."""
    code = (
        "import json, sys, numpy; from pathlib import Path; from src.models.registry import family; "
        "found = family(sys.argv[1]); rows = numpy.array(json.loads(sys.argv[3]), dtype=numpy.float32); "
        "print(json.dumps(found.predict(found.from_bytes(Path(sys.argv[2]).read_bytes()), rows).tolist()))"
    )
    arguments = [sys.executable, "-c", code, family, str(path), json.dumps(rows.tolist())]
    done = process_case.run(arguments, cwd=project.code, capture_output=True, text=True, check=True)
    probability: list[float] = json.loads(done.stdout)
    return probability


def test_it_changes_no_key_of_the_other_families(project: Project) -> None:
    code = (
        "import json, sys; from src.models.registry import FAMILIES; from src.training.code_keys import fit_code; "
        "print(json.dumps({name: fit_code(name, 'outright') for name in FAMILIES}))"
    )
    done = process_case.run([sys.executable, "-c", code], cwd=project.code, capture_output=True, text=True, check=True)
    keys = json.loads(done.stdout)
    assert keys.keys() == {*FAMILIES, "toy_logistic"}
    assert {name: keys[name] for name in FAMILIES} == {name: code_keys.fit_code(name, "outright") for name in FAMILIES}


def test_a_setting_out_of_its_range_is_refused_as_any_other(project: Project) -> None:
    done = project.run("train", *TINY, "model=toy_logistic", "model.params.penalty=0")
    rule = "model.params.penalty must be above 0 and at most 1,000,000, got 0.0"
    assert done.returncode == 2
    assert f"{rule}: model.params.penalty=100.0 is the usual value\n" in done.stderr
