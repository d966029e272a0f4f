"""What linking many short texts to the names of many companies costs: CPU seconds and memory.

Names are those of the NASDAQ Trader's directories where they are at hand, else drawn; texts are sentences of the tests,
three to a text, twenty words in the mean, read in parts as scoring reads them.

    python -m tests.benchmarks.bench_links --texts 200000 --companies 10000
"""

from __future__ import annotations

import argparse
import random
import time

import polars as pl

from src.research.links import COMPANIES, mentions
from src.runtime.memory import peak_bytes
from tests.benchmarks.study_monitor import say
from tests.market_case import MARKET
from tests.research.test_links import documents, labelled

PART = 5000


def names(count: int) -> list[tuple[str, str]]:
    """Symbols and names."""
    folder = MARKET / "symbols"
    if not folder.is_dir():
        return [(f"S{n}", f"Firm{n} Holdings {n % 97}, Inc.") for n in range(count)]
    found: dict[str, str] = {}
    for name in ("otherlisted_2025-07-21.txt", "nasdaqlisted_2025-07-21.txt"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines()[1:-1]:
            symbol, title = line.split("|")[:2]
            found.setdefault(symbol.replace(".", "-").replace("$", "-P"), title)
    return list(found.items())[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--companies", type=int, default=10_000)
    options = parser.parse_args()
    rows = [(10**7 + n, "stock", *each, None, None) for n, each in enumerate(names(options.companies))]
    known = pl.DataFrame(rows, schema=COMPANIES, orient="row")
    sentences = [text for text, _ in labelled("links_cases.tsv")]
    chosen = random.Random(0)
    started, links = time.process_time(), 0
    for start in range(0, options.texts, PART):
        size = min(PART, options.texts - start)
        texts = [f"{chosen.choice(sentences)}\n{' '.join(chosen.choices(sentences, k=2))}" for _ in range(size)]
        links += mentions(documents(size), pl.Series(texts), known).height
    spent = time.process_time() - started
    say(
        f"{options.texts:,} texts, {known.height:,} companies: {spent:,.1f} s of CPU, "
        f"{spent / options.texts * 2e6 / 60:.1f} minutes for two million; {links:,} signs; "
        f"at most {peak_bytes() / 2**20:,.0f} MiB"
    )


if __name__ == "__main__":
    main()
