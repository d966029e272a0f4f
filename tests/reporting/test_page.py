import re
from html.parser import HTMLParser

import polars as pl
import pytest

from src.reporting.book_data import BOOK_PAGE
from src.reporting.methodology import METHOD_PAGE
from src.reporting.page import SECTIONS, page
from src.reporting.report_data import Luck
from src.reporting.schemas import equity_table
from src.reporting.sessions_section import SESSIONS_PAGE
from src.reporting.summary_image import summary_image
from tests.reporting.synthetic import equity, grades, luck, report_data, states

VOID = {"meta", "link", "br", "hr", "img", "input"}
EVIL = "</td><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Reader(HTMLParser):
    """Reads a page strictly: every element that opens must close in order."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *a) for a in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    return Reader(text)


def values(reader, name):
    return [value for _, key, value in reader.attributes if key == name]


def evil(table):
    """The same table with a symbol and reasons that try to be markup."""
    return table.with_columns(
        symbol=pl.when(pl.col("symbol") == "S000").then(pl.lit(EVIL)).otherwise("symbol"),
        reasons=pl.when(pl.col("symbol") == "S000").then(pl.lit([EVIL])).otherwise("reasons"),
        suspicious=pl.when(pl.col("symbol") == "S000").then(pl.lit(EVIL)).otherwise("suspicious"),
    )


def tame(table):
    return table.with_columns(
        reasons=pl.when(pl.col("symbol") == "S000").then(pl.lit(["tame"])).otherwise("reasons"),
        suspicious=pl.when(pl.col("symbol") == "S000").then(pl.lit("tame")).otherwise("suspicious"),
    )


@pytest.fixture(scope="module")
def data():
    return report_data(planted=20)


@pytest.fixture(scope="module")
def written(data):
    """The page of the data."""
    return page(data)


@pytest.fixture(scope="module")
def image(data):
    return summary_image(data)


@pytest.fixture(scope="module")
def reader(written):
    return read(written)


def test_every_section_is_there_and_in_the_menu(reader):
    anchors = [section.anchor for section in SECTIONS]
    assert [i for i in values(reader, "id") if i in anchors] == anchors
    menu = [h for h in values(reader, "href") if h.startswith("#") and h != "#top"]
    assert menu[: len(anchors)] == [f"#{anchor}" for anchor in anchors]


def test_the_page_asks_nothing_of_the_network(written, reader):
    text = re.sub(r"<script>.*?</script>", "", written, flags=re.DOTALL)  # comments of libraries name their homes
    assert not re.findall(r"https?://|//[a-z]+\.|@import|url\(", text)
    assert not values(reader, "src")
    pages = {BOOK_PAGE, METHOD_PAGE, SESSIONS_PAGE, f"{METHOD_PAGE}#limits"}
    assert all(h.startswith("#") or h in pages for h in values(reader, "href"))


def test_the_same_data_gives_the_same_bytes(written, image):
    again = report_data(planted=20)
    assert written == page(again)
    assert image == summary_image(again)


def test_the_sentence_comes_first(data, reader):
    text = "".join(reader.text)
    assert text.index(data.luck.sentence) < text.index("What to believe")


def test_markup_in_symbols_and_reasons_stays_text():
    table = grades(30, planted=10)
    hostile, harmless = evil(table), tame(table)
    bad = report_data(
        hostile, dataset=EVIL, bar_facts={EVIL: EVIL}, settings={EVIL: EVIL}, states=states(hostile, note=EVIL)
    )
    good = report_data(
        harmless, dataset="d", bar_facts={"a": "b"}, settings={"c": "d"}, states=states(harmless, note="tame")
    )
    reader = read(page(bad))
    assert reader.tags == read(page(good)).tags
    assert "img" not in reader.tags
    assert not [key for _, key, _ in reader.attributes if key.startswith("on")]
    assert EVIL in "".join(reader.text)


def test_only_the_page_s_own_script_may_run(written):
    import base64
    import hashlib
    import html

    scripts = re.findall(r"<script>(.*?)</script>", written, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', written).group(1))
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"


def test_drawings_and_scrolling_tables_have_names(reader):
    pictures = reader.tags.count("figure") + values(reader, "role").count("region")
    names = [a for a in reader.attributes if a[1] == "aria-label" and a[2]]
    assert len(names) >= pictures > 10


def test_every_table_has_a_caption_and_headed_rows(reader):
    assert reader.tags.count("caption") == reader.tags.count("table") > 4
    assert set(values(reader, "scope")) == {"col", "row"}


def test_thirty_thousand_runs_make_a_page_under_eight_mebibytes():
    table = grades(200, planted=60)
    many = pl.concat([table.with_columns(pl.col("symbol") + f".{k}", pl.col("record_id") + f".{k}") for k in range(50)])
    data = report_data(many, equity=equity_table(equity(table)))
    assert data.grades.height == 30_000 and data.passing.height > 3_000
    text = page(data)
    assert len(text.encode()) < 8 * 2**20
    assert "The first 25 of 30,000 runs" in text


UNDEFINED = [pl.lit(float("nan")).alias(c) for c in ("auc", "accuracy", "sharpe", "max_drawdown", "luck_rate", "z")]
EVIDENCE = ["luck_rate", "z", "p_value", "q_value", "deflated_sharpe", "buy_hold_sharpe", "majority_accuracy"]
NO_RUNS = {"luck": Luck(0, 0, None, None, None), "groups": ()}
EMPTY = {
    "no runs": lambda: report_data(pl.DataFrame(), states={}, **NO_RUNS),
    "all skipped": lambda: report_data(pl.DataFrame(), states=states(grades(1).clear(), skipped=9), **NO_RUNS),
    "no passes": lambda: report_data(grades(20).with_columns(passed=pl.lit(False))),
    "null evidence": lambda: report_data(
        grades(20).with_columns(pl.lit(None).cast(pl.Float64).alias(c) for c in EVIDENCE)
    ),
    "all undefined": lambda: report_data(grades(3).with_columns(UNDEFINED)),
    "one run": lambda: report_data(grades(1, planted=1, families=("catboost",))),
    "no equity": lambda: report_data(equity=equity_table(pl.DataFrame())),
    "no states": lambda: report_data(states={}),
}


@pytest.mark.parametrize("case", EMPTY)
def test_a_session_without_much_to_show_has_no_undefined_values(case):
    data = EMPTY[case]()
    text = page(data)
    read(text)
    shown = re.sub(r"<style>.*?</style>|<script.*?</script>|<pre>.*?</pre>|<[^>]*>", " ", text, flags=re.DOTALL)
    assert not re.search(r"\b(nan|NaN|null|inf)\b|\bNone\b(?! of)", shown)
    assert summary_image(data).startswith("<svg")


def test_the_absence_of_runs_and_passes_is_stated():
    assert "No run was graded" in page(EMPTY["no runs"]())
    none = page(EMPTY["no passes"]())
    assert "No run cleared all thresholds" in none and "No run passed" in none and "near_miss" in none
    assert "No single pass can be distinguished from luck" in page(EMPTY["null evidence"]())


def test_more_passes_than_luck_and_as_many_as_luck_read_differently():
    table = grades(20)

    def written(n):
        return page(report_data(table, luck=Luck(n, 3, 10.0, 4.0, 18.0)))

    assert "More runs passed than luck alone explains" in written(19)
    assert "Luck alone explains this many passes" in written(18)
    assert "Fewer runs passed than luck" in written(3)


def test_the_summary_image_is_one_well_formed_small_svg(image):
    import xml.etree.ElementTree as ET

    assert ET.fromstring(image).tag.endswith("svg")
    assert len(image.encode()) < 200_000
    assert "@import" not in image and "href" not in image
    assert ET.fromstring(summary_image(report_data(evil(grades(30, planted=10)), luck=luck(grades(5))))) is not None
