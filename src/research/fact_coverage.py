"""In which intervals the absence of a fact says that there was none."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from src.documents.document_store import DocumentStore

STREAMS = {  # source, and the stream whose intervals count for all instruments, of each kind of fact
    "filings": (("edgar", "index"), ("simulated", "filings")),
    "insider_trades": (("edgar", "index"), ("edgar", "insider-sets"), ("simulated", "filings")),
    "statements": (("edgar", "fundamentals"), ("simulated", "filings")),
}


def coverage(store: DocumentStore, tables: Mapping[str, pl.DataFrame], instruments: pl.DataFrame) -> pl.DataFrame:
    """Intervals of each instrument and kind of fact.

    What a source tells of all companies counts for every instrument that it knows by name or number. Texts and option
    chains say nothing by their absence: they count from an instrument's first to its last fact.

    Parameters
    ----------
    store : DocumentStore
    tables : mapping of str to DataFrame
        Facts by kind.
    instruments : DataFrame
        asset_class, symbol of the dataset.

    Returns
    -------
    DataFrame
        Columns of `COVERAGE`.
    """
    raise NotImplementedError
