"""Stored documents and bars for tests of scoring, without files of documents."""

import datetime as dt

import numpy as np
import polars as pl

from src.documents.document import DOCUMENTS
from src.market.bars import SCHEMA, BarStore, Manifest, bucket
from src.market.calendar import sessions
from src.research.links import LINKS

BUCKETS = 2
COMPANIES = pl.DataFrame({"symbol": ["S00"]})


class Documents:
    """What scoring asks of a store of documents, from memory."""

    def __init__(self, rows):
        rows = [{name: None for name in DOCUMENTS} | row for row in rows]
        self.table = pl.DataFrame([{k: v for k, v in row.items() if k != "body"} for row in rows], schema=DOCUMENTS)
        self.content = {(row["source"], row["id"], row["revision"]): row["body"] for row in rows}

    def documents(self, *, kinds=None, revisions=True):
        found = self.table.filter(pl.col("kind").is_in(kinds or self.table["kind"].unique()))
        found = found if revisions else found.filter(revision=0)
        return found.sort("known")

    def bodies(self, rows):
        keys = rows.select("source", "id", "revision")
        return keys.with_columns(body=pl.Series([self.content[key] for key in keys.rows()], dtype=pl.Binary))


def text(symbol, known, words, kind="article", n=0, title="", **more):
    """One document about a stock."""
    body = words.encode()
    row = {"source": "test", "id": f"{symbol}/{known:%Y%m%d%H%M}/{n}", "revision": 0, "kind": kind, "title": title}
    row |= {"entity": f"stock:{symbol}", "known": known, "first_seen": known, "backfilled": False, "body": body}
    return row | {"content_hash": str(hash(body)), "size": len(body), "fields": "{}"} | more


def by_entity(documents, texts, known):
    """Links of the instruments that the source names."""
    rows = [
        (*row, *each.split(":"), 1.0, "entity")
        for *row, entity in documents.select("source", "id", "revision", "entity").rows()
        for each in entity.split(",")
        if ":" in each
    ]
    return pl.DataFrame(rows, schema=LINKS, orient="row")


def bar_rows(symbol, opens, first="2019-01-02", asset_class="stock", **columns):
    """Daily bars with these opens."""
    n = len(opens)
    days = sessions(asset_class, first, str(np.datetime64(first) + 2 * n + 30))[:n]
    opens = np.asarray(opens, dtype=float)
    frame = pl.DataFrame({"date": pl.Series(days).cast(pl.Date), "open": opens})
    frame = frame.with_columns(
        asset_class=pl.lit(asset_class), symbol=pl.lit(symbol), high=opens, low=opens, close=opens,
        volume=pl.lit(1e5), factor=pl.lit(1.0), split=pl.lit(1.0), repaired=pl.lit(False),
    )  # fmt: skip
    return frame.with_columns(**columns).select(SCHEMA.keys()).cast(pl.Schema(SCHEMA))


def bar_store(root, frames, panel=()):
    """A store of bars."""
    store = BarStore(root)
    every = pl.concat(frames) if isinstance(frames, list) else frames
    store.write_manifest(Manifest("mine", "1d", "folder", "", "auto", BUCKETS, None, "", "", True))
    keys = every.select("asset_class", "symbol").unique().sort("asset_class", "symbol")
    for b in range(BUCKETS):
        mine = [key for key in keys.rows() if bucket(*key, BUCKETS) == b]
        chosen = pl.DataFrame(mine, schema=dict.fromkeys(("asset_class", "symbol"), pl.String()), orient="row")
        part = every.join(chosen, on=["asset_class", "symbol"], how="semi")
        states = chosen.with_columns(state=pl.lit("done"), reason=pl.lit(""))
        states = states.with_columns(pl.lit(None).alias(name) for name in store.ledger.schema if name not in states)
        store.record(b, "job", states, store.write_bucket(b, part))
    store.write_panel(panel)
    return store


def moment(day, hour=15, minute=0):
    return dt.datetime.combine(dt.date.fromisoformat(str(day)), dt.time(hour, minute), dt.UTC)
