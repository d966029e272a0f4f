"""StockTwits' stream of a symbol, in the format that the public repositories chrispiccaro18/orbis-challenge-be
(test/mock-data.js) and khbrendle/stocktwits (streams/symbol_test.go) show."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from src.config.research_sections import ResearchConfig, StocktwitsSection
from src.config.schema import LiveSource
from src.fetching.rate_gate import RateGate
from src.research.collection import collect
from src.research.source import Page, Reply
from src.research.sources import stocktwits
from src.research.sources.stocktwits import RESEARCH
from tests.loopback.wire import JSON, Request
from tests.loopback.wire import Reply as Sent
from tests.research.site_case import site
from tests.research.sources.feed_case import NOW, Crawl, collection, everything, stored

FIRST = 208_000_000
AUTHOR = {"id": 1626961, "username": "braves716", "name": "Ganesh", "followers": 1, "identity": "User"}


def message(number: int, **changes: object) -> dict:
    return {
        "id": number,
        "body": f"$AAPL it&#39;s number {number} &amp; up",
        "created_at": f"{NOW - dt.timedelta(seconds=FIRST + 5000 - number):%Y-%m-%dT%H:%M:%SZ}",
        "user": AUTHOR,
        "source": {"id": 1149, "title": "StockTwits for iOS"},
        "symbols": [{"id": 686, "symbol": "AAPL"}, {"id": 2735, "symbol": "MSFT"}],
        "mentioned_users": [],
        "entities": {"sentiment": {"basic": "Bullish"} if number % 2 else None},
        "likes": {"total": 2, "user_ids": [1664318, 769552]},
    } | changes


def answer(messages: list[dict], more: bool = True) -> bytes:
    ids = [each["id"] for each in messages if isinstance(each["id"], int)]
    cursor = {"more": more, "since": max(ids, default=0), "max": min(ids, default=0)}
    symbol = {"id": 686, "symbol": "AAPL", "title": "Apple Inc.", "watchlist_count": 380677}
    return json.dumps({"response": {"status": 200}, "symbol": symbol, "cursor": cursor, "messages": messages}).encode()


class Stream:
    """Messages that grow in number; ids are three apart."""

    def __init__(self, count: int = 100) -> None:
        self.ids = [FIRST + 3 * n for n in range(count)]

    def grow(self, count: int) -> None:
        self.ids += [self.ids[-1] + 3 * n for n in range(1, count + 1)]

    def body(self, query: dict[str, list[str]]) -> bytes:
        most = int(query.get("max", ["999999999999"])[0])
        older = [number for number in reversed(self.ids) if number < most]
        return answer([message(number) for number in older[:30]], len(older) > 30)

    def __call__(self, page: Page) -> Reply:
        return Reply(self.body(parse_qs(urlsplit(page.url).query)), NOW)


def crawl(*watch: tuple[str, str]) -> Crawl:
    settings = ResearchConfig(watch=["AAPL"], stocktwits=StocktwitsSection(enabled=True))
    return Crawl(RESEARCH, settings, list(watch or [("stock", "AAPL")]))


def later(crawl: Crawl, hours: float = 1) -> Crawl:
    return crawl.at(crawl.now + dt.timedelta(hours=hours))


def ids(crawl: Crawl) -> list[int]:
    return sorted(int(each) for each in crawl.contents())


def test_the_first_look_takes_one_page_and_later_ones_all_that_came_since() -> None:
    stream = Stream()
    done = crawl().run(stream)
    assert ids(done) == stream.ids[-30:]
    stream.grow(75)
    done = later(done).run(stream)
    assert ids(done) == stream.ids[-105:]
    assert {each.accepted for each in done.documents} == {None, done.now}, "history, and what came while it was watched"
    assert [page.url.partition("?")[2] for page in done.asked] == [
        "",
        "",
        *(f"max={n}" for n in stream.ids[-30::-30][:2]),
    ]
    before = len(done.asked)
    assert len(later(done, 0.2).run(stream).asked) == before, "half an hour has not passed"
    assert len(later(done).run(stream).asked) == before + 1


@pytest.mark.parametrize("most", range(5))
def test_a_run_that_is_killed_on_the_way_back_loses_no_message(most: int) -> None:
    stream = Stream()
    done = crawl().run(stream)
    stream.grow(100)
    killed = later(done).run(stream, most)
    stream.grow(40)
    assert ids(later(killed).run(stream)) == stream.ids[-170:]


def test_a_message_is_stored_with_its_label_and_without_its_author() -> None:
    done = crawl().run(lambda _page: Reply(answer([message(FIRST + 1)]), NOW))
    (post,) = done.documents
    assert post.body.decode() == f"$AAPL it's number {FIRST + 1} & up"
    assert (post.kind, post.entity, post.fields["sentiment"]) == ("post", "stock:AAPL", "Bullish")
    assert post.fields["symbols"] == ["AAPL", "MSFT"] and post.published == NOW - dt.timedelta(seconds=4999)
    assert post.stream == "https://api.stocktwits.com/api/2/streams/symbol/AAPL.json"
    whole = repr(post)
    for words in ("1626961", "braves716", "Ganesh", "1664318"):
        assert words not in whole


@pytest.mark.parametrize(
    ("watched", "path"),
    [
        (("crypto", "BTC-USD"), "BTC.X"),
        (("stock", "BRK-B"), "BRK.B"),
        (("etf", "SPY"), "SPY"),
        (("stock", "A/B"), "A%2FB"),
    ],
)
def test_symbols_are_asked_for_by_stocktwits_names(watched: tuple[str, str], path: str) -> None:
    done = crawl(watched).run(Stream())
    assert done.asked[0].url.endswith(f"/streams/symbol/{path}.json")
    assert {each.entity for each in done.documents} == {":".join(watched)}


def test_ids_out_of_order_twice_deleted_or_broken_are_stored_once_or_counted() -> None:
    listed = [message(FIRST + 3), message(FIRST + 9), message(FIRST + 9), message(FIRST + 6, body=" "), {"id": "x"}]
    done = crawl().run(lambda _page: Reply(answer(listed), NOW))
    assert ids(done) == [FIRST + 3, FIRST + 9] and done.units["stock:AAPL"][1] == {"newest": FIRST + 9}
    assert done.remarks == ["2 messages on stock:AAPL are not in StockTwits' format"]
    done = later(done).run(lambda _page: Reply(answer([message(FIRST + 12)], False), NOW))
    assert ids(done) == [FIRST + 3, FIRST + 9, FIRST + 12], "what was deleted stays as it was seen"


def test_a_stream_that_repeats_its_pages_ends() -> None:
    done = crawl().run(Stream())
    stuck = answer([message(FIRST + 5000 + n) for n in range(30)])
    done = later(done).run(lambda _page: Reply(stuck, NOW))
    assert len(done.asked) == 3


def test_more_than_is_followed_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stocktwits, "_DEEPEST", 3)
    stream = Stream()
    done = crawl().run(stream)
    stream.grow(200)
    done = later(done).run(stream)
    assert len(done.documents) == 120 and "are left out: too many came" in done.remarks[0]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>Just a moment</html>", "not JSON"),
        (answer([message(1)])[:90], "not JSON"),
        (b"[]", "no messages"),
        (b'{"response":{"status":429},"errors":[{"message":"Rate limit exceeded."}]}', "Rate limit exceeded"),
    ],
)
def test_a_reply_that_is_no_answer_is_refused(body: bytes, words: str) -> None:
    done = crawl().run(lambda _page: Reply(body, NOW))
    assert words in done.failed[0] and not done.documents and not done.units


def test_an_unknown_symbol_is_asked_again_the_next_day() -> None:
    done = crawl().run(Stream())
    newest = done.units["stock:AAPL"][1]
    done = later(done).run(lambda _page: Reply(b"", NOW, missing=True))
    assert done.remarks == ["StockTwits knows no symbol stock:AAPL"]
    assert done.units["stock:AAPL"] == (NOW + dt.timedelta(hours=25), newest)


def test_without_a_watchlist_it_says_what_to_set() -> None:
    assert "research.watch=[AAPL]" in RESEARCH.missing(ResearchConfig(), LiveSource())
    assert RESEARCH.missing(crawl().settings, LiveSource()) == ""
    assert RESEARCH.rate * 3600 == pytest.approx(200) and RESEARCH.ceiling is None


def site_of(stream: Stream, refuse: int = 0) -> Callable[[Request], Sent]:
    left = [refuse]

    def served(request: Request) -> Sent:
        if left[0]:
            left[0] -= 1
            return Sent(429, b'{"response":{"status":429}}', JSON, {"Retry-After": "0"})
        if not request.path.endswith("/AAPL.json"):
            return Sent(404, b'{"response":{"status":404},"errors":[{"message":"Symbol not found"}]}', JSON)
        return Sent(200, stream.body({name: [value] for name, value in request.query.items()}), JSON)

    return served


def test_the_real_collection_takes_what_came_since_and_keeps_to_the_rate(tmp_path: Path, gates: list[RateGate]) -> None:
    stream = Stream()
    with site(site_of(stream, refuse=1)) as world:
        job = collection(
            tmp_path,
            "research=stocktwits",
            "research.watch=[AAPL,NONE]",
            f"research.stocktwits.address={world.url}/api/2",
            rates={"stocktwits": 20.0},
        )
        assert collect(job) == "stocktwits 30 new documents, 1 remark in the log"
        rows = stored(job, "stocktwits")
        assert sorted(map(int, rows["id"])) == stream.ids[-30:]
        assert {"stock:AAPL"} == set(rows["entity"])
        (gate,) = gates
        assert gate.counts.requests == len(world.requests) == 3 and gate.rate <= 20
        assert collect(job) == "stocktwits nothing due"
    assert b"braves716" not in everything(tmp_path)
