"""Documents that arrived and are not stored yet, with the records of their units, which may only be written later."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from src.documents.document import Ask, Document
from src.documents.document_store import Appended, DocumentStore
from src.research.unit_records import UnitRecord, UnitRecords
from src.runtime import disk_space

_DOCUMENTS = 200
_BYTES = 16 * 1024**2
_SECONDS = 5.0
SPARE = 512 * 1024**2  # bytes of free space below which nothing more is taken


class DocumentBatch:
    """A batch that stores itself when it is large or old enough.

    Parameters
    ----------
    store : DocumentStore
    records : UnitRecords
    stored : callable
        ``stored(source, appended)``: hears what each batch brought of a source.
    clock : callable
        Monotonic time in seconds.
    """

    def __init__(
        self,
        store: DocumentStore,
        records: UnitRecords,
        stored: Callable[[str, Appended], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._records, self._stored, self._clock = store, records, stored, clock
        self._documents: dict[str, list[Document]] = defaultdict(list)
        self._asks: dict[str, list[Ask]] = defaultdict(list)
        self._units: list[UnitRecord] = []
        self._count = self._bytes = 0
        self._since: float | None = None

    def add(self, source: str, documents: Sequence[Document], asks: Sequence[Ask], unit: UnitRecord | None) -> None:
        """Take what one answer brought.

        Parameters
        ----------
        source : str
        documents, asks
            Of the answer.
        unit : UnitRecord or None
            Written once they are durable; None leaves the unit due.
        """
        self._documents[source] += documents
        self._asks[source] += asks
        self._units += [unit] if unit else []
        self._count += len(documents)
        self._bytes += sum(len(each.body) for each in documents)
        if self._since is None:
            self._since = self._clock()
        if self._count >= _DOCUMENTS or self._bytes >= _BYTES:
            self.flush()
        else:
            self.flush_old()

    def flush_old(self) -> None:
        """Store the batch if it has waited for some seconds."""
        if self._since is not None and self._clock() - self._since >= _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Store the batch now.

        Raises
        ------
        DiskError
            If too little space is left for more; this batch is stored.
        """
        if self._since is None:
            return
        documents, asks, units = self._documents, self._asks, self._units
        self._documents, self._asks, self._units = defaultdict(list), defaultdict(list), []
        self._count, self._bytes, self._since = 0, 0, None
        for source in dict.fromkeys([*documents, *asks]):
            if documents[source] or asks[source]:
                self._stored(source, self._store.append(documents[source], asks[source]))
        self._records.record(units)
        disk_space.require(self._store.root, SPARE, "collecting documents")
