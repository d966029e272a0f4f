"""Figures with their definitions where the word stands: on hover, on keyboard focus, and for screen readers."""

from __future__ import annotations

from src.evaluation.glossary import TERMS, Term, definition, term
from src.reporting.rendering import render

__all__ = ["TERMS", "Term", "definition", "explained", "term"]


def explained(name: str, text: str = "") -> str:
    """Write a figure's name so that its definition shows on hover and on focus.

    Parameters
    ----------
    name : str
        Its column in the tables.
    text : str
        What stands there; the title by default.

    Returns
    -------
    str
        HTML; the bare text where the glossary has no such figure.
    """
    meaning = definition(name)
    return render("term", text=text or (term(name).title if meaning else name), definition=meaning)
