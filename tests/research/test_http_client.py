"""The client never hands on a part of an answer, says what is wrong with it, and keeps secrets to one host."""

import gzip
import zlib
from itertools import repeat

import pytest

from src.fetching.obstacle import CERTIFICATE, PROXY, REFUSED, SILENCE
from src.fetching.provider import (
    Malformed,
    ProviderError,
    Refusal,
    Stopped,
    Unavailable,
    Unfit,
    Unreachable,
    WebPage,
)
from src.research.http_body import collected, is_html
from src.research.http_client import validators
from tests.fetching.proxy_case import GOOD, PORTAL, proxy, server
from tests.loopback.wire import HTML, TEXT, Reply
from tests.process_case import free_port
from tests.research.site_case import SOON, XML, Doorman, always, client, page, site

DATA = b"<rss>" + b"x" * 5000 + b"</rss>"
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"


def asked(reply: Reply, gate: Doorman | None = None, **context):
    with site(always(reply)) as made:
        return client(gate, **(SOON if reply.stall else {})).fetch(page(made.url, **context))


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("", DATA),
        ("identity", DATA),
        ("gzip", gzip.compress(DATA, mtime=0)),
        ("gzip", gzip.compress(DATA[:100], mtime=0) + gzip.compress(DATA[100:], mtime=0) + b"\0" * 8),
        ("deflate", zlib.compress(DATA)),
        ("deflate", zlib.compress(DATA)[2:-4]),
        ("gzip", b""),
    ],
)
def test_a_whole_answer_arrives_decompressed(encoding: str, sent: bytes) -> None:
    gate = Doorman()
    headers = {"Content-Encoding": encoding, "ETag": '"7"', "Set-Cookie": "sid=1"}
    reply = asked(Reply(200, sent, XML, headers), gate)
    assert reply.body == (DATA if sent else b"") and not reply.missing and not reply.unchanged
    assert (gate.entered, gate.good, gate.named) == (1, 1, [])
    assert validators(reply) == {"etag": '"7"'} and "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply(200, DATA, XML, sent=2000), Unavailable, "cut"),
        (Reply(200, DATA, XML, reset=True), Unavailable, "cut"),
        (Reply(200, gzip.compress(DATA, mtime=0)[:-9], XML, {"Content-Encoding": "gzip"}),
         Unavailable, "compressed .* cut"),
        (Reply(200, DATA, XML, {"Content-Encoding": "gzip"}), Unavailable, "compressed answer is broken"),
        (Reply(200, DATA, XML, {"Content-Encoding": "br"}), Malformed, "encoded as br"),
        (Reply(200, PAGE, XML), WebPage, "a web page came"),
        (Reply(500, PAGE, HTML), Unavailable, "answers 500"),
        (Reply(503, b"", HTML), Unavailable, "answers 503"),
        (Reply(202, b"", XML), Unavailable, "answers 202"),
        (Reply(400, b"", XML), Unfit, "answers 400"),
        (Reply(401, b"", XML), Unfit, "answers 401"),
        (Reply(403, b"Forbidden", XML), Unfit, "answers 403"),
        (Reply(302, b"", XML), Unfit, "answers 302"),
        (Reply(302, b"", XML, {"Location": "file:///etc/passwd"}), Unfit, "not followed"),
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_is_an_error_that_says_so(reply: Reply, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        asked(reply)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        (Reply(429, b"slow down", TEXT), None),
        (Reply(429, b"", TEXT, {"Retry-After": "7"}), 7.0),
        (Reply(503, b"", TEXT, {"Retry-After": "120"}), 120.0),
        (Reply(429, DATA, TEXT, {"Retry-After": "7"}, sent=10), 7.0),
        (Reply(403, b"<h1>Request Rate Threshold Exceeded</h1>", HTML), None),
        (Reply(403, b"Your Request Originates from an Undeclared Automated Tool", HTML), None),
    ],
)
def test_a_limit_of_the_rate_is_a_refusal_that_the_gate_hears_of(reply: Reply, named: float | None) -> None:
    gate = Doorman()
    with pytest.raises(Refusal) as caught:
        asked(reply, gate)
    assert caught.value.retry_after == named and gate.named == [named] and not gate.good


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, b"no", HTML),
        Reply(410, b"", HTML),
        Reply(403, b"<Error><Code>AccessDenied</Code></Error>", XML),  # a day without an index at www.sec.gov
    ],
)
def test_what_does_not_exist_is_an_answer(reply: Reply) -> None:
    found = asked(reply)
    assert found.missing and found.body == b""


def test_a_page_is_let_through_where_one_is_wanted() -> None:
    assert asked(Reply(200, PAGE, HTML), html=True).body == PAGE


def test_nothing_is_sent_again_that_did_not_change() -> None:
    with site(always(Reply(304, b"", XML))) as made:
        reply = client().fetch(page(made.url, etag='"7"', last_modified="Mon, 04 Mar 2024 10:00:00 GMT"))
        headers = made.requests[0].headers
    assert reply.unchanged
    assert headers["if-none-match"] == '"7"' and headers["if-modified-since"].startswith("Mon, 04 Mar")
    assert headers["user-agent"] == "alpha-loop ann@example.org" and headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, DATA, XML),
        Reply(200, gzip.compress(b"\0" * 10_000_000, mtime=0), XML, {"Content-Encoding": "gzip"}),
    ],
)
def test_a_body_over_the_limit_is_refused(reply: Reply) -> None:
    with pytest.raises(Unfit, match="over the limit"):
        asked(reply, most_bytes=1000 if len(reply.body) < 6000 else 1_000_000)


