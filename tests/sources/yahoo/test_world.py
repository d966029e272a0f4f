"""Yahoo against the loopback world and its faults: every good series as served, every bad one in its own words."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from src.config.schema import LiveSource
from src.fetching.provider import Answer, BarRequest, ProviderError, Unavailable
from src.sources.yahoo import source as source_module
from tests.loopback.faults import Faults, plans
from tests.loopback.oracle import PRICES, expected
from tests.loopback.process import running
from tests.loopback.world import World
from tests.sources.yahoo_case import Notes

SEED, SYMBOLS, SHARE, TRIES = 11, 90, 0.8, 5
PATIENCE = 3.0  # seconds until an answer that never comes is given up; a late one is asked for again, five times
START = dt.date(2016, 1, 1)
STATES = {"unknown": "unknown", "unfit": "unfit", "malformed": "failed", "unavailable": "failed"}


@pytest.fixture(scope="module")
def loopback():
    size = ["--seed", str(SEED), "--symbols", str(SYMBOLS), "--faults", str(SHARE)]
    with running(*size, "--retry-after", "0") as world:
        yield world


@pytest.fixture(scope="module")
def world(loopback):
    return World(SEED, SYMBOLS, dt.datetime.fromisoformat(loopback.now))


@pytest.fixture(scope="module")
def source(loopback, yahoo_caches):
    settings = LiveSource(proxy=loopback.proxy, ca_file=loopback.ca_file, timeout=PATIENCE)
    found = source_module.connect("yahoo", settings, Notes())
    yield found
    found.close()


def insisted(source: source_module.Yahoo, wanted: BarRequest) -> Answer | ProviderError:
    """The answer, or the last of several errors."""
    for _ in range(TRIES):
        try:
            return source.fetch(wanted)
        except ProviderError as error:
            last = error
    return last


def test_every_series_is_fetched_as_served_and_every_fault_has_its_own_error(world, source):
    faults = Faults(world, SHARE)
    asked = {
        each: BarRequest(each.asset_class, each.symbol, START, name=each.yahoo) for each in world.instruments.values()
    }
    with ThreadPoolExecutor(6) as pool:
        found = dict(zip(asked, pool.map(lambda wanted: insisted(source, wanted), asked.values()), strict=True))
    seen = set()
    for instrument, got in found.items():
        known = expected(world, faults, instrument, START)
        seen.add(known.fault or known.state)
        if known.state != "fetched":
            assert isinstance(got, ProviderError), (instrument, known.fault)
            assert STATES[got.kind] == known.state, (instrument, known.fault, got)
            continue
        assert isinstance(got, Answer), (instrument, known.fault, got)
        bars = got.bars.filter(got.bars["date"] != (world.running(instrument.asset_class) or dt.date.max))
        assert np.array_equal(bars["date"].to_numpy(), known.days), (instrument, known.fault)
        assert np.array_equal(bars.select(PRICES).fill_null(np.nan).to_numpy(), known.values, equal_nan=True), (
            instrument
        )
        events = [(each.day.astype(object), each.kind, each.value) for each in known.events]
        assert sorted(got.events.select("date", "kind", "value").rows()) == sorted(events)
    assert len(seen) > 20, seen


@pytest.mark.parametrize("asset_class", ["stock", "etf", "crypto"])
def test_hours_are_stored_as_served(world, source, asset_class):
    spoilt = plans(world, SHARE)
    sound = next(e for e in world.instruments.values() if e.asset_class == asset_class and e.yahoo not in spoilt)
    got = source.fetch(BarRequest(asset_class, sound.symbol, START, "1h", sound.yahoo))
    times, rows = world.hourly(sound)
    kept = times >= got.bars["date"].dt.epoch("s")[0]
    assert len(got.bars) == kept.sum() > 1000
    assert got.bars["date"].dt.epoch("s").to_list() == times[kept].tolist()
    assert np.array_equal(got.bars.select(PRICES[:4]).to_numpy().T, rows[:4, kept])
    assert "hourly bars of the last 730 days" in got.facts["start"]


def test_a_chain_and_the_most_traded_come_from_the_same_world(world, source):
    first = max((e for e in world.instruments.values() if e.kind == "common"), key=lambda e: e.symbol)
    chain = source.chain(first.symbol, 4)
    assert chain.contracts["expiry"].n_unique() == 4
    assert chain.contracts["contract"].n_unique() == len(chain.contracts) > 100
    assert chain.price == pytest.approx(world.series(first).close[-1])
    for kind in ("stock", "etf"):
        found = source.most_traded(kind, 5)
        assert len(found) == 5
        assert found["dollar_volume"].is_sorted(descending=True)


def test_an_unreachable_world_is_unavailable(source, loopback):
    away = source_module.connect(
        "yahoo", LiveSource(proxy="http://127.0.0.1:9", ca_file=loopback.ca_file, timeout=PATIENCE), Notes()
    )
    with pytest.raises(Unavailable, match="can't be reached"):
        away.fetch(BarRequest("stock", "AAPL", START))
