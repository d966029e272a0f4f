"""Facts of kind `chain_summaries`: what a snapshot of an option chain says of its underlying."""

from __future__ import annotations

import polars as pl

from src.chains.store import OptionStore


def chain_summaries(store: OptionStore) -> pl.DataFrame:
    """Summarise every stored snapshot.

    Parameters
    ----------
    store : OptionStore

    Returns
    -------
    DataFrame
        Columns of `src.documents.facts.schema("chain_summaries")`; known when the snapshot was captured.
    """
    raise NotImplementedError
