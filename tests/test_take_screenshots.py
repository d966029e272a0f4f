"""The script that takes the pictures of docs/, on the smallest store there can be."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from src.core.project import ROOT
from tests.browser_case import needs_chromium
from tests.process_case import run
from tests.tracking.tracking_case import case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
SCRIPT = [sys.executable, str(ROOT / "scripts" / "take_screenshots.py")]


@needs_chromium
def test_the_script_takes_a_picture_of_the_runs_and_ends_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = case(tmp_path, monkeypatch)
    made.add("crypto", "BTC-USD")
    made.project()
    out = tmp_path / "pictures"
    words = ["--checkout", str(tmp_path), "--out", str(out), "--only", "mlflow-runs", "--look", "light"]
    done = run([*SCRIPT, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [path.name for path in out.iterdir()] == ["mlflow-runs.png"]
    picture = (out / "mlflow-runs.png").read_bytes()
    assert struct.unpack(">II", picture[16:24]) == (1400, 900)
    assert 10_000 < len(picture) < 250 * 1024  # an empty page has less


def test_without_a_browser_the_script_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    done: Any = run(SCRIPT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "no Chromium is installed" in done.stderr) == (1, True)
