"""What stands in the way of a request, as the real clients report it: proxies and portals on loopback."""

from __future__ import annotations

import datetime as dt
import socket

import pytest

from src.config.schema import LiveSource
from src.fetching import obstacle
from src.fetching.download import text
from src.fetching.obstacle import REMEDIES, is_page, kind_of
from src.fetching.provider import BarRequest, ProviderError, Unavailable, Unreachable, WebPage
from src.sources.ccxt.source import connect as exchange
from tests.fetching.proxy_case import GOOD, PORTAL, proxy, server
from tests.process_case import HANG
from tests.sources.yahoo_case import Notes

REQUEST = BarRequest("crypto", "BTC-USD", dt.date(2024, 1, 1))
YAHOO = BarRequest("stock", "AAPL", dt.date(2024, 1, 1))


def raised_by_yahoo(settings: LiveSource) -> ProviderError:
    from src.sources.yahoo.source import connect

    with pytest.raises(ProviderError) as caught:
        connect("yahoo", settings, Notes()).fetch(YAHOO)
    return caught.value


def raised_by_exchange(settings: LiveSource) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        exchange("kraken", settings, Notes()).fetch(REQUEST)
    return caught.value


BOTH = pytest.mark.parametrize(
    ("raised", "host"), [(raised_by_yahoo, "*.finance.yahoo.com"), (raised_by_exchange, "api.kraken.com")]
)


@BOTH
@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"403 Forbidden", b"502 Bad Gateway"])
def test_a_proxy_that_does_not_let_through_is_named(raised, host, status):
    with proxy(b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status) as address:
        error = raised(LiveSource(proxy=address, timeout=HANG))
    assert isinstance(error, Unreachable) and error.obstacle == obstacle.PROXY, error
    assert error.host.endswith(host.removeprefix("*"))


@BOTH
def test_a_proxy_that_is_not_there_is_named(raised, host):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    error = raised(LiveSource(proxy=f"http://127.0.0.1:{port}", timeout=HANG))
    assert isinstance(error, Unreachable) and error.obstacle == obstacle.PROXY, error


@BOTH
def test_a_certificate_of_an_unknown_authority_is_told_from_one_that_is_not_yet_valid(raised, host, tmp_path):
    files = [tmp_path / f"{n}.pem" for n in range(3)]
    cases = [
        (server(host), None, obstacle.CERTIFICATE),  # a portal, or a proxy that opens TLS
        (server("elsewhere.example", trusted=files[0]), files[0], obstacle.CERTIFICATE),
        (
            server(host, not_before=400, not_after=800, trusted=files[1]),
            files[1],
            obstacle.CLOCK,
        ),  # the clock is behind
        (server(host, not_before=-800, not_after=-400, trusted=files[2]), files[2], obstacle.CLOCK),
    ]
    for context, trusted, expected in cases:
        with proxy(GOOD, context) as address:
            error = raised(LiveSource(proxy=address, ca_file=trusted and str(trusted), timeout=HANG))
        assert isinstance(error, Unreachable) and error.obstacle == expected, (expected, error)


@BOTH
def test_a_sign_in_page_of_the_network_is_no_answer_of_the_provider(raised, host, tmp_path):
    own = tmp_path / "own.pem"
    hosts = server(host, "*.yahoo.com", trusted=own)  # yfinance asks another host for a cookie first
    with proxy(GOOD, hosts, PORTAL) as address:
        error = raised(LiveSource(proxy=address, ca_file=str(own), timeout=HANG))
    assert isinstance(error, WebPage) and "a web page" in str(error), repr(error)


@BOTH
def test_a_host_that_takes_the_connection_and_says_nothing_is_silent(raised, host):
    with proxy(b"") as address:
        error = raised(LiveSource(proxy=address, timeout=HANG))
    assert isinstance(error, Unreachable), repr(error)
    assert error.obstacle in (obstacle.SILENCE, obstacle.PROXY)


def test_a_download_says_what_is_in_the_way(monkeypatch):
    monkeypatch.setattr("src.fetching.download._wait", lambda _seconds: None)
    refusing = proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nConnection: close\r\n\r\n")
    with refusing as address, pytest.raises(Unavailable) as caught:
        text("https://www.nasdaqtrader.com/x", LiveSource(proxy=address, timeout=HANG))
    assert isinstance(caught.value, Unreachable) and caught.value.obstacle == obstacle.PROXY


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Failed to perform, curl: (6) Could not resolve host: query1.finance.yahoo.com", "name"),
        ("NameResolutionError: Failed to resolve 'api.kraken.com' ([Errno -3] Temporary failure in name resolution)",
         "name"),
        ("[Errno 11001] getaddrinfo failed", "name"),
        ("[Errno 8] nodename nor servname provided, or not known", "name"),
        ("curl: (5) Could not resolve proxy: proxy.corp", "proxy"),
        ("ConnectTimeoutError: Connection to api.kraken.com timed out. (connect timeout=30)", "silence"),
        ("curl: (28) Failed to connect to host port 443 after 30001 ms: Timeout was reached", "silence"),
        ("curl: (28) Operation timed out after 30001 milliseconds with 0 bytes received", "silence"),
        ("[WinError 10060] A connection attempt failed", "silence"),
        ("curl: (7) Failed to connect to host port 443 after 2 ms: Couldn't connect to server", "refused"),
        ("[WinError 10061] No connection could be made because the target machine actively refused it", "refused"),
        ("[Errno 101] Network is unreachable", "route"),
        ("[Errno 65] No route to host", "route"),
        ("curl: (60) SSL certificate problem: certificate is not yet valid", "clock"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1000)", "clock"),
        ("curl: (60) SSL certificate problem: unable to get local issuer certificate", "certificate"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)", "certificate"),
        ("kraken answers 502 Bad Gateway", None),
        ("kraken sent truncated or broken JSON", None),
    ],
)  # fmt: skip
def test_the_words_of_the_libraries_are_understood(words, kind):
    assert kind_of(words) == kind
    assert kind is None or REMEDIES[kind].action


def test_a_page_is_told_from_data():
    assert is_page(b"\n <!DOCTYPE HTML><html>") and is_page(b"<html lang=en>")
    assert not is_page(b'{"chart": "<html>"}') and not is_page(b"[[1, 2]]") and not is_page(b"")
