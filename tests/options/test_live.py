"""The verb against the loopback world: the real yfinance client, nothing changed but where its requests go."""

import datetime as dt
import sys

import polars as pl
import pytest

from src.chains.store import contracts
from src.quote import quote
from src.runtime import command
from tests.loopback.process import running
from tests.loopback.world import World

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*inplace:Warning"),  # of pandas, about yfinance's own code
]


def test_chains_of_the_world_are_stored_as_served_and_asked_for_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "quote")
    with running("--symbols", "60") as loopback:
        world = World(7, 60, dt.datetime.fromisoformat(loopback.now))
        names = [each.yahoo for each in world.instruments.values() if each.asset_class in ("stock", "etf")][:4]
        arguments = [
            "universe=full",
            "source=yahoo",
            f"only={names}",
            *loopback.overrides(),
            "source.live.rates.yahoo=500",
            "source.live.ceilings.yahoo=500",
            f"data.root='{(tmp_path / 'data').as_posix()}'",
            f"data.logs='{(tmp_path / 'logs').as_posix()}'",
        ]
        monkeypatch.setattr(sys, "argv", ["src/quote.py", *arguments])
        assert command.run_verb("quote", quote) == 0
        assert "quote: 4 snapshots of 4 underlyings of full from yahoo: 4,264 contracts" in capsys.readouterr().out
    assert command.run_verb("quote", quote) == 0, "nothing is due, so no provider is asked: the world is gone"
    assert "nothing new of full from yahoo; 4 snapshots taken before" in capsys.readouterr().out
    found = contracts(tmp_path / "data" / "options" / "full")
    assert set(found["underlying"]) == set(names)
    counts = found.group_by("underlying", "expiry").len()["len"]
    assert set(counts) == {82} and found["expiry"].n_unique() == 13
    near = found.filter("clean", pl.col("moneyness").is_between(0.95, 1.05), pl.col("forward_from") == "parity")
    assert near.height > 200 and (near["iv"] - near["iv_provider"]).abs().median() < 0.02
