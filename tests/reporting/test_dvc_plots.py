"""``dvc plots`` draws without a network, with the script that `report` writes, or says what is missing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from src.core.project import ROOT
from src.reporting.dvc_plots import SCRIPT, write_plots_script
from src.reporting.summary import summary
from tests.browser_case import browsing, needs_chromium, opened
from tests.process_case import run
from tests.reporting.synthetic import report_data

PLOTS = """plots:
  - auc.csv: {template: linear, title: AUC of all runs, x: auc, y: share}
  - rates.csv: {template: bar_horizontal, x: rate, y: group}
"""


def must(project: Path, *command: str) -> None:
    names = {name: "tester" for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME")}
    names |= {name: "tester@example.org" for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")}
    environment = {**{k: v for k, v in os.environ.items() if not k.startswith("GIT_")}, **names}
    done = run(command, cwd=project, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode(errors="replace")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two tables of plots, one of them changed since its commit, and this project's DVC settings."""
    root = tmp_path_factory.mktemp("plots")
    (root / ".dvc").mkdir()
    for name in ("config", "plots.html", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, root / ".dvc" / name)
    (root / "dvc.yaml").write_text(PLOTS, encoding="utf-8")
    (root / "auc.csv").write_text("auc,share\n0.49,0.2\n0.51,0.5\n0.53,0.3\n", encoding="utf-8")
    (root / "rates.csv").write_text("group,rate\nstock,0.2\n<b>etf</b>,0.1\n", encoding="utf-8")
    must(root, "git", "init", "-q")
    must(root, "git", "add", ".")
    must(root, "git", "commit", "-qm", "first")
    (root / "auc.csv").write_text("auc,share\n0.49,0.1\n0.51,0.6\n0.53,0.3\n", encoding="utf-8")
    write_plots_script(root / "reports")
    must(root, sys.executable, "-m", "dvc", "plots", "show", "-q", "-o", "shown")
    must(root, sys.executable, "-m", "dvc", "plots", "diff", "HEAD", "-q")
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as found:
        yield found


@needs_chromium
@pytest.mark.parametrize(("folder", "charts", "revisions"), [("shown", 2, 1), ("dvc_plots", 2, 2)])
def test_the_charts_are_drawn_without_a_network(
    folder: str, charts: int, revisions: int, project: Path, browser: Any
) -> None:
    with opened(project / folder / "index.html", browser=browser) as seen:
        seen.page.wait_for_function("(n) => document.querySelectorAll('svg.marks').length === n", arg=charts)
        assert {Path(request).name for request in seen.requests} == {SCRIPT}
        assert all(request.startswith("file:") for request in seen.requests)
        assert not [message for message in seen.messages if message.startswith("error")]
        assert not seen.page.locator("#missing").is_visible()
        names = seen.page.evaluate("spec.data.values.map((row) => row.rev)")
        assert len(set(names)) == revisions


@needs_chromium
def test_a_page_without_the_script_says_what_writes_it(project: Path, tmp_path: Path, browser: Any) -> None:
    shutil.copytree(project / "shown", tmp_path / "plots")
    with opened(tmp_path / "plots" / "index.html", browser=browser) as seen:
        assert "reports/vega.js" in seen.page.locator("#missing").inner_text()
        assert [message for message in seen.messages if "ERR_FILE_NOT_FOUND" not in message] == []


@needs_chromium
def test_a_page_in_the_projects_folder_finds_the_script_too(project: Path, browser: Any) -> None:
    page = shutil.copy(project / "shown" / "index.html", project / "index.html")
    with opened(Path(page), browser=browser) as seen:
        seen.page.wait_for_selector("svg.marks")


def test_the_script_is_written_once(tmp_path: Path) -> None:
    write_plots_script(tmp_path)
    first = (tmp_path / SCRIPT).stat()
    write_plots_script(tmp_path)
    assert (tmp_path / SCRIPT).stat().st_ino == first.st_ino
    (tmp_path / SCRIPT).write_text("old", encoding="utf-8")
    write_plots_script(tmp_path)
    assert (tmp_path / SCRIPT).stat().st_size == first.st_size


def test_the_pages_template_has_the_place_of_the_plots_and_names_no_host() -> None:
    page = (ROOT / ".dvc" / "plots.html").read_text(encoding="utf-8")
    assert "{plot_divs}" in page and "{scripts}" not in page
    assert "://" not in page and "unsafe-eval" not in page


def test_the_columns_that_decide_between_experiments_are_metrics() -> None:
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"(?m)^dvc exp show .*$", page)
    words = shlex.split(line)
    kept, dropped = (words[words.index(flag) + 1] for flag in ("--keep", "--drop"))
    names = list(leaves(summary(report_data(planted=5))))
    shown = [name for name in names if re.search(kept, name)]
    assert len(shown) == kept.count("|") + 1 and all(f"| {name} " in page for name in shown)
    assert words[words.index("--sort-by") + 1] in shown
    assert [name for name in names if not re.search(dropped, name) and name not in shown] == []


def leaves(figures: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in figures.items():
        yield from leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]
