"""The page of 30,000 runs: how large it is, and how long it takes to make, open, sort, filter and search."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.reporting.all_runs import runs_section
from src.reporting.page import page
from tests.browser_case import needs_chromium, opened
from tests.reporting.large_case import RUNS, large

TABLE = "#all-runs"


def test_the_page_is_made_and_small(tmp_path: Path) -> None:
    data = large()
    text, made = timed(lambda: page(data))
    section, part = timed(lambda: runs_section(data))
    sys.stdout.write(
        f"\nreport: the page of {RUNS:,} runs takes {made} and is {mebibytes(text)}; its table takes {part} and is "
        f"{mebibytes(section)} ({len(section.encode()) / RUNS:.0f} bytes a run)\n"
    )


@needs_chromium
def test_it_opens_sorts_filters_and_searches(tmp_path: Path) -> None:
    file = tmp_path / "index.html"
    file.write_text(page(large()), encoding="utf-8")
    with opened(file) as seen:
        browser = seen.page.context.new_cdp_session(seen.page)
        browser.send("Performance.enable", {"timeDomain": "threadTicks"})
        seen.page.reload()
        show("first rows", seen.page.evaluate("performance.now()"), spent(browser))
        seen.page.evaluate(f"document.querySelector('{TABLE}').scrollIntoView()")
        seen.page.wait_for_selector(f"{TABLE} .dt-paging")
        show("usable", seen.page.evaluate("performance.now()"), spent(browser))
        for what, script in ACTIONS.items():
            before = spent(browser)
            wall = seen.page.evaluate(f"({TIMED})({script})")
            show(what, wall, spent(browser) - before)
        assert seen.requests == seen.messages == []


# Milliseconds until the browser has drawn what a click or a key brought about.
TIMED = """async (act) => {
  const began = performance.now();
  act((selector) => document.querySelector(`#all-runs ${selector}`));
  await new Promise((drawn) => setTimeout(() => requestAnimationFrame(() => setTimeout(drawn)), act.wait ?? 0));
  return performance.now() - began;
}"""
CLICKED = """(find) => [...document.querySelectorAll('#all-runs thead th')]
  .find((head) => head.textContent.trim() === '{}').querySelector('.dt-column-order').click()"""
ACTIONS = {
    "sort by Sharpe": CLICKED.format("Sharpe"),
    "sort by symbol": CLICKED.format("symbol"),
    "quick filter": "(find) => find('[data-flag=near_miss]').click()",
    "choice": """(find) => {
      find('select[name=family]').value = 'xgboost';
      find('select[name=family]').dispatchEvent(new Event('change'));
    }""",
    "search": """Object.assign((find) => {
      find('input[type=search]').value = 'stock s0';
      find('input[type=search]').dispatchEvent(new Event('input'));
    }, { wait: 60 })""",
    "range": """(find) => {
      find('.bounds input').value = '0.5';
      find('.bounds input').dispatchEvent(new Event('change'));
    }""",
}


def timed(act: Callable[[], str]) -> tuple[str, str]:
    """What an action gives, and its seconds by the clock and of CPU."""
    began = time.perf_counter(), time.process_time()
    made = act()
    return made, f"{time.perf_counter() - began[0]:.1f} s ({time.process_time() - began[1]:.1f} s of CPU)"


def mebibytes(text: str) -> str:
    return f"{len(text.encode()) / 2**20:.1f} MiB"


def spent(browser: Any) -> float:
    """Milliseconds of CPU that the page's main thread has spent."""
    metrics = {each["name"]: each["value"] for each in browser.send("Performance.getMetrics")["metrics"]}
    return 1000 * float(metrics["TaskDuration"])


def show(what: str, wall: float, cpu: float) -> None:
    sys.stdout.write(f"report: {what}: {wall:.0f} ms, {cpu:.0f} ms of CPU\n")
