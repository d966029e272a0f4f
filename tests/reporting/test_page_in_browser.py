"""The page in a browser, from disk: what is drawn, what is asked of the network, and how much there is to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from src.reporting.page import method_page, page
from src.reporting.pooled_loading import read_pooled
from tests.browser_case import Seen, needs_chromium, opened
from tests.reporting import pooled_case
from tests.reporting.synthetic import report_data

pytestmark = needs_chromium
MOST_WORDS = 900
WORDS = """() => {
  const rows = [...document.querySelectorAll(".data-table tbody")];
  rows.forEach((each) => { each.style.display = "none"; });
  const count = (document.body.innerText.match(/\\S+/g) || []).length;
  rows.forEach((each) => { each.style.display = ""; });
  return count;
}"""
UNDRAWN = """() => [...document.querySelectorAll("figure.chart")].filter(
  (chart) => chart.checkVisibility() && !chart.matches(".drawn")
).length"""
OUTSIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a session of both scopes, and its method."""
    folder = tmp_path_factory.mktemp("page")
    pooled = read_pooled(pooled_case.lay_out(folder / "pooled"), {})
    data = report_data(planted=20, pooled=pooled)
    (folder / "index.html").write_text(page(data), encoding="utf-8")
    (folder / "method.html").write_text(method_page(data), encoding="utf-8")
    return folder


def scrolled(seen: Seen) -> None:
    """Bring every chart that is not folded near the window, until it is drawn."""
    at = 0
    while at < seen.page.evaluate("document.body.scrollHeight"):
        seen.page.evaluate(f"window.scrollTo(0, {at})")
        seen.page.wait_for_timeout(50)
        at += 500
    for _ in range(300):
        if seen.page.evaluate(UNDRAWN) == 0:
            return
        seen.page.wait_for_timeout(100)
    raise AssertionError(f"{seen.page.evaluate(UNDRAWN)} charts are not drawn")


@pytest.fixture(scope="module")
def wide(written: Path) -> Iterator[Seen]:
    with opened(written / "index.html") as seen:
        yield seen


def test_the_first_screen_holds_verdict_picture_figures_and_what_to_do(wide: Seen) -> None:
    wide.page.wait_for_selector("#luck-chart.drawn")
    for place in (".verdict", "#luck-chart", ".facts", ".next"):
        box = wide.page.locator(place).first.bounding_box()
        assert box is not None and box["y"] + box["height"] <= 900, place


def test_the_page_says_what_it_says_in_few_words(wide: Seen) -> None:
    assert wide.page.evaluate(WORDS) < MOST_WORDS


def test_a_definition_shows_on_hover_and_on_focus_and_escape_hides_it(wide: Seen) -> None:
    word, tip = wide.page.locator("#evidence [data-tip]").first, wide.page.locator("#tip")
    word.focus()
    assert tip.is_visible() and tip.inner_text() == word.get_attribute("data-tip")
    assert word.get_attribute("aria-describedby") == "tip"
    wide.page.keyboard.press("Escape")
    assert not tip.is_visible()
    word.hover()
    assert tip.is_visible()


def test_every_chart_is_drawn_and_nothing_is_asked_of_the_network(wide: Seen) -> None:
    scrolled(wide)
    assert wide.page.locator("figure.chart.drawn").count() > 8
    assert wide.requests == [] and wide.messages == []
    assert wide.page.evaluate(OUTSIDE) <= 0


def test_a_phone_in_the_dark_scrolls_nothing_sideways(wide: Seen, written: Path) -> None:
    wide.page.set_viewport_size({"width": 400, "height": 800})
    wide.page.emulate_media(color_scheme="dark")
    for name in ("index.html", "method.html"):
        wide.page.goto((written / name).resolve().as_uri())
        scrolled(wide)
        assert wide.page.evaluate(OUTSIDE) <= 0
        paper = wide.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert sum(map(int, paper[4:-1].split(","))) < 150
    assert wide.messages == []
