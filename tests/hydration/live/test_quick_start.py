"""The README's live quick start as printed there; only the proxy settings of the environment are added."""

import os
import sys
from pathlib import Path

import polars as pl

from src.core.project import ROOT
from tests import process_case
from tests.loopback.process import running

TYPED = ("universe=quick", "source=auto")
PINNED = ROOT / "conf" / "universe" / "quick.csv"


def quick_start(folder: Path, *narrowed: str, limit: float = process_case.HANG) -> tuple[str, dict, pl.DataFrame]:
    """Type it: the closing line, the providers' counts and the states. Only folders are named beside `narrowed`."""
    with running("--symbols", "0", "--named", str(PINNED)) as world:
        environment = {**os.environ, "HTTPS_PROXY": world.proxy, "SSL_CERT_FILE": world.ca_file, "DVC_STAGE": "test"}
        environment |= {"DVC_ROOT": str(folder), "NO_PROXY": "", "no_proxy": ""}
        folders = [f"data.root='{folder / 'data'}'", f"data.logs='{folder / 'logs'}'"]
        command = [sys.executable, "-m", "src.hydrate", *TYPED, *narrowed, *folders]
        done = process_case.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", limit=limit)
        assert done.returncode == 0, done.stderr
        counts = world.ask("counts")["providers"]
    states = pl.read_parquet(folder / "data" / "states" / "quick" / "hydrate.parquet")
    return next(line for line in done.stdout.splitlines() if line.startswith("hydrate:")), counts, states


def test_quick_start_through_a_proxy_of_the_environment(tmp_path):
    """Only a few of its instruments, because the default rate is one request in two seconds."""
    narrowed = ("universe.stock=2", "universe.etf=1", "universe.crypto=2")
    said, counts, states = quick_start(tmp_path, *narrowed)
    assert "hydrate: 5 instruments of quick from auto: 5 done" in said
    assert counts["yahoo"]["requests"] <= 3 + 4  # cookie and crumb beside the charts
    assert "www.nasdaqtrader.com" not in counts  # a pinned list needs no directory
    assert states["symbol"].to_list()[:2] == ["BTC-USD", "ETH-USD"] and set(states["state"]) == {"done"}
