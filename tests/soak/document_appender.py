"""Appends batches of documents until it is killed or done, and notes each batch that the store has acknowledged."""

import datetime as dt
import os
import random
import sys
from pathlib import Path

from src.documents import document_store, segments
from src.documents.document import Ask, Document
from src.documents.document_store import DocumentStore

BATCHES = 400
BEGIN = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def batch(i):
    """Five documents, of which some revise earlier ones and one comes twice."""
    chance, seen = random.Random(i), BEGIN + dt.timedelta(hours=2 * i)
    documents = [
        Document(
            chance.choice(["edgar", "news"]),
            f"d{chance.randint(0, 2 * i + 2)}",
            "article",
            seen,
            chance.randbytes(chance.randint(1, 4000)),
            "s",
            published=seen - dt.timedelta(hours=chance.randint(0, 400)),
        )
        for _ in range(5)
    ]
    return [*documents, documents[0]], [Ask("edgar", "s", seen), Ask("news", "s", seen)]


def small_pieces():
    segments.PIECE, document_store._LOG_FILES = 100_000, 20


def main(root, acknowledged):
    small_pieces()
    store = DocumentStore(root)
    first = acknowledged.stat().st_size // 8 if acknowledged.exists() else 0
    with acknowledged.open("ab") as notes:
        notes.truncate(first * 8)
        for i in range(first, BATCHES):
            store.append(*batch(i))
            notes.write(b"%07d\n" % i)
            notes.flush()
            os.fsync(notes.fileno())
    store.seal()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
