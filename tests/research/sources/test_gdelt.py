"""GDELT's files of 15 minutes: the list as the public repository linwoodc3/gdeltPyR shows it
(notebook/earlyConceptsnFunctionality.md), rows of 27 columns as the codebook 2.1 orders them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import zipfile
from collections.abc import Callable

import pytest

from src.config.research_sections import GdeltSection, ResearchConfig
from src.research.source import Page, Reply
from src.research.sources import gdelt
from src.research.sources.gdelt import RESEARCH
from tests.research.sources.feed_case import NOW, Crawl

SLOT = dt.timedelta(minutes=15)


def row(label: str, number: int, **columns: str) -> str:
    """One row; columns by their place, such as c8."""
    cells = [""] * 27
    cells[0], cells[1], cells[2], cells[3] = f"{label}-{number}", label, "1", "example-news.test"
    cells[4] = f"https://example-news.test/2024/03/apple-beats-estimates-{number}.html?ref=rss"
    cells[8] = "TAX_FNCACT,12;ECON_STOCKMARKET,100;ECON_STOCKMARKET,300"
    cells[14] = "Apple Inc,120;Goldman Sachs,260;Apple Inc,300"
    cells[15] = "-1.2,2.1,3.3,5.4,20.1,0.1,120"
    cells[17] = "wc:120,c1.4:2"
    cells[26] = f"<PAGE_TITLE>Apple &#x2013; beats &amp; raises {number}</PAGE_TITLE>"
    for name, value in columns.items():
        cells[int(name[1:])] = value
    return "\t".join(cells)


def packed(*rows: str, names: tuple[str, ...] = ("20240320150000.gkg.csv",)) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, "".join(f"{each}\n" for each in rows).encode("utf-8", "surrogateescape"))
    return out.getvalue()


class Site:
    """Serves a file of two wanted rows for each slot, and the list of the latest three files."""

    def __init__(self, latest: dt.datetime = NOW) -> None:
        self.latest = latest
        self.gone: set[str] = set()
        self.files: dict[str, bytes] = {}

    def file(self, label: str) -> bytes:
        return self.files.setdefault(label, packed(row(label, 1), row(label, 2), row(label, 3, c14="", c13="")))

    def __call__(self, page: Page) -> Reply:
        name = page.url.rpartition("/")[2]
        if name == "lastupdate.txt":
            return Reply(self.list(f"{self.latest:%Y%m%d%H%M%S}"), NOW)
        label = name.partition(".")[0]
        if label in self.gone:
            return Reply(b"", NOW, missing=True)
        return Reply(self.file(label), NOW)

    def list(self, label: str) -> bytes:
        body = self.file(label)
        address = f"http://data.gdeltproject.org/gdeltv2/{label}"
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return (
            f"150383 297a16b493de7cf6ca809a7cc31d0b93 {address}.export.CSV.zip\n"
            f"318084 bb27f78ba45f69a17ea6ed7755e9f8ff {address}.mentions.CSV.zip\n"
            f"{len(body)} {digest} {address}.gkg.csv.zip\n"
        ).encode()


def crawl(days: float = 0.25, **settings: object) -> Crawl:
    return Crawl(RESEARCH, ResearchConfig(gdelt=GdeltSection(enabled=True, days=days, **settings)))


def one(serve: Callable[[Page], Reply] | bytes, **settings: object) -> Crawl:
    """A run over one file alone."""
    site = Site()
    if isinstance(serve, bytes):
        site.files[f"{NOW:%Y%m%d%H%M%S}"] = serve
        return crawl(0, **settings).run(site)
    return crawl(0, **settings).run(serve)


def test_the_first_run_takes_the_days_before_newest_first_and_the_next_one_what_came_since() -> None:
    site = Site()
    done = crawl().run(site)
    labels = [page.context["label"] for page in done.asked[1:]]
    assert labels == [f"{NOW - SLOT * n:%Y%m%d%H%M%S}" for n in range(25)]
    assert [page.order for page in done.asked] == list(range(26)), "among those of other sources too"
    assert len(done.documents) == 50 and {each.stream for each in done.documents} == {"gdelt"}
    assert min(ask.since for ask in done.asks if ask.since) == NOW - dt.timedelta(hours=6) - SLOT
    site.latest = NOW + 3 * SLOT
    later = done.at(site.latest + dt.timedelta(minutes=1)).run(site)
    assert [page.context["label"][8:12] for page in later.asked[27:]] == ["1545", "1530", "1515"]
    assert later.units["lastupdate"][1]["complete"] == f"{NOW:%Y%m%d%H%M%S}"


@pytest.mark.parametrize("most", [0, 1, 2, 7, 20])
def test_a_run_that_is_killed_goes_on_and_covers_only_what_is_stored(most: int) -> None:
    whole, killed = crawl().run(Site()), crawl().run(Site(), most)
    for ask in killed.asks:
        stored = {each.accepted for each in killed.documents}
        assert all(ask.since + SLOT * n in stored for n in range(1, (NOW - ask.since) // SLOT + 1) if ask.since)
    assert killed.run(Site()).contents() == whole.contents()


def test_a_row_becomes_an_article_with_title_organisations_themes_and_tone() -> None:
    done = one(packed(row("20240320150000", 7)))
    (article,) = done.documents
    assert (article.id, article.kind, article.title) == ("20240320150000-7", "article", "Apple \u2013 beats & raises 7")
    assert article.body.decode() == "Apple \u2013 beats & raises 7\n\nOrganisations: Apple Inc; Goldman Sachs\n"
    assert article.fields["organisations"] == ["Apple Inc", "Goldman Sachs"]
    assert article.fields["themes"] == ["ECON_STOCKMARKET"]
    assert (article.fields["tone"], article.fields["words"], article.fields["site"]) == (-1.2, 120, "example-news.test")
    assert article.accepted == article.published == NOW


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        ({}, True),
        ({"c14": "", "c13": "apple inc;tesla"}, True),  # the plain list of names stands in
        ({"c14": "", "c13": ""}, False),  # names no organisation
        ({"c8": "ECON_STOCKMARKETS,5;TAX_FNCACT,1"}, False),  # another theme that begins alike
        ({"c8": "", "c7": "ECON_EARNINGSREPORT;LEADER"}, True),
        ({"c8": "", "c7": ""}, False),
    ],
)
def test_rows_are_kept_by_theme_and_organisation(columns: dict[str, str], kept: bool) -> None:
    done = one(packed(row("20240320150000", 1, **columns)))
    assert bool(done.documents) is kept and not done.remarks


@pytest.mark.parametrize(
    ("stated", "published"),
    [
        ("20240320143000", NOW - dt.timedelta(minutes=30)),
        ("20240321090000", NOW),  # later than GDELT saw it
        ("20241399000000", NOW),  # no date
    ],
)
def test_the_page_s_own_time_counts_unless_it_is_impossible(stated: str, published: dt.datetime) -> None:
    extras = f"<PAGE_PRECISEPUBTIMESTAMP>{stated}</PAGE_PRECISEPUBTIMESTAMP>"
    (article,) = one(packed(row("20240320150000", 1, c26=extras))).documents
    assert (article.published, article.accepted, article.title) == (published, NOW, "")
    assert article.body.startswith(b"apple beats estimates\n")


def test_rows_in_another_format_are_counted_and_duplicates_are_one() -> None:
    good = row("20240320150000", 1)
    latin = row("20240320150000", 2, c4="https://example-news.test/caf\udce9", c15="n/a")
    done = one(packed(good, good, "cut\trow", latin, good + "\textra", row("20240320150000", 3, c4="")))
    assert [each.id[-1] for each in done.documents] == ["1", "2"]
    assert done.documents[1].url.endswith("caf\ufffd") and "tone" not in done.documents[1].fields
    assert done.remarks == ["3 of 6 rows of 2024-03-20 15:00 are not in GDELT's format"]


def test_a_file_that_is_not_the_one_of_the_list_is_refused() -> None:
    site = Site()

    def serve(page: Page) -> Reply:
        reply = site(page)
        return reply if page.unit == "lastupdate" else Reply(packed(row("20240320150000", 9)), NOW)

    done = crawl(0).run(serve)
    assert not done.documents and "and the list says" in done.failed[0]


def test_an_older_file_is_checked_by_the_md5_of_its_server() -> None:
    def serve(page: Page) -> Reply:
        reply = Site()(page)
        wrong = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
        right = base64.b64encode(hashlib.md5(reply.body, usedforsecurity=False).digest()).decode()
        given = {"144500": wrong, "143000": right}.get(page.url[-18:-12], "no base64")
        return Reply(reply.body, NOW, {"x-goog-hash": f"crc32c=n03x6A==, md5={given}"})

    done = crawl(0.03).run(serve)
    assert len(done.failed) == 1 and "20240320144500" in done.failed[0] and "its server says" in done.failed[0]
    assert len(done.documents) == 4


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no sound zip"),
        (packed(row("20240320150000", 1))[:300], "no sound zip"),
        (packed(row("20240320150000", 1), names=("a.csv", "b.csv")), "must hold one table"),
        (packed(names=()), "must hold one table"),
        (b"<html>Blocked</html>", "no sound zip"),
    ],
)
def test_a_file_that_is_no_zip_of_one_table_is_refused(body: bytes, words: str) -> None:
    done = one(body)
    assert not done.documents and words in done.failed[0]


def test_a_zip_that_unpacks_without_end_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gdelt, "_LARGEST", 1 << 20)
    done = one(packed("x" * (1 << 21)))
    assert "at most 1 MB" in done.failed[0]


@pytest.mark.parametrize("body", [b"", b"<html>", b"1 2 3\n", b"1 2 http://x/20249999000000.gkg.csv.zip"])
def test_a_list_that_names_no_file_is_refused(body: bytes) -> None:
    done = one(lambda _page: Reply(body, NOW))
    assert "names none of the knowledge graph" in done.failed[0]


def test_a_missing_file_is_noted_asked_again_for_a_day_and_then_passed_over() -> None:
    site = Site()
    gone = f"{NOW - SLOT:%Y%m%d%H%M%S}"
    site.gone.add(gone)
    done = crawl(0.02).run(site)
    assert done.remarks == ["GDELT has no file of 2024-03-20 14:45"] and len(done.documents) == 2
    site.gone.clear()
    assert len(done.at(NOW + SLOT).run(site).documents) == 4, "it came late"
    site.gone.add(gone)
    other = crawl(0.02).run(site)
    late = other.at(NOW + dt.timedelta(days=2))
    asked = len(other.asked)
    late.run(site)
    assert [page.unit for page in late.asked[asked:]] == ["lastupdate"]


def test_a_file_that_failed_is_asked_again_and_nothing_after_it_counts_as_complete() -> None:
    site = Site()
    hole = f"{NOW - 2 * SLOT:%Y%m%d%H%M%S}"
    site.files[hole] = b"no zip"
    done = crawl(0.05).run(site)
    assert len(done.failed) == 1
    done = done.at(NOW + SLOT).run(site)
    assert done.units["lastupdate"][1]["complete"] == f"{NOW - 3 * SLOT:%Y%m%d%H%M%S}"
    del site.files[hole]
    assert len(done.at(NOW + 2 * SLOT).run(site).documents) == 10


def test_more_days_than_before_are_taken_too_and_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    done = crawl(0.02).run(Site())
    done.settings.gdelt.days = 0.05
    done.at(NOW + SLOT).run(Site())
    assert len({each.accepted for each in done.documents}) == 5
    monkeypatch.setattr(gdelt, "_MOST", 3)
    few = crawl(0.1).run(Site())
    assert min(each.accepted for each in few.documents) == NOW - 2 * SLOT
    assert len(few.documents) == 6 and few.remarks == ["7 older files of GDELT are left for the next run"]


def test_nothing_before_the_first_file_is_asked_for() -> None:
    label = "20150218231500"
    site = Site(dt.datetime(2015, 2, 18, 23, 15, tzinfo=dt.UTC))
    done = crawl(4000).run(site)
    assert [page.context.get("label") for page in done.asked[1:]] == [label, "20150218230000"]
    assert RESEARCH.hosts(ResearchConfig()) == ("data.gdeltproject.org",)
