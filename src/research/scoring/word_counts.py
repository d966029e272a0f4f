"""Counts of words in texts: for each text the words that it uses and how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from src.core.arrays import BoolArray, FloatArray, IntArray

_AT_ONCE = 4_000_000  # entries that are widened at a time


@dataclass(frozen=True)
class WordCounts:
    """Rows of counts, one a text, one after the other.

    Attributes
    ----------
    starts : int64, shape (n_texts + 1,)
        Where the entries of each text begin.
    columns : int32, shape (n_entries,)
        Word of each entry, ascending within a text.
    times : uint8, shape (n_entries,)
        How often the text uses it, 1 to 255.
    words : int
        Number of words that there are.
    """

    starts: IntArray
    columns: npt.NDArray[np.int32]
    times: npt.NDArray[np.uint8]
    words: int

    @property
    def texts(self) -> int:
        """Number of texts."""
        return self.starts.size - 1

    def of_texts(self, chosen: slice | BoolArray) -> WordCounts:
        """Keep some texts.

        Parameters
        ----------
        chosen : slice, or bool of shape (n_texts,)

        Returns
        -------
        WordCounts
            In their order.
        """
        if isinstance(chosen, slice):
            first, last, _ = chosen.indices(self.texts)
            begin, end = self.starts[first], self.starts[max(first, last)]
            starts = self.starts[first : max(first, last) + 1] - begin
            return WordCounts(starts, self.columns[begin:end], self.times[begin:end], self.words)
        lengths = np.diff(self.starts)
        entries = np.repeat(chosen, lengths)
        return WordCounts(_starts(lengths[chosen]), self.columns[entries], self.times[entries], self.words)

    def of_words(self, chosen: IntArray) -> WordCounts:
        """Keep some words, which are numbered afresh.

        Parameters
        ----------
        chosen : int64
            Columns, ascending.

        Returns
        -------
        WordCounts
        """
        place = np.full(self.words, -1, dtype=np.int32)
        place[chosen] = np.arange(chosen.size, dtype=np.int32)
        lengths, columns, times = np.zeros(self.texts, dtype=np.int64), [], []
        for first, last, rows in self._pieces():
            placed = place[self.columns[first:last]]
            kept = placed >= 0
            before = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
            lengths[rows] = np.diff(before[self.starts[rows.start : rows.stop + 1] - first])
            columns.append(placed[kept])
            times.append(self.times[first:last][kept])
        return WordCounts(
            _starts(lengths),
            np.concatenate(columns) if columns else self.columns[:0],
            np.concatenate(times) if times else self.times[:0],
            chosen.size,
        )

    def used(self, chosen: BoolArray | None = None) -> IntArray:
        """Number of texts that use each word.

        Parameters
        ----------
        chosen : bool, shape (n_texts,), optional
            Texts that count.

        Returns
        -------
        int64, shape (n_words,)
        """
        total = np.zeros(self.words, dtype=np.int64)
        for first, last, rows in self._pieces():
            columns = self.columns[first:last]
            if chosen is not None:
                columns = columns[np.repeat(chosen[rows], np.diff(self.starts[rows.start : rows.stop + 1]))]
            total += np.bincount(columns, minlength=self.words)
        return total

    def sums(self) -> FloatArray:
        """Words of each text, each as often as it is used, shape (n_texts,)."""
        before = np.concatenate(([0], np.cumsum(self.times, dtype=np.int64)))
        return np.diff(before[self.starts]).astype(np.float64)

    def totals(self, weights: FloatArray) -> FloatArray:
        """Uses of each word, those of a text times its weight.

        Parameters
        ----------
        weights : float64, shape (n_texts,)

        Returns
        -------
        float64, shape (n_words,)
        """
        total = np.zeros(self.words)
        for first, last, rows in self._pieces():
            each = np.repeat(weights[rows], np.diff(self.starts[rows.start : rows.stop + 1]))
            total += np.bincount(self.columns[first:last], each * self.times[first:last], minlength=self.words)
        return total

    def _pieces(self) -> Iterator[tuple[int, int, slice]]:
        """Ranges of entries, and the texts that they belong to; the same for the same first texts."""
        row = 0
        while row < self.texts:
            limit = self.starts[row] + _AT_ONCE
            after = max(int(np.searchsorted(self.starts, limit, side="right")) - 1, row + 1)
            yield int(self.starts[row]), int(self.starts[after]), slice(row, after)
            row = after


def _starts(lengths: IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
