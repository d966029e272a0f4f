"""arXiv's query interface, in the format of the replies that the public repository lukasschwab/arxiv.py keeps as
fixtures (tests/fixtures/q_testing_s5_m10_*.json, id_abc_*.json)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from src.config.research_sections import PapersSection, ResearchConfig
from src.fetching.provider import Malformed
from src.research.source import Page, Reply
from src.research.sources.papers import RESEARCH, announced
from tests.research.sources.feed_case import NOW, Crawl, moment


@dataclass(frozen=True)
class Paper:
    id: str
    version: int
    published: dt.datetime
    updated: dt.datetime
    title: str = "Momentum & crashes"


def entry(paper: Paper) -> str:
    return f"""<entry><id>http://arxiv.org/abs/{paper.id}v{paper.version}</id><title>{escape(paper.title)}</title>
    <updated>{paper.updated:%Y-%m-%dT%H:%M:%SZ}</updated>
    <link href="https://arxiv.org/abs/{paper.id}v{paper.version}" rel="alternate" type="text/html"/>
    <summary>We show what
      version {paper.version} of {paper.id} shows.</summary>
    <category term="q-fin.PM" scheme="http://arxiv.org/schemas/atom"/><category term="stat.ML"/>
    <published>{paper.published:%Y-%m-%dT%H:%M:%SZ}</published><arxiv:primary_category term="q-fin.PM"/>
    <author><name>Ada Author</name></author><author><name>Bo Writer</name></author></entry>"""


def feed(entries: list[str], total: int, start: int = 0) -> bytes:
    return f"""<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom"
 xmlns="http://www.w3.org/2005/Atom"><id>https://arxiv.org/api/x</id><title>arXiv Query</title>
