"""Snapshots of many underlyings: which, once a session, through any kill, and one state for each."""

import dataclasses
import datetime as dt
import functools
import itertools
import random

import polars as pl
import pytest

from src.chains.store import OptionStore, contracts
from src.config.schema import LiveSource
from src.core.errors import ConfigError, StageError
from src.fetching.network_watch import NetworkWatch
from src.fetching.pool import Pool
from src.fetching.provider import BarRequest, OptionChain, Unavailable, Unfit, Unknown, Unreachable
from src.fetching.rate_gate import RateGate
from src.market.bars import BarStore
from src.options import file_import, live
from src.options import snapshot as snapshots
from src.options.job import QuoteJob
from src.options.live import chains_of, pooled, quoting_provider
from src.options.underlyings import underlyings
from src.sources import registry
from tests.market_case import config
from tests.options.oracles import CAPTURED, SIGMA, chain
from tests.process_case import pause, until

CONTRACTS = 28
QUICK = LiveSource(rates={"toy": 1e6}, ceilings={"toy": 1e6}, workers=3, tries=2, pause=0.001, max_pause=0.01)


def snapshot(made, *args, **settings):
    return snapshots.snapshot(QuoteJob.of(made), *args, **settings)


def wanted(made):
    return underlyings(QuoteJob.of(made))


def import_files(made):
    return file_import.import_files(QuoteJob.of(made))


def snapshot_live(made):
    return live.snapshot_live(QuoteJob.of(made))


def dataset(tmp_path, names: dict[str, float | None], **settings):
    """A dataset whose hydration recorded these liquidities (`etf:SPY`: 3e9), and its configuration."""
    made = config(tmp_path, universe__options=10, source__kind="yahoo", **settings)
    rows = [
        {"asset_class": name.split(":")[0], "symbol": name.split(":")[1], "state": "done", "reason": "", "rows": 9,
         "first": CAPTURED.date(), "last": CAPTURED.date(), "repaired": 0, "basis": "", "liquidity": liquid}
        for name, liquid in names.items()
    ]  # fmt: skip
    ledger = BarStore(tmp_path / "data" / "bars" / "mine").ledger
    ledger.record(0, "key", pl.DataFrame(rows, schema=ledger.schema))
    return made


NAMES = {"stock:AAA": 5.0, "etf:SPY": 9.0, "stock:LOW": 1.0, "stock:NEW": None, "crypto:BTC-USD": 99.0}


def asked_of(answers=None, asked=None):
    """Chains as a provider gives them: an exception among the `answers` is raised."""

    def chains(wanted: BarRequest) -> OptionChain:
        if asked is not None:
            asked.append(wanted.symbol)
        answer = (answers or {}).get(wanted.symbol, chain(wanted.symbol))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    return chains


def states(tmp_path) -> dict[str, tuple[str, str, int]]:
    frame = pl.read_parquet(tmp_path / "data" / "states" / "mine" / "quote.parquet")
    assert frame.columns == ["asset_class", "symbol", "state", "reason", "rows", "first", "last"]
    assert not frame.select("asset_class", "symbol").is_duplicated().any()
    return {row["symbol"]: (row["state"], row["reason"], row["rows"]) for row in frame.iter_rows(named=True)}


def stored(tmp_path) -> dict[str, bytes]:
    root = tmp_path / "data" / "options"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.parquet")}


def test_the_most_traded_stocks_and_funds_are_asked_for_first_and_no_coin(tmp_path):
    made = dataset(tmp_path, NAMES)
    assert wanted(made) == [
        ("etf", "SPY"),
        ("stock", "AAA"),
        ("stock", "LOW"),
        ("stock", "NEW"),
    ]
    made.universe.options = 2
    assert wanted(made) == [("etf", "SPY"), ("stock", "AAA")]
    made.only = ["LOW", "SPY", "stock:XYZ"]
    assert wanted(made) == [("stock", "LOW"), ("etf", "SPY"), ("stock", "XYZ")]


def test_a_snapshot_says_what_it_took_and_everything_has_one_state(tmp_path):
    made = dataset(tmp_path, NAMES)
    answers = {"LOW": Unknown("Yahoo lists no options"), "NEW": Unavailable("a reset")}
    line = snapshot(made, asked_of(answers), now=CAPTURED)
    assert line == (
        "quote: 2 snapshots of 2 underlyings of mine from yahoo: 56 contracts (56 clean, 0 without a bid, 0 crossed,"
        " 0 stale, 0 with a placeholder for volatility); 1 failed; 1 skipped"
    )
    assert states(tmp_path) == {
        "AAA": ("done", "", CONTRACTS),
        "SPY": ("done", "", CONTRACTS),
        "LOW": ("skipped", "Yahoo lists no options", 0),
        "NEW": ("failed", "a reset", 0),
    }
    found = contracts(tmp_path / "data" / "options" / "mine", "etf:SPY", flags={"clean": True})
    assert (
        found.height == CONTRACTS and (found.filter(pl.col("mid") > 0.1)["iv"] - SIGMA).abs().max() < 0.06
    )  # European prices


