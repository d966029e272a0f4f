"""A collection of numbered pages in a process of its own, which may end at a given moment as by ``kill -9``.

``python -m tests.research.kill_case <folder> <address> <units> <moment>``; the moments are those of `MOMENTS`, any
other name lets it run to its end.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.documents.document_store import DocumentStore
from src.research import document_batch, registry
from src.research.collection import collect
from src.research.unit_records import UnitRecords
from tests.research.collection_case import RATE, job, numbered

KILLED = 137
MOMENTS: dict[str, tuple[type, str, int]] = {
    "before the documents are stored": (DocumentStore, "append", 2),
    "after the documents, before the units": (UnitRecords, "record", 3),
    "before the segments": (DocumentStore, "seal", 1),
}
"""The method at whose call of this number the process ends."""


def ending(method: Callable[..., Any], call: int) -> Callable[..., Any]:
    """The method, which at its call of this number ends the process instead."""
    calls = []

    def counted(*arguments: Any, **settings: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            os._exit(KILLED)
        return method(*arguments, **settings)

    return counted


def main(folder: str, url: str, units: str, moment: str) -> None:
    document_batch._DOCUMENTS = 20
    registry.chosen = lambda _settings: [numbered(lambda: url, int(units))]
    if moment in MOMENTS:
        owner, name, call = MOMENTS[moment]
        setattr(owner, name, ending(getattr(owner, name), call))
    sys.stdout.write(collect(job(Path(folder), rates={"news": RATE})))


if __name__ == "__main__":
    main(*sys.argv[1:])
