"""What the pages name exists: links with their anchors, files, modules, commands and targets of make."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from src.core.project import ROOT
from src.core.unknown_verb import verbs

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
MADE_BY_THE_READER = {"conf/features/my_features.py", "conf/model/tuned.yaml"}
MISSPELT = {"src.trian"}  # on purpose, to show what is answered


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def missing_links(page: Path) -> list[str]:
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    return missing


def missing_names(text: str) -> list[str]:
    """Files, modules, commands and targets of make that a text names and the project lacks."""
    paths = set(re.findall(r"(?<![\w/.])((?:src|tests|conf|scripts|docs)/[\w./-]*\w)(?![\w/]*[<*])", text))
    paths |= {"scripts/" + name for name in re.findall(r"scripts\\(\w+\.bat)", text)}
    modules = set(re.findall(r"(?:-m |from |import )((?:src|tests)(?:\.\w+)+)", text))
    targets = set(re.findall(r"`make ([\w-]+)", text)) | set(re.findall(r"(?m)^make ([\w-]+)", text))
    commands = set(re.findall(r"(?m)(?:`|^|\$\()alpha ([a-z]\w*)", text)) - {*verbs(), "completion"}
    known = set(re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    missing = [path for path in paths - MADE_BY_THE_READER if not (ROOT / path).exists()]
    missing += [name for name in modules - MISSPELT if find_spec(name) is None]
    missing += [f"alpha {command}" for command in commands]
    return sorted([*missing, *(f"make {target}" for target in targets - known)])


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert missing_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_file_module_and_target_that_a_page_names_exists(page: Path) -> None:
    assert missing_names(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_python_example_of_a_page_compiles(page: Path) -> None:
    for example in re.findall(r"(?ms)^```python\n(.*?)^```", page.read_text(encoding="utf-8")):
        ast.parse(example)


def test_names_that_do_not_exist_are_reported() -> None:
    text = "`src/gone.py`, `python -m src.gone`, `make gone`, `alpha gone`, scripts\\GONE.bat; `src/models/<family>.py`"
    assert missing_names(text) == ["alpha gone", "make gone", "scripts/GONE.bat", "src.gone", "src/gone.py"]


def test_a_link_to_a_heading_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n[here](#a-page) [gone](#gone) [file](gone.md)\n", encoding="utf-8")
    assert missing_links(page) == ["#gone", "gone.md"]


def test_the_readme_shows_a_picture_in_the_reports_present_style() -> None:
    """``make demo`` writes it as reports/demo/summary.svg: copy it to docs/report.svg."""
    picture = (ROOT / "docs" / "report.svg").read_text(encoding="utf-8")
    style = (ROOT / "src" / "reporting" / "page.css").read_text(encoding="utf-8")
    colours = style[: style.index("\n}\n", style.index("prefers-color-scheme: dark")) + 3]
    assert colours.startswith(":root {") and colours in picture
