"""Which instruments are requested, from which provider, and from which date on."""

import datetime as dt

import pytest

from src.config.schema import LiveSource, SourceConfig
from src.core.errors import ConfigError
from src.hydration.live import provider_chain
from src.hydration.live.schedule import Schedule, SelectedInstrument

NOW = dt.datetime(2026, 3, 4, 23, 0, tzinfo=dt.UTC)  # a Wednesday, after the close in New York
CHAINS = {
    "stock": provider_chain.Chain(None, ("yahoo",)),
    "crypto": provider_chain.Chain(None, ("coinbaseexchange", "kraken")),
}
AAA = SelectedInstrument("stock", "AAA", 2)
BTC = SelectedInstrument("crypto", "BTC-USD", 1)


def schedule(**settings) -> Schedule:
    return Schedule(LiveSource(start="2014-01-01"), CHAINS, "1d", NOW, **settings)


def at(now: dt.datetime) -> Schedule:
    return Schedule(LiveSource(start="2014-01-01"), CHAINS, "1d", now)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def entry(**changes) -> dict:
    made = {
        "provider": "yahoo", "state": "fetched", "checked": NOW - dt.timedelta(days=1), "next_attempt": None,
        "last": dt.date(2026, 3, 3), "rows": 900,
    }  # fmt: skip
    return made | changes


def test_a_new_instrument_is_requested_whole_from_the_first_provider():
    task = schedule().task(AAA, None)
    assert task.provider == "yahoo" and task.request.start == dt.date(2014, 1, 1) and task.request.name == ""
    assert schedule().task(BTC, None).provider == "coinbaseexchange" and schedule().task(BTC, None).request.name == ""


def test_an_instrument_with_the_last_session_is_not_requested_unless_the_user_insists():
    fresh = entry(checked=NOW - dt.timedelta(minutes=5))
    assert schedule().task(AAA, fresh) is None
    assert schedule(insist=True).task(AAA, fresh) is not None
    assert schedule().task(AAA, entry()) is not None


def test_a_session_missing_soon_after_its_end_is_requested_once_more_hours_later():
    soon, late = NOW - dt.timedelta(hours=1, minutes=15), NOW + dt.timedelta(hours=2)
    assert schedule().task(AAA, entry(checked=soon)) is None
    later = at(late)
    assert later.task(AAA, entry(checked=soon)) is not None
    assert later.task(AAA, entry(checked=soon, last=dt.date(2026, 3, 4))) is None
    morning = at(NOW + dt.timedelta(hours=14))
    assert morning.task(AAA, entry(checked=late)) is None


def test_stocks_are_not_requested_on_thanksgiving_but_on_the_evening_after_it():
    wednesday, thursday = utc("2026-11-25T22:00"), utc("2026-11-26T23:00")
    stocks = [SelectedInstrument("stock", f"S{n}", n % 4) for n in range(40)]
    fresh = {each.key: entry(checked=wednesday, last=dt.date(2026, 11, 25)) for each in stocks}
    for now in (thursday, utc("2026-11-27T14:00")):
        assert list(at(now).tasks(stocks, fresh)) == []
        coin = entry(provider="kraken", checked=wednesday, last=dt.date(2026, 11, 24))
        assert at(now).task(BTC, coin) is not None
    assert len(list(at(utc("2026-11-27T18:30")).tasks(stocks, fresh))) == 40  # it closed at 13:00 in New York


def test_a_refresh_starts_a_number_of_bars_before_the_last():
    start = schedule().task(AAA, entry()).request.start
    sessions = sum(
        day.weekday() < 5 for day in (start + dt.timedelta(days=n) for n in range((NOW.date() - start).days))
    )
    assert start < dt.date(2026, 2, 17) and sessions >= 10 + 1


def test_retry_whole_starts_at_the_beginning_with_the_provider_that_served_before():
    task = schedule(insist=True, whole=True).task(BTC, entry(provider="kraken"))
    assert task.provider == "kraken" and task.request.start == dt.date(2014, 1, 1)


def test_a_refresh_asks_the_same_provider_or_the_first_if_it_left_the_chain():
    assert schedule().task(BTC, entry(provider="kraken")).provider == "kraken"
    gone = schedule().task(BTC, entry(provider="binanceus"))
    assert gone.provider == "coinbaseexchange" and gone.request.start == dt.date(2014, 1, 1)


@pytest.mark.parametrize("state", ["failed", "unknown", "unfit"])
def test_a_failed_instrument_is_requested_again_when_due_or_with_retry(state):
    later = entry(state=state, next_attempt=NOW + dt.timedelta(hours=1))
    assert schedule().task(AAA, later) is None
    assert schedule(retry_failed=True).task(AAA, later) is not None
    assert schedule().task(AAA, entry(state=state, next_attempt=NOW)) is not None


def test_the_wait_after_a_failure_doubles_up_to_a_month():
    waits = [schedule().next_attempt(tries, unknown=False) - NOW for tries in (0, 1, 2, 50)]
    assert waits == [dt.timedelta(hours=6), dt.timedelta(hours=12), dt.timedelta(hours=24), dt.timedelta(days=30)]
    assert schedule().next_attempt(1, unknown=True) - NOW == dt.timedelta(days=30)


def test_candidates_for_the_panel_come_first_then_bucket_by_bucket():
    early = SelectedInstrument("stock", "ZZZ", 9, early=True)
    tasks = list(schedule().tasks([AAA, BTC, early], {}))
    assert [task.request.symbol for task in tasks] == ["ZZZ", "BTC-USD", "AAA"]
    assert [task.order for task in tasks] == sorted(task.order for task in tasks)


def test_a_class_without_a_provider_is_not_requested():
    assert schedule().task(SelectedInstrument("etf", "SPY", 0), None) is None


def test_the_next_provider_of_a_chain_is_asked_and_none_after_the_last():
    coins = CHAINS["crypto"]
    assert coins.after("coinbaseexchange") == "kraken" and coins.after("kraken") is None and coins.after("x") is None


def source(**chains) -> SourceConfig:
    return SourceConfig(kind="auto", live=LiveSource(chain=chains))


def test_an_archive_comes_first_and_is_not_a_provider():
    found = provider_chain.chains(source(stock=["stooq", "yahoo"], etf=["folder"]))
    assert found["stock"] == provider_chain.Chain("stooq", ("yahoo",)) and found["etf"] == provider_chain.Chain(
        "folder", ()
    )
    assert provider_chain.names(source(stock=["stooq", "yahoo"])) == ["yahoo"]


@pytest.mark.parametrize(
    ("chains", "words"),
    [
        ({"stocks": ["yahoo"]}, "asset class must be one of stock, etf, crypto, got stocks"),
        ({"stock": ["yahoo", "stooq"]}, "an archive .stooq. can only come first"),
        ({"stock": []}, "names no provider"),
        ({}, "names no provider"),
    ],
)
def test_an_invalid_chain_is_refused(chains, words):
    with pytest.raises(ConfigError, match=words):
        provider_chain.chains(source(**chains))
