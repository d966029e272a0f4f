"""A live hydration as a whole, with a provider that lives in this process; the real clients are elsewhere."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from src.config.schema import LiveSource
from src.core.errors import ConfigError, StageError
from src.fetching.network_watch import NetworkWatch
from src.fetching.provider import Unavailable, Unfit, Unreachable
from src.hydrate import hydrate
from src.hydration.live import collection, providers, selection
from src.hydration.live.raw_store import RawStore
from src.market.bars import BarStore
from tests.hydration.live.collect_case import LAST, NAMES, Market, N, Provider, bars, files, listed, live, states
from tests.market_case import series, write


def test_what_is_served_is_published_and_the_last_line_counts(tmp_path, market):
    listed(market)
    line = hydrate(live(tmp_path, *NAMES))
    assert "4 instruments of mine from auto: 4 done" in line and "4 of 4 have the last complete session" in line
    assert bars(tmp_path, "AAA").height == N
    assert BarStore(tmp_path / "data" / "bars" / "mine").manifest.complete


def test_a_second_run_asks_for_nothing_and_changes_no_file(tmp_path, market):
    listed(market)
    hydrate(live(tmp_path, *NAMES))
    before, asked = files(tmp_path), len(market.asked)
    hydrate(live(tmp_path, *NAMES))
    assert len(market.asked) == asked and files(tmp_path) == before


def test_thanksgiving_costs_no_request_for_stocks_and_one_for_each_coin(tmp_path, market, monkeypatch):
    listed(market)
    asked = {}
    for now in ("2025-11-26T22:00", "2025-11-27T23:00", "2025-11-28T14:00", "2025-11-28T19:00"):
        moment = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC)
        clock = SimpleNamespace(now=lambda _zone, moment=moment: moment)
        monkeypatch.setattr(collection, "dt", SimpleNamespace(datetime=clock, UTC=dt.UTC))
        market.asked.clear()
        line = hydrate(live(tmp_path, *NAMES))
        asked[now] = set(market.counts())
        assert "4 of 4 have the last complete session" in line
    everything, coin = {"AAA", "BBB", "SPY", "BTC-USD"}, {"BTC-USD"}
    assert list(asked.values()) == [everything, coin, coin, {"AAA", "BBB", "SPY"}]


def test_a_coin_that_the_first_exchange_does_not_list_is_asked_of_the_next(tmp_path, market):
    market.list("BTC-USD", "crypto", provider="kraken")
    hydrate(live(tmp_path, "crypto:BTC-USD"))
    assert [name for name, _, _ in market.asked] == [
        "coinbaseexchange",
        "coinbaseexchange",
        "kraken",
    ]  # twice to be sure
    market.asked.clear()
    hydrate(live(tmp_path, "crypto:BTC-USD", retry="all"))
    assert [name for name, _, _ in market.asked] == ["kraken"]


def test_each_kind_of_failure_has_its_state_and_its_words(tmp_path, market):
    listed(market)
    market.errors = {"DOWN": Unavailable("status 503"), "PENCE": Unfit("PENCE is quoted in GBp, not in USD")}
    line = hydrate(live(tmp_path, *NAMES, "stock:DOWN", "stock:PENCE", "stock:GONE"))
    found = states(tmp_path)
    assert found["DOWN"] == ("failed", "yahoo: status 503") and "GBp" in found["PENCE"][1]
    assert found["PENCE"][0] == "quarantined" and found["GONE"][0] == "skipped"
    assert "No data found, symbol may be delisted" in found["GONE"][1]
    assert "4 done (0 repaired), 1 failed, 1 quarantined, 1 skipped" in line


def test_what_failed_is_left_alone_until_its_time_unless_retry_says_so(tmp_path, market):
    listed(market)
    market.errors = {"AAA": Unavailable("status 503")}
    hydrate(live(tmp_path, *NAMES))
    market.errors = {}
    market.asked.clear()
    hydrate(live(tmp_path, *NAMES))
    assert not market.asked and states(tmp_path)["AAA"][0] == "failed"
    hydrate(live(tmp_path, *NAMES, retry="failed"))
    assert market.counts() == {"AAA": 1} and states(tmp_path)["AAA"] == ("done", "")


def test_bars_of_a_name_that_is_no_longer_served_stay_and_say_so(tmp_path, market):
    listed(market)
    hydrate(live(tmp_path, *NAMES))
    del market.bars["yahoo", "AAA"]
    hydrate(live(tmp_path, *NAMES, retry="all"))
    state, reason = states(tmp_path)["AAA"]
    assert state == "done" and f"no longer served, bars end {LAST}" in reason and bars(tmp_path, "AAA").height == N


def test_a_split_is_fetched_whole_and_ends_as_from_scratch(tmp_path, market):
    listed(market)
    whole = market.bars["yahoo", "AAA"]
    market.bars["yahoo", "AAA"] = whole.head(N - 3)
    hydrate(live(tmp_path / "a", *NAMES))
    market.asked.clear()
    market.bars["yahoo", "AAA"] = whole.with_columns(pl.col("open", "high", "low", "close") / 4, pl.col("volume") * 4)
    market.events = {"AAA": [(whole["date"][N - 2], "split", 4.0)]}
    hydrate(live(tmp_path / "a", *NAMES, retry="all"))
    starts = [start for _, symbol, start in market.asked if symbol == "AAA"]
    assert len(starts) == 2 and starts[1] == dt.date(2010, 1, 1)
    hydrate(live(tmp_path / "b", *NAMES))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert set(bars(tmp_path / "a", "AAA")["split"].unique()) == {1.0, 4.0}


def test_what_was_corrected_long_ago_is_found_by_asking_for_the_whole(tmp_path, market):
    listed(market)
    hydrate(live(tmp_path / "a", *NAMES))
    whole = market.bars["yahoo", "AAA"]
    market.bars["yahoo", "AAA"] = whole.with_columns(
        close=pl.when(pl.col("date") == whole["date"][5]).then(pl.col("low")).otherwise("close")
    )
    before = files(tmp_path / "a")
    hydrate(live(tmp_path / "a", *NAMES, retry="all"))
    assert files(tmp_path / "a") == before
    hydrate(live(tmp_path / "a", *NAMES, retry="whole"))
    hydrate(live(tmp_path / "b", *NAMES))
    assert files(tmp_path / "a") == files(tmp_path / "b") != before


def test_a_dividend_is_merged_without_fetching_all_and_ends_as_from_scratch(tmp_path, market):
    listed(market)
    whole = market.bars["yahoo", "AAA"]
    market.bars["yahoo", "AAA"] = whole.head(N - 3)
    hydrate(live(tmp_path / "a", *NAMES))
    market.asked.clear()
    market.bars["yahoo", "AAA"] = whole
    market.events = {"AAA": [(whole["date"][N - 2], "dividend", 0.5)]}
    hydrate(live(tmp_path / "a", *NAMES, retry="all"))
    assert market.counts()["AAA"] == 1
    hydrate(live(tmp_path / "b", *NAMES))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    factor = bars(tmp_path / "a", "AAA")["factor"]
    assert factor[N - 3] == 1.0 and factor[N - 2] == pytest.approx(
        whole["close"][N - 3] / (whole["close"][N - 3] - 0.5)
    )


def test_only_asks_for_the_named_and_leaves_the_others_published(tmp_path, market):
    listed(market)
    hydrate(live(tmp_path, *NAMES))
    market.asked.clear()
    hydrate(live(tmp_path, *NAMES, only=["BBB"]))
    assert market.counts() == {"BBB": 1} and len(states(tmp_path)) == 4
    with pytest.raises(ConfigError, match="there is no CCC"):
        hydrate(live(tmp_path, *NAMES, only=["CCC"]))


def test_an_interruption_loses_nothing_that_was_answered(tmp_path, market, monkeypatch):
    listed(market)
    kept = RawStore.append
    monkeypatch.setattr(RawStore, "append", lambda self, *a, **k: (kept(self, *a, **k), _interrupt(market))[0])
    with pytest.raises(KeyboardInterrupt):
        hydrate(live(tmp_path, *NAMES))
    monkeypatch.setattr(RawStore, "append", kept)
    hydrate(live(tmp_path, *NAMES))
    hydrate(live(tmp_path / "b", *NAMES))
    assert files(tmp_path) == files(tmp_path / "b")
    assert max(market.counts().values()) <= 3  # once in each of three runs: the answered one not again in the second


def _interrupt(market: Market) -> None:
    if len(market.asked) >= 2:
        raise KeyboardInterrupt


def test_a_provider_that_never_answers_ends_the_run_with_a_message_and_blames_no_instrument(tmp_path, market):
    market.errors = dict.fromkeys(("AAA", "BBB", "CCC", "DDD"), Unavailable("can't be reached"))
    config = live(tmp_path, *(f"stock:{name}" for name in market.errors))
    config.source.live.patience_hours = 1e-5
    with pytest.raises(StageError, match=r"(never reached|no good answer in).*What came is saved"):
        hydrate(config)
    assert states(tmp_path) == {}


def test_an_unreached_provider_blames_no_instrument_and_the_same_command_asks_it_again(tmp_path, market):
    listed(market)
    market.errors = dict.fromkeys(("AAA", "BBB", "SPY"), Unavailable("can't be reached"))
    config = live(tmp_path, *NAMES)
    with pytest.raises(StageError, match=r"yahoo was never reached, 3 instruments wait .*HTTPS_PROXY.*same command"):
        hydrate(config)
    assert {symbol: state for symbol, (state, _) in states(tmp_path).items()} == {"BTC-USD": "done"}
    market.errors = {}
    assert "4 done" in hydrate(config)


def without_a_network(host: str = "query1.finance.yahoo.com") -> Unreachable:
    return Unreachable(f"{host} can't be reached: Could not resolve host", "name", host)


def test_without_a_network_the_run_ends_soon_names_the_doctor_and_blames_no_instrument(tmp_path, market, monkeypatch):
    listed(market)
    hydrate(live(tmp_path, *NAMES[:2]))
    before, held = bars(tmp_path, "AAA"), states(tmp_path)
    market.errors = dict.fromkeys(("AAA", "BBB", "SPY", "BTC-USD"), without_a_network())
    config = live(tmp_path, *NAMES, retry="all")
    config.source.live.pause = 3600.0  # which nothing waits for
    ticking = itertools.count(0.0, 5.0)
    monkeypatch.setattr(providers, "NetworkWatch", lambda: NetworkWatch(lambda: next(ticking)))
    with pytest.raises(StageError) as caught:
        hydrate(config)
    words = str(caught.value)
    assert words.startswith("the network is absent, or closed to this machine: no host has answered (query1.finance.")
    assert "`python -m src.doctor source=auto`" in words.splitlines()[-1] and "What came is saved" in words
    assert bars(tmp_path, "AAA").equals(before) and states(tmp_path) == held
    market.errors = {}
    assert "4 done" in hydrate(live(tmp_path, *NAMES))


def test_a_network_that_goes_away_is_waited_for_said_once_and_costs_no_try(tmp_path, market, caplog):
    for number in range(12):
        market.list(f"X{number}")
    fetch = Provider.fetch
    away = iter(range(30))

    def fetch_or_not(self, wanted):
        if len(market.asked) > 4 and next(away, None) is not None:
            raise without_a_network()
        return fetch(self, wanted)

    config = live(tmp_path, *(f"stock:X{number}" for number in range(12)))
    config.source.live.workers, config.source.live.tries = 2, 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Provider, "fetch", fetch_or_not)
        assert "12 done" in hydrate(config)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sum("network absent since" in line and "patience_hours" in line for line in said) <= 1
    assert {state for state, _ in states(tmp_path).values()} == {"done"}


def test_one_provider_that_is_blocked_is_said_and_the_others_go_on(tmp_path, market, monkeypatch, caplog):
    listed(market)
    market.errors = dict.fromkeys(("AAA", "BBB", "SPY"), without_a_network())
    config = live(tmp_path, *NAMES)
    ticking = itertools.count(0.0, 50.0)
    monkeypatch.setattr(providers, "NetworkWatch", lambda: NetworkWatch(lambda: next(ticking)))
    with pytest.raises(StageError, match=r"yahoo (was never reached|can't be reached, while coinbase).*src\.doctor"):
        hydrate(config)
    assert not [record for record in caplog.records if "network absent" in record.getMessage()]
    assert {symbol: state for symbol, (state, _) in states(tmp_path).items()} == {"BTC-USD": "done"}


def test_bars_that_are_no_longer_served_are_put_into_the_new_basis_of_a_split(tmp_path, market):
    listed(market)
    whole = market.bars["yahoo", "AAA"]
    market.bars["yahoo", "AAA"] = whole.head(N - 3)
    market.events = {"AAA": [(whole["date"][50], "dividend", 0.4)]}
    hydrate(live(tmp_path, *NAMES))
    before = bars(tmp_path, "AAA")
    halved = whole.with_columns(pl.col("open", "high", "low", "close") / 2, pl.col("volume") * 2)
    market.bars["yahoo", "AAA"] = halved.tail(400)  # a provider of its latest bars alone
    market.events = {"AAA": [(whole["date"][N - 2], "split", 2.0)]}
    hydrate(live(tmp_path, *NAMES, retry="all"))
    after = bars(tmp_path, "AAA")
    assert after["close"].to_list() == pytest.approx(halved["close"].to_list())
    assert after["volume"].to_list() == pytest.approx(halved["volume"].to_list())
    assert after["factor"].head(N - 3).to_list() == pytest.approx(before["factor"].to_list())
    assert after["split"][0] == 2.0


def test_another_security_under_a_known_name_does_not_take_the_place_of_the_old_bars(tmp_path, market):
    listed(market)
    whole = market.bars["yahoo", "AAA"]
    market.bars["yahoo", "AAA"] = whole.head(300)
    hydrate(live(tmp_path, *NAMES))
    market.bars["yahoo", "AAA"] = whole.tail(100)
    hydrate(live(tmp_path, *NAMES, retry="all"))
    state, reason = states(tmp_path)["AAA"]
    assert state == "done" and 'another security under this name? fresh=true "only=[AAA]" takes it' in reason
    assert bars(tmp_path, "AAA").height == 300
    hydrate(live(tmp_path, *NAMES, fresh=True, only=["AAA"]))
    assert bars(tmp_path, "AAA").height == 100


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:500])])
def test_a_lost_or_truncated_published_file_is_noticed_and_rebuilt(tmp_path, market, damage):
    listed(market)
    hydrate(live(tmp_path, *NAMES))
    before = files(tmp_path)
    victim = sorted((tmp_path / "data" / "bars" / "mine").glob("b*.parquet"))[0]
    damage(victim)
    with pytest.raises(StageError, match="hydrate this dataset again"):
        BarStore(victim.parent).read_bucket(int(victim.stem[1:4]))
    hydrate(live(tmp_path, *NAMES))
    assert files(tmp_path) == before


def test_a_bucket_is_published_after_each_batch_and_at_its_end(tmp_path, market, monkeypatch):
    seen = []
    record = BarStore.record
    monkeypatch.setattr(BarStore, "record", lambda self, b, *a: (seen.append(a[1].height), record(self, b, *a)))
    for i in range(7):
        market.list(f"X{i}", n=600)
    config = live(tmp_path, *(f"stock:X{i}" for i in range(7)))
    config.universe.buckets = 1
    config.source.live.batch_size = 3
    config.universe.panel = 1
    hydrate(config)
    assert len(seen) >= 3 and seen == sorted(seen) and seen[-1] == 7


def test_a_fresh_dataset_takes_the_place_of_the_old_one_and_is_counted(tmp_path, market):
    listed(market)
    hydrate(live(tmp_path, *NAMES))
    market.asked.clear()
    line = hydrate(live(tmp_path, *NAMES, fresh=True))
    assert {start for _, _, start in market.asked} == {dt.date(2010, 1, 1)}
    assert "4 of 4 have the last complete session" in line and bars(tmp_path, "AAA").height == N


def test_an_archive_is_read_first_and_topped_up(tmp_path, market):
    market.list("AAA")
    whole = market.bars["yahoo", "AAA"]
    write(whole.head(N - 20).drop("adj_close"), tmp_path / "source" / "bars.parquet")
    config = live(tmp_path, "stock:AAA", source__live=LiveSource(chain={"stock": ["folder", "yahoo"]}))
    hydrate(config)
    assert market.asked[0][2] > dt.date(2014, 1, 1) and len(market.asked) == 1
    found = bars(tmp_path, "AAA")
    assert found.height == N and found["close"].to_list() == pytest.approx(whole["close"].to_list(), rel=1e-6)


def test_an_archive_that_does_not_fit_the_provider_is_set_aside_and_the_whole_is_fetched(tmp_path, market):
    market.list("AAA")
    other = series("AAA", n=N, seed=9).with_columns(date=market.bars["yahoo", "AAA"]["date"])
    write(other.head(N - 20).drop("adj_close"), tmp_path / "source" / "bars.parquet")
    chains = LiveSource(chain={"stock": ["folder", "yahoo"]})
    hydrate(live(tmp_path, "stock:AAA", source__live=chains))
    assert [start for _, _, start in market.asked][-1] == dt.date(2010, 1, 1) and len(market.asked) == 2
    assert bars(tmp_path, "AAA")["close"].to_list() == market.bars["yahoo", "AAA"]["close"].to_list()
    assert "do not fit" in states(tmp_path)["AAA"][1]
    hydrate(live(tmp_path, "stock:AAA", source__live=chains))
    assert len(market.asked) == 2


def test_the_panel_is_pinned_when_its_candidates_are_in_and_before_the_rest(tmp_path, market, monkeypatch):
    listed(market)
    seen = []
    pin = BarStore.write_panel
    monkeypatch.setattr(BarStore, "write_panel", lambda self, panel: (seen.append(len(market.asked)), pin(self, panel)))
    names = [*NAMES, *(f"stock:X{i:03d}" for i in range(100))]
    for i in range(100):
        market.list(f"X{i:03d}", n=600)
    config = live(tmp_path, *names)
    config.source.live.workers = 1
    hydrate(config)
    panel = BarStore(tmp_path / "data" / "bars" / "mine").panel()
    assert len(seen) == 1 and seen[0] < 60
    assert {symbol for kind, symbol in panel if kind == "etf"} == {"SPY"} and len(panel) == 5


def lists(monkeypatch, *names: str, untyped: tuple[str, ...] = ()) -> None:
    """The exchanges' lists as of now; what is `untyped` is of a type that is not wanted."""

    def current(*_: object, typed: bool = True) -> pl.DataFrame:
        rows = [("stock", name) for name in (*names, *(() if typed else untyped))]
        return pl.DataFrame(rows, schema=["asset_class", "symbol"], orient="row")

    monkeypatch.setattr(selection.current, "current", current)


