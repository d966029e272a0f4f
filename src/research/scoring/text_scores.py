"""Facts of kind `text_scores`: the tone of each text about an instrument, by a model that knew nothing later."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.research_sections import ScoringSection
from src.core.code_hash import code_digest
from src.core.errors import ConfigError
from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.documents.document_store import DocumentStore
from src.documents.facts import schema
from src.market.bars import BarStore
from src.research.scoring.corpus import Corpus, channels, corpus
from src.research.scoring.dictionary import dictionary_tones, word_lists
from src.research.scoring.kept_tones import KeptTones
from src.research.scoring.refits import learned_tones
from src.research.scoring.text_pieces import TextPiece, pieces
from src.research.scoring.transformer import Transformer, transformer
from src.research.scoring.words import tokens
from src.storage import atomic

log = logging.getLogger(__name__)


def text_scores(
    store: DocumentStore,
    companies: pl.DataFrame,
    bars: BarStore,
    settings: ScoringSection,
    min_confidence: float,
    state: Path | None = None,
    record: Path | None = None,
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
    state : Path, optional
        Folder in which this machine keeps extracted texts, and the tones of a transformer.
    record : Path, optional
        JSON file that gets the model's name, version and fits.

    Returns
    -------
    DataFrame
        Columns of `src.documents.facts.schema("text_scores")`, one row for each text and instrument. The tone is null
        where no model may score the text: before the first fit of word weights, or while a transformer was trained.

    Raises
    ------
    ConfigError
        If the file or folder that the model needs is not given, or is not what it should be.
    """
    if settings.model == "none":
        _write(record, {"model": "none"})
        return pl.DataFrame(schema=schema("text_scores"))
    found = pieces(store, companies, min_confidence, state, with_words=settings.model == "learned")
    about: dict[str, Any] = {"model": settings.model}
    if settings.model == "learned":
        texts = corpus(found)
        tones, fitted, fits = learned_tones(texts, bars, settings)
        about |= {"version": _version(settings, min_confidence), "fits": fits}
        table = _table(dataclasses.replace(texts, counts=None), tones, fitted)
    elif settings.model == "dictionary":
        table, version = _by_dictionary(found, settings)
        about |= {"version": version}
    else:
        table, version = _by_transformer(found, settings, state)
        about |= {"version": version}
    _write(record, about)
    return table


def _by_dictionary(found: Any, settings: ScoringSection) -> tuple[pl.DataFrame, str]:
    if not settings.dictionary:
        raise ConfigError(
            "research.scoring.model=dictionary needs research.scoring.dictionary, the CSV file of Loughran and "
            "McDonald's lists (free for academic use; commercial use needs a licence of theirs)"
        )
    lists = word_lists(settings.dictionary)

    def tones(piece: TextPiece) -> pl.Series:
        said = tokens(piece.texts).group_by("text", maintain_order=True).agg("word")
        places = pl.DataFrame({"text": range(piece.rows.height)}, schema={"text": pl.UInt32()})
        spelled = places.join(said, on="text", how="left", maintain_order="left")["word"].to_list()
        return pl.Series(dictionary_tones([each or [] for each in spelled], piece.rows["known"].to_list(), lists))

    texts = corpus(found, tones)
    version = json_digest([dataclasses.asdict(lists), code_digest(dictionary_tones)])
    return _table(texts, texts.texts["tone"].to_numpy(), np.full(texts.texts.height, np.nan)), version


def _by_transformer(found: Any, settings: ScoringSection, state: Path | None) -> tuple[pl.DataFrame, str]:
    if not settings.transformer:
        raise ConfigError(
            "research.scoring.model=transformer needs research.scoring.transformer, a folder with model.onnx, "
            "tokenizer.json and config.json"
        )
    model = transformer(settings.transformer)
    if model.trained_until is None:
        log.warning(
            "research.scoring.transformer: config.json has no trained_until, so texts are scored that the model may "
            "have read with what followed them: add the date until which it was trained"
        )
    kept = KeptTones(state, model.version)
    texts = corpus(found, lambda piece: _unread(piece, model, kept))
    return _table(texts, texts.texts["tone"].to_numpy(), np.full(texts.texts.height, np.nan)), model.version


def _unread(piece: TextPiece, model: Transformer, kept: KeptTones) -> pl.Series:
    """Tones of the texts that became known after the model was trained."""
    late = (
        piece.rows["known"] >= model.trained_until
        if model.trained_until
        else pl.repeat(True, len(piece.texts), eager=True)
    )
    tones = pl.Series(kept.tones(piece.texts.filter(late).to_list(), model.tones), dtype=pl.Float64)
    places = pl.DataFrame(
        {"place": late.arg_true(), "tone": tones}, schema={"place": pl.UInt32(), "tone": pl.Float64()}
    )
    every = pl.DataFrame({"place": range(len(piece.texts))}, schema={"place": pl.UInt32()})
    return every.join(places, on="place", how="left", maintain_order="left")["tone"]


def _table(texts: Corpus, tones: Any, fitted: Any) -> pl.DataFrame:
    """One row for each text and instrument."""
    days = [pl.col(name).dt.timestamp("us") / 86_400e6 for name in ("published", "known")]
    rows = texts.texts.with_columns(
        tone=pl.Series(tones, dtype=pl.Float64).fill_nan(None),
        fitted=pl.Series(fitted, dtype=pl.Float64).fill_nan(None),
        channel=channels(texts.texts["kind"]),
        published=pl.coalesce(days),
        document=pl.concat_str(["source", "id", pl.col("revision").cast(pl.String)], separator=":"),
        text=pl.int_range(pl.len(), dtype=pl.UInt32),
    )
    columns = schema("text_scores")
    joined = texts.links.drop("known").join(rows, on="text", how="inner", maintain_order="left")
    return joined.select(columns.keys()).cast(pl.Schema(columns)).sort(*KEY, "known", "document")


def _version(settings: ScoringSection, min_confidence: float) -> str:
    """Hash of the settings and the code that decide word weights."""
    decides = (settings.horizon, settings.refit_months, settings.min_documents, min_confidence)
    return json_digest([decides, code_digest(learned_tones, corpus, pieces)])


def _write(record: Path | None, about: dict[str, Any]) -> None:
    if record is not None and (not record.is_file() or atomic.read_json(record) != about):
        atomic.write_json(about, record)
