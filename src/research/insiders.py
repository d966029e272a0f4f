"""Facts of kind `insider_trades`, read from documents of EDGAR."""

from __future__ import annotations

import polars as pl

from src.documents.document_store import DocumentStore


def insider_trades(store: DocumentStore, companies: pl.DataFrame) -> pl.DataFrame:
    """Read the facts of all instruments.

    Parameters
    ----------
    store : DocumentStore
    companies : DataFrame
        Columns of `src.research.links.COMPANIES`.

    Returns
    -------
    DataFrame
        Columns of `src.documents.facts.schema("insider_trades")`. A later document changes no row of an earlier
        known time.
    """
    raise NotImplementedError
