"""Plain texts of documents; those that are costly to extract are kept on this machine."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import polars as pl

from src.core.code_hash import code_digest
from src.documents.document_store import DocumentStore
from src.documents.text import text_of
from src.research.scoring.words import LONGEST_TEXT
from src.storage import atomic

log = logging.getLogger(__name__)
_COSTLY = ("8-K", "8-K/A", "file", "paper")  # HTML, PDF and Word
_KEPT = {"content_hash": pl.String(), "text": pl.String()}


class ExtractedTexts:
    """Texts of documents, by the hash of their content.

    Parameters
    ----------
    store : DocumentStore
    state : Path or None
        Folder of this machine's state, where texts are kept in ``texts/<version>/<month>.parquet``; None keeps none.
    """

    def __init__(self, store: DocumentStore, state: Path | None) -> None:
        self._store = store
        self._folder = state / "texts" / code_digest(text_of)[:12] if state else None
        if self._folder and self._folder.parent.is_dir():
            for other in self._folder.parent.iterdir():
                if other.is_dir() and other != self._folder:
                    shutil.rmtree(other, ignore_errors=True)

    def read(self, month: str, rows: pl.DataFrame) -> pl.Series:
        """Texts of documents.

        Parameters
        ----------
        month : str
            In which they became known: the name of the file.
        rows : DataFrame
            source, id, revision, kind, content_hash, fields.

        Returns
        -------
        Series of String
            At most `LONGEST_TEXT` characters each; empty where a document has no text.
        """
        kept = self._kept(month)
        found = rows.select("content_hash").join(kept, on="content_hash", how="left", maintain_order="left")["text"]
        missing = rows.filter(found.is_null())
        if not missing.height:
            return found
        fresh = missing.select("content_hash", "kind").with_columns(text=self._extracted(missing))
        costly = fresh.filter(pl.col("kind").is_in(_COSTLY)).select(_KEPT.keys()).unique("content_hash")
        if costly.height and self._folder:
            atomic.write_parquet(pl.concat([kept, costly]), self._folder / f"{month}.parquet", sync=False)
        read = fresh.select(_KEPT.keys()).unique("content_hash", maintain_order=True)
        every = pl.concat([kept, read]).unique("content_hash", keep="first")
        return rows.select("content_hash").join(every, on="content_hash", how="left", maintain_order="left")["text"]

    def _kept(self, month: str) -> pl.DataFrame:
        path = self._folder / f"{month}.parquet" if self._folder else None
        if path is None or not path.is_file():
            return pl.DataFrame(schema=_KEPT)
        try:
            return pl.read_parquet(path, glob=False)
        except (OSError, pl.exceptions.PolarsError) as error:
            log.warning("%s can't be read (%s): its texts are extracted once more", path.as_posix(), error)
            return pl.DataFrame(schema=_KEPT)

    def _extracted(self, rows: pl.DataFrame) -> pl.Series:
        bodies = self._store.bodies(rows.select("source", "id", "revision"))["body"]
        named = zip(bodies, rows["kind"], rows["id"], rows["fields"], strict=True)
        texts = [_text(body or b"", kind, id_, fields) for body, kind, id_, fields in named]
        return pl.Series("text", texts, dtype=pl.String)


def _text(body: bytes, kind: str, id_: str, fields: str | None) -> str:
    """Text of one document; a file of a folder has its own name, a filing that of its main document."""
    return text_of(body, _file_name(kind, id_, fields))[:LONGEST_TEXT]


def _file_name(kind: str, id_: str, fields: str | None) -> str:
    if kind == "file":
        return id_
    if kind.startswith("8-K"):
        said: dict[str, Any] = json.loads(fields) if fields else {}
        return str(said.get("primary_document") or "primary.htm")
    return "text.txt"
