"""A corrected rule changes the keys that depend on it, and no others."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from src.core import code_hash
from src.core.project import ROOT
from src.training import code_keys


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
            "model.params, seed",
            "model.params, seed + 1",
            {"lightgbm", "xgboost", "relative"},
        ),
        ("evaluation.label_kinds.relative", "_panel_at", "fill_null(np.nan)", "fill_null(0.0)", {"relative"}),
        ("evaluation.strategy", "turnovers", "prepend=0.0", "prepend=1.0", {"returns", "grade"}),
        ("evaluation.significance", "p_value", "math.sqrt(2.0)", "math.sqrt(3.0)", {"grade"}),
        ("evaluation.shift_test", "common_shifts", "365.25", "365.0", {"grade"}),
        (
            "evaluation.strategy",
            "turnovers",
            "    change: FloatArray =",
            "    # a comment\n    change: FloatArray =",
            set(),
        ),
    ],
)
def test_an_edit_changes_what_depends_on_it(module, function, old, new, changed, edited):
    before = hashes()
    edited(module, function, old, new)
    after = hashes()
    assert {name for name in after if after[name] != before[name]} == changed