def test_a_host_that_drips_is_given_up() -> None:
    seconds = iter(range(10_000))
    with pytest.raises(Unavailable, match="given up"):
        collected(repeat(b"x"), None, 10**6, 120.0, lambda: float(next(seconds)))


def test_a_body_shorter_or_longer_than_announced_is_no_body() -> None:
    for length in ("4", "6"):
        with pytest.raises(Unavailable, match="5 of . bytes came"):
            collected([b"12", b"345"], length, 10**6, 120.0, lambda: 0.0)
    assert collected([b"12", b"345"], "5", 10**6, 120.0, lambda: 0.0) == b"12345"


def test_a_host_that_says_nothing_is_given_up() -> None:
    with pytest.raises(Unreachable) as caught:
        asked(Reply(stall=True))
    assert caught.value.obstacle == SILENCE


def test_a_closed_port_is_an_obstacle_on_the_way() -> None:
    with pytest.raises(Unreachable) as caught:
        client().fetch(page(f"http://127.0.0.1:{free_port()}/"))
    assert caught.value.obstacle == REFUSED and caught.value.host == "127.0.0.1"


@pytest.mark.parametrize("url", ["ftp://h/x", "nothing", "http://", "http://[::1/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(Unfit, match="no address"):
        client().fetch(page(url))


def test_redirects_pass_the_gate_and_end() -> None:
    gate = Doorman()

    def answer(request):
        n = int(request.path.strip("/"))
        return Reply(200, DATA, XML) if n == 5 else Reply(301, b"", XML, {"Location": f"/{n + 1}"})

    with site(answer) as made:
        assert client(gate).fetch(page(f"{made.url}/0")).body == DATA
        assert gate.entered == 6
        with pytest.raises(Unfit, match="more than 5 redirects"):
            client().fetch(page(f"{made.url}/-1"))


def test_another_host_hears_no_secret() -> None:
    with site(always(Reply(200, DATA, XML))) as other:
        target = other.url.replace("127.0.0.1", "localhost")
        with site(always(Reply(302, b"", XML, {"Location": f"{target}/x"}))) as first:
            secret = {"Authorization": "Bearer T0psecret", "X-Api-Key": "K3y", "Accept": "text/xml"}
            client().fetch(page(first.url, secret))
    assert first.requests[0].headers["authorization"] == "Bearer T0psecret"
    heard = other.requests[0].headers
    assert heard["accept"] == "text/xml" and not {"authorization", "x-api-key"} & heard.keys()


def test_a_proxy_that_opens_tls_is_used_with_its_certificates(tmp_path) -> None:
    pem = tmp_path / "own.pem"
    inside = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 6\r\n\r\n<rss/>"
    with proxy(GOOD, server("feeds.example.com", trusted=pem), inside) as address:
        asking = client(proxy=address, ca_file=str(pem))
        assert asking.fetch(page("https://feeds.example.com/x")).body == b"<rss/>"
        with pytest.raises(Unreachable) as caught:
            client(proxy=address).fetch(page("https://feeds.example.com/x"))
    assert (caught.value.obstacle, caught.value.host) == (CERTIFICATE, "feeds.example.com")


@pytest.mark.parametrize("url", ["https://feeds.example.com/x", "http://feeds.example.com/x"])
def test_a_proxy_that_wants_a_password_is_named_without_it(url: str) -> None:
    with proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n") as address:
        asking = client(proxy=address.replace("//", "//ann:T0psecret@"))
        with pytest.raises(Unreachable) as caught:
            asking.fetch(page(url))
    assert caught.value.obstacle == PROXY and "T0psecret" not in str(caught.value)


def test_a_page_of_the_network_is_no_feed() -> None:
    with proxy(PORTAL) as address, pytest.raises(WebPage) as caught:
        client(proxy=address).fetch(page("http://feeds.example.com/x"))
    assert caught.value.host == "feeds.example.com"


def test_cookies_are_not_kept() -> None:
    with site(always(Reply(200, DATA, XML, {"Set-Cookie": "sid=1; Path=/"}))) as made:
        asking = client()
        for _ in range(2):
            asking.fetch(page(made.url))
        asking.close()
    assert "cookie" not in made.requests[1].headers


@pytest.mark.parametrize(
    "reply",
    [Reply(500), Reply(400), Reply(429), Reply(200, DATA, XML, reset=True), Reply(200, PAGE, HTML), Reply(stall=True)],
)
def test_an_error_shows_no_secret(reply: Reply) -> None:
    with site(always(reply)) as made, pytest.raises(ProviderError) as caught:
        impatient = client(**(SOON if reply.stall else {}))
        impatient.fetch(page(f"{made.url}/feed?token=T0psecret&x=1", {"Authorization": "Bearer T0psecretB34rer"}))
    shown = (
        f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__ if caught.value.__context__ else ''}"
    )
    assert "T0psecret" not in str(caught.value), shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_stopped_gate_sends_nothing() -> None:
    gate = Doorman()
    gate.shut = True
    with site(always(Reply(200, DATA, XML))) as made:
        with pytest.raises(Stopped):
            client(gate).fetch(page(made.url))
        assert made.requests == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"\xef\xbb\xbf \n<!doctype HTML>", True),
        (b"<!-- x --><html lang=en>", True),
        ("<html>".encode("utf-16"), True),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">', True),
        (b'<?xml version="1.0"?><ownershipDocument>', False),
        (b"<!-- made by x --><rss>", False),
        (b"<headline>", False),
        (b"CIK|Company Name", False),
        (b"", False),
    ],
)
def test_pages_for_people_are_told_from_other_xml(body: bytes, expected: bool) -> None:
    assert is_html(body) is expected
