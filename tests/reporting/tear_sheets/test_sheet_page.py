"""The page of a run as a browser shows it: from disk with one script beside it, and alone in a sandboxed frame."""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.reporting.tear_sheets import sheet_scripts
from src.reporting.tear_sheets.sheet import TearSheet
from src.reporting.tear_sheets.sheet_page import Surroundings, sheet_page
from src.reporting.tear_sheets.writing import standalone
from tests.browser_case import Seen, needs_chromium, opened
from tests.reporting.sheet_case import instrument_sheet, portfolio_sheet

AROUND = Surroundings("demo", {"auc": 0.52, "sharpe": 0.5}, (("../index.html", "All runs of demo"),))
DRAWN = "document.querySelectorAll('figure.chart.drawn').length"
ALL = "document.querySelectorAll('figure.chart').length"
HIDDEN = "document.querySelectorAll('[hidden] figure.chart').length"


def many_trades(sheet: TearSheet) -> TearSheet:
    rows = sheet.days.select(
        entry="date", exit=pl.col("date").shift(-1), side=pl.lit("long"), bars=pl.lit(1), exposure=pl.col("position"),
        net=pl.col("net"), cost=pl.col("cost"),
    )  # fmt: skip
    return replace(sheet, trades=rows)


def scrolled_through(page: Any) -> None:
    for _ in range(40):
        page.mouse.wheel(0, 500)
        page.wait_for_timeout(30)
    page.wait_for_function(f"{DRAWN} === {ALL} - {HIDDEN}", timeout=60_000)


@pytest.fixture(scope="module")
def sheet() -> TearSheet:
    return many_trades(instrument_sheet(700))


