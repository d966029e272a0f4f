"""``kill -9`` at 20 moments of a process that stores documents: what was acknowledged is there, and nothing twice."""

import os
import random
import sys

from src.core.project import ROOT
from src.documents import document_store, segments
from src.documents.document_store import DocumentStore
from src.storage.atomic import remove_temporaries
from tests import process_case
from tests.soak.document_appender import BATCHES, batch, small_pieces

KILLS = 20


def appender(root, notes):
    command = [sys.executable, "-m", "tests.soak.document_appender", str(root), str(notes)]
    return process_case.started(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})


def noted(notes):
    return notes.stat().st_size // 8 if notes.exists() else 0


def held(store):
    found = store.documents().select("source", "id", "revision", "content_hash", "first_seen", "known", "backfilled")
    return found.sort("source", "id", "revision")


def contents(batches):
    """What some batches hold."""
    every = (document for i in range(batches) for document in batch(i)[0])
    return {(each.source, each.id, segments.body_hash(each.body)) for each in every}


def test_twenty_kills_lose_and_double_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "PIECE", segments.PIECE)
    monkeypatch.setattr(document_store, "_LOG_FILES", document_store._LOG_FILES)
    small_pieces()
    root, notes, chance = tmp_path / "killed", tmp_path / "notes", random.Random()
    kills = 0
    while noted(notes) < BATCHES:
        before = noted(notes)
        with appender(root, notes) as process:
            goal = before + chance.randint(1, BATCHES // KILLS) if kills < KILLS else BATCHES
            process_case.until(lambda goal=goal: noted(notes) >= goal, process)
            process_case.pause(chance.uniform(0, 0.05))
            if kills < KILLS:
                process.kill()
                kills += 1
            process.wait(process_case.HANG)
        kept = DocumentStore(root).documents().select("source", "id", "content_hash")
        stored = {*kept.rows()}
        assert contents(noted(notes)) <= stored, f"lost after kill {kills}"
        assert len(stored) == kept.height
    assert kills == KILLS
    whole = DocumentStore(tmp_path / "whole")
    for i in range(BATCHES):
        whole.append(*batch(i))
    store = DocumentStore(root)
    store.seal()
    assert held(store).equals(held(whole)) and store.digest() == whole.digest()
    assert store.coverage("edgar").equals(whole.coverage("edgar"))
    rows = sum(segments.read_columns(path, ["id"]).height for path in root.glob("*/????-??/*.parquet"))
    assert rows == held(whole).height and not segments.log_files(root)
    bodies = store.bodies(store.documents())
    assert bodies["body"].bin.size().sum() == whole.documents()["size"].sum()
    assert remove_temporaries(root) == 0
