"""The verb that refreshes a pinned list: from a dataset's bars, or from providers on loopback."""

import pytest

from src.config.compose import compose
from src.config.schema import LiveSource
from src.core.errors import ConfigError
from src.enlist import enlist
from src.hydration import files
from src.hydration.job import HydrationJob
from src.listings import pinned
from tests.loopback.process import running
from tests.market_case import config, series, write
from tests.process_case import HANG


def test_a_universe_without_limits_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="universe=mine must have a limit for each class"):
        enlist(config(tmp_path), {})


def test_from_a_dataset_the_list_is_written_in_place_and_the_change_is_said(tmp_path):
    rows = [series("LOW", volume=1e3), series("HIGH", volume=1e7), series("MID", volume=1e5)]
    write(rows[0].vstack(rows[1]).vstack(rows[2]), tmp_path / "source" / "bars.parquet")
    limits = {"universe__stock": 2, "universe__etf": 0, "universe__crypto": 0}
    chosen = config(tmp_path, universe__pinned=str(tmp_path / "list.csv"), **limits)
    files.run(HydrationJob.of(config(tmp_path)))
    line = enlist(chosen, {"dataset": "mine"})
    assert (
        line.startswith("enlist: ") and "2 stocks, 0 ETFs, 0 coins; median daily dollar volume in dataset mine" in line
    )
    assert pinned.read(chosen.universe.pinned).rows["symbol"].to_list() == ["HIGH", "MID"]
    assert "0 came and 0 went" in enlist(chosen, {"dataset": "mine"})
    with pytest.raises(ConfigError, match="holds no bars: hydrate it first"):
        enlist(chosen, {"dataset": "none"})


def test_from_real_clients_on_loopback(tmp_path):
    with running("--symbols", "120", "--seed", "5") as world:
        chosen = compose(["universe=quick", "source=auto", "universe.stock=20", "universe.etf=5", "universe.crypto=2"])
        chosen.universe.pinned, chosen.data.root = str(tmp_path / "list.csv"), str(tmp_path / "data")
        live: LiveSource = chosen.source.live
        live.proxy, live.ca_file, live.timeout = world.proxy, world.ca_file, HANG
        live.rates = live.ceilings = dict.fromkeys(["yahoo", "coinbaseexchange"], 200.0)
        line = enlist(chosen, {})
    made = pinned.read(chosen.universe.pinned)
    assert "20 stocks, 5 ETFs, 2 coins; stocks and ETFs by price times mean volume" in line
    for kind, count in (("stock", 20), ("etf", 5), ("crypto", 2)):
        dollars = made.rows.filter(asset_class=kind)["dollar_volume"]
        assert dollars.len() == count and dollars.to_list() == sorted(dollars, reverse=True) and dollars.min() > 0
    assert "biased upward" in made.origin
