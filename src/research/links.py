"""Which instruments a document is about: by CIK, symbol, cashtag or name, with a confidence and dates."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.documents.document_store import DocumentStore

LINKS: dict[str, Any] = {  # between documents and instruments
    "source": pl.String(),
    "id": pl.String(),
    "revision": pl.Int32(),
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "confidence": pl.Float64(),  # in (0, 1]
    "sign": pl.String(),  # what it rests on: cik, cashtag, symbol, name, symbol+name
}
COMPANIES: dict[str, Any] = {  # which company stood behind a symbol, from when to when
    "cik": pl.Int64(),
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "name": pl.String(),
    "since": pl.Datetime("us", "UTC"),  # null: from the beginning
    "until": pl.Datetime("us", "UTC"),  # null: to this day
}


def companies(store: DocumentStore, instruments: pl.DataFrame) -> pl.DataFrame:
    """The SEC's numbers and names of instruments, as the stored tables of tickers had them at each time.

    Parameters
    ----------
    store : DocumentStore
    instruments : DataFrame
        asset_class, symbol of the dataset.

    Returns
    -------
    DataFrame
        Columns of `COMPANIES`; a symbol whose company changed has a row for each.
    """
    raise NotImplementedError


def mentions(documents: pl.DataFrame, texts: pl.Series, known: pl.DataFrame) -> pl.DataFrame:
    """Instruments that texts are about.

    Parameters
    ----------
    documents : DataFrame
        Columns of `DOCUMENTS`; ``entity`` counts where a source names the instrument.
    texts : Series of String
        Title and text of each document.
    known : DataFrame
        Columns of `COMPANIES`: the instruments that can be meant.

    Returns
    -------
    DataFrame
        Columns of `LINKS`, with every confidence; the caller takes those above ``research.min_confidence``.
    """
    raise NotImplementedError
