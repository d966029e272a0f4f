"""Feeds as publishers serve them: every form of date, encoding and identity, and what is no feed at all.

The shapes are those of RSS 2.0 as the Federal Reserve serves it (byte order mark, CDATA) and as Yahoo Finance serves
its headlines (a guid that is no address), and of Atom as in the samples of the public repository kurtmckee/feedparser.
"""

import datetime as dt

import pytest

from src.config.research_sections import NewsSection, ResearchConfig
from src.fetching.provider import Malformed, Unfit
from src.research.feed_entries import bare_link, read_feed
from src.research.source import Harvest, Page, Reply
from src.research.sources.news import RESEARCH
from tests.research.sources.feed_case import NOW, Crawl

FEED = "https://www.example.org/feed.xml"
SYMBOLS = "https://feeds.example.com/headline?s={symbol}&lang=en-US"


def crawl(*feeds: str, watched=(), **changes) -> Crawl:
    section = NewsSection(enabled=True, feeds=list(feeds or [FEED]), **changes)
    return Crawl(RESEARCH, ResearchConfig(news=section), list(watched))


def rss(*items: str, head: str = "<title>The Wire</title>") -> bytes:
    whole = f'<rss version="2.0"><channel>{head}{"".join(items)}</channel></rss>'
    return f'<?xml version="1.0" encoding="utf-8"?>{whole}'.encode()


def item(
    link: str = "https://www.example.org/a", title: str = "A title", date: str = "", text: str = "", guid: str = ""
) -> str:
    parts = {"title": title, "link": link, "pubDate": date, "description": text}
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items() if value)
    return f"<item>{inside}{'<guid isPermaLink=' + repr('false') + f'>{guid}</guid>' if guid else ''}</item>"


def served(
    body: bytes, kind: str = "application/rss+xml; charset=utf-8", arrived: dt.datetime = NOW, **headers
) -> Reply:
    return Reply(body, arrived, {"content-type": kind} | headers)


def read(body: bytes, feed: str = FEED, kind: str = "application/rss+xml") -> Harvest:
    world = crawl(feed)
    (page,) = RESEARCH.pages(world.context())
    return RESEARCH.read(page, served(body, kind), world.context())


FED = (
    b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8" ?><rss version="2.0"><channel>'
    b"<title>FRB: Press Release - All Releases</title><link>https://www.federalreserve.gov/feeds/feeds.htm</link>"
    b"<item><title>Federal Reserve Board announces approval &amp; terms</title>"
    b"<link><![CDATA[https://www.federalreserve.gov/newsevents/pressreleases/orders20240318a.htm]]></link>"
    b"<guid><![CDATA[https://www.federalreserve.gov/newsevents/pressreleases/orders20240318a.htm]]></guid>"
    b"<description><![CDATA[<p>Board &mdash; <b>approves</b> application</p>"
    b"<p>by Example&nbsp;Bancshares</p>]]></description>"
    b"<category>Orders</category><pubDate><![CDATA[Mon, 18 Mar 2024 18:30:00 GMT]]></pubDate></item></channel></rss>"
)
ATOM = b"""<?xml version="1.0" encoding="utf-8"?><feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://a.example/">
<title type="html">News &amp;amp; more</title><entry><id>tag:a.example,2024:7</id><title>Notice</title>
<link rel="alternate" href="/news/7"/><published>2024-03-19T09:30:00-04:00</published>
<updated>2024-03-19T10:00:00-04:00</updated><author><name>Ann</name></author>
<summary>short</summary>
<content type="html">&lt;p&gt;The whole text.&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</content>
</entry></feed>"""


