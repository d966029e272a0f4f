"""Facts of kind `text_scores`: the tone of each text about an instrument, by a model that knew nothing later."""

from __future__ import annotations

import polars as pl

from src.config.research_sections import ScoringSection
from src.documents.document_store import DocumentStore
from src.market.bars import BarStore


def text_scores(
    store: DocumentStore, companies: pl.DataFrame, bars: BarStore, settings: ScoringSection, min_confidence: float
) -> pl.DataFrame:
    """Score the texts that are linked to instruments.

    Parameters
    ----------
    store : DocumentStore
    companies : DataFrame
        Columns of `src.research.links.COMPANIES`.
    bars : BarStore
        Returns, from which word weights are learned.
    settings : ScoringSection
    min_confidence : float
        Of the links that count.

    Returns
    -------
    DataFrame
        Columns of `src.documents.facts.schema("text_scores")`.
    """
    raise NotImplementedError
