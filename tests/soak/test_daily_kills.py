"""``kill -9`` at 20 moments of `daily`, a refit among them: journal and books are those of undisturbed days.

One checkout is left alone; a copy of it does the same days, each killed four times at random moments: the command alone
(whose step goes on), the step alone, or all at once.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
from pathlib import Path

import polars as pl
import psutil
import pytest
import yaml

from src.core.project import ROOT
from src.signals.journal import Journal
from src.signals.tables import LINE_KEY
from src.storage.day_record import read_record
from tests.pipeline_case import Project
from tests.process_case import HANG, pause

DAYS = ("2025-10-30", "2025-10-31", "2025-11-03", "2025-11-04", "2025-11-05")  # the third is the first of its month
KILLS = int(os.environ.get("ALPHA_LOOP_KILLS", "20"))
VICTIMS = ("all", "command", "step")
SETTINGS = (
    "source.simulated.stock=8", "source.simulated.etf=3", "source.simulated.crypto=2",
    "model=hist_gradient_boosting", "engine.workers=1",
)  # fmt: skip


def started(project: Project, day: str) -> subprocess.Popen[str]:
    """Start a day; its output goes to a file, which a step that outlives the command can't block."""
    command = project.arguments("daily", *SETTINGS, f"data.until={day}", "refit=monthly")
    return project._started(command)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, error = process.communicate(timeout=HANG)
    return process.returncode, f"{out}\n{error}"


def kill(process: subprocess.Popen[str], victim: str) -> bool:
    """Whether there was something to kill."""
    if process.poll() is not None:
        return False
    found = psutil.Process(process.pid).children(recursive=True)
    steps = [each for each in found if any(word.startswith("src.") for word in each.cmdline()[:3])]
    if victim == "step" and not steps:
        return False
    for each in {"step": steps[:1], "all": found, "command": []}[victim]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    if victim != "step":
        process.kill()
    return True


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of its own, hydrated, trained up to September and promoted, before the first day."""
    root = tmp_path_factory.mktemp("days") / "undisturbed"
    code = root / "code"
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", code)
    params = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("2024-12-31", "2025-09-30")
    (code / "params.yaml").write_text(params, encoding="utf-8")
    project = Project(root, code)
    hydration = [word for word in SETTINGS if word.startswith("source.")]
    project.must("hydrate", *hydration, "data.until=2025-10-29")
    project.must("featurize")
    for verb in ("train", "promote"):
        project.must(verb, *[word for word in SETTINGS if word not in hydration])
    return project


def said(project: Project) -> tuple[pl.DataFrame, pl.DataFrame, list[object]]:
    """What the journal says: lines, books and events, without when it was said and in which entry."""
    journal = Journal(project.root / "data" / "journal" / "demo")
    journal.verify()
    lines, books = (table.drop("entry", "said_at") for table in (journal.lines(), journal.books()))
    events = [dict(entry.note) for entry in journal.entries() if entry.kind == "event"]
    kept = ("event", "split_until", "before", "period", "name", "version")
    return (
        lines.sort("book_date", *LINE_KEY, nulls_last=True),
        books.sort("book_date", "asset_class", "symbol"),
        [{key: event.get(key) for key in kept} for event in events],
    )


def test_twenty_kills_leave_the_journal_and_the_books_of_undisturbed_days(prepared: Project, tmp_path: Path) -> None:
    moments, total = random.Random(7), 0
    killed = Project(tmp_path / "killed", tmp_path / "killed" / "code")
    shutil.copytree(prepared.root, killed.root)
    for day in DAYS:
        whole = started(prepared, day)
        status, text = ended(whole)
        assert status in (0, 1), text
        seconds = whole.seconds()  # type: ignore[attr-defined]
        hits = 0
        while hits < KILLS // len(DAYS):
            process = started(killed, day)
            pause(moments.uniform(0, seconds))
            victim = VICTIMS[total % len(VICTIMS)]
            if kill(process, victim):
                hits, total = hits + 1, total + 1
            if victim == "command":
                process.wait(HANG)
            else:
                ended(process)
        status, text = ended(started(killed, day))
        assert status in (0, 1), text
        record = read_record(killed.root / "data" / "states" / "demo" / "daily.json")
        assert record is not None
        assert (record.book, [step["step"] for step in record.steps][-1]) == (day, "report")
    lines, books, events = said(killed)
    lines_then, books_then, events_then = said(prepared)
    assert lines.height > 0
    assert not lines.filter(pl.col("state") == "said").select(LINE_KEY).is_duplicated().any()
    assert lines.equals(lines_then)
    assert books.equals(books_then)
    assert events == events_then
    assert [event["split_until"] for event in events if event["event"] == "refit"] == ["2025-10-31"]
    for project in (killed, prepared):
        assert yaml.safe_load((project.code / "params.yaml").read_text(encoding="utf-8"))["split_until"] == "2025-10-31"
    for path in sorted((prepared.root / "data" / "signals" / "demo").glob("*.csv")):
        assert (killed.root / "data" / "signals" / "demo" / path.name).read_bytes() == path.read_bytes(), path.name
    grades, grades_then = killed.stable_grades(), prepared.stable_grades()
    differing = [name for name in grades_then.columns if not grades[name].equals(grades_then[name])]
    assert {name: list(zip(grades[name], grades_then[name], strict=True)) for name in differing} == {}