def test_an_entry_becomes_an_article() -> None:
    harvest = read(FED)
    (article,) = harvest.documents
    assert article.id == "https://www.federalreserve.gov/newsevents/pressreleases/orders20240318a.htm" == article.url
    assert article.title == "Federal Reserve Board announces approval & terms"
    assert article.body.decode() == "Board \u2014 approves application\nby Example Bancshares"
    assert article.published == dt.datetime(2024, 3, 18, 18, 30, tzinfo=dt.UTC)
    assert (article.kind, article.stream, article.seen, article.entity) == ("article", FEED, NOW, "")
    assert article.fields["feed"] == "FRB: Press Release - All Releases" and article.fields["tags"] == ["Orders"]
    assert [(ask.stream, ask.asked, ask.since) for ask in harvest.asks] == [(FEED, NOW, None)]
    assert harvest.again == NOW + dt.timedelta(minutes=30) and not list(harvest.remarks)


def test_atom_gives_its_content_and_relative_links_become_whole() -> None:
    (article,) = read(ATOM).documents
    assert article.id == "https://a.example/news/7" and article.body == b"The whole text."
    assert article.published == dt.datetime(2024, 3, 19, 13, 30, tzinfo=dt.UTC)
    assert article.fields == {
        "feed": "News & more", "guid": "tag:a.example,2024:7", "author": "Ann", "updated": "2024-03-19T14:00:00+00:00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Tue, 19 Mar 2024 10:00:00 -0400", "2024-03-19T14:00"),
        ("Tue, 19 Mar 2024 10:00:00 EDT", "2024-03-19T14:00"),
        ("Tue, 19 Mar 2024 10:00:00 EST", "2024-03-19T15:00"),
        ("19 Mar 2024 10:00 GMT", "2024-03-19T10:00"),
        ("2024-03-19T10:00:00Z", "2024-03-19T10:00"),
        ("2024-03-19T10:00:00.123456+05:30", "2024-03-19T04:30"),
        ("2024-03-19", "2024-03-19T00:00"),
        ("Tuesday, 19-Mar-24 10:00:00 UTC", "2024-03-19T10:00"),
        ("Wed, 20 Mar 2024 15:05:00 GMT", "2024-03-20T15:00"),  # the publisher's clock is five minutes fast
    ],
)  # fmt: skip
def test_dates_of_all_forms_are_read(written: str, expected: str) -> None:
    (article,) = read(rss(item(date=written))).documents
    assert article.published == dt.datetime.fromisoformat(expected).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "written",
    [
        "Thu, 21 Mar 2024 10:00:00 GMT",
        "Tue, 19 Mar 2034 10:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "yesterday",
        "0",
    ],
)
def test_a_date_that_can_not_be_believed_is_noted_and_not_used(written: str) -> None:
    harvest = read(rss(item(date=written)))
    (article,) = harvest.documents
    assert article.published is None and article.fields["date"] == written
    assert list(harvest.remarks) == [f"https://www.example.org/a: its date is not believed: {written!r}"]


def test_without_a_date_there_is_none_and_nothing_to_remark() -> None:
    harvest = read(rss(item()))
    assert next(iter(harvest.documents)).published is None and not list(harvest.remarks)


@pytest.mark.parametrize(
    ("encoding", "declared", "kind"),
    [
        ("utf-8", "utf-8", "application/rss+xml"),
        ("iso-8859-1", "iso-8859-1", "application/xml"),
        ("windows-1252", "windows-1252", "text/xml; charset=windows-1252"),
        ("utf-16", "utf-16", "application/rss+xml"),
        ("utf-8", "", "text/html; charset=utf-8"),
        ("shift_jis", "shift_jis", ""),
    ],
)
def test_encodings_are_those_that_are_declared(encoding: str, declared: str, kind: str) -> None:
    title = "\u682a\u4fa1" if encoding == "shift_jis" else "Soci\u00e9t\u00e9 G\u00e9n\u00e9rale"
    text = rss(item(title=title)).decode()
    text = text.replace('encoding="utf-8"', f'encoding="{declared}"' if declared else "")
    (article,) = read(text.encode(encoding), kind=kind).documents
    assert article.title == title and article.body.decode() == title


