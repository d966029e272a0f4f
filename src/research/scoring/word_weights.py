"""Word weights learned from returns: words that go with them, how often good and bad texts use them, and a text's tone.

Source: Ke, Kelly and Xiu (2019), "Predicting Returns with Text Data", NBER working paper 26186, sections 2.1 to 2.4.
The article's words of sentiment are drawn from a mixture of two topics, d ~ Multinomial(s, p O+ + (1 - p) O-), p in
[0, 1] the article's sentiment (section 2.1). Algorithm 1 screens words, algorithm 2 learns the topics, algorithm 3
scores a new article.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.research.scoring.word_counts import WordCounts

_STEPS = 60  # of the search for a text's tone; bisection alone reaches 1e-18 in them
_NEAR = 1e-13
_AT_ONCE = 200_000  # texts scored at a time


@dataclass(frozen=True)
class WordWeights:
    """What a fit learned.

    Attributes
    ----------
    words : int64, shape (n_words,)
        Columns of the counts, ascending.
    good, bad : float64, shape (n_words,)
        O+ and O-: how often a text of sentiment 1, and of sentiment 0, uses each of these words; each adds up to 1.
    shrinkage : float
        Lambda, the weight of the prior that draws a tone towards 0.
    """

    words: IntArray
    good: FloatArray
    bad: FloatArray
    shrinkage: float


def screened(
    used: IntArray, used_in_good: IntArray, share_good: float, least: float, each_side: int
) -> tuple[IntArray, IntArray]:
    """Words of sentiment: those that go with positive returns most, and those that go with negative ones most.

    f_j, the share of positive returns among the texts that use word j, is compared with the share among all texts, and
    the words that are furthest above and below it are taken, `each_side` of them: alpha+ and alpha- are the distances
    of the last one on each side. Words that fewer than kappa texts use don't count.

    Parameters
    ----------
    used : int64, shape (n_words,)
        k_j, texts that use the word.
    used_in_good : int64, shape (n_words,)
        Those of them with a positive return.
    share_good : float
        Share of positive returns among all texts; 1/2 in the paper, whose returns are centred.
    least : float
        Kappa.
    each_side : int
        Words on each side; fewer where fewer lie there.

    Returns
    -------
    (int64, int64)
        Words above and words below, the furthest first. Between equals, the word that more texts use comes first.

    Source: section 2.2, algorithm 1; numbers of words in place of alphas as in section 3.3.
    """
    candidates = np.flatnonzero(used >= max(least, 1.0))
    distance = used_in_good[candidates] / used[candidates] - share_good
    order = np.lexsort((candidates, -used[candidates], -np.abs(distance)))
    candidates, distance = candidates[order], distance[order]
    return candidates[distance > 0][:each_side], candidates[distance < 0][:each_side]


def ranks(returns: FloatArray) -> FloatArray:
    """Rank of each return over their number, in (0, 1]: what stands for a text's sentiment while learning.

    Parameters
    ----------
    returns : float64, shape (n,)

    Returns
    -------
    float64, shape (n,)
        Equal returns share the mean of their ranks.

    Source: section 2.3, algorithm 2, step 1.
    """
    return np.asarray(rankdata(returns), dtype=np.float64) / max(returns.size, 1)


def topics(shares: WordCounts, sentiment: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Regress the shares of words on the sentiment of texts: O = D W' (W W')^-1, W = [p, 1 - p]'.

    Parameters
    ----------
    shares : WordCounts
        Words of sentiment alone. Texts that use none of them are passed over.
    sentiment : float64, shape (n_texts,)
        From `ranks`.

    Returns
    -------
    (float64, float64, bool), each of shape (n_words,)
        O+ and O-, what is negative set to 0, each adding up to 1; and which words have a share in either.

    Source: section 2.3, algorithm 2, step 2.
    """
    sums = shares.sums()
    some = sums > 0
    p = sentiment[some]
    gram = np.array([[np.sum(p * p), np.sum(p * (1 - p))], [np.sum(p * (1 - p)), np.sum((1 - p) ** 2)]])
    weight = np.divide(1.0, sums, out=np.zeros_like(sums), where=some)
    moments = np.stack([shares.totals(weight * sentiment), shares.totals(weight * (1 - sentiment))])
    determinant = gram[0, 0] * gram[1, 1] - gram[0, 1] ** 2
    if determinant <= 0:
        return np.zeros(shares.words), np.zeros(shares.words), np.zeros(shares.words, dtype=bool)
    inverse = np.array([[gram[1, 1], -gram[0, 1]], [-gram[0, 1], gram[0, 0]]]) / determinant
    both = np.maximum(inverse[:, :1] * moments[0] + inverse[:, 1:] * moments[1], 0.0)
    totals = both.sum(axis=1, keepdims=True)
    both = np.divide(both, totals, out=np.zeros_like(both), where=totals > 0)
    return both[0], both[1], (both[0] + both[1]) > 0


