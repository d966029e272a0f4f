"""A misspelt verb is answered with the one that was meant, and a real ImportError stays one."""

from __future__ import annotations

import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from src.core.project import ROOT
from src.core.unknown_verb import answer, verbs
from tests.process_case import run


def python(*arguments: str, cwd: Path = ROOT) -> CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return run(command, cwd=cwd, check=False, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("src.trian", "train"), ("src.Train", "train"), ("src.stauts", "status"), ("src.hidrate", "hydrate"),
        ("src.features.__main__", "featurize"), ("src.tracking.__main__", "sync"), ("src.featurise", "featurize"),
        ("src.tracking.stoer", "sync"), ("src.reports", "report"), ("src.fetch", "hydrate"),
    ],
)  # fmt: skip
def test_the_nearest_verb_is_named(typed: str, meant: str) -> None:
    name = typed.removesuffix(".__main__")
    assert answer(typed) == f"there is no python -m {name}: did you mean python -m src.{meant}?"
    assert meant in verbs()


@pytest.mark.parametrize("typed", ["src.__main__", "src.xyzzy", "src.signals.__main__"])
def test_where_no_verb_is_near_all_are_named(typed: str) -> None:
    assert answer(typed).endswith(", ".join(verbs()))


def test_every_package_of_the_source_names_a_verb_or_all() -> None:
    packages = [path.parent.name for path in (ROOT / "src").glob("*/__init__.py")]
    assert len(packages) > 15
    assert all("python -m src." in answer(f"src.{name}.__main__") for name in packages)


@pytest.mark.parametrize(
    "arguments", [["-m", "src.trian", "universe=full"], ["-msrc.trian"], ["-X", "utf8", "-m", "src.trian"]]
)
def test_python_itself_gives_the_answer(arguments: list[str]) -> None:
    done = python(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip() == answer("src.trian")


def test_an_import_that_is_missing_inside_a_verb_is_still_named(tmp_path: Path) -> None:
    package = tmp_path / "src"
    (package / "core").mkdir(parents=True)
    for path in ("__init__.py", "core/__init__.py", "core/unknown_verb.py"):
        (package / path).write_bytes((ROOT / "src" / path).read_bytes())
    (package / "train.py").write_text("import src.trian\n", encoding="utf-8")
    done = python("-m", "src.train", cwd=tmp_path)
    assert "No module named 'src.trian'" in done.stderr and "did you mean" not in done.stderr
