"""The network, one provider or one request: what the faults of all providers together show."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest

from src.fetching.network_watch import ABSENT_SECONDS, BLOCKED_SECONDS, NetworkWatch
from src.fetching.provider import Malformed, ProviderError, Refusal, Unavailable, Unknown, Unreachable, WebPage
from tests.hydration.live.clock_case import Clock

NOON = dt.datetime(2026, 11, 27, 12, 5, tzinfo=dt.UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> NetworkWatch:
    return NetworkWatch(clock, lambda: NOON)


def ask(watch: NetworkWatch, provider: str, error: BaseException | None = None) -> None:
    with contextlib.suppress(ProviderError, KeyError), watch.asking(provider):
        if error is not None:
            raise error


def no_name(host: str = "query1.finance.yahoo.com") -> Unreachable:
    return Unreachable("Could not resolve host", "name", host)


def silent() -> Unreachable:
    return Unreachable("timed out", "silence", "api.kraken.com")


def test_no_host_resolved_since_the_beginning_ends_the_run_within_half_a_minute(watch, clock):
    ask(watch, "yahoo", no_name())
    ask(watch, "kraken", no_name("api.kraken.com"))
    assert watch.never_there() == ""
    clock.wait(ABSENT_SECONDS)
    words = watch.never_there()
    assert ABSENT_SECONDS <= 30
    assert words.startswith("the network is absent, or closed to this machine: no host has answered (")
    assert "api.kraken.com, query1.finance.yahoo.com: its name does not resolve" in words
    assert "connect this machine to the network or repair its DNS" in words


@pytest.mark.parametrize(
    "sign",
    [None, Unknown("no such symbol"), Refusal("429"), Unavailable("answered 503"), Malformed("null")],
    ids=lambda sign: type(sign).__name__,
)
def test_any_answer_of_a_provider_is_a_sign_of_life(watch, clock, sign):
    ask(watch, "yahoo", no_name())
    ask(watch, "kraken", sign)
    clock.wait(10_000)
    assert watch.never_there() == ""
    assert watch.reached() and watch.reached("kraken") and not watch.reached("yahoo")


@pytest.mark.parametrize("fault", [silent(), WebPage("a web page instead of data", "fc.yahoo.com")])
def test_one_timeout_or_web_page_is_no_proof_but_three_are(watch, clock, fault):
    clock.wait(1)
    for expected in ("", "", "the network is absent"):
        ask(watch, "yahoo", fault)
        clock.wait(ABSENT_SECONDS)
        assert watch.never_there().startswith(expected) and bool(watch.never_there()) == bool(expected)


def test_our_own_fault_says_nothing_of_the_network(watch, clock):
    ask(watch, "yahoo", KeyError("a fault of our code"))
    clock.wait(10_000)
    assert watch.never_there() == "" and not watch.reached()


def test_an_absence_in_the_middle_of_a_run_is_noticed_at_the_third_fault_and_its_end_at_the_first_answer(watch):
    ask(watch, "yahoo")
    for _ in range(2):
        ask(watch, "yahoo", no_name())
        assert watch.absent_since is None
    ask(watch, "yahoo", silent())
    assert watch.absent_since == NOON
    assert watch.described() == "network absent since 12:05 UTC (api.kraken.com: it does not answer in time)"
    ask(watch, "yahoo")
    assert watch.absent_since is None and watch.described() == ""


def test_the_network_is_not_called_absent_while_another_provider_may_still_answer(watch):
    with watch.asking("kraken"):
        ask(watch, "yahoo")
        for _ in range(9):
            ask(watch, "yahoo", no_name())
        assert watch.absent_since is None
    for _ in range(3):
        ask(watch, "yahoo", no_name())
    assert watch.absent_since == NOON  # kraken has no request under way any more


def test_a_provider_that_was_never_reached_is_blocked_where_another_one_was_reached_before(watch):
    ask(watch, "kraken")
    for _ in range(9):
        ask(watch, "yahoo", no_name())
    assert watch.absent_since is None and list(watch.blocked()) == ["yahoo"]


def test_a_provider_that_alone_is_not_reached_is_named_with_those_that_are(watch, clock):
    ask(watch, "kraken")
    for _ in range(6):
        ask(watch, "yahoo", no_name())
        ask(watch, "kraken")
    words = watch.blocked()
    assert list(words) == ["yahoo"]
    assert words["yahoo"].startswith("yahoo can't be reached, while kraken can (query1.finance.yahoo.com: its name")
    assert not watch.hopeless("yahoo")
    clock.wait(BLOCKED_SECONDS)
    assert watch.hopeless("yahoo")


def test_a_provider_that_was_reached_before_is_not_given_up_by_the_watch(watch, clock):
    for provider in ("yahoo", "kraken"):
        ask(watch, provider)
    for _ in range(9):
        ask(watch, "yahoo", no_name())
    clock.wait(10 * BLOCKED_SECONDS)
    assert list(watch.blocked()) == ["yahoo"] and not watch.hopeless("yahoo")


def test_faults_with_an_answer_between_them_do_not_add_up(watch):
    for _ in range(3):
        ask(watch, "kraken")
        ask(watch, "yahoo")
        for _ in range(5):
            ask(watch, "yahoo", no_name())
    ask(watch, "kraken")
    assert watch.blocked() == {}


def test_the_network_is_not_absent_before_every_expected_provider_was_asked(watch):
    watch.expect("kraken")
    for _ in range(3):
        ask(watch, "yahoo", no_name())
    assert watch.absent_since is None
    ask(watch, "kraken", no_name("api.kraken.com"))
    assert watch.absent_since == NOON