def test_an_underlying_is_asked_once_a_session_and_again_in_the_next(tmp_path):
    made = dataset(tmp_path, NAMES)
    asked: list[str] = []
    snapshot(made, asked_of({"NEW": Unavailable("a reset")}, asked), now=CAPTURED)
    assert asked == ["SPY", "AAA", "LOW", "NEW"]
    asked.clear()
    line = snapshot(made, asked_of(asked=asked), now=CAPTURED + dt.timedelta(hours=2))
    assert asked == ["NEW"] and "3 snapshots taken before" in line
    asked.clear()
    evening = CAPTURED + dt.timedelta(hours=8)
    assert "nothing new of mine from yahoo; 4 snapshots taken before" in snapshot(made, asked_of(), now=evening)
    made.fresh = True
    snapshot(made, asked_of(asked=asked), now=evening)
    assert len(asked) == 4
    made.fresh = False
    asked.clear()
    later = CAPTURED + dt.timedelta(days=1)
    snapshot(made, asked_of({name: chain(name, captured=later) for name in ("SPY", "AAA", "LOW", "NEW")}), now=later)
    assert OptionStore(tmp_path / "data" / "options" / "mine").snapshots().height == 8


def test_a_run_interrupted_anywhere_and_run_again_ends_as_an_uninterrupted_one(tmp_path):
    whole = dataset(tmp_path / "whole", NAMES)
    snapshot(whole, asked_of(), now=CAPTURED)
    for at in ("SPY", "AAA", "NEW"):
        made = dataset(tmp_path / at, NAMES)
        with pytest.raises(KeyboardInterrupt):
            snapshot(made, asked_of({at: KeyboardInterrupt()}), now=CAPTURED)
        assert at not in states(tmp_path / at) and len(stored(tmp_path / at)) < 4
        snapshot(made, asked_of(), now=CAPTURED)
        assert stored(tmp_path / at) == stored(tmp_path / "whole")
        assert states(tmp_path / at) == states(tmp_path / "whole")


def test_a_run_killed_before_it_could_tell_leaves_no_wrong_state(tmp_path):
    whole = dataset(tmp_path / "whole", NAMES)
    snapshot(whole, asked_of(), now=CAPTURED)
    for former in (None, {"AAA": Unavailable("a reset"), "SPY": Unavailable("a reset")}):
        at = tmp_path / str(bool(former))
        made = dataset(at, NAMES)
        path = at / "data" / "states" / "mine" / "quote.parquet"
        if former:
            snapshot(made, asked_of(former), now=CAPTURED)
        before = path.read_bytes() if former else None
        snapshot(made, asked_of(), now=CAPTURED)
        path.unlink() if before is None else path.write_bytes(before)  # as kill -9 leaves it
        snapshot(made, asked_of(), now=CAPTURED)
        assert states(at) == states(tmp_path / "whole")


def test_a_fault_in_one_chain_does_not_affect_the_others(tmp_path, monkeypatch):
    made = dataset(tmp_path, NAMES)
    unquoted = chain("LOW").contracts.with_columns(bid=pl.lit(0.0), ask=pl.lit(0.0))
    from src.options import snapshot as module

    real = module.with_values
    monkeypatch.setattr(
        module, "with_values", lambda rows, rate: 1 / 0 if rows["underlying"][0] == "AAA" else real(rows, rate)
    )
    answers = {
        "SPY": chain("SPY", quoted=float("nan")),
        "LOW": OptionChain("LOW", 0.0, CAPTURED, unquoted),
        "NEW": OptionChain("NEW", 100.0, CAPTURED, chain().contracts.head(0)),
    }
    line = snapshot(made, asked_of(answers), now=CAPTURED)
    found = states(tmp_path)
    assert found["SPY"] == ("done", "", CONTRACTS)
    assert found["LOW"] == ("done", "not one clean quote", CONTRACTS)
    assert found["NEW"] == ("skipped", "no options are listed on it", 0)
    assert found["AAA"][0] == "failed" and "ZeroDivisionError: division by zero" in found["AAA"][1]
    assert "28 clean, 28 without a bid" in line and "1 failed; 1 skipped" in line


