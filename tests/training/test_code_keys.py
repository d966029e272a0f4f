"""A corrected rule changes the keys that depend on it, and no others."""

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from src.core import code_hash
from src.core.project import ROOT
from src.training import code_keys
from tests import process_case, warm_case


def hashes() -> dict[str, str]:
    for cached in (code_keys.fit_code, code_keys.returns_code, code_keys.grade_code):
        cached.cache_clear()
    code_hash.forget()
    return {
        "lightgbm": code_keys.fit_code("lightgbm", "outright"),
        "xgboost": code_keys.fit_code("xgboost", "outright"),
        "relative": code_keys.fit_code("lightgbm", "relative"),
        "returns": code_keys.returns_code(),
        "grade": code_keys.grade_code(),
    }


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, str, str, str], None]:
    """Replace one function of a module by what its file would say after an edit."""

    def edit(module: str, function: str, old: str, new: str) -> None:
        text = (ROOT / "src" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / f"{module}.py"
        path.write_text(text.replace(old, new), encoding="utf-8")
        real = importlib.import_module(f"src.{module}")
        spec = importlib.util.spec_from_file_location(f"src.{module}", path)
        assert spec is not None and spec.loader is not None
        copy: ModuleType = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, f"src.{module}", copy)
        spec.loader.exec_module(copy)
        monkeypatch.setitem(sys.modules, f"src.{module}", real)
        monkeypatch.setattr(real, function, getattr(copy, function))

    return edit


@pytest.mark.parametrize(
    ("module", "function", "old", "new", "changed"),
    [
        (
            "evaluation.labels",
            "_direction",
            "> tolerance",
            ">= tolerance",
            {"lightgbm", "xgboost", "relative", "returns"},
        ),
        (
            "evaluation.splits",
            "_boundaries",
            "edges <= dates[-1]",
            "edges < dates[-1]",
            {"lightgbm", "xgboost", "relative"},
        ),
        ("models.lightgbm", "_settings", '"deterministic": True', '"deterministic": False', {"lightgbm", "relative"}),
        (
            "training.expanding_window",
            "window_models",
            "rows, model.params, seed",
            "rows, model.params, seed + 1",
            {"lightgbm", "xgboost", "relative"},
        ),
        ("models.xgboost", "fit_windows", "< end", "<= end", {"xgboost"}),
        ("evaluation.label_kinds.portfolio", "_levels", "2 * again", "3 * again", {"relative"}),
        ("evaluation.labels", "hedged", "outright.bar_return - ", "outright.bar_return + ", {"relative"}),
        ("evaluation.strategy", "hedged_conditions", "own.cost + ", "own.cost - ", {"relative"}),
        (
            "evaluation.strategy",
            "turnovers",
            "+= np.abs(position[..., -1:])",
            "-= np.abs(position[..., -1:])",
            {"returns", "grade"},
        ),
        ("evaluation.significance", "upper_tail", "1.0 / null.shape[-1]", "2.0 / null.shape[-1]", {"grade"}),
        ("evaluation.shift_test", "common_shifts", "365.25", "365.0", {"grade"}),
        ("evaluation.suspicion", "collapses", "late < KEPT * excess", "late <= KEPT * excess", {"grade"}),
        (
            "evaluation.suspicion",
            "too_good",
            "area >= limits.suspicious_auc",
            "area > limits.suspicious_auc",
            {"grade"},
        ),
        (
            "evaluation.strategy",
            "turnovers",
            "    np.abs(change, out=change)",
            "    # a comment\n    np.abs(change, out=change)",
            set(),
        ),
    ],
)
def test_an_edit_changes_what_depends_on_it(module, function, old, new, changed, edited):
    before = hashes()
    edited(module, function, old, new)
    after = hashes()
    assert {name for name in after if after[name] != before[name]} == changed


KEYS = """
import json
from src.config.schema import FeaturesConfig
from src.features.catalog import code_hash
from src.features.selection import select
from src.models.registry import FAMILIES
from src.training.code_keys import fit_code, grade_code, returns_code

features = {f"feature {item.name}": code_hash(item) for item in select(FeaturesConfig())}
fits = {f"fit {name} {label}": fit_code(name, label) for name in FAMILIES for label in ("beta", "outright", "relative")}
print(json.dumps({**features, **fits, "returns": returns_code(), "grade": grade_code()}))
"""


def copied(to: Path) -> Path:
    """A copy of src/ in a folder of its own."""
    shutil.copytree(ROOT / "src", to / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return to


def keys_of(project: Path) -> dict[str, str]:
    """Keys of all features, fits and grades by the code in a folder, computed by a process that sees no other."""
    environment = {**os.environ, "PYTHONPATH": str(project)}
    ended = process_case.run(
        [sys.executable, "-c", KEYS], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, str] = json.loads(ended.stdout)
    return found


def rename_labels(project: Path) -> None:
    """Rename the module of the labels and a private function in it, with every reference."""
    labels = project / "src" / "evaluation" / "labels.py"
    text = labels.read_text(encoding="utf-8")
    assert "_direction(" in text
    labels.with_name("targets.py").write_text(re.sub(r"\b_direction\b", "_side_of", text), encoding="utf-8")
    labels.unlink()
    changed = 0
    for path in (project / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        renamed = text.replace("src.evaluation.labels", "src.evaluation.targets")
        if re.search(r"^from src\.evaluation import .*\blabels\b", text, flags=re.MULTILINE):
            renamed = re.sub(r"^(from src\.evaluation import .*)\blabels\b", r"\1targets", renamed, flags=re.MULTILINE)
            renamed = re.sub(r"\blabels\.(?=\w)", "targets.", renamed)
        path.write_text(renamed, encoding="utf-8")
        changed += renamed != text
    assert changed > 5


def test_a_mechanical_move_retrains_nothing(tmp_path: Path) -> None:
    here = json.loads(warm_case.run(["-c", KEYS], ROOT).stdout)
    moved = copied(tmp_path / "moved")
    rename_labels(moved)
    assert len(here) > 100
    assert keys_of(moved) == here
    targets = moved / "src" / "evaluation" / "targets.py"
    text = targets.read_text(encoding="utf-8")
    assert text.count("> tolerance") == 1
    targets.write_text(text.replace("> tolerance", ">= tolerance"), encoding="utf-8")
    corrected = keys_of(moved)
    changed = {name for name in here if corrected[name] != here[name]}
    assert changed == {name for name in here if name.startswith("fit ")} | {"returns"}
