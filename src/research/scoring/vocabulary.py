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
        self._times: list[npt.NDArray[np.uint16]] = []

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
        self._times.append(counted["times"].clip(0, 65_535).cast(pl.UInt16).to_numpy())

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
        starts = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
        columns = np.concatenate([*self._columns, np.zeros(0, dtype=np.int32)])
        times = np.concatenate([*self._times, np.zeros(0, dtype=np.uint16)])
        self._columns, self._times = [], []
        every = WordCounts(starts, columns, times, len(self._numbers))
        kept = np.zeros(lengths.size, dtype=bool)
        kept[texts] = True
        every = every if kept.all() else every.of_texts(kept)
        frequent = np.flatnonzero(every.used() >= LEAST_TEXTS)
        spelled = np.array(list(self._numbers), dtype=object)[frequent]
        every = every.of_words(frequent)
        order = np.argsort(spelled)
        place = np.empty(order.size, dtype=np.int32)
        place[order] = np.arange(order.size, dtype=np.int32)
        return WordCounts(every.starts, place[every.columns], every.times, every.words), [
            str(spelled[place]) for place in order
        ]


_PLACES = {"word": pl.String(), "number": pl.Int32()}