def test_where_every_underlying_fails_the_stage_does_and_says_why(tmp_path):
    made = dataset(tmp_path, {"stock:AAA": 1.0, "stock:BBB": 2.0})
    down = asked_of({name: Unavailable("no way to Yahoo") for name in ("AAA", "BBB")})
    with pytest.raises(StageError, match="none of 2 underlyings could be taken: no way to Yahoo"):
        snapshot(made, down, now=CAPTURED)
    assert states(tmp_path)["AAA"] == ("failed", "no way to Yahoo", 0)


def test_a_currency_that_can_not_be_used_is_quarantined(tmp_path):
    made = dataset(tmp_path, NAMES)
    snapshot(made, asked_of({"AAA": Unfit("AAA is quoted in CAD, not in USD")}), now=CAPTURED)
    assert states(tmp_path)["AAA"] == ("quarantined", "AAA is quoted in CAD, not in USD", 0)


def test_quotes_that_did_not_move_with_the_underlying_are_found_by_the_snapshot_before(tmp_path):
    made = dataset(tmp_path, {"stock:AAA": 1.0})
    snapshot(made, asked_of(), now=CAPTURED)
    later = CAPTURED + dt.timedelta(days=1)
    old, new = chain(), chain(spot=90.0, captured=later)
    frozen = old.contracts.filter(pl.col("contract") == "AAA260515C00085000")
    rest = new.contracts.filter(pl.col("contract") != "AAA260515C00085000")
    mixed = dataclasses.replace(new, contracts=pl.concat([rest, frozen]))
    snapshot(made, asked_of({"AAA": mixed}), now=later)
    found = contracts(tmp_path / "data" / "options" / "mine", "AAA", flags={"stale_quote": True})
    assert found["contract"].to_list() == ["AAA260515C00085000"] and not found["clean"].any()


def test_with_nothing_to_ask_for_the_words_say_what_to_do(tmp_path):
    made = dataset(tmp_path, {"crypto:BTC-USD": 1.0})
    with pytest.raises(
        StageError, match="has no stock or ETF yet.*python -m src.hydrate universe.name=mine source=yahoo first"
    ):
        snapshot(made, asked_of(), now=CAPTURED)
    made.universe.options = 0
    with pytest.raises(StageError, match="universe.options is 0.*set universe.options=100"):
        snapshot(made, asked_of(), now=CAPTURED)


def test_through_a_pool_the_end_is_the_same_as_one_by_one(tmp_path):
    answers = {"LOW": Unknown("no options"), "NEW": Unavailable("a reset")}
    alone = dataset(tmp_path / "alone", NAMES)
    snapshot(alone, asked_of(answers), now=CAPTURED)
    made = dataset(tmp_path / "pool", NAMES)

    def slow(wanted):
        pause(random.Random(wanted.symbol).random() * 0.02)
        return asked_of(answers)(wanted)

    gate = RateGate("toy", QUICK)
    with Pool(QUICK, {"toy": gate}) as pool:
        snapshot(made, slow, pooled(pool, gate), now=CAPTURED)
    assert stored(tmp_path / "pool") == stored(tmp_path / "alone")
    assert states(tmp_path / "pool") == states(tmp_path / "alone")


def test_progress_shows_requests_answered_and_why_it_pauses_during_one_underlying():
    gate, said = RateGate("toy", dataclasses.replace(QUICK, pause=60.0, max_pause=60.0)), []

    def many(_wanted):
        for _ in range(3):
            gate.enter()
            gate.answered()
        until(lambda: "3 requests answered" in said)
        gate.refused(30.0)
        until(lambda: "paused" in "".join(said))
        return asked_of()(_wanted)

    with Pool(QUICK, {"toy": gate}) as pool:
        wanted = [BarRequest("etf", "SPY", start=CAPTURED.date())]
        assert len(list(pooled(pool, gate)(wanted, many, said.append))) == 1
    assert "3 requests answered" in said
    assert said[-1].startswith("3 requests answered; toy asked to be left alone for 30 s: paused, ")


def test_without_a_network_the_snapshot_ends_soon_and_names_the_doctor(tmp_path):
    made = dataset(tmp_path, NAMES)
    gate, ticking = RateGate("toy", QUICK), itertools.count(0.0, 5.0)

    def absent(_wanted):
        raise Unreachable("Could not resolve host", "name", "query1.finance.yahoo.com")

    with Pool(dataclasses.replace(QUICK, pause=60.0, max_pause=60.0), {"toy": gate}) as pool:
        replies = pooled(pool, gate, NetworkWatch(lambda: next(ticking)))
        with pytest.raises(StageError, match=r"^the network is absent.*name does not resolve.*src.doctor"):
            snapshot(made, absent, replies, now=CAPTURED)
    path = tmp_path / "data" / "states" / "mine" / "quote.parquet"
    assert not path.is_file() or "failed" not in {state for state, _, _ in states(tmp_path).values()}