def learned(counts: WordCounts, returns: FloatArray, words: IntArray, shrinkage: float) -> WordWeights:
    """Learn the weights of some words.

    Parameters
    ----------
    counts : WordCounts
        All words.
    returns : float64, shape (n_texts,)
    words : int64
        From `screened`.
    shrinkage : float

    Returns
    -------
    WordWeights
        Without the words that neither topic uses.
    """
    columns = np.sort(words)
    good, bad, kept = topics(counts.of_words(columns), ranks(returns))
    return WordWeights(columns[kept], good[kept], bad[kept], shrinkage)


def sentiments(counts: WordCounts, weights: WordWeights, shrinkages: FloatArray | None = None) -> FloatArray:
    """Sentiment p of texts: where ``sum_j d_j log(p O+_j + (1-p) O-_j) / s + lambda log(p (1-p))`` is largest.

    Parameters
    ----------
    counts : WordCounts
        All words.
    weights : WordWeights
    shrinkages : float64, shape (m,), optional
        Several values of lambda in place of the weights' own.

    Returns
    -------
    float64, shape (n_texts,) or (m, n_texts)
        In (0, 1); 1/2 for a text that uses none of the words.

    Source: section 2.4, algorithm 3. The objective is concave, so its slope has one root: Newton's steps, halving where
    one leaves the bracket. A text's value does not depend on the texts beside it.
    """
    wanted = np.array([weights.shrinkage]) if shrinkages is None else shrinkages
    out = np.full((wanted.size, counts.texts), 0.5)
    for first in range(0, counts.texts, _AT_ONCE):
        part = counts.of_texts(slice(first, first + _AT_ONCE)).of_words(weights.words)
        some = np.flatnonzero(np.diff(part.starts) > 0)
        if not some.size:
            continue
        starts = part.starts[some]
        times = part.times.astype(np.float64)
        share = times / np.repeat(np.add.reduceat(times, starts), np.diff(part.starts)[some])
        base = weights.bad[part.columns]
        lift = weights.good[part.columns] - base
        for row, shrinkage in enumerate(wanted):
            out[row, first + some] = _root(starts, np.diff(part.starts)[some], share, base, lift, float(shrinkage))
    return out[0] if shrinkages is None else out


def _root(
    starts: IntArray, lengths: IntArray, share: FloatArray, base: FloatArray, lift: FloatArray, shrinkage: float
) -> FloatArray:
    """Where the slope of each text's objective is zero."""
    low, high = np.zeros(starts.size), np.ones(starts.size)
    p = np.full(starts.size, 0.5)
    moving = np.ones(starts.size, dtype=bool)
    for _ in range(_STEPS):
        ratio = lift / (base + np.repeat(p, lengths) * lift)
        slope = np.add.reduceat(share * ratio, starts) + shrinkage * (1 / p - 1 / (1 - p))
        bend = -np.add.reduceat(share * ratio**2, starts) - shrinkage * (1 / p**2 + 1 / (1 - p) ** 2)
        rises = slope > 0
        low[rises], high[~rises] = p[rises], p[~rises]
        newton = p - slope / bend
        inside = (newton >= low) & (newton <= high) & (newton > 0) & (newton < 1)
        after = np.where(inside, newton, (low + high) / 2)
        moved = np.abs(after - p) > _NEAR
        p[moving] = after[moving]
        moving &= moved
        if not moving.any():
            break
    return p


def tone(sentiment: npt.NDArray[np.float64]) -> FloatArray:
    """Tone of a text, 2 p - 1 in (-1, 1), by its sentiment."""
    return 2 * sentiment - 1
