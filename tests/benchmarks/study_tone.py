"""How well the tone of texts orders what follows them, by quarter: learned word weights, lists of words, and VADER.

Asked of what is stored: the documents and the bars of a dataset, as `src.ingest` takes them. A model is judged on the
texts that word weights could score by then, each once, by the AUC of its tone against the sign of the return that
follows, less the market's. The error is that of the mean over quarters.

    python -m tests.benchmarks.study_tone universe=demo research=simulated
    python -m tests.benchmarks.study_tone universe=quick research=news research.scoring.dictionary=lists.csv
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from src.config.compose import compose
from src.config.research_sections import ScoringSection
from src.core.arrays import FloatArray
from src.documents.document_store import DocumentStore
from src.evaluation.metrics import auc
from src.market.bars import BarStore
from src.research.instruments import wanted
from src.research.job import ResearchJob
from src.research.links import companies
from src.research.scoring.corpus import Corpus, corpus
from src.research.scoring.dictionary import dictionary_tones, word_lists
from src.research.scoring.outcomes import outcomes
from src.research.scoring.refits import learned_tones
from src.research.scoring.text_pieces import TextPiece, pieces
from src.research.scoring.words import tokens
from tests.benchmarks.study_monitor import say


def vader(piece: TextPiece) -> pl.Series:
    """VADER's compound score of each text."""
    analyzer = SentimentIntensityAnalyzer()
    scores = [analyzer.polarity_scores(each)["compound"] for each in piece.texts]
    return pl.Series(scores, dtype=pl.Float64)


def by_lists(path: str) -> Callable[[TextPiece], pl.Series]:
    """Tone by the lists of a file."""
    lists = word_lists(path)

    def tones(piece: TextPiece) -> pl.Series:
        said: list[list[str]] = [[] for _ in range(len(piece.texts))]
        for text, word in tokens(piece.texts).rows():
            said[text].append(word)
        return pl.Series(dictionary_tones(said, piece.rows["known"].to_list(), lists), dtype=pl.Float64)

    return tones


def compared(
    read: Callable[[Callable[[TextPiece], pl.Series] | None], Corpus],
    bars: BarStore,
    settings: ScoringSection,
    others: Mapping[str, Callable[[TextPiece], pl.Series]],
) -> pl.DataFrame:
    """One row for each text and instrument that has a learned tone and a return: quarter, label, tone by model."""
    texts = read(None)
    tones, _, _ = learned_tones(texts, bars, settings)
    scored = {"learned": tones}
    for name, score in others.items():
        scored[name] = read(score).texts["tone"].to_numpy()
    table = pl.DataFrame(scored).with_columns(text=pl.int_range(pl.len(), dtype=pl.UInt32), known=texts.texts["known"])
    after = outcomes(texts.links, bars, settings.horizon)
    quarter = pl.concat_str([pl.col("known").dt.year(), pl.lit(" Q"), pl.col("known").dt.quarter()])
    found = after.join(table, on="text").filter(pl.col("learned").is_not_nan(), pl.col("outcome") != 0)
    label = (pl.col("outcome") > 0).cast(pl.Float64)
    return found.select("text", "known", quarter.alias("quarter"), label.alias("label"), *scored).sort("known", "text")


def by_quarter(table: pl.DataFrame, models: list[str]) -> pl.DataFrame:
    """AUC of each model in each quarter."""
    rows = [
        {"quarter": name, "texts": part.height} | {m: auc(part["label"].to_numpy(), part[m].to_numpy()) for m in models}
        for (name,), part in table.group_by("quarter", maintain_order=True)
    ]
    return pl.DataFrame(rows, schema={"quarter": pl.String, "texts": pl.Int64, **dict.fromkeys(models, pl.Float64)})


def error(values: FloatArray) -> float:
    """Standard error of a mean over quarters."""
    return float(np.std(values, ddof=1) / np.sqrt(values.size)) if values.size > 1 else float("nan")


def say_results(table: pl.DataFrame, models: list[str]) -> None:
    """Print the AUC by quarter, the means, and the differences of the first model from the others."""
    quarters = by_quarter(table, models)
    say(f"{'quarter':10}{'texts':>10}" + "".join(f"{name:>12}" for name in models))
    for quarter, texts, *values in quarters.rows():
        shown = "".join(f"{value:12.4f}" if value is not None else f"{'':>12}" for value in values)
        say(f"{quarter:10}{texts:10,}{shown}")
    every = quarters.drop_nulls().select(models)
    for name in models:
        values = every[name].to_numpy()
        whole = auc(table["label"].to_numpy(), table[name].to_numpy())
        say(f"{name}: mean {np.mean(values):.4f} +- {error(values):.4f} over quarters, {whole:.4f} over all texts")
        if name != models[0]:
            less = every[models[0]].to_numpy() - values
            say(f"  {models[0]} less {name}: {np.mean(less):+.4f} +- {error(less):.4f}")


def main() -> None:
    job = ResearchJob.of(compose(sys.argv[1:]))
    settings, bars = job.research, BarStore(job.paths.bars)
    store = DocumentStore(job.paths.documents, settings.lag_hours)
    known = companies(store, wanted(job))

    def read(tones: Callable[[TextPiece], pl.Series] | None) -> Corpus:
        return corpus(pieces(store, known, settings.min_confidence, None, with_words=tones is None), tones)

    others = {"vader": vader}
    if settings.scoring.dictionary:
        others["dictionary"] = by_lists(settings.scoring.dictionary)
    table = compared(read, bars, settings.scoring, others)
    if table.is_empty():
        say("no text has a learned tone and a return yet: run `python -m src.ingest` with more documents first")
        return
    say_results(table, ["learned", *others])


if __name__ == "__main__":
    main()
