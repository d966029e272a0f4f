"""One instrument, all that is stored of it, as text and as plain values."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src import data
from src.config.schema import Config
from src.core.errors import ConfigError
from src.core.project import ROOT
from src.inspection import dossier_view
from src.inspection.instrument import dossier, matching_keys
from src.market.bars import BarStore, Manifest, bucket
from src.storage.atomic import write_json, write_parquet

KEY = ("stock", "AAPL")
COIN = ("crypto", "AAPL")
DAYS = [dt.date(2026, 11, 16) + dt.timedelta(days=n) for n in range(5)]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    made = Config()
    made.data.root = str(tmp_path / "data")
    return made


@pytest.fixture
def filled(config: Config) -> Config:
    """A dataset with one stock and a coin of the same name, the stock with all that there can be."""
    root = Path(config.data.root)
    store = BarStore(root / "bars" / "demo")
    store.write_manifest(Manifest("demo", "1d", "yahoo", "", "auto", 4, None, "", "", True))
    for key in (KEY, COIN):
        b = bucket(*key, 4)
        closes = [100.0 + n for n in range(5)]
        prices = {name: closes for name in ("open", "high", "low", "close")}
        rows = pl.DataFrame({"asset_class": key[0], "symbol": key[1], "date": DAYS, **prices, "volume": 2.5e6})
        rows = rows.with_columns(factor=1.0, split=4.0, repaired=pl.col("close") == 101)
        digest = store.write_bucket(b, rows)
        facts = {"state": "done", "reason": "", "rows": 5, "first": DAYS[0], "last": DAYS[-1], "repaired": 1}
        whole = {"asset_class": key[0], "symbol": key[1], **facts, "basis": "split_adjusted", "liquidity": 3e9}
        store.ledger.record(b, "", pl.DataFrame([whole], schema=store.ledger.schema), digest=digest)
    b = bucket(*KEY, 4)
    named = {"asset_class": "stock", "symbol": "AAPL"}
    chosen = [{**named, "included": True, "reason": "rank 1 of 500 taken"}]
    write_parquet(pl.DataFrame(chosen), store.root / "universe.parquet")
    error = {"error_class": "unavailable", "reason": "timeout after 30 s", "next_attempt": "2026-11-21T04:00:00+00:00"}
    entry = {**named, "provider": "yahoo", "state": "failed", "tries": 4, **error, "checked": None, "rows": 5}
    entry |= {"first": "2026-11-16", "last": "2026-11-20", "facts": {"currency": "USD"}}
    write_json({"key": "", "states": [entry]}, store.root / "raw" / f"b{b:03d}.json")
    event = {**named, "date": DAYS[1], "kind": "dividend", "value": 0.26, "source": "yahoo"}
    write_parquet(pl.DataFrame([event]), store.root / "raw" / f"e{b:03d}.parquet")
    for day, exchange in (("2026-11-01", "OLD"), ("2026-11-19", "NASDAQ")):
        listed = {**named, "type": "common", "exchange": exchange, "listed_from": DAYS[0], "listed_until": None}
        write_parquet(pl.DataFrame([listed]), root / "listings" / f"{day}-nasdaqlisted.parquet")
    state = {**named, "state": "skipped", "reason": "5 bars, 500 wanted", "rows": 5, "first": DAYS[0], "last": DAYS[-1]}
    write_parquet(pl.DataFrame([state]), root / "states" / "demo" / "train.parquet")
    grade = {
        "family": "lightgbm",
        "passed": False,
        "auc": 0.51,
        "accuracy": None,
        "reasons": ["auc 0.51 is below 0.52"],
    }
    write_parquet(pl.DataFrame([{**named, **grade}]), root / "grades" / "demo.parquet")
    return config


def test_everything_stored_of_an_instrument_is_found(filled: Config) -> None:
    found = dossier(filled.paths, KEY, last=2)
    assert found["universe"] == {"included": True, "reason": "rank 1 of 500 taken"}
    assert [row["exchange"] for row in found["listings"]] == ["NASDAQ"]
    assert (found["asked"]["tries"], found["asked"]["error_class"]) == (4, "unavailable")
    assert found["states"]["hydrate"]["state"] == "done"
    assert found["states"]["featurize"] is None
    assert found["states"]["train"]["reason"] == "5 bars, 500 wanted"
    assert {name: found["bars"][name] for name in ("rows", "first", "last", "repaired")} == {
        "rows": 5, "first": "2026-11-16", "last": "2026-11-20", "repaired": 1,
    }  # fmt: skip
    assert [bar["close"] for bar in found["bars"]["latest"]] == [103.0, 104.0]
    assert found["events"] == [{"date": "2026-11-17", "kind": "dividend", "value": 0.26, "source": "yahoo"}]
    assert found["grades"][0]["auc"] == 0.51
    assert found["runs"] == []
    json.dumps(found, allow_nan=False)


def test_the_same_ticker_of_another_class_shares_nothing_with_it(filled: Config) -> None:
    found = dossier(filled.paths, COIN, last=1)
    assert found["bars"]["rows"] == 5
    assert (found["asked"], found["events"], found["grades"], found["universe"]) == (None, [], [], None)
    assert found["states"]["train"] is None


def test_a_name_means_every_class_that_has_it(filled: Config) -> None:
    assert matching_keys(filled.paths, "AAPL", filled.hydrate_command) == [COIN, KEY]
    assert matching_keys(filled.paths, "stock:AAPL", filled.hydrate_command) == [KEY]
    assert matching_keys(filled.paths, "aapl", filled.hydrate_command) == [COIN, KEY]
    with pytest.raises(ConfigError, match=r"universe=demo: among 2 instruments there is no APPL \(close: AAPL"):
        matching_keys(filled.paths, "APPL", filled.hydrate_command)


def test_an_empty_dataset_says_what_to_run(config: Config) -> None:
    config.universe.name = "quick"
    with pytest.raises(ConfigError, match=r"no instruments on disk: run `.* universe=quick source=auto` first"):
        matching_keys(config.paths, "AAPL", config.hydrate_command)


def run(config: Config, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = data.data([*words, "universe=demo", f"data.root='{Path(config.data.root).as_posix()}'"])
    out, error = capsys.readouterr()
    return status, out, error


def test_it_is_shown_as_text(filled: Config, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(filled, capsys, "stock:AAPL", "--bars", "1")
    lines = [line.strip() for line in out.splitlines()]
    assert status == 0
    assert lines[0] == "stock:AAPL in demo"
    assert "universe    in: rank 1 of 500 taken" in lines
    assert "fetch       failed from yahoo; 5 bars, 2026-11-16 to 2026-11-20; 4 tries" in lines
    assert "unavailable: timeout after 30 s; next attempt 2026-11-21T04:00:00+00:00" in lines
    assert "train       skipped: 5 bars, 500 wanted (5 rows, 2026-11-16 to 2026-11-20)" in lines
    assert "bars        5, 2026-11-16 to 2026-11-20, 1 repaired, the last 1:" in lines
    assert "2026-11-20   104   104  104    104  2,500,000       1      4" in lines
    assert "2026-11-17  dividend     0.26" in lines
    assert any(line.startswith("lightgbm    failed: auc 0.510, accuracy undefined") for line in lines)
    assert out.isascii()


def test_json_is_a_list_and_flags_may_stand_anywhere(filled: Config, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(filled, capsys, "--json", "AAPL", "--bars", "0")
    found: list[dict[str, Any]] = json.loads(out)
    assert status == 0
    assert [(each["asset_class"], each["bars"]["latest"]) for each in found] == [("crypto", []), ("stock", [])]
    page = (ROOT / "docs" / "status.md").read_text(encoding="utf-8")
    assert [key for key in found[0] if f"`{key}`" not in page] == []


def test_wrong_usage_is_answered_in_one_line(filled: Config, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(filled, capsys)[::2] == (2, "data: name an instrument: python -m src.data AAPL, or crypto:BTC-USD\n")
    status, _, error = run(filled, capsys, "NOPE")
    assert (status, error.count("\n")) == (2, 1)
    assert run(filled, capsys, "AAPL", "universes=demo")[0] == 2


def test_a_long_family_name_stands_apart_from_its_verdict() -> None:
    row = {"family": "hist_gradient_boosting", "passed": True, "auc": 0.559}
    assert "hist_gradient_boosting passed: " in dossier_view._grade(row)