def test_a_name_that_left_the_lists_or_changed_its_type_stays_and_goes_on_being_asked(tmp_path, market, monkeypatch):
    listed(market)
    lists(monkeypatch, "AAA", "BBB")
    hydrate(live(tmp_path))
    lists(monkeypatch, "AAA")
    hydrate(live(tmp_path, retry="all"))
    assert market.counts() == {"AAA": 2, "BBB": 2} and states(tmp_path)["BBB"] == ("done", "")
    hydrate(live(tmp_path, fresh=True))
    assert market.counts() == {"AAA": 3, "BBB": 2} and "BBB" not in states(tmp_path)


def test_lower_limits_are_meant_and_refused_where_a_dataset_would_lose(tmp_path, market):
    listed(market)
    path = tmp_path / "pinned.csv"
    path.write_text("# made: 2026-01-02\nasset_class,symbol,rank,dollar_volume\nstock,AAA,1,\nstock,BBB,2,\n")
    limits = {"universe__pinned": str(path), "universe__etf": 0, "universe__crypto": 0}
    hydrate(live(tmp_path, universe__stock=2, **limits))
    with pytest.raises(ConfigError, match="holds 1 instruments that this selection leaves out"):
        hydrate(live(tmp_path, universe__stock=1, **limits))
    path.write_text("# made: 2026-01-03\nasset_class,symbol,rank,dollar_volume\nstock,AAA,1,\n")
    hydrate(live(tmp_path, universe__stock=1, **limits))
    assert set(states(tmp_path)) == {"AAA", "BBB"}


def test_an_archive_brings_delisted_names_but_no_type_that_is_not_wanted(tmp_path, market, monkeypatch):
    names = ("AAA", "BBB", "GONE", "GONEW", "PREF")
    for name in names:
        market.list(name)
    tables = [market.bars["yahoo", name].drop("adj_close") for name in names if name != "BBB"]
    write(pl.concat(tables), tmp_path / "source" / "bars.parquet")
    lists(monkeypatch, "AAA", "BBB", untyped=("PREF",))
    hydrate(live(tmp_path, source__live=LiveSource(chain={"stock": ["folder", "yahoo"]})))
    assert set(states(tmp_path)) == {"AAA", "BBB", "GONE"}
