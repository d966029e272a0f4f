"""The walk-through of docs/research.md, as printed: one machine collects, another trains, and both collect one day."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from src.core.project import ROOT
from src.documents.document_store import DocumentStore
from src.documents.fact_store import FactStore
from tests import process_case

COLLECT = "python -m src.ingest universe=quick source=auto research=edgar,news"
WHO = {f"GIT_{role}_{what}": f"test@{role}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def blocks() -> list[list[str]]:
    """Commands of the walk-through through DVC, a list for each block."""
    page = (ROOT / "docs" / "research.md").read_text(encoding="utf-8")
    section = page.partition("## Two machines")[2].partition("\n## ")[0]
    found = [block.strip().splitlines() for block in re.findall(r"(?ms)^```\n(.*?)^```", section)]
    return found[1:]  # the first is about a shared folder


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Path, Path]:
    """Two clones of the project, with a repository and a DVC remote that both reach."""
    origin = tmp_path / "origin.git"
    seed = tmp_path / "seed"
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, seed / name, ignore=shutil.ignore_patterns("__pycache__"))
    files = ("params.yaml", "dvc.yaml", ".dvcignore", ".gitignore", ".gitattributes", ".dvc/config", ".dvc/.gitignore")
    for name in (*files, "data/source/README.md", "data/research/README.md"):
        (seed / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, seed / name)
    run(seed, "git init -q -b main")
    run(seed, f"dvc remote add -d store {(tmp_path / 'remote').as_posix()}")
    run(seed, "git add -A")
    run(seed, "git commit -qm project")
    run(tmp_path, f"git clone -q --bare seed {origin.as_posix()}")
    for name in ("collects", "trains"):
        run(tmp_path, f"git clone -q {origin.as_posix()} {name}")
    return tmp_path / "collects", tmp_path / "trains"


def run(where: Path, command: str) -> str:
    """Carry out a printed command; collecting reads a folder in place of the network."""
    command = command.replace(COLLECT, "python -m src.ingest research=own").partition("  #")[0]
    path = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
    clean = {name: value for name, value in os.environ.items() if name not in ("DVC_ROOT", "DVC_STAGE", "PYTHONPATH")}
    done = process_case.run(
        command, shell=True, cwd=where, capture_output=True, text=True, check=False, env={**clean, **WHO, "PATH": path}
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def note(where: Path, name: str, text: str) -> None:
    folder = where / "data" / "research" / "inbox"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"---\ndate: 2024-03-01\nsymbol: SIM01\n---\n{text}\n", encoding="utf-8")


def ids(where: Path) -> frozenset[str]:
    return DocumentStore(where / "data/research/documents").ids("own")


def test_documents_travel_through_dvc_and_days_on_both_machines_join(machines: tuple[Path, Path]) -> None:
    collects, trains = machines
    once, daily, pull, join = blocks()
    run(trains, "python -m src.hydrate")
    run(trains, once[0])
    note(collects, "first.md", "SIM01 finds basalt.")
    run(collects, COLLECT)
    for command in once:
        run(collects, command)
    for command in pull:
        run(trains, command)
    assert ids(trains) == ids(collects) != frozenset()

    note(collects, "second.md", "SIM01 finds more basalt.")
    for command in daily:
        run(collects, command)
    note(trains, "third.md", "SIM01 loses it all.")  # the same day, on the other machine
    run(trains, COLLECT)
    run(trains, "dvc add data/research/documents")
    run(trains, 'git commit -m "Documents of today" data/research')
    run(trains, "dvc push")
    for command in join:
        run(trains, command)
    assert len(ids(trains)) == 3
    for command in pull:
        run(collects, command)
    assert ids(collects) == ids(trains)
    assert DocumentStore(collects / "data/research/documents").digest() == (
        DocumentStore(trains / "data/research/documents").digest()
    )
    run(trains, "python -m src.ingest")
    known = [FactStore(trains / "data/facts/demo").read(b, "text_scores") for b in range(4)]
    assert all(table.columns for table in known)
