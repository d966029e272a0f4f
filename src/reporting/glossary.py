"""One definition of every figure: the page, the sheets, MLflow's descriptions and the docs quote it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A figure and what it is.

    Attributes
    ----------
    name : str
        Its column in the tables.
    title : str
        As pages write it.
    definition : str
        One sentence, under 30 words.
    """

    name: str
    title: str
    definition: str


TERMS: tuple[Term, ...] = ()
