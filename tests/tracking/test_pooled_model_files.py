"""A pooled model's folder is file for file what training writes, also for who could forge its digest."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from src.models import pooled_file
from src.tracking import pooled_code
from src.tracking.model_files import check_files, folder_digest
from src.tracking.registry_gate import CandidateModel, GateRefusal
from tests.tracking.pooled_case import COLUMNS, member, packed
from tests.tracking.test_pooled_loader import MODEL, RUN, written


def check(folder: Path, **params: str) -> str:
    """Check a folder whose digest the run names as it is: what a forger would do."""
    digest = {"model_digest": folder_digest(folder)}
    return check_files(folder, CandidateModel(MODEL, RUN, folder.as_uri(), params | digest))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path / "model", ("lightgbm", "ridge"))
    (tmp_path / "model" / "pooled.zip").unlink()  # of the case: the folder has its own
    return tmp_path / "model"


def test_what_training_writes_is_admitted(folder: Path) -> None:
    sha256 = hashlib.sha256(packed(("lightgbm", "ridge"))).hexdigest()
    assert check(folder) == sha256
    assert check(folder, model_sha256=sha256) == sha256
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line.partition("==")[0] for line in lines] == ["lightgbm", "scikit-learn", "mlflow", "numpy", "pandas"]
    with pytest.raises(GateRefusal, match=r"pooled\.zip is not the file that the run names"):
        check(folder, model_sha256="0" * 64)


def _added_code(folder: Path) -> None:
    (folder / "code" / "alpha_loop_more_00000000.py").write_text("import os\n", encoding="utf-8")


def _replaced(folder: Path, what: str, content: bytes) -> None:
    (old,) = (folder / "code").glob(f"alpha_loop_{what}_*.py")
    old.unlink()
    (folder / "code" / f"alpha_loop_{what}_{hashlib.sha256(content).hexdigest()[:8]}.py").write_bytes(content)


def _changed_loader(folder: Path) -> None:
    _replaced(folder, "pooled_loader", pooled_code.loader() + b"\nimport os\n")


def _changed_ranks(folder: Path) -> None:
    _replaced(folder, "day_ranks", pooled_code.ranks() + b"\nimport os\n")


def _functions_of_another_family(folder: Path) -> None:
    _replaced(folder, "pooled_ridge", pooled_code.functions("lightgbm"))


def _repacked(folder: Path, content: bytes) -> None:
    """Another zip, and a model.json that says so."""
    (folder / "model" / "pooled.zip").write_bytes(content)
    _described(folder, sha256=hashlib.sha256(content).hexdigest())


def _described(folder: Path, **changes: object) -> None:
    path = folder / "model" / "model.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    path.write_bytes(json.dumps(about | changes, indent=1).encode())


def _further_member(folder: Path) -> None:
    meta = pooled_file.unpack(packed(("lightgbm", "ridge")))[1]
    members = {"lightgbm": member("lightgbm"), "ridge": member("ridge"), "catboost": b"pickle"}
    _repacked(folder, pooled_file.pack(members, meta))


def _no_zip_of_the_project(folder: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("about.json", "{}")
        archive.writestr("model.pkl", b"pickle")
    _repacked(folder, stream.getvalue())


def _other_columns(folder: Path) -> None:
    _described(folder, features=[*COLUMNS[::-1]])


def _seed_in_words(folder: Path) -> None:
    _described(folder, seed="seven")


def _further_package(folder: Path) -> None:
    with (folder / "requirements.txt").open("a", encoding="utf-8", newline="\n") as stream:
        stream.write("evil==1.0\n")


FAULTS = (
    _added_code, _changed_loader, _changed_ranks, _functions_of_another_family, _further_member,
    _no_zip_of_the_project, _other_columns, _seed_in_words, _further_package,
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_folder_that_differs_is_refused_whatever_its_digest(folder: Path, fault: Callable[[Path], None]) -> None:
    fault(folder)
    with pytest.raises(GateRefusal, match="not those that run b+ was graded with, or not what training writes"):
        check(folder)
