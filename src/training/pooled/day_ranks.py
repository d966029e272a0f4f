"""Ranks of a day's names as bytes: 0 for the lowest value to 254 for the highest, 255 where the value is missing.

Ties are broken by a hash of symbol, date, feature and seed: the same on every platform, whatever else is ranked, and in
whatever order the names come. So a name that is listed later, or bars of later days, change no earlier rank.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from src.core.arrays import Bytes, Matrix
from src.models.pooled_columns import MIDDLE, MISSING, TOP

Codes = npt.NDArray[np.uint64]


def codes(texts: Iterable[str]) -> Codes:
    """Return a hash of each text, the same on every machine.

    Parameters
    ----------
    texts : iterable of str
        Symbols, or names of features.

    Returns
    -------
    uint64, shape (texts,)
    """
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def mixed(values: Codes) -> Codes:
    """Spread integers over 64 bits: the output function of SplitMix64.

    Parameters
    ----------
    values : uint64
        Any shape.

    Returns
    -------
    uint64
        A permutation of the 64-bit integers, of the same shape.

    References
    ----------
    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 13.
    """
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def day_ranks(values: Matrix, symbols: Codes, date: np.datetime64, features: Codes, seed: int) -> Bytes:
    """Rank one day's names by each feature.

    Of n names with a value, the one with k names below it has the rank 254 k / (n - 1), rounded, half up. A single one
    has 127, and so has every name where all values are the same. Two zeros of different sign are a tie.

    Parameters
    ----------
    values : float32, shape (features, names)
        NaN where missing.
    symbols : uint64, shape (names,)
        Their `codes`.
    date : datetime64[D]
        The day.
    features : uint64, shape (features,)
        Their `codes`.
    seed : int
        Of the order of ties.

    Returns
    -------
    uint8, shape (features, names)
        0 to 254, 255 where missing.
    """
    missing = np.isnan(values)
    keys = _ordered(values) << np.uint64(32) | _tie_breakers(symbols, date, features, seed) >> np.uint64(32)
    keys[missing] = np.iinfo(np.uint64).max
    order = np.argsort(keys, axis=1)
    keys.sort(axis=1)
    ranks = np.empty_like(missing, dtype=np.uint8)
    np.put_along_axis(ranks, order, _levels(keys, values.shape[1] - missing.sum(axis=1)), axis=1)
    ranks[missing] = MISSING
    return ranks


def _ordered(values: Matrix) -> Codes:
    """Integers of 32 bits in the order of the values."""
    bits = (values + np.float32(0.0)).view(np.uint32)
    sign = np.uint32(0x80000000)
    return np.where(bits & sign, ~bits, bits | sign).astype(np.uint64)


def _tie_breakers(symbols: Codes, date: np.datetime64, features: Codes, seed: int) -> Codes:
    """Random integers by feature and name: a chain of permutations, so that no two names share all of them."""
    day = np.array([date], dtype="datetime64[D]").astype(np.int64).view(np.uint64)
    at = mixed(np.array([seed], dtype=np.uint64)) ^ features
    return mixed(mixed(symbols + mixed(day))[np.newaxis] + at[:, np.newaxis])


def _levels(keys: Codes, known: npt.NDArray[np.int64]) -> Bytes:
    """Ranks of keys in ascending order, of which the first `known` of each row count. Equal keys share the lowest."""
    below = np.arange(keys.shape[1])[np.newaxis]
    first = keys[:, 1:] != keys[:, :-1]
    if not first.all():
        below = np.maximum.accumulate(np.where(np.insert(first, 0, True, axis=1), below, 0), axis=1)
    steps = np.maximum(known - 1, 1)[:, np.newaxis]
    levels: Bytes = np.minimum((2 * TOP * below + steps) / (2 * steps), TOP).astype(
        np.uint8
    )  # exact: a quotient of integers
    last = keys[np.arange(len(keys)), np.maximum(known - 1, 0)] >> np.uint64(32)
    levels[keys[:, 0] >> np.uint64(32) == last] = MIDDLE
    return levels
