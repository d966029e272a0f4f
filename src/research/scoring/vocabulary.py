"""All words that texts use, numbered as they come and in alphabetical order at the end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from src.research.scoring.word_counts import WordCounts

LEAST_TEXTS = 5
"""Words that fewer texts use have no weight: what they go with is chance."""


class Vocabulary:
    """Counts of words, gathered piece by piece."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._columns: list[npt.NDArray[np.int32]] = []
        self._times: list[npt.NDArray[np.uint8]] = []

    @property
    def texts(self) -> int:
        """Number of texts whose words were added."""
        return sum(each.size for each in self._lengths)

    def add(self, counted: pl.DataFrame, texts: int) -> None:
        """Add the words of the next texts.

        Parameters
        ----------
        counted : DataFrame
            As of `src.research.scoring.words.counted`.
        texts : int
            Number of texts, those without a word included.
        """
        numbers = self._numbers
        spelled = counted["word"].unique(maintain_order=True).to_list()
        for word in spelled:
            numbers.setdefault(word, len(numbers))
        places = pl.DataFrame({"word": spelled, "number": [numbers[word] for word in spelled]}, schema=_PLACES)
        joined = counted.join(places, on="word", how="left", maintain_order="left")
        self._lengths.append(np.bincount(counted["text"].to_numpy(), minlength=texts).astype(np.int64))
        self._columns.append(joined["number"].to_numpy())
        self._times.append(counted["times"].clip(0, 255).cast(pl.UInt8).to_numpy())

    def counts(self, texts: npt.NDArray[np.uint32]) -> tuple[WordCounts, list[str]]:
        """Counts of some of the texts, columns in alphabetical order, rare words left out.

        Parameters
        ----------
        texts : uint32
            Texts to keep, ascending.

        Returns
        -------
        (WordCounts, list of str)
            And the word of each column.
        """
        lengths = np.concatenate([*self._lengths, np.zeros(0, dtype=np.int64)])
        kept = np.zeros(lengths.size, dtype=bool)
        kept[texts] = True
        used = np.zeros(len(self._numbers), dtype=np.int64)
        for first, each, columns in zip(self._firsts(), self._lengths, self._columns, strict=True):
            used += np.bincount(columns[np.repeat(kept[first : first + each.size], each)], minlength=used.size)
        place, spelled = self._places(used)
        return self._gathered(kept, place, len(spelled)), spelled

    def _firsts(self) -> list[int]:
        """First text of each piece."""
        sizes = [each.size for each in self._lengths]
        return [sum(sizes[:k]) for k in range(len(sizes))]

    def _places(self, used: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], list[str]]:
        """Column of each word in alphabetical order, -1 for a rare one, and the words."""
        every = list(self._numbers)
        frequent = sorted((every[k], k) for k in np.flatnonzero(used >= LEAST_TEXTS))
        place = np.full(used.size, -1, dtype=np.int32)
        place[[k for _, k in frequent]] = np.arange(len(frequent), dtype=np.int32)
        return place, [word for word, _ in frequent]

    def _gathered(self, kept: npt.NDArray[np.bool_], place: npt.NDArray[np.int32], words: int) -> WordCounts:
        """The pieces as one, each given up when it has been read."""
        parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]] = [
            (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.uint8))
        ]
        for first, lengths in zip(self._firsts(), self._lengths, strict=True):
            texts = kept[first : first + lengths.size]
            placed = place[self._columns.pop(0)]
            chosen = np.repeat(texts, lengths) & (placed >= 0)
            before = np.concatenate(([0], np.cumsum(chosen, dtype=np.int64)))
            each = np.diff(before[np.concatenate(([0], np.cumsum(lengths)))])[texts]
            parts.append((each, placed[chosen], self._times.pop(0)[chosen]))
        lengths, columns, times = (np.concatenate(each) for each in zip(*parts, strict=True))
        starts = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        return WordCounts(starts, columns, times, words)


_PLACES = {"word": pl.String(), "number": pl.Int32()}
