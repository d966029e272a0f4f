"""Word weights learned walk-forward: fitted at fixed dates from what was complete by then, used from then on."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.config.research_sections import ScoringSection
from src.core.arrays import FloatArray
from src.market.bars import BarStore
from src.research.scoring.corpus import Corpus
from src.research.scoring.outcomes import outcomes
from src.research.scoring.weight_choice import ChosenWeights, Lessons, chosen_weights
from src.research.scoring.word_counts import WordCounts
from src.research.scoring.word_weights import sentiments, tone

log = logging.getLogger(__name__)
_MOST_INSTRUMENTS = 3  # of a text that teaches: what is said of a list is said of none of it
_SHOWN = 20  # words of each side in the record


@dataclass(frozen=True)
class WordFit:
    """A fit and the texts that it scores.

    Attributes
    ----------
    date : datetime
        Nothing that was known or complete later is in it.
    documents : int
        Texts that it learned from.
    chosen : ChosenWeights or None
        None where no word went with returns.
    """

    date: dt.datetime
    documents: int
    chosen: ChosenWeights | None


def refit_dates(first: dt.datetime, last: dt.datetime, months: int) -> list[dt.datetime]:
    """Dates of fits between two times: every `months` calendar months, counted from the year 0.

    Parameters
    ----------
    first, last : datetime
        In UTC.
    months : int

    Returns
    -------
    list of datetime
        Midnights UTC after `first`, up to `last`.

    Examples
    --------
    >>> first, last = (dt.datetime.fromisoformat(f"{day}T00:00:00Z") for day in ("2020-02-01", "2021-01-01"))
    >>> [f"{date:%Y-%m-%d}" for date in refit_dates(first, last, 6)]
    ['2020-07-01', '2021-01-01']
    """
    begin = (first.year * 12 + first.month - 1) // months
    end = (last.year * 12 + last.month - 1) // months
    starts = [k * months for k in range(begin, end + 1)]
    dates = [dt.datetime(month // 12, month % 12 + 1, 1, tzinfo=dt.UTC) for month in starts if month >= 12]
    return [date for date in dates if first < date <= last]


def learned_tones(
    texts: Corpus, bars: BarStore, settings: ScoringSection
) -> tuple[FloatArray, FloatArray, list[dict[str, Any]]]:
    """Score each text by the last fit before it became known.

    Parameters
    ----------
    texts : Corpus
        With words.
    bars : BarStore
    settings : ScoringSection

    Returns
    -------
    (float64, float64, list of dict)
        Tone of each text and the day of its fit, NaN before the first fit; and a record of each fit.
    """
    counts, n = _required(texts), texts.texts.height
    tones, fitted = np.full(n, np.nan), np.full(n, np.nan)
    records: list[dict[str, Any]] = []
    if not n:
        return tones, fitted, records
    known = texts.texts["known"].dt.timestamp("us").to_numpy()
    fits = list(_fits(lessons_of(texts, bars, settings.horizon), texts.texts["known"], settings))
    for place, fit in enumerate(fits):
        records.append(_record(fit, texts.vocabulary))
        if fit.chosen is None:
            continue
        first = int(np.searchsorted(known, _micros(fit.date)))
        last = int(np.searchsorted(known, _micros(fits[place + 1].date))) if place + 1 < len(fits) else n
        tones[first:last] = tone(sentiments(counts.of_texts(slice(first, last)), fit.chosen.weights))
        fitted[first:last] = _micros(fit.date) / 86_400e6
    return tones, fitted, records


def lessons_of(texts: Corpus, bars: BarStore, horizon: int) -> Lessons:
    """Texts whose return is known, with it.

    Parameters
    ----------
    texts : Corpus
        With words.
    bars : BarStore
    horizon : int

    Returns
    -------
    Lessons
        A text that is about more than three instruments, or that repeats another, teaches nothing. The return is that
        of the instrument whose link is surest.
    """
    surest = texts.links.group_by("text", maintain_order=True).agg(pl.len(), *_firsts(texts.links))
    surest = surest.filter(pl.col("len") <= _MOST_INSTRUMENTS, texts.texts["first"].gather(surest["text"]))
    followed = outcomes(surest, bars, horizon)
    place = followed.select(pl.struct("asset_class", "symbol").rank("dense").cast(pl.Int64) - 1).to_series()
    chosen = np.zeros(texts.texts.height, dtype=bool)
    chosen[followed["text"].to_numpy()] = True
    known = texts.texts["known"].dt.timestamp("us").to_numpy()[chosen]
    complete = followed["complete"].dt.timestamp("us").to_numpy()
    returns = followed["outcome"].to_numpy()
    return Lessons(_required(texts), chosen, returns, known, complete, place.to_numpy())


def _firsts(links: pl.DataFrame) -> list[pl.Expr]:
    return [pl.col(name).first() for name in links.columns if name != "text"]


def _fits(lessons: Lessons, known: pl.Series, settings: ScoringSection) -> Iterator[WordFit]:
    """Fits at the fixed dates, from the first that has texts enough on."""
    for date in refit_dates(known[0], known[-1], settings.refit_months):
        ready = lessons.complete <= _micros(date)
        if ready.sum() >= settings.min_documents:
            fit = WordFit(date, int(ready.sum()), chosen_weights(lessons.of_texts(ready)))
            log.info("word weights of %s: learned from %s texts", f"{date:%Y-%m-%d}", f"{fit.documents:,}")
            yield fit


def _required(texts: Corpus) -> WordCounts:
    if texts.counts is None:
        raise ValueError("word weights need the words of the texts")
    return texts.counts


def _micros(date: dt.datetime) -> int:
    return round(date.timestamp()) * 1_000_000


def _record(fit: WordFit, vocabulary: list[str]) -> dict[str, Any]:
    """What a person may want to see of a fit."""
    record: dict[str, Any] = {"date": f"{fit.date:%Y-%m-%d}", "documents": fit.documents, "words": 0}
    if fit.chosen is None:
        return record
    weights = fit.chosen.weights
    lean = (weights.good - weights.bad) / (weights.good + weights.bad)
    order = np.lexsort((weights.words, lean))
    spelled = [vocabulary[weights.words[place]] for place in order]
    return record | {
        "words": int(weights.words.size),
        "each_side": fit.chosen.each_side,
        "kappa": fit.chosen.least,
        "alpha_plus": fit.chosen.above,
        "alpha_minus": fit.chosen.below,
        "lambda": weights.shrinkage,
        "loss": fit.chosen.loss,
        "loss_of_half": fit.chosen.loss_of_half,
        "negative": spelled[:_SHOWN],
        "positive": spelled[::-1][:_SHOWN],
    }
