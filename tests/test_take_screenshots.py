"""The script that takes the pictures of docs/ says what it lacks; tests/soak/test_take_screenshots.py takes one."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from src.core.project import ROOT
from tests.process_case import run

SCRIPT = [sys.executable, str(ROOT / "scripts" / "take_screenshots.py")]


def test_without_a_browser_the_script_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    done: Any = run(SCRIPT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "no Chromium is installed" in done.stderr) == (1, True)
