"""The README's live quick start, typed as it stands there: only the proxy's settings of the environment are changed."""

import os
import subprocess
import sys

import polars as pl
import pytest

from src.config import ROOT
from tests.loopback.process import running

pytestmark = pytest.mark.timeout(120)
NARROWED = (
    "universe.stock=2",
    "universe.etf=1",
    "universe.crypto=2",
)  # at the shipped pace of one request in 2 seconds


def test_quick_start_through_a_proxy_of_the_environment(tmp_path):
    with running("--symbols", "0", "--named", str(ROOT / "conf" / "universe" / "quick.csv"), seconds=110) as world:
        environment = {**os.environ, "HTTPS_PROXY": world.proxy, "SSL_CERT_FILE": world.ca_file, "DVC_STAGE": "test"}
        environment |= {"DVC_ROOT": str(tmp_path), "NO_PROXY": "", "no_proxy": ""}
        folders = [f"data.root='{tmp_path / 'data'}'", f"data.logs='{tmp_path / 'logs'}'"]
        command = [sys.executable, "-m", "src.hydrate", "universe=quick", "source=auto", *NARROWED, *folders]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, check=False, capture_output=True, encoding="utf-8", timeout=100
        )
        assert done.returncode == 0, done.stderr
        assert "hydrate: 5 instruments of quick from auto: 5 done" in done.stdout
        counts = world.ask("counts")["providers"]
        assert counts["yahoo"]["requests"] <= 3 + 4  # cookie and crumb beside the charts
        assert "www.nasdaqtrader.com" not in counts  # a pinned list needs no directory
    states = pl.read_parquet(tmp_path / "data" / "states" / "quick" / "hydrate.parquet")
    assert states["symbol"].to_list()[:2] == ["BTC-USD", "ETH-USD"] and set(states["state"]) == {"done"}