def test_an_article_of_two_feeds_is_one_and_visits_are_not_counted() -> None:
    links = ["https://www.example.org/a?id=7&amp;utm_source=rss", "https://WWW.example.org/a?id=7#top"]
    ids = {document.id for link in links for document in read(rss(item(link, guid=link[-3:]))).documents}
    assert ids == {"https://www.example.org/a?id=7"}


@pytest.mark.parametrize(
    ("items", "ids"),
    [
        ([item(guid="x1")], ["https://www.example.org/a"]),
        ([item("", guid="x1")], ["www.example.org:x1"]),
        ([item("", guid="https://h/7")], ["https://h/7"]),
        ([item(guid="x1"), item(guid="x2")], ["https://www.example.org/a#x1", "https://www.example.org/a#x2"]),
        ([item(guid="x1"), item(guid="x1")], ["https://www.example.org/a"] * 2),
        ([item("javascript:alert(1)", guid="x1")], ["www.example.org:x1"]),
    ],
)
def test_identity_is_the_link_or_the_guid_within_its_feed(items: list[str], ids: list[str]) -> None:
    assert [document.id for document in read(rss(*items)).documents] == ids


def test_an_entry_without_identity_is_remarked() -> None:
    harvest = read(rss(item(""), item()))
    assert len(list(harvest.documents)) == 1
    assert list(harvest.remarks) == ["an entry has neither guid nor link: 'A title'"]


def test_a_feed_of_symbols_is_asked_for_each_and_names_them() -> None:
    world = crawl(SYMBOLS, FEED, watched=[("stock", "AAPL"), ("stock", "BRK B")])
    pages = {page.url: page for page in RESEARCH.pages(world.context())}
    assert list(pages) == [SYMBOLS.replace("{symbol}", "AAPL"), SYMBOLS.replace("{symbol}", "BRK%20B"), FEED]
    found = [RESEARCH.read(page, served(rss(item())), world.context()).documents[0].id for page in pages.values()]
    assert found == [f"https://www.example.org/a{end}" for end in (" stock:AAPL", " stock:BRK B", "")]


def test_what_vanishes_and_comes_back_changed_is_another_content() -> None:
    world, bodies = crawl(), iter([item(text="first"), item("https://www.example.org/b"), item(text="corrected")])
    for hours in range(3):
        world.at(NOW + dt.timedelta(hours=hours)).run(lambda _page: served(rss(next(bodies))))
    assert world.contents()["https://www.example.org/a"] == [b"first", b"corrected"]


def test_a_feed_is_asked_again_after_its_minutes_with_what_it_said_of_its_version() -> None:
    world = crawl(every_minutes=90)
    world.run(lambda _page: served(rss(item()), etag='"v1"'))
    assert not world.at(NOW + dt.timedelta(minutes=89)).run(lambda _page: 1 / 0).asked[1:]
    later = NOW + dt.timedelta(minutes=91)
    world.at(later).run(lambda _page: Reply(b"", later, unchanged=True))
    assert world.asked[-1].context["etag"] == '"v1"' and len(world.documents) == 1
    assert [ask.asked for ask in world.asks] == [NOW, later], "an unchanged feed was watched too"
    assert world.units[FEED] == (later + dt.timedelta(minutes=90), {"looked": True, "etag": '"v1"'})


@pytest.mark.parametrize(
    ("watched", "expected"),
    [(False, dt.datetime(2024, 3, 19, 14, tzinfo=dt.UTC)), (True, NOW + dt.timedelta(days=1))],
)
def test_a_text_is_known_no_earlier_than_it_was_written_and_seen(watched: bool, expected: dt.datetime) -> None:
    """At the first look the text is that of the last change; later, an old date does not make it history."""
    world = crawl()
    if watched:
        world.run(lambda _page: served(rss(item())))
    world.at(NOW + dt.timedelta(days=1)).run(lambda _page: served(ATOM))
    assert world.documents[-1].accepted == expected