def test_what_the_pool_could_not_ask_is_failed_and_due_again(tmp_path):
    made = dataset(tmp_path, NAMES)
    gate = RateGate("toy", QUICK)

    def stop_after(first, wanted):
        if wanted.symbol != first:
            gate.gave_up = "toy: no good answer in 12 hours"
            gate.stop()
            gate.enter()
        return asked_of()(wanted)

    one = dataclasses.replace(QUICK, workers=1)
    with Pool(one, {"toy": gate}) as pool:
        snapshot(made, functools.partial(stop_after, "SPY"), pooled(pool, gate), now=CAPTURED)
    assert len(states(tmp_path)) == 4
    asked: list[str] = []
    failed = {symbol for symbol, (state, _, _) in states(tmp_path).items() if state == "failed"}
    snapshot(made, asked_of(asked=asked), now=CAPTURED)
    assert set(asked) == failed and failed
    assert {state for state, _, _ in states(tmp_path).values()} == {"done"}


class Toy:
    """A provider of chains, connected like a real one."""

    def __init__(self):
        self.asked, self.closed = [], False

    def connect(self, *_):
        return self

    def chain(self, underlying, max_expiries):
        self.asked.append((underlying, max_expiries))
        return chain(underlying)

    def close(self):
        self.closed = True


def test_the_live_source_is_asked_by_its_own_names_and_closed(tmp_path, monkeypatch):
    made = dataset(tmp_path, {"stock:AAA": 1.0}, options__max_expiries=7, source__live=QUICK)
    made.source.live.chain = {"stock": ["stooq", "yahoo"], "crypto": ["kraken"]}
    toy = Toy()
    monkeypatch.setattr(registry, "connect", toy.connect)
    made.source.live.rates = {"yahoo": 1e6}
    assert quoting_provider(made.source) == "yahoo"
    assert snapshot_live(made).startswith("quote: 1 snapshot of 1 underlying of mine from yahoo: 28 contracts")
    assert toy.asked == [("AAA", 7)] and toy.closed
    made.fresh = False
    assert (
        chains_of(toy, made.options.max_expiries)(
            BarRequest("stock", "BRK.B", CAPTURED.date(), name="BRK-B")
        ).underlying
        == "BRK-B"
    )


def test_a_source_without_options_is_refused_with_the_ways_out(tmp_path):
    with pytest.raises(StageError, match="source=folder quotes no options: choose source=yahoo .* options.path="):
        quoting_provider(config(tmp_path).source)


def own_files(tmp_path, **settings):
    folder = tmp_path / "chains"
    folder.mkdir(exist_ok=True)
    for name, at in (("AAA", CAPTURED), ("SPY", CAPTURED), ("AAA", CAPTURED + dt.timedelta(days=1))):
        frame = chain(name, captured=at).contracts.with_columns(underlying=pl.lit(name), captured=pl.lit(at))
        frame.write_csv(folder / f"{name}-{at:%d}.csv")
    return dataset(tmp_path, {"etf:SPY": 1.0}, options__path=str(folder), **settings)


def test_each_file_is_imported_once_and_a_bad_file_does_not_stop_the_others(tmp_path):
    made = own_files(tmp_path)
    (tmp_path / "chains" / "bad.csv").write_text("a,b\n1,2\n")
    line = import_files(made)
    assert line.startswith("quote: 3 snapshots of 2 underlyings of mine from files: 84 contracts (84 clean,")
    assert line.endswith("; 1 file could not be read")
    listing = OptionStore(tmp_path / "data" / "options" / "mine").snapshots()
    assert listing.select("asset_class", "underlying").rows() == [("etf", "SPY"), ("stock", "AAA"), ("stock", "AAA")]
    before = stored(tmp_path)
    assert "nothing new of mine from files; 3 snapshots taken before; 1 file" in import_files(made)
    assert stored(tmp_path) == before
    made.fresh, made.options.risk_free, made.only = True, 0.01, ["SPY"]
    assert "1 snapshot of 1 underlying" in import_files(made)
    assert {name for name, content in stored(tmp_path).items() if content != before[name]} == {
        "mine/etf.SPY/2026-02-11T170000Z.parquet"
    }


def test_files_that_are_not_there_or_all_bad_end_the_stage_with_words(tmp_path):
    made = config(tmp_path, options__path=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="options.path: there is no .*nowhere"):
        import_files(made)
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(ConfigError, match="options.path: no .csv, .csv.gz, .tsv, .txt, .parquet, .pq file at"):
        import_files(made)
    (tmp_path / "nowhere" / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(StageError, match="none of 1 files could be read: .*bad.csv: chains need the columns"):
        import_files(made)
