"""How many words, how rare and how much shrunk: chosen on the later part of the texts that a fit may learn from."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.research.scoring.vocabulary import LEAST_TEXTS
from src.research.scoring.word_counts import WordCounts
from src.research.scoring.word_weights import WordWeights, learned, ranks, screened, sentiments

EACH_SIDE = (25, 50, 100)  # words; the paper's grid
QUANTILES = (0.0, 0.5, 0.86, 0.94)  # of the numbers of texts that use a word: kappa; the paper's begin at 0.86
SHRINKAGES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # lambda; the paper's are 1, 5 and 10
VALIDATED = 1 / 3  # of the texts, the last ones: the paper's five years of fifteen
_MOST_VALIDATED = 100_000  # texts
_LEAST_VALIDATED = 30  # below them the values in the middle of the grids are taken
_LEAST_INSTRUMENTS = 3  # that a word must be said of: else it stands for a company, and learns its drift
_REACH = 4  # times the words of a side that are looked at for that


@dataclass(frozen=True)
class Lessons:
    """Texts that a fit may learn from, the first known first.

    Attributes
    ----------
    counts : WordCounts
        Of all texts, those that teach nothing included.
    chosen : bool, shape (counts.texts,)
        The n texts that teach.
    returns : float64, shape (n,)
        What followed each.
    known, complete : int64, shape (n,)
        Microseconds at which each text became known, and its return.
    instrument : int64, shape (n,)
        Number of the instrument that each is about.
    """

    counts: WordCounts
    chosen: BoolArray
    returns: FloatArray
    known: IntArray
    complete: IntArray
    instrument: IntArray

    def of_texts(self, some: BoolArray) -> Lessons:
        """Keep some texts.

        Parameters
        ----------
        some : bool, shape (n,)

        Returns
        -------
        Lessons
        """
        integers = (values[some] for values in (self.known, self.complete, self.instrument))
        return Lessons(self.counts, self._among_all(some), self.returns[some], *integers)

    def of_words(self, words: IntArray) -> WordCounts:
        """Counts of some words in these texts, shape (n, words)."""
        return self.counts.of_words(words).of_texts(self.chosen)

    def used(self, some: BoolArray | None = None) -> IntArray:
        """Number of these texts, or of some of them, that use each word."""
        return self.counts.used(self.chosen if some is None else self._among_all(some))

    def _among_all(self, some: BoolArray) -> BoolArray:
        every = np.zeros(self.chosen.size, dtype=bool)
        every[np.flatnonzero(self.chosen)[some]] = True
        return every


@dataclass(frozen=True)
class ChosenWeights:
    """Weights, and how they were chosen.

    Attributes
    ----------
    weights : WordWeights
    each_side : int
    least : float
        Kappa, texts.
    above, below : float
        Alpha+ and alpha-, distances from the share of positive returns among all texts.
    loss, loss_of_half : float or None
        Mean distance between sentiment and rank of return on the later texts, and that of calling all of them 1/2; None
        where there were too few.
    """

    weights: WordWeights
    each_side: int
    least: float
    above: float
    below: float
    loss: float | None
    loss_of_half: float | None


def chosen_weights(lessons: Lessons) -> ChosenWeights | None:
    """Choose the settings on the later third of the texts, then learn from all of them.

    Parameters
    ----------
    lessons : Lessons

    Returns
    -------
    ChosenWeights or None
        None where no word goes with returns of either sign.

    Notes
    -----
    The loss is the paper's: the mean absolute difference between a text's sentiment and the rank of its return. Texts
    whose return was not complete when the first of the later texts became known are in neither part.
    """
    each_side, quantile, shrinkage, loss, loss_of_half = _settings(lessons)
    screening = _Screening.of(lessons)
    least = screening.least(quantile)
    above, below = screening.words(each_side, quantile)
    words = np.concatenate([above, below])
    weights = _learned(lessons, words, shrinkage)
    if not weights.words.size:
        return None
    distance = screening.distance
    alphas = [float(np.min(np.abs(distance[side]))) if side.size else 0.0 for side in (above, below)]
    return ChosenWeights(weights, each_side, least, alphas[0], alphas[1], loss, loss_of_half)


def _settings(lessons: Lessons) -> tuple[int, float, float, float | None, float | None]:
    """Words a side, quantile of kappa and shrinkage with the smallest loss on the later texts, and the losses."""
    texts = lessons.returns.size
    later = np.arange(texts) >= texts - min(int(texts * VALIDATED), _MOST_VALIDATED)
    middle = (EACH_SIDE[1], QUANTILES[1], SHRINKAGES[5])
    if later.sum() < _LEAST_VALIDATED:
        return (*middle, None, None)
    earlier = lessons.of_texts(~later & (lessons.complete <= lessons.known[later][0]))
    if earlier.returns.size < _LEAST_VALIDATED:
        return (*middle, None, None)
    truth = ranks(lessons.returns[later])
    screening = _Screening.of(earlier)
    sides = {each: np.concatenate(screening.words(*each)) for each in itertools.product(EACH_SIDE, QUANTILES)}
    union = np.unique(np.concatenate(list(sides.values())))
    narrow, narrow_seen = earlier.of_words(union), lessons.of_texts(later).of_words(union)
    found: list[tuple[float, int, float, float]] = []
    for (each_side, quantile), words in sides.items():
        if words.size:
            weights = learned(narrow, earlier.returns, np.searchsorted(union, words), 1.0)
            guesses = sentiments(narrow_seen, weights, np.array(SHRINKAGES))
            losses = np.mean(np.abs(guesses - truth), axis=1)
            found += [(float(x), each_side, quantile, y) for x, y in zip(losses, SHRINKAGES, strict=True)]
    if not found:
        return (*middle, None, None)
    loss, each_side, quantile, shrinkage = min(found)
    return each_side, quantile, shrinkage, loss, float(np.mean(np.abs(0.5 - truth)))


def _learned(lessons: Lessons, words: IntArray, shrinkage: float) -> WordWeights:
    """Weights of some words, by their columns among all words."""
    columns = np.sort(words)
    weights = learned(lessons.of_words(columns), lessons.returns, np.arange(columns.size), shrinkage)
    return replace(weights, words=columns[weights.words])


@dataclass(frozen=True)
class _Screening:
    """How often words go with positive returns, and which are said of several instruments."""

    used: IntArray
    used_in_good: IntArray
    share_good: float
    shared: BoolArray

    @classmethod
    def of(cls, lessons: Lessons) -> _Screening:
        good = lessons.returns > 0
        used, used_in_good = lessons.used(), lessons.used(good)
        share = float(np.mean(good)) if good.size else 0.5
        reach = [
            np.concatenate(screened(used, used_in_good, share, _least(used, quantile), _REACH * EACH_SIDE[-1]))
            for quantile in QUANTILES
        ]
        return cls(used, used_in_good, share, _shared(lessons, np.unique(np.concatenate(reach))))

    @property
    def distance(self) -> FloatArray:
        """Share of positive returns among the texts that use a word, less that of all texts."""
        share = np.divide(self.used_in_good, self.used, out=np.full(self.used.size, np.nan), where=self.used > 0)
        return np.asarray(share - self.share_good)

    def least(self, quantile: float) -> float:
        return _least(self.used, quantile)

    def words(self, each_side: int, quantile: float) -> tuple[IntArray, IntArray]:
        used = np.where(self.shared, self.used, 0)
        return screened(used, self.used_in_good, self.share_good, self.least(quantile), each_side)


def _least(used: IntArray, quantile: float) -> float:
    """Kappa: a quantile of the numbers of texts that use a word, words that count nowhere left out."""
    some = used[used >= LEAST_TEXTS]
    return max(float(np.quantile(some, quantile)) if some.size else 0.0, float(LEAST_TEXTS))


def _shared(lessons: Lessons, words: IntArray) -> BoolArray:
    """Words that are said of at least three instruments, or of all where there are fewer."""
    narrow = lessons.of_words(words)
    instruments = np.repeat(lessons.instrument, np.diff(narrow.starts))
    width = int(lessons.instrument.max(initial=0)) + 1
    pairs = np.unique(narrow.columns.astype(np.int64) * width + instruments)
    of = np.bincount(pairs // width, minlength=words.size)
    shared = np.zeros(lessons.counts.words, dtype=bool)
    shared[words] = of >= min(_LEAST_INSTRUMENTS, np.unique(lessons.instrument).size)
    return shared
