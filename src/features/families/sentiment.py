"""What texts say about a company: their tone, how it changes, how many there are, and how far they disagree.

A text counts from the close after which it was known, with the confidence of its link to the instrument as its weight.
Windows are bars, so that what was said between two sessions belongs to the second.
"""

from __future__ import annotations

import numpy as np

from src.documents.facts import CHANNELS
from src.features.facts import Facts, Rows, count, covered_bars, days_since, flow, since_bar
from src.features.registry import family, feature
from src.features.windows import Array

FAMILY = family("sentiment", group="research", order=170)
_STEP = 2.0**-40  # to whose multiples tones are rounded


@feature(
    FAMILY,
    bars=(1, 5, 20),
    window=lambda bars: bars + 1,
    source="Tetlock (2007), Giving content to investor sentiment, JF 62:1139; Garcia (2013), JF 68:1267",
)
def tone(text_scores: Facts, bars: int) -> Array:
    """Mean tone of the texts of n bars, weighted by the confidence of the link.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN without a text.
    """
    said, weight = _sums(text_scores, since_bar(text_scores, bars))
    return _over(said, weight)


@feature(FAMILY, window=64, source="Tetlock, Saar-Tsechansky and Macskassy (2008), More than words, JF 63:1437")
def tone_surprise_5_63(text_scores: Facts) -> Array:
    """Mean tone of the texts of 5 bars less that of the 58 bars before.

    Returns
    -------
    float64, shape (bars,), in [-2, 2]
        NaN without a text in either.
    """
    said, weight = _sums(text_scores, since_bar(text_scores, 5))
    all_said, all_weight = _sums(text_scores, since_bar(text_scores, 63))
    return _over(said, weight) - _over(all_said - said, all_weight - weight)


@feature(
    FAMILY,
    bars=(5,),
    window=lambda bars: bars + 1,
    source="Barber and Odean (2008), All that glitters, RFS 21:785; Fang and Peress (2009), JF 64:2023",
)
def text_attention(text_scores: Facts, bars: int) -> Array:
    """ln(1 + number of texts) of n bars.

    Returns
    -------
    float64, shape (bars,), at least 0
        0 without a text. NaN where texts are not covered.
    """
    return np.where(covered_bars(text_scores, bars), np.log1p(_texts(text_scores, bars)), np.nan)


@feature(FAMILY, window=64, source="Da, Engelberg and Gao (2011), In search of attention, JF 66:1461")
def text_attention_shock_5_63(text_scores: Facts) -> Array:
    """ln of (1 + number of texts of 5 bars) over (1 + mean number of 5 bars among 63).

    Returns
    -------
    float64, shape (bars,), any sign
        0 without a text. NaN where texts are not covered.
    """
    usual = _texts(text_scores, 63) * 5 / 63
    shock = np.log1p(_texts(text_scores, 5)) - np.log1p(usual)
    return np.where(covered_bars(text_scores, 63), shock, np.nan)


@feature(
    FAMILY,
    bars=(20,),
    window=lambda bars: bars + 1,
    source="Antweiler and Frank (2004), Is all that talk just noise?, JF 59:1259; Cookson and Niessner (2020)",
)
def disagreement(text_scores: Facts, bars: int) -> Array:
    """Standard deviation of the tones of the texts of n bars, weighted by the confidence of the link.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        NaN with fewer than two texts.
    """
    start = since_bar(text_scores, bars)
    said, weight = _sums(text_scores, start)
    own, known = text_scores.fields, ~np.isnan(text_scores.fields["tone"])
    squares = flow(text_scores, np.where(known, own["confidence"] * own["tone"] ** 2, 0.0), start, _STEP)
    mean = _over(said, weight)
    spread = np.sqrt(np.maximum(_over(squares, weight) - mean**2, 0.0))
    spread = np.where(spread > 1e-5, spread, 0.0)  # rounding of equal tones is no disagreement
    return np.where(count(text_scores, known, start) >= 2, spread, np.nan)


@feature(FAMILY, window=1, source="Chan (2003), Stock price reaction to news and no-news, JFE 70:223; definition")
def text_age(text_scores: Facts) -> Array:
    """Days since the last text was known, at most 90.

    Returns
    -------
    float64, shape (bars,), in [0, 90]
        90 where there was none in 90 covered days. NaN where texts are not covered.
    """
    return days_since(text_scores, np.ones(len(text_scores.known), dtype=bool), 90.0)


@feature(
    FAMILY,
    bars=(20,),
    window=lambda bars: bars + 1,
    source="Cookson, Lu, Mullins and Niessner (2024), The social signal, JFE 158:103870",
)
def social_share(text_scores: Facts, bars: int) -> Array:
    """Posts over all texts of n bars.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        NaN without a text.
    """
    posts = text_scores.fields["channel"] == CHANNELS["post"]
    return _over(count(text_scores, posts, since_bar(text_scores, bars)), _texts(text_scores, bars))


def _sums(scores: Facts, start: Rows) -> tuple[Array, Array]:
    """Sum of weighted tones and of weights, shape (bars,) each."""
    known = ~np.isnan(scores.fields["tone"])
    weight = np.where(known, scores.fields["confidence"], 0.0)
    return flow(scores, weight * scores.fields["tone"], start, _STEP), flow(scores, weight, start, _STEP)


def _texts(scores: Facts, bars: int) -> Array:
    return count(scores, np.ones(len(scores.known), dtype=bool), since_bar(scores, bars))


def _over(value: Array, divisor: Array) -> Array:
    """Quotient; NaN where the divisor is 0."""
    there = divisor > 0
    return np.where(there, value / np.where(there, divisor, 1.0), np.nan)
