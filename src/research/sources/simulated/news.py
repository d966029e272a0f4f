"""Articles about simulated stocks, in invented words: some words are said before a rise, others before a fall."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from functools import cache

import numpy as np

from src.documents.document import Document
from src.research.sources.simulated.company import SimulatedCompany, name

CHARGED, NEUTRAL = 60, 500  # words that are said of either direction, and of none
_SHARE = 0.3  # of an article's words that are charged
_LENGTH = 40  # words, on average
_DAILY = 0.4  # articles a session
_BEFORE_CLOSE = dt.timedelta(hours=3)  # an article is out in the middle of a session
_SYLLABLES = ("ba", "dor", "fen", "gil", "hus", "kar", "lem", "mon", "nit", "pol", "ras", "sel", "tun", "vor", "wex")


@cache
def vocabulary() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the words of rises, of falls and of neither.

    Returns
    -------
    (tuple of str, tuple of str, tuple of str)
        `CHARGED`, `CHARGED` and `NEUTRAL` different words.
    """
    count = len(_SYLLABLES)
    words = [
        _SYLLABLES[i % count] + _SYLLABLES[i // count % count] + _SYLLABLES[(7 * i + i // count) % count]
        for i in range(2 * CHARGED + NEUTRAL)
    ]
    return tuple(words[0 : 2 * CHARGED : 2]), tuple(words[1 : 2 * CHARGED : 2]), tuple(words[2 * CHARGED :])


def articles(world: SimulatedCompany, strength: float) -> Iterator[Document]:
    """Generate the articles about one stock.

    Parameters
    ----------
    world : SimulatedCompany
    strength : float
        Correlation of an article's tone with the return from the next open to the one after it.

    Yields
    ------
    Document
        Kind ``article``; its words are drawn from the two charged vocabularies in the proportion of its tone.
    """
    rises, falls, neutral = vocabulary()
    random, n = world.random("news"), len(world.dates)
    outlook = world.ahead(1)
    for at in np.flatnonzero(random.random(n) < _DAILY):
        feeling = strength * outlook[at] + np.sqrt(1 - strength**2) * random.standard_normal()
        optimism = 1 / (1 + np.exp(-1.7 * feeling))  # share of the charged words that are of rises
        length = max(8, int(random.poisson(_LENGTH)))
        charged = int(random.binomial(length, _SHARE))
        good = int(random.binomial(charged, optimism))
        words = [
            *random.choice(rises, good), *random.choice(falls, charged - good),
            *random.choice(neutral, length - charged),
        ]  # fmt: skip
        random.shuffle(words)
        yield _document(world, int(at), list(map(str, words)))


def _document(world: SimulatedCompany, at: int, words: list[str]) -> Document:
    out = world.closes[at] - _BEFORE_CLOSE
    title = f"{name(world.symbol)}: {' '.join(words[:6])}"
    text = " ".join(words[6:])
    return Document(
        "simulated", f"article/{world.symbol}/{world.dates[at]}", "article", world.seen, text.encode(), "filings",
        f"stock:{world.symbol}", title, published=out, fields=json.loads('{"feed": "simulated wire"}'),
    )  # fmt: skip
