"""The page of 30,000 runs in a browser: complete, sorted by true values, filtered, offline; times are printed only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import polars as pl
import pytest

from src.reporting.all_runs import run_rows
from src.reporting.formatting import DASH
from src.reporting.page import page
from src.reporting.report_data import ReportData
from tests.browser_case import Seen, needs_chromium, opened
from tests.reporting.large_case import ODD, large

pytestmark = needs_chromium
TABLE = "#all-runs"


@pytest.fixture(scope="module")
def rows(data: ReportData) -> pl.DataFrame:
    return run_rows(data)


@pytest.fixture(scope="module")
def data() -> ReportData:
    return large()


@pytest.fixture(scope="module")
def seen(data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(page(data), encoding="utf-8")
    assert file.stat().st_size < 8 * 2**20
    with opened(file) as found:
        visible = found.page.evaluate("performance.now()")
        found.page.evaluate(f"document.querySelector('{TABLE}').scrollIntoView()")
        found.page.wait_for_selector(f"{TABLE} .dt-paging", timeout=120_000)
        usable = found.page.evaluate("performance.now()")
        sys.stdout.write(
            f"\nopened in {visible:.0f} ms, usable in {usable:.0f} ms, {file.stat().st_size / 2**20:.1f} MiB\n"
        )
        yield found
    assert found.requests == []
    assert found.messages == []


def timed(what: str, act: Callable[[], object]) -> None:
    began = time.perf_counter()
    act()
    sys.stdout.write(f"{what}: {1000 * (time.perf_counter() - began):.0f} ms\n")


def column(seen: Seen, title: str) -> list[str]:
    """Texts of a column on the page that is shown."""
    script = """([table, title]) => {
      const heads = [...document.querySelectorAll(`${table} thead th`)];
      const place = heads.findIndex((head) => head.textContent.trim() === title);
      return [...document.querySelectorAll(`${table} tbody tr`)].map((row) => row.cells[place].textContent);
    }"""
    return list(seen.page.evaluate(script, [TABLE, title]))


def info(seen: Seen) -> str:
    return str(seen.page.inner_text(f"{TABLE} .dt-info"))


@pytest.fixture
def fresh(seen: Seen) -> Seen:
    """The page with nothing chosen, on its first page of rows, in its first order."""
    if seen.page.is_visible(f"{TABLE} >> text=Show all"):
        seen.page.click(f"{TABLE} >> text=Show all")
    seen.page.evaluate(f"() => {{ new DataTable.Api('{TABLE} table').order([]).page(0).draw(); }}")
    return seen


def test_the_first_rows_are_those_of_the_plain_page(fresh: Seen, rows: pl.DataFrame, data: ReportData) -> None:
    assert info(fresh) == "1 to 25 of 30,000 runs"
    assert column(fresh, "symbol") == rows["symbol"][:25].to_list()
    plain = page(data).partition('id="all-runs"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    texts = "[...row.cells].filter((cell) => !cell.hidden).map((cell) => cell.textContent)"
    drawn, written = fresh.page.evaluate(
        f"""(html) => {{
          const plain = document.createElement("table");
          plain.innerHTML = `<tbody>${{html}}</tbody>`;
          return [document.querySelector("{TABLE} table"), plain].map((table) => (
            [...table.tBodies[0].rows].map((row) => {texts})
          ));
        }}""",
        plain,
    )
    assert drawn == written and len(drawn) == 25 and len(drawn[0]) > 12


def test_it_sorts_by_true_values_and_undefined_ones_are_last(fresh: Seen, rows: pl.DataFrame) -> None:
    for order in ("descending", "ascending"):
        timed(f"sort {order}", lambda order=order: sorted_by(fresh, "Sharpe", order))  # type: ignore[misc]
        expected = rows.sort("sharpe", descending=order == "descending", nulls_last=True, maintain_order=True)
        assert column(fresh, "symbol") == expected["symbol"][:25].to_list()
        fresh.page.click(f"{TABLE} .dt-paging-button.last")
        assert set(column(fresh, "Sharpe")) == {DASH}
        fresh.page.click(f"{TABLE} .dt-paging-button.first")
    sorted_by(fresh, "symbol", "ascending")
    assert column(fresh, "symbol") == rows.sort("symbol", maintain_order=True)["symbol"][:25].to_list()


def test_filters_ranges_choices_and_words_leave_the_rows_that_polars_leaves(fresh: Seen, rows: pl.DataFrame) -> None:
    left = rows
    steps: list[tuple[str, Callable[[], None], pl.Expr]] = [
        ("quick filter", lambda: fresh.page.click(f"{TABLE} [data-flag=passed]"), pl.col("passed")),
        ("choice", lambda: chosen(fresh, "family", "xgboost"), pl.col("family") == "xgboost"),
        ("range", lambda: bounded(fresh, "Sharpe at least", "1.5"), pl.col("sharpe") >= 1.5),
        ("range in percent", lambda: bounded(fresh, "drawdown at most", "12.5"), pl.col("max_drawdown") <= 0.125),
        ("search", lambda: worded(fresh, "stock s0"), pl.col("symbol").str.to_lowercase().str.contains("s0")
         & (pl.col("asset_class") == "stock")),
    ]  # fmt: skip
    for what, act, kept in steps:
        timed(what, act)
        left = left.filter(kept)
        assert 0 < left.height < rows.height
        wait_for(fresh, f"{left.height:,} of 30,000 runs")
        assert column(fresh, "symbol") == left["symbol"][:25].to_list()
    fresh.page.click(f"{TABLE} >> text=Show all")
    assert info(fresh) == "1 to 25 of 30,000 runs"
    assert not fresh.page.is_visible(f"{TABLE} >> text=Show all")


def test_a_filter_shows_the_column_that_explains_it(fresh: Seen, rows: pl.DataFrame) -> None:
    fresh.page.click(f"{TABLE} [data-flag=is_flagged]")
    flagged = rows.filter("is_flagged")
    assert column(fresh, "flagged") == flagged["suspicious"][:25].to_list()
    fresh.page.click(f"{TABLE} [data-flag=is_flagged]")
    assert not fresh.page.locator(f"{TABLE} thead th", has_text="flagged").count()


def test_the_rows_that_are_left_are_saved_as_csv_without_formulas(fresh: Seen, rows: pl.DataFrame) -> None:
    fresh.page.click(f"{TABLE} [data-flag=passed]")
    with fresh.page.expect_download() as download:
        fresh.page.click(f"{TABLE} >> text=CSV")
    read, left = pl.read_csv(download.value.path(), infer_schema=False), rows.filter("passed")
    assert read["record_id"].to_list() == left["record_id"].to_list()
    assert read["symbol"].to_list() == [f"'{each}" if each.startswith("=") else each for each in left["symbol"]]
    assert set(ODD) <= set(left["symbol"])
    assert read["sharpe"].cast(pl.Float64).to_list() == left["sharpe"].to_list()


def test_odd_symbols_stay_text_and_lead_to_their_pages(fresh: Seen, rows: pl.DataFrame) -> None:
    worded(fresh, "alert(1)")
    wait_for(fresh, "2 of 30,000 runs")
    found = rows.filter(pl.col("symbol").str.contains("alert", literal=True))
    assert column(fresh, "symbol") == found["symbol"].to_list()
    assert fresh.page.locator(f"{TABLE} tbody img, {TABLE} tbody script").count() == 0
    links = fresh.page.eval_on_selector_all(f"{TABLE} tbody td a", "links => links.map((a) => a.href)")
    assert links == found["run_page"].to_list()


def test_a_phone_scrolls_nothing_sideways_but_the_table(fresh: Seen) -> None:
    fresh.page.set_viewport_size({"width": 400, "height": 800})
    wide, box = fresh.page.evaluate(
        f"[document.documentElement.scrollWidth, document.querySelector('{TABLE} .scroll').scrollWidth]"
    )
    fresh.page.set_viewport_size({"width": 1400, "height": 900})
    assert wide <= 400 < box


def sorted_by(seen: Seen, title: str, order: str) -> None:
    """Press Enter on a column's heading and wait for its order."""
    head = f'{TABLE} thead th:has-text("{title}")'
    seen.page.press(f"{head} .dt-column-order", "Enter")
    seen.page.wait_for_selector(f"{head}[aria-sort={order}]")


def worded(seen: Seen, words: str) -> None:
    seen.page.fill(f"{TABLE} input[type=search]", words)


def bounded(seen: Seen, label: str, bound: str) -> None:
    seen.page.evaluate(f"document.querySelector('{TABLE} details').open = true")
    seen.page.fill(f'{TABLE} [aria-label="{label}"]', bound)
    seen.page.press(f'{TABLE} [aria-label="{label}"]', "Tab")


def chosen(seen: Seen, name: str, value: str) -> None:
    seen.page.select_option(f"{TABLE} select[name={name}]", value)


def wait_for(seen: Seen, count: str) -> None:
    seen.page.wait_for_function(
        f"text => document.querySelector('{TABLE} .count').textContent === text", arg=count, timeout=60_000
    )