def test_broken_xml_is_read_as_far_as_it_goes_and_remarked() -> None:
    harvest = read(
        rss(item(), item("https://www.example.org/b", "Unclosed &nbsp; & <b>")).replace(b"</channel></rss>", b"")
    )
    assert [document.id for document in harvest.documents] == ["https://www.example.org/a", "https://www.example.org/b"]
    (remark,) = harvest.remarks
    assert remark.startswith("the feed is not well-formed (")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!doctype html><html><body>Moved</body></html>", "a web page"),
        (b'{"error": "gone"}', "no feed"),
        (b"", "no feed"),
        (b"\x00\xff\xfe\x01", "no feed"),
        (b"/etc/hostname", "no feed"),
        (b"http://127.0.0.1:9/feed", "no feed"),
        (b'<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss version="2.0"><channel/></rss>', "entities"),
        ('<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss/>'.encode("utf-16"), "entities"),
    ],
)
def test_what_is_no_feed_fails_and_counts_as_no_look(body: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read(body)


def test_a_body_is_never_taken_for_the_name_of_a_file(tmp_path) -> None:
    file = tmp_path / "private.xml"
    file.write_bytes(rss(item()))
    with pytest.raises(Malformed):
        read(str(file).encode())


def test_an_empty_feed_is_an_answer() -> None:
    harvest = read(rss())
    assert not list(harvest.documents) and len(list(harvest.asks)) == 1


def test_a_feed_that_is_not_there_fails() -> None:
    world = crawl().run(lambda _page: Reply(b"", NOW, missing=True))
    assert world.failed == [f"{FEED}: {FEED}: there is no such feed: correct or remove it in research.news.feeds"]
    with pytest.raises(Unfit):
        RESEARCH.read(Page("news", FEED, FEED), Reply(b"", NOW, missing=True), world.context())


def test_the_key_of_a_feed_is_sent_and_nowhere_kept() -> None:
    feed = "https://ann:Pa55word@www.example.org/feed?token=T0psecret1&x=1"
    world = crawl(feed, feed.replace("T0psecret1", "0therT0ken"))
    link = "https://www.example.org/a?n={}&amp;token=T0psecret1"
    world.run(lambda _page: served(rss(item(link.format(1)), item(link.format(2), guid=link.format(3)))))
    assert world.asked[0].url == feed
    kept = repr([world.documents, world.asks, list(world.units), world.remarks])
    assert "T0psecret1" not in kept and "Pa55word" not in kept and "0therT0ken" not in kept
    assert len({page.unit for page in world.asked}) == 2 and len({each.id for each in world.documents}) == 2


def test_what_is_missing_is_a_sentence() -> None:
    said = {
        feeds: RESEARCH.missing(ResearchConfig(news=NewsSection(True, list(feeds))), None)
        for feeds in [(), (SYMBOLS,), (FEED,)]
    }
    assert (
        said[()] == "name feeds in research.news.feeds" and "research.watch" in said[(SYMBOLS,)] and not said[(FEED,)]
    )


def test_no_host_is_asked_more_than_once_a_second_and_each_by_itself() -> None:
    assert (RESEARCH.rate, RESEARCH.ceiling, RESEARCH.by_host) == (1.0, 1.0, True)
    hosts = RESEARCH.hosts(ResearchConfig(news=NewsSection(True, [FEED, FEED, SYMBOLS])))
    assert hosts == ("www.example.org", "feeds.example.com")


def test_the_examples_of_links() -> None:
    assert bare_link("https://finance.yahoo.com/news/x-203500123.html?.tsrc=rss").endswith("?.tsrc=rss")
    assert bare_link("HTTPS://A.example/X?gclid=1&b=&utm_medium=y") == "https://a.example/X?b="
    assert bare_link("http://[") == bare_link("mailto:a@b.c") == bare_link("") == ""


def test_a_feed_of_many_entries_is_read_whole() -> None:
    items = [item(f"https://www.example.org/{i}", text=f"&lt;p&gt;{i}&lt;/p&gt;") for i in range(300)]
    feed = read_feed(rss(*items), FEED, "", NOW)
    assert [entry.text for entry in feed.entries] == [str(i) for i in range(300)]
