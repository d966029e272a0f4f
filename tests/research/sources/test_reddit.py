"""Reddit's listings and tokens as the cassettes of the public repositories praw-dev/praw
(tests/integration/cassettes/TestSubredditListings.test_new.json) and praw-dev/prawcore (TestReadOnlyAuthorizer,
TestSession) record them; the refusal of a private subreddit after not-an-aardvark/snoowrap, issue 254."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from src.config.research_sections import RedditSection, ResearchConfig
from src.config.schema import LiveSource
from src.core.errors import StageError
from src.fetching.obstacle import REFUSED
from src.fetching.provider import Malformed, ProviderError, Refusal, Unavailable, Unfit, Unreachable, WebPage
from src.fetching.rate_gate import RateGate
from src.research.collection import collect
from src.research.reddit_client import RedditClient
from src.research.source import Page, Reply
from src.research.sources import reddit
from src.research.sources.reddit import RESEARCH
from src.runtime.redaction import forget, masked
from tests.loopback.wire import HTML, JSON, Request
from tests.loopback.wire import Reply as Sent
from tests.process_case import free_port
from tests.research.site_case import Doorman, Site, patient, site
from tests.research.sources.feed_case import NOW, Crawl, collection, everything, stored

ID, SECRET, TOKEN = "app-1d-pl4nted", "s3cret-pl4nted-too", "t0ken-pl4nted-as-well"
FIRST = int("1b0000", 36)


def base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits


def post(number: int, **changes: object) -> dict:
    name = f"t3_{base36(FIRST + number)}"
    data = {
        "name": name, "id": name[3:], "title": f"AAPL  thoughts {number}", "selftext": f"I hold $AAPL since {number}.",
        "author": "some_user", "author_fullname": "t2_abcde", "created_utc": 1710900000.0 + number,
        "permalink": f"/r/stocks/comments/{name[3:]}/thoughts/", "subreddit": "stocks", "score": 12, "num_comments": 3,
        "edited": False, "removed_by_category": None, "over_18": False, "domain": "self.stocks",
        "link_flair_text": "Company Discussion", "is_self": True,
    }  # fmt: skip
    return {"kind": "t3", "data": data | changes}


def listing(children: list[dict], after: str | None) -> bytes:
    return json.dumps(
        {"kind": "Listing", "data": {"after": after, "dist": len(children), "children": children}}
    ).encode()


class Subreddit:
    """Posts that grow in number."""

    def __init__(self, count: int = 150) -> None:
        self.posts = [post(n) for n in range(count)]

    def grow(self, count: int) -> None:
        self.posts += [post(len(self.posts) + n) for n in range(count)]

    def body(self, query: dict[str, str]) -> bytes:
        latest, limit = self.posts[::-1], int(query["limit"])
        names = [each["data"]["name"] for each in latest]
        start = names.index(query["after"]) + 1 if "after" in query else 0
        shown = latest[start : start + limit]
        return listing(shown, shown[-1]["data"]["name"] if start + limit < len(latest) else None)

    def __call__(self, page: Page) -> Reply:
        return Reply(self.body({name: each[0] for name, each in parse_qs(urlsplit(page.url).query).items()}), NOW)


def crawl(*subreddits: str) -> Crawl:
    section = RedditSection(enabled=True, subreddits=list(subreddits or ["stocks"]))
    return Crawl(RESEARCH, ResearchConfig(reddit=section))


def later(crawl: Crawl, hours: float = 1) -> Crawl:
    return crawl.at(crawl.now + dt.timedelta(hours=hours))


def names(posts: list[dict]) -> set[str]:
    return {each["data"]["name"] for each in posts}


def test_the_first_look_takes_one_page_and_later_ones_all_that_came_since() -> None:
    sub = Subreddit()
    done = crawl().run(sub)
    assert set(done.contents()) == names(sub.posts[-100:])
    sub.grow(250)
    done = later(done).run(sub)
    assert set(done.contents()) == names(sub.posts[-350:])
    assert [page.unit for page in done.asked[2:]] == [
        f"r/stocks/after/{sub.posts[n]['data']['name']}" for n in (-100, -200)
    ]
    count = len(done.asked)
    assert len(later(done).run(sub).asked) == count + 1


@pytest.mark.parametrize("most", range(5))
def test_a_run_that_is_killed_on_the_way_back_loses_no_post(most: int) -> None:
    sub = Subreddit()
    done = crawl().run(sub)
    sub.grow(350)
    killed = later(done).run(sub, most)
    sub.grow(120)
    assert set(later(killed).run(sub).contents()) == names(sub.posts[-570:])


def test_a_post_is_stored_with_its_text_and_without_its_author() -> None:
    done = crawl("r/Stocks/").run(lambda _page: Reply(listing([post(7)], None), NOW))
    (document,) = done.documents
    assert document.body.decode() == "AAPL thoughts 7\n\nI hold $AAPL since 7.\n"
    assert (document.kind, document.entity, document.stream) == ("post", "", "r/Stocks")
    assert document.url == "https://www.reddit.com/r/stocks/comments/1b0007/thoughts/"
    assert document.published == dt.datetime.fromtimestamp(1710900007, dt.UTC)
    assert "some_user" not in repr(document) and "t2_abcde" not in repr(document)


def test_an_edited_post_is_a_revision_and_counts_of_votes_are_not() -> None:
    first, edited = post(1), post(1, selftext="I sold.", edited=1710903600.0, score=99)
    voted = post(1, score=50, num_comments=80)
    done = crawl()
    for body in (first, voted, edited):
        done = later(done).run(lambda _page, body=body: Reply(listing([body], None), NOW))
    assert len(done.contents()[first["data"]["name"]]) == 2
    assert done.documents[-1].fields["edited"] is True
    assert [each.accepted for each in done.documents] == [None, *(NOW + dt.timedelta(hours=n) for n in (2, 3))]


def test_a_text_that_was_edited_before_the_first_look_is_dated_by_the_edit() -> None:
    edited = post(1, selftext="I sold.", edited=1710903600.0)
    done = crawl().run(lambda _page: Reply(listing([edited, post(2, edited=True)], None), NOW))
    assert [each.accepted for each in done.documents] == [dt.datetime.fromtimestamp(1710903600, dt.UTC), None]


@pytest.mark.parametrize(
    "gone",
    [{"selftext": "[removed]", "removed_by_category": "moderator"}, {"selftext": "[deleted]", "author": "[deleted]"}],
)
def test_a_post_that_is_removed_leaves_what_was_stored(gone: dict) -> None:
    done = crawl().run(lambda _page: Reply(listing([post(1)], None), NOW))
    done = later(done).run(lambda _page: Reply(listing([post(2, **gone), post(1, **gone)], None), NOW))
    first, second = done.contents().values()
    assert first == [b"AAPL thoughts 1\n\nI hold $AAPL since 1.\n"]
    assert second == [b"AAPL thoughts 2\n"], "one that was never seen whole has its title alone"
    assert done.remarks == ["1 posts of r/stocks were removed since they were stored"]


def test_posts_twice_out_of_order_or_broken_are_stored_once_or_counted() -> None:
    children = [post(3), post(9), post(3), {"kind": "t3", "data": {"name": "t3_zz"}}, {"kind": "t3"}, "no post"]
    done = crawl().run(lambda _page: Reply(listing(children, "t3_zz"), NOW))
    assert set(done.contents()) == names([post(3), post(9)])
    assert done.remarks == ["3 posts of r/stocks are not in Reddit's format"]


def test_more_than_reddit_lists_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reddit, "_DEEPEST", 2)
    sub = Subreddit()
    done = crawl().run(sub)
    sub.grow(400)
    done = later(done).run(sub)
    assert len(done.contents()) == 300 and "are left out: Reddit lists no more" in done.remarks[0]


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"data": {}}', b'{"data": {"children": 5}}', listing([], None)[:20]]
)
def test_a_reply_that_is_no_listing_is_refused(body: bytes) -> None:
    done = crawl().run(lambda _page: Reply(body, NOW))
    assert "no listing" in done.failed[0] and not done.units


class Reddit:
    """Tokens and listings, with statuses that a test asks for."""

    def __init__(self, sub: Subreddit) -> None:
        self.sub, self.said, self.token = sub, list[Sent](), TOKEN
        self.headers = {"x-ratelimit-remaining": "998.0", "x-ratelimit-used": "2", "x-ratelimit-reset": "0"}

    def __call__(self, request: Request) -> Sent:
        if request.path == "/api/v1/access_token":
            expected = base64.b64encode(f"{ID}:{SECRET}".encode()).decode()
            assert request.method == "POST" and request.body == b"grant_type=client_credentials"
            if request.headers["authorization"] != f"Basic {expected}":
                return Sent(401, b'{"message": "Unauthorized", "error": 401}', JSON)
            token = {"access_token": self.token, "token_type": "bearer", "expires_in": 86400, "scope": "*"}
            return Sent(200, json.dumps(token).encode(), JSON)
        assert request.headers["authorization"] == f"bearer {self.token}"
        assert request.query["raw_json"] == "1" and request.headers["user-agent"].startswith("alpha-loop ")
        if self.said:
            return self.said.pop(0)
        if request.path != "/r/stocks/new":
            return Sent(403, b'{"reason": "private", "message": "Forbidden", "error": 403}', JSON)
        return Sent(200, self.sub.body(request.query), JSON, self.headers)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Reddit, Site]]:
    monkeypatch.setenv("REDDIT_CLIENT_ID", ID)
    monkeypatch.setenv("REDDIT_CLIENT_SECRET", SECRET)
    answers = Reddit(Subreddit())
    with site(answers) as made:
        yield answers, made
    forget()


def client(url: str, gate: Doorman, **live) -> RedditClient:
    settings = ResearchConfig(reddit=RedditSection(enabled=True, address=url, token_address=url))
    return RedditClient(settings, patient(**({"timeout": 5.0} | live)), gate)


def asked(url: str, name: str = "stocks") -> Page:
    return Page("reddit", f"r/{name}", f"{url}/r/{name}/new?limit=100")


def test_every_request_passes_the_gate_tokens_included(
    world: tuple[Reddit, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = world
    asked_pypi: list[object] = []
    monkeypatch.setattr("praw.reddit.update_check", lambda **named: asked_pypi.append(named))
    monkeypatch.setattr("praw.reddit.Reddit.update_checked", False)
    gate = Doorman()
    with_token = client(made.url, gate)
    for _ in range(3):
        assert len(json.loads(with_token.fetch(asked(made.url)).body)["data"]["children"]) == 100
    with_token.close()
    assert made.paths == ["/api/v1/access_token", *["/r/stocks/new"] * 3]
    assert gate.entered == gate.good == 4 and not asked_pypi


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (Sent(429, b"", JSON, {"retry-after": "7"}), Refusal, "limits the rate"),
        (Sent(503, b"", JSON), Unavailable, "answers 503"),
        (Sent(200, b"<!doctype html><html>Sign in</html>", HTML), WebPage, "not JSON"),
        (Sent(200, b'{"kind": "Lis', JSON), Malformed, "not JSON"),
        (Sent(200, b'{"kind": "Listing"}', JSON, sent=8), Unavailable, "IncompleteRead|broken"),
        (Sent(200, b"{}" * 400, JSON, reset=True), Unavailable, "reset|broken|aborted"),
        (Sent(200, b"{}", JSON, {"x-ratelimit-remaining": "many"}), Malformed, "can't be read"),
        (Sent(403, b'{"message": "Forbidden", "error": 403}', JSON), Unfit, "check REDDIT_CLIENT_ID"),
        (Sent(400, b"{}", JSON), Malformed, "can't be read"),
    ],
)
def test_an_answer_that_is_none_is_an_error_after_one_request(
    world: tuple[Reddit, Site], said: Sent, error: type[ProviderError], words: str
) -> None:
    answers, made = world
    gate = Doorman()
    answers.said.append(said)
    with pytest.raises(error, match=words) as caught:
        client(made.url, gate).fetch(asked(made.url))
    assert gate.entered == len(made.requests) == 2, "praw repeats nothing by itself"
    assert gate.named == ([7.0] if error is Refusal else [])
    assert not any(secret in str(caught.value) for secret in (ID, SECRET, TOKEN))


@pytest.mark.parametrize(
    "said",
    [
        Sent(403, b'{"reason": "private", "message": "Forbidden", "error": 403}', JSON),
        Sent(404, b'{"reason": "banned", "message": "Not Found", "error": 404}', JSON),
        Sent(302, b"", JSON, {"location": "/subreddits/search?q=stocks"}),
        Sent(451, b"{}", JSON),
    ],
)
def test_a_closed_subreddit_is_an_answer(world: tuple[Reddit, Site], said: Sent) -> None:
    answers, made = world
    answers.said.append(said)
    assert client(made.url, Doorman()).fetch(asked(made.url)).missing


def test_wrong_keys_are_named_with_the_remedy(world: tuple[Reddit, Site], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDDIT_CLIENT_SECRET", "wr0ng-pl4nted-one")
    with pytest.raises(Unfit, match=r"status 401\): check REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET") as caught:
        client(world[1].url, Doorman()).fetch(asked(world[1].url))
    assert "wr0ng" not in str(caught.value)


def test_a_host_that_is_not_there_is_unreachable(world: tuple[Reddit, Site]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable) as caught:
        client(url, Doorman()).fetch(asked(url))
    assert (caught.value.obstacle, caught.value.host) == (REFUSED, "127.0.0.1")


def test_what_reddit_says_of_its_limit_is_waited_for(
    world: tuple[Reddit, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, made = world
    answers.headers = {"x-ratelimit-remaining": "0", "x-ratelimit-used": "100", "x-ratelimit-reset": "42"}
    waited: list[float] = []
    monkeypatch.setattr("prawcore.rate_limit.time.sleep", waited.append)
    asking = client(made.url, Doorman())
    asking.fetch(asked(made.url))
    assert not waited
    asking.fetch(asked(made.url))
    assert len(waited) == 1 and 41 < waited[0] <= 42


def settings(url: str, *more: str) -> tuple[str, ...]:
    addresses = (f"research.reddit.address={url}", f"research.reddit.token_address={url}")
    return ("research=reddit", "research.reddit.subreddits=[stocks,hidden]", *addresses, *more)


def test_the_real_collection_stores_posts_and_no_secret(
    world: tuple[Reddit, Site], tmp_path: Path, gates: list[RateGate]
) -> None:
    answers, made = world
    answers.said.append(Sent(429, b"", JSON, {"retry-after": "0"}))
    job = collection(tmp_path, *settings(made.url), rates={"reddit": 200.0})
    assert collect(job) == "reddit 100 new documents, 1 remark in the log"
    assert set(stored(job, "reddit")["id"]) == names(answers.sub.posts[-100:])
    tokens = sum(request.path.endswith("access_token") for request in made.requests)
    assert gates[0].counts.requests == len(made.requests) and len(made.requests) - tokens == 3 and tokens in (1, 2)
    assert collect(job) == "reddit nothing due"
    whole = everything(tmp_path)
    assert not any(secret.encode() in whole for secret in (ID, SECRET, TOKEN, "some_user"))
    assert masked(f"{ID} {SECRET}") == "*** ***"


def test_without_keys_it_is_off_and_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.research.reddit_client.main_root", lambda: tmp_path)
    for name in ("REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    assert "set REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET in the environment or .env" in RESEARCH.missing(
        ResearchConfig(), LiveSource()
    )
    with pytest.raises(StageError, match="reddit not asked: set REDDIT_CLIENT_ID"):
        collect(collection(tmp_path, *settings("http://127.0.0.1:9")))
    (tmp_path / ".env").write_text(
        "REDDIT_CLIENT_ID=a-long-id\nREDDIT_CLIENT_SECRET='a long secret'\n", encoding="utf-8"
    )
    assert RESEARCH.missing(ResearchConfig(), LiveSource()) == ""
    forget()
