"""What was known of an instrument beside its bars, as arrays that a feature can read and that hold nothing later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from src.features.windows import Array


@dataclass(frozen=True)
class Facts:
    """Facts of one kind about one instrument, and how many of them are known at each bar's close.

    Attributes
    ----------
    seen : number of facts that are known at a bar's close, shape (bars,), ascending: fact i is known at bar k if
        i < seen[k].
    covered : whether the absence of a fact says at this bar that there was none, shape (bars,).
    known : day on which each fact became known, with a fraction, shape (facts,), ascending.
    fields : values by the names of `src.documents.facts.FACTS`, each of shape (facts,); NaN where not known.
    """

    seen: NDArray[np.int64]
    covered: NDArray[np.bool_]
    known: Array
    fields: Mapping[str, Array]

    def __getitem__(self, bars: slice) -> Facts:
        return Facts(self.seen[bars], self.covered[bars], self.known, self.fields)