<opensearch:itemsPerPage>200</opensearch:itemsPerPage><opensearch:totalResults>{total}</opensearch:totalResults>
<opensearch:startIndex>{start}</opensearch:startIndex>{"".join(entries)}</feed>""".encode()


class Archive:
    """Papers by the latest version, sorted and cut as a query says."""

    def __init__(self, papers: list[Paper]) -> None:
        self.papers = papers

    def __call__(self, page: Page) -> Reply:
        query = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
        latest = sorted(self.papers, key=lambda each: (each.updated, each.id), reverse=True)
        category, _, span = query["search_query"].partition(" AND submittedDate:")
        assert category == "cat:q-fin.*"
        if span:
            assert (query["sortBy"], query["sortOrder"]) == ("submittedDate", "ascending")
            first, last = (dt.datetime.strptime(each, "%Y%m%d%H%M") for each in span.strip("[]").split(" TO "))
            inside = [each for each in latest if first <= each.published.replace(tzinfo=None, second=0) <= last]
            latest = sorted(inside, key=lambda each: (each.published, each.id))
        else:
            assert (query["sortBy"], query["sortOrder"]) == ("lastUpdatedDate", "descending")
        start = int(query["start"])
        shown = latest[start : start + int(query["max_results"])]
        return Reply(feed([entry(each) for each in shown], len(latest), start), NOW)


def papers(first: str, count: int, hours: float, prefix: str) -> list[Paper]:
    times = [moment(first) + dt.timedelta(hours=hours * n) for n in range(count)]
    return [Paper(f"{prefix}.{n:05}", 1, time, time) for n, time in enumerate(times)]


def crawl(start: str = "2024-01-01") -> Crawl:
    return Crawl(RESEARCH, ResearchConfig(start=start, papers=PapersSection(enabled=True)))


WORLD = papers("2023-12-20", 700, 1.5, "2312") + papers("2024-02-03", 650, 1.6, "2402")


def test_the_first_run_takes_every_paper_from_the_start_on_and_the_next_one_asks_for_changes_alone() -> None:
    done = crawl().run(Archive(WORLD))
    wanted = {each.id for each in WORLD if each.published >= moment("2024-01-01")}
    assert set(done.contents()) == wanted
    assert min(ask.since for ask in done.asks if ask.since) == moment("2024-01-01")
    pages = len(done.asked)
    assert len(done.run(Archive(WORLD)).asked) == pages, "six hours have not passed"
    later = done.at(NOW + dt.timedelta(hours=7)).run(Archive(WORLD))
    assert [page.unit for page in later.asked[pages:]] == ["q-fin.*/recent/0", "q-fin.*/recent/200"]


@pytest.mark.parametrize("most", [1, 2, 4, 7, 9])
def test_a_run_that_is_killed_after_any_page_goes_on_and_ends_as_if_it_had_not_been(most: int) -> None:
    whole, killed = crawl().run(Archive(WORLD)), crawl().run(Archive(WORLD), most)
    # What is covered is stored: no ask reaches back beyond a month that is not.
    for ask in killed.asks:
        since = ask.since or NOW
        assert {each.id for each in WORLD if since <= each.published} <= set(killed.contents())
    assert killed.run(Archive(WORLD)).contents() == whole.contents()


def test_a_later_version_is_a_revision_and_is_dated_by_its_own_time() -> None:
    old = Paper("2401.00007", 1, moment("2024-01-05T10:00"), moment("2024-01-05T10:00"))
    done = crawl().run(Archive([old]))
    new = Paper(old.id, 2, old.published, moment("2024-03-20T18:00"))
    later = done.at(NOW + dt.timedelta(days=1)).run(Archive([new]))
    first, second = later.contents()[old.id]
    assert b"version 1" in first and b"version 2" in second
    latest = later.documents[-1]
    assert (latest.published, latest.accepted) == (old.published, later.now)
    assert (latest.fields["version"], latest.fields["authors"], latest.kind) == (2, 2, "paper")


def test_history_is_never_known_before_the_version_that_is_read_was_announced() -> None:
    paper = Paper("1801.00001", 3, moment("2018-01-05T10:00"), moment("2021-06-11T21:00"))
    done = crawl("2018-01-01").run(Archive([paper]))
    assert len(done.contents()[paper.id]) == 1
    document = done.documents[0]
    assert document.published == paper.published
    assert document.accepted == dt.datetime(2021, 6, 15, 0, tzinfo=dt.UTC)  # Friday 17:00 is shown on Monday 20:00


def test_arxiv_announces_on_five_evenings() -> None:
    shown = [announced(moment("2024-03-04") + dt.timedelta(hours=h)) for h in range(24 * 14)]
    assert {each.astimezone(announced.__globals__["_NEW_YORK"]).strftime("%a %H") for each in shown} == {
        f"{day} 20" for day in ("Mon", "Tue", "Wed", "Thu", "Sun")
    }
    assert all(a <= b for a, b in pairwise(shown))


def test_a_version_with_the_same_abstract_is_a_revision_too() -> None:
    body = feed([entry(Paper("2403.00003", 2, NOW, NOW))], 1)
    done = crawl("2024-03-01").run(lambda _page: Reply(body, NOW))
    later = body.replace(b"00003v2", b"00003v3")
    done = done.at(NOW + dt.timedelta(days=1)).run(lambda _page: Reply(later, NOW))
    assert [b"v2 (q-fin.PM)" in each for each in done.contents()["2403.00003"]] == [True, False]


def test_a_paper_on_hold_that_appears_late_is_still_found() -> None:
    done = crawl().run(Archive(WORLD))
    held = Paper("2403.99999", 1, NOW - dt.timedelta(days=9), NOW - dt.timedelta(days=9))
    later = done.at(NOW + dt.timedelta(days=2)).run(Archive([*WORLD, held]))
    assert held.id in later.contents()
    found = next(each for each in later.documents if each.id == held.id)
    assert found.accepted == later.now and found.published == held.published, "it was not there before"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html><body>Sign in</body></html>", "no Atom feed"),
        (feed([], 5)[:200], "no Atom feed"),
        (feed([], 5), "empty page at entry 0 of 5"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><feed xmlns="http://www.w3.org/2005/Atom">&x;</feed>', "no Atom feed"),
        (
            feed(
                ["<entry><id>https://arxiv.org/api/errors#start</id><summary>start must be &lt; 9</summary></entry>"],
                1,
            ),
            "arXiv answers: start must be < 9",
        ),
    ],
)
def test_a_reply_that_is_no_answer_is_refused(body: bytes, words: str) -> None:
    done = crawl().run(lambda _page: Reply(body, NOW))
    assert len(done.failed) == 1 and words in done.failed[0]
    assert not done.documents and not done.asks and not done.units


def test_entries_that_come_twice_or_broken_or_out_of_order_are_counted() -> None:
    good = Paper("2403.00001", 2, NOW - dt.timedelta(days=2), NOW - dt.timedelta(days=1))
    older = Paper(good.id, 1, good.published, good.published)
    broken = "<entry><id>http://arxiv.org/abs/2403.00002v1</id><title>Undated</title></entry>"
    body = feed([entry(good), broken, entry(older), entry(good)], 4)
    done = crawl("2024-03-01").run(lambda _page: Reply(body, NOW))
    assert list(done.contents()) == [good.id] and done.documents[0].fields["version"] == 2
    assert len(done.remarks) == 2 and "2403.00002" in done.remarks[0] and "twice" in done.remarks[1]


def test_a_category_without_papers_is_named() -> None:
    done = crawl("2024-03-01").run(Archive([]))
    assert done.remarks == ["arXiv has no paper of q-fin.*: check research.papers.categories"]


def test_a_malformed_feed_is_an_error_of_the_provider() -> None:
    page = next(iter(RESEARCH.pages(crawl().context())))
    with pytest.raises(Malformed, match="no totalResults"):
        RESEARCH.read(page, Reply(b'<feed xmlns="http://www.w3.org/2005/Atom"/>', NOW), crawl().context())


def test_arxiv_is_asked_once_in_three_seconds() -> None:
    assert RESEARCH.rate == pytest.approx(1 / 3) and RESEARCH.ceiling is None
    assert RESEARCH.hosts(ResearchConfig()) == ("export.arxiv.org",)
