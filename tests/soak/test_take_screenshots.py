"""The script that takes the pictures of docs/, on the smallest store there can be: with a server and a browser."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from src.core.project import ROOT
from tests.browser_case import needs_chromium
from tests.process_case import run
from tests.test_take_screenshots import SCRIPT
from tests.tracking.tracking_case import case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


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
