"""One self-contained page: sections in the order in which somebody who will bet money asks for them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from src.reporting.accounting import accounting
from src.reporting.distributions import distributions
from src.reporting.formatting import escaped
from src.reporting.importance import importance
from src.reporting.methodology import limits, method
from src.reporting.passing_runs import curves, run_table, suspicious
from src.reporting.planted_edges import found_and_missed
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
    sections = [(anchor, name, heading, write(material)) for anchor, name, heading, write in SECTIONS]
    written = [s for s in sections if s[3]]
    links = "".join(f'<a href="#{anchor}">{escaped(name)}</a> ' for anchor, name, _, _ in written)
    body = "".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-heading">\n'
        f'<h2 id="{anchor}-heading">{escaped(heading)}</h2>\n{inside}</section>\n'
        for anchor, _, heading, inside in written
    )
    name = escaped(material.dataset)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Alpha Loop: {name}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#top">Skip to the result</a>\n'
        f"<header>\n<h1>Alpha Loop: {name}</h1>\n<p>What passed, and how much of it is luck.</p>\n"
        f'<nav aria-label="Sections">{links}</nav>\n</header>\n<main>\n'
        f'<section id="top" aria-label="Result">\n{headline(material)}</section>\n{body}'
        f"</main>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _policy(script: str) -> str:
    """Allow this script by its hash, inline styles, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
