"""The site of the pages: built strictly, complete, and read and searched from disk without a network."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from src.core.project import ROOT
from tests.browser_case import needs_chromium, opened
from tests.process_case import run


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "scripts" / "docs_site.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_site_and_its_navigation(site: Path, hook: ModuleType) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    pages |= {Path(page).stem for page in hook.PAGES.values()} | {hook._reference_page(t)[:-3] for t in hook.REFERENCE}
    linked = {*re.findall(r'href="\.?/?([\w-]+)\.html"', home), "index"}
    assert pages <= linked
    assert all((site / f"{page}.html").is_file() for page in pages)


@pytest.mark.parametrize(
    ("page", "module"), [("reference-results", "src.results"), ("reference-evaluation", "src.evaluation.metrics")]
)
def test_the_reference_shows_what_a_module_offers(page: str, module: str, site: Path) -> None:
    own = vars(importlib.import_module(module)).items()
    public = [name for name, value in own if getattr(value, "__module__", "") == module and not name.startswith("_")]
    text = (site / f"{page}.html").read_text(encoding="utf-8")
    assert f'id="{module}"' in text
    assert [name for name in public if f'id="{module}.{name}"' not in text] == []


def test_no_page_asks_another_host_for_a_part_of_itself(site: Path) -> None:
    part = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")
    found = {host for page in site.rglob("*.html") for host in part.findall(page.read_text(encoding="utf-8"))}
    assert found == set()


@needs_chromium
def test_the_site_is_searched_from_disk(site: Path) -> None:
    with opened(site / "index.html") as seen:
        seen.page.locator(".md-search__input").first.click()
        seen.page.keyboard.type("circular shift")
        hit = seen.page.wait_for_selector(".md-search-result__item a", timeout=60_000)
        assert "evidence" in seen.page.locator(".md-search-result__list").inner_text().lower()
        assert hit is not None
        assert [request for request in seen.requests if not request.startswith("file:")] == []
        assert seen.messages == []


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("README", "[a](docs/daily.md#x)", "[a](daily.md#x)"),
        ("README", "[a](CHANGELOG.md)", "[a](changelog.md)"),
        ("README", "[the licence](LICENSE)", "the licence"),
        ("README", "![a](docs/report.svg)", "![a](report.svg)"),
        ("docs", "[a](../README.md#more)", "[a](index.md#more)"),
        ("docs", "[a](daily.md)", "[a](daily.md)"),
        ("docs", "[`file`](../data/source/README.md)", "`file`"),
        ("docs", "[a](https://example.org/x.md) [b](#here)", "[a](https://example.org/x.md) [b](#here)"),
        ("docs", "```\n[a](../README.md)\n```", "```\n[a](../README.md)\n```"),
    ],
)
def test_a_link_leads_to_a_page_of_the_site(page: str, link: str, led: str, hook: ModuleType) -> None:
    class Shown:
        class file:
            src_uri = "index.md" if page == "README" else "tracking.md"

    assert hook.on_page_markdown(link, page=Shown) == led
