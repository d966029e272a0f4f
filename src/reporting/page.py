"""One self-contained page: sections in the order in which somebody who will bet money asks for them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from src.reporting.accounting import accounting
from src.reporting.distributions import distributions
from src.reporting.importance import importance
from src.reporting.methodology import limits, method
from src.reporting.passing_runs import curves, run_table, suspicious
from src.reporting.planted_edges import found_and_missed
from src.reporting.rendering import render
from src.reporting.session_data import Material
from src.reporting.verdict import believe, headline

HERE = Path(__file__).parent

# Anchor, name in the menu, heading, and what writes the section; one that writes nothing is left out.
SECTIONS: tuple[tuple[str, str, str, Callable[[Material], str]], ...] = (
    ("believe", "Belief", "What to believe", believe),
    ("metrics", "Metrics", "The four metrics against their thresholds", distributions),
    ("best", "Best passes", "The best passes", curves),
    ("planted", "Planted", "Planted edges, found and missed", found_and_missed),
    ("runs", "All passes", "All passing runs", run_table),
    ("suspicious", "Flagged", "Flagged as too good to be true", suspicious),
    ("importance", "Features", "What the models look at", importance),
    ("accounting", "Accounting", "Every instrument accounted for", accounting),
    ("limits", "Limits", "What this page can't tell you", limits),
    ("method", "Method", "How it was made", method),
)


def page(material: Material) -> str:
    """Write the whole page: styles, drawings and script inside, nothing fetched, no clock.

    The content security policy allows this page's own script alone, so that markup in a symbol or a reason could not
    run even if it got past the escaping.
    """
    style, script = (_text(name) for name in ("page.css", "page.js"))
    written = [(anchor, name, heading, write(material)) for anchor, name, heading, write in SECTIONS]
    keys = ("anchor", "name", "heading", "body")
    return str(
        render(
            "page", policy=_policy(script), style=style, script=script, dataset=material.dataset,
            headline=headline(material), sections=[dict(zip(keys, s, strict=True)) for s in written if s[3]],
        )
    )  # fmt: skip


def _policy(script: str) -> str:
    """Allow this script by its hash, inline styles, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
