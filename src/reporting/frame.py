"""The frame of every page: its menu, styles and scripts, and the policy that lets those scripts alone run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from src.reporting.data_table import MARK as TABLE_MARK
from src.reporting.data_table import tables_script, tables_style
from src.reporting.rendering import render
from src.reporting.vega import MARK as CHART_MARK
from src.reporting.vega import charts_script

HERE = Path(__file__).parent
Shown = TypeVar("Shown")
Link = tuple[str, str]
"""Address and text."""


@dataclass(frozen=True)
class Section(Generic[Shown]):
    """A section of a page.

    Attributes
    ----------
    anchor : str
        Its id.
    name : str
        Its entry in the menu.
    heading : str
        Its heading.
    write : callable
        Gives its HTML from what the page shows; a section whose HTML is empty is left out.
    """

    anchor: str
    name: str
    heading: str
    write: Callable[[Shown], str]


def framed(
    title: str, lead: str, headline: str, parts: Sequence[Section[Shown]], data: Shown, links: Sequence[Link] = ()
) -> str:
    """Put sections into the frame that all pages have.

    Parameters
    ----------
    title, lead : str
        Name of the page, and the line below it.
    headline : str
        HTML of its top.
    parts : sequence of Section
        In their order; those whose HTML is empty are left out.
    data : object
        What they show.
    links : sequence of (str, str)
        Address and text of the other pages.

    Returns
    -------
    str
        HTML that fetches nothing: with the scripts of charts and tables where it has a `figure` or a `data_table`. Its
        policy allows these scripts by their hashes, so that markup in a symbol or a reason could not run even if it
        were not escaped.
    """
    written = [(section, section.write(data)) for section in parts]
    sections = [
        {"anchor": section.anchor, "name": section.name, "heading": section.heading, "body": body}
        for section, body in written
        if body
    ]
    bodies = [headline, *(section["body"] for section in sections)]
    scripts, styles = _scripts(bodies), _styles(bodies)
    return str(
        render(
            "page", policy=policy(scripts), styles=styles, scripts=scripts, title=title, lead=lead, links=links,
            headline=headline, sections=sections,
        )
    )  # fmt: skip


def policy(scripts: Sequence[str]) -> str:
    """Allow inline scripts by their hashes, inline styles, and nothing else.

    Parameters
    ----------
    scripts : sequence of str
        As they stand between a line break after ``<script>`` and ``</script>``.

    Returns
    -------
    str
        A content security policy.
    """
    digests = (base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}"


def _scripts(bodies: Sequence[str]) -> list[str]:
    """Scripts that these parts of a page need."""
    charts = [charts_script()] if any(CHART_MARK in body for body in bodies) else []
    tables = [tables_script()] if any(TABLE_MARK in body for body in bodies) else []
    return [_asset("page.js"), *tables, *charts]


def _styles(bodies: Sequence[str]) -> list[str]:
    tables = [tables_style()] if any(TABLE_MARK in body for body in bodies) else []
    return [*tables, _asset("page.css")]


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
