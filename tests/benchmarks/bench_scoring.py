"""What scoring many short texts by learned word weights costs: CPU seconds by step, and memory.

Texts are drawn from a vocabulary with frequencies as of a language (Zipf), about the instruments of a store of random
bars. Documents are made when they are read, so that none lie in memory or on disk; links come from the source's entity.

    python -m tests.benchmarks.bench_scoring --texts 2000000 --instruments 10000 --bars 1000 --folder /tmp/bench
"""

from __future__ import annotations

import argparse
import datetime as dt
import time
from pathlib import Path

import numpy as np
import polars as pl

from src.config.research_sections import ScoringSection
from src.documents.document import DOCUMENTS
from src.market.bars import SCHEMA, BarStore, Manifest, bucket
from src.market.calendar import sessions
from src.research.links import LINKS
from src.research.scoring import corpus as corpora
from src.research.scoring import refits, text_pieces, text_scores
from src.runtime.memory import peak_bytes
from tests.benchmarks.study_monitor import say

BUCKETS = 64
STARTED = [0.0]


class Drawn:
    """Documents that are drawn when they are asked for."""

    def __init__(self, texts: int, symbols: int, days: np.ndarray, words: int) -> None:
        random = np.random.default_rng(0)
        first, last = (day.astype("M8[us]").astype(int) for day in (days[5], days[-3]))
        known = np.sort(random.integers(first, last, texts))
        ids = pl.Series("id", np.arange(texts)).cast(pl.String)
        about = pl.Series(random.integers(0, symbols, texts)).cast(pl.String)
        table = pl.DataFrame({"id": ids, "known": known.view("M8[us]")}).with_columns(
            pl.col("known").dt.replace_time_zone("UTC"), source=pl.lit("drawn"), kind=pl.lit("article"),
            revision=pl.lit(0), title=pl.lit(""), backfilled=pl.lit(False), content_hash="id", fields=pl.lit("{}"),
            entity=pl.concat_str(pl.lit("stock:S"), about),
        )  # fmt: skip
        absent = [pl.lit(None).alias(name) for name in DOCUMENTS if name not in table.columns]
        self.table = table.with_columns(absent).select(DOCUMENTS.keys()).cast(pl.Schema(DOCUMENTS))
        syllables = ["ba", "cor", "den", "fil", "gor", "hin", "jal", "kem", "lor", "min", "nep", "pra", "qui", "rob"]
        n = len(syllables)
        self.words = np.array([
            syllables[i % n] + syllables[i // n % n] + syllables[i // n**2 % n] + syllables[i // n**3 % n]
            for i in range(words)
        ])  # fmt: skip
        self.share = np.cumsum(1 / np.arange(1, words + 1))

    def documents(self, kinds: list[str], **_: object) -> pl.DataFrame:
        return self.table if kinds == ["article"] else self.table.clear()

    def bodies(self, rows: pl.DataFrame) -> pl.DataFrame:
        random = np.random.default_rng(int(rows["id"][0]))
        lengths = random.poisson(25, rows.height) + 4
        drawn = self.words[np.searchsorted(self.share, random.random(lengths.sum()) * self.share[-1])]
        parts = np.split(drawn, np.cumsum(lengths)[:-1])
        return rows.with_columns(body=pl.Series([" ".join(part).encode() for part in parts], dtype=pl.Binary))


def by_entity(documents: pl.DataFrame, texts: pl.Series, known: pl.DataFrame) -> pl.DataFrame:
    symbol = pl.col("entity").str.slice(6)
    return documents.select(
        "source",
        "id",
        "revision",
        asset_class=pl.lit("stock"),
        symbol=symbol,
        confidence=pl.lit(1.0),
        sign=pl.lit("cik"),
    ).cast(pl.Schema(LINKS))


def bar_store(root: Path, symbols: int, days: np.ndarray) -> BarStore:
    store = BarStore(root)
    if store.exists():
        return store
    dates, by_bucket = pl.Series(days).cast(pl.Date), {b: [] for b in range(BUCKETS)}
    for k in range(symbols):
        by_bucket[bucket("stock", f"S{k}", BUCKETS)].append(f"S{k}")
    for b, names in by_bucket.items():
        random = np.random.default_rng(b)
        prices = 50 * np.exp(np.cumsum(0.02 * random.standard_normal((len(names), days.size)), axis=1))
        parts = [
            pl.DataFrame({"date": dates, "open": price}).with_columns(symbol=pl.lit(name))
            for name, price in zip(names, prices, strict=True)
        ]
        frame = pl.concat(parts).with_columns(
            asset_class=pl.lit("stock"), high="open", low="open", close="open", volume=pl.lit(1e5), factor=pl.lit(1.0),
            split=pl.lit(1.0), repaired=pl.lit(False),
        ).select(SCHEMA.keys())  # fmt: skip
        states = pl.DataFrame({"asset_class": "stock", "symbol": sorted(names), "state": "done", "reason": ""})
        states = states.with_columns(pl.lit(None).alias(n) for n in store.ledger.schema if n not in states.columns)
        store.record(b, "job", states, store.write_bucket(b, frame))
    store.write_panel([("stock", f"S{k}") for k in range(500)])
    store.write_manifest(Manifest("bench", "1d", "folder", "", "auto", BUCKETS, None, "", "", True))
    return store


def step(line: str) -> None:
    """Say what was done since the last step."""
    say(f"{line}: {time.process_time() - STARTED[-1]:,.0f} s of CPU, at most {peak_bytes() / 2**20:,.0f} MiB so far")
    STARTED.append(time.process_time())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--instruments", type=int, default=1000)
    parser.add_argument("--bars", type=int, default=750)
    parser.add_argument("--words", type=int, default=30_000)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    days = sessions("stock", "2015-01-02", str(dt.date(2015, 1, 2) + dt.timedelta(days=2 * options.bars)))[
        : options.bars
    ]
    bars = bar_store(options.folder / f"bars-{options.instruments}-{options.bars}", options.instruments, days)
    store = Drawn(options.texts, options.instruments, days, options.words)
    text_pieces.mentions = by_entity
    step(f"{options.texts:,} texts, {options.instruments:,} instruments, {options.bars:,} bars")
    companies, state = pl.DataFrame({"symbol": ["S0"]}), options.folder / "state"
    texts = None
    for how in ("read and counted", "counted in an earlier run"):
        del texts
        texts = corpora.corpus(text_pieces.pieces(store, companies, 0.7, state, with_words=True))
        step(f"{texts.counts.columns.size:,} words {how}")
    lessons = refits.lessons_of(texts, bars, 1)
    step(f"{lessons.returns.size:,} returns")
    refits.lessons_of = lambda *_: lessons
    tones, fitted, fits = refits.learned_tones(texts, bars, ScoringSection())
    step(f"{len(fits)} fits, and the tones")
    step(f"{text_scores._table(texts, tones, fitted).height:,} rows of the table")


if __name__ == "__main__":
    main()
