"""Symbols from outside that hold invisible or control characters, or are no file names, in a whole hydration."""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl
import pytest

from src.core.text import escaped, has_hidden
from src.hydrate import hydrate
from src.market.bars import BarStore
from tests.market_case import config, series, write

HIDDEN = [
    "AAA\u202e",
    "\u200bAAA",
    "AA\x1b[31mA",
    "AAA\n2026-01-01 00:00:00,000 INFO src.train: fine",
    "AAA\u2028",
    "\ufeff",
]
ODD = ["..", "A/B", "A\\B", "CON", "nul.txt", "a" * 300, "A:B", "*", "%2e%2e", "Ä", "币安"]


def states(tmp_path: Path) -> dict[str, tuple[str, str]]:
    path = tmp_path / "data" / "states" / "mine" / "hydrate.parquet"
    return {
        symbol: (state, reason) for symbol, state, reason in pl.read_parquet(path)["symbol", "state", "reason"].rows()
    }


def test_hidden_characters_quarantine_the_instrument_and_leave_the_plain_one_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "src")
    write(pl.concat([series(name, n=300) for name in ["AAA", *HIDDEN]]), tmp_path / "source" / "all.parquet")
    assert "1 done" in hydrate(config(tmp_path))
    found = states(tmp_path)
    assert found["AAA"] == ("done", "")
    for name in HIDDEN:
        state, reason = found[escaped(name)]
        assert state == "quarantined" and "can't be seen" in reason and "\\" in reason and not has_hidden(reason)
    assert len(found) == len(HIDDEN) + 1
    store = BarStore(tmp_path / "data" / "bars" / "mine")
    kept = pl.concat([store.read_bucket(b) for b in store.buckets()])
    assert kept["symbol"].unique().to_list() == ["AAA"] and kept.height == 300
    universe = pl.read_parquet(store.root / "universe.parquet")
    assert not any(map(has_hidden, universe["symbol"]))


def test_a_file_whose_name_holds_a_mark_is_quarantined(tmp_path: Path) -> None:
    for name in ("AAA", "AAA\u200f"):
        write(series("AAA", n=300).drop("symbol", "asset_class"), tmp_path / "source" / "stocks" / f"{name}.parquet")
    assert "1 done" in hydrate(config(tmp_path))
    assert states(tmp_path)["AAA\\u200f"][0] == "quarantined"


def test_symbols_that_are_no_file_names_are_instruments_like_others(tmp_path: Path) -> None:
    write(pl.concat([series(name, n=300) for name in ODD]), tmp_path / "source" / "all.parquet")
    hydrate(config(tmp_path))
    assert {symbol: state for symbol, (state, _) in states(tmp_path).items()} == dict.fromkeys(ODD, "done")
    assert {path.parent.name for path in (tmp_path / "data").rglob("*") if path.is_file()} <= {
        "mine",
        "ledger",
        "cache",
    }