@pytest.fixture(scope="module")
def seen(sheet: TearSheet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("disk")
    (folder / sheet_scripts.SCRIPT_FILE).write_text(sheet_scripts.script(), encoding="utf-8")
    page = folder / "stock.SIM01.lightgbm.html"
    page.write_text(sheet_page(sheet, AROUND, sheet_scripts.beside()), encoding="utf-8")
    with opened(page) as seen:
        scrolled_through(seen.page)
        yield seen


def test_the_same_sheet_gives_the_same_bytes_and_stays_small() -> None:
    first, second = (sheet_page(many_trades(instrument_sheet(2000)), AROUND, sheet_scripts.beside()) for _ in range(2))
    assert first == second
    assert len(first.encode()) < 160_000  # as many trades as days
    assert len(standalone(instrument_sheet(2000)).encode()) < 600_000


def test_markup_in_names_is_text() -> None:
    page = sheet_page(portfolio_sheet(60, verdict="<img src=x>"), AROUND, sheet_scripts.beside())
    assert "<img" not in page
    assert "<b>X</b>" not in page
    assert html.escape("<b>X</b>") in page


def test_a_sheet_that_stands_alone_links_to_no_file() -> None:
    assert "../index.html" not in standalone(instrument_sheet(60), AROUND)
    assert "threshold 0.52" in standalone(instrument_sheet(60), AROUND)


def test_simulated_bars_and_the_assumed_address_of_mlflow_are_named() -> None:
    run = (("http://127.0.0.1:5000/#/experiments/1/runs/ab", "the run"),)
    around = replace(AROUND, tracked=run, simulated=True)
    assert "Simulated bars" in standalone(instrument_sheet(60), around)
    assert "Simulated bars" not in standalone(instrument_sheet(60), AROUND)
    assert "runs at 127.0.0.1:5000:" in sheet_page(instrument_sheet(60), around, sheet_scripts.beside())


@pytest.mark.parametrize("made", [instrument_sheet, portfolio_sheet])
def test_every_section_of_the_menu_is_there(made: Any) -> None:
    page = sheet_page(made(300), AROUND, sheet_scripts.beside())
    menu = re.search('<nav class="parts".*?</nav>', page, re.DOTALL)
    assert menu is not None
    anchors = re.findall('href="#(.*?)"', menu[0])
    assert len(anchors) >= 10
    assert all(f'<section id="{anchor}"' in page for anchor in anchors)


@needs_chromium
def test_from_disk_all_charts_are_drawn_with_one_script_and_no_message(seen: Seen) -> None:
    assert [Path(request).name for request in seen.requests] == [sheet_scripts.SCRIPT_FILE]
    assert seen.messages == []
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@needs_chromium
def test_the_browser_reads_the_days_that_were_written(seen: Seen, sheet: TearSheet) -> None:
    read = "unpackedColumn(JSON.parse(document.getElementById('data-days').textContent).equity)"
    assert seen.page.evaluate(read) == [round(1000 * value) for value in sheet.days["equity"]]
    days = "unpackedColumn(JSON.parse(document.getElementById('data-days').textContent).date)"
    assert seen.page.evaluate(days) == sheet.days["date"].cast(pl.Int64).to_list()


@needs_chromium
def test_charts_along_time_zoom_together(seen: Seen) -> None:
    def ticks(name: str) -> list[str]:
        found: list[str] = seen.page.locator(f"#{name} .role-axis-label text").all_text_contents()
        return [text for text in found if re.fullmatch(r"[A-Z][a-z]+( \d+)?|\d{4}", text)]

    before = ticks("equity")
    seen.page.get_by_role("button", name="3 months").click()
    seen.page.wait_for_timeout(800)
    assert ticks("equity") != before
    assert len(ticks("equity")) > 2
    assert ticks("equity") == ticks("rolling-sharpe") == ticks("costs-so-far")
    seen.page.get_by_role("button", name="all", exact=True).click()
    seen.page.wait_for_timeout(800)
    assert ticks("equity") == before


@needs_chromium
def test_the_pointer_shows_the_figures_of_a_day(seen: Seen, sheet: TearSheet) -> None:
    box = seen.page.locator("figure#equity .drawing").bounding_box()
    seen.page.locator("figure#equity").hover(position={"x": 0.6 * box["width"], "y": 0.5 * box["height"]})
    seen.page.wait_for_selector("#vg-tooltip-element.visible")
    keys, values = (
        seen.page.locator(f"#vg-tooltip-element td.{part}").all_text_contents() for part in ("key", "value")
    )
    shown = dict(zip(keys, values, strict=True))
    (row,) = sheet.days.filter(pl.col("date").cast(pl.String) == shown["day"]).iter_rows(named=True)
    assert shown["this run, net"] == f"{row['equity']:.3f}"


@needs_chromium
def test_the_logarithmic_scale_is_drawn_when_it_is_chosen(seen: Seen) -> None:
    seen.page.get_by_label("logarithmic").check()
    seen.page.wait_for_selector("#equity-log.drawn", timeout=30_000)
    assert not seen.page.locator("#equity").is_visible()


@needs_chromium
def test_all_trades_are_listed_on_demand(seen: Seen, sheet: TearSheet) -> None:
    rows = seen.page.locator("table.trades tbody tr")
    assert rows.count() == 12
    first = rows.nth(3).locator("th, td").all_inner_texts()
    seen.page.get_by_role("button", name=f"Show all {sheet.trades.height}").click()
    assert rows.count() == sheet.trades.height
    assert rows.nth(3).locator("th, td").all_inner_texts() == first
    assert rows.last.locator("th").inner_text() == str(sheet.trades["entry"].min())


@needs_chromium
def test_alone_it_is_drawn_in_a_sandboxed_frame(seen: Seen, tmp_path: Path) -> None:
    viewer = tmp_path / "viewer.html"
    inside = json.dumps(standalone(portfolio_sheet(300))).replace("<", "\\u003c")
    viewer.write_text(
        '<!DOCTYPE html><iframe sandbox="allow-scripts" style="width:1000px;height:6000px"></iframe>'
        f"<script>document.querySelector('iframe').srcdoc = {inside}</script>", encoding="utf-8",
    )  # fmt: skip
    page, messages, requests = seen.page.context.new_page(), [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("request", lambda request: requests.append(request.url))
    page.set_viewport_size({"width": 1100, "height": 6200})
    page.goto(viewer.as_uri())
    page.frames[1].wait_for_function(f"{DRAWN} > 5 && {DRAWN} === {ALL} - {HIDDEN}", timeout=60_000)
    page.close()
    assert messages == []
    assert set(requests) <= {viewer.as_uri(), "about:srcdoc"}


def test_no_two_elements_share_an_id() -> None:
    for sheet in (instrument_sheet(300), portfolio_sheet(300)):
        ids = re.findall(r'\bid="([^"]+)"', sheet_page(sheet, AROUND, sheet_scripts.beside()))
        assert len(ids) == len(set(ids))
