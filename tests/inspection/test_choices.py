"""What is chosen for a later stage is honoured or refused, and never ignored."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from src.config.compose import compose
from src.config.schema import Config
from src.core.errors import ConfigError
from src.inspection.choices import NARROWED, settled
from src.market.bars import BarStore, Manifest
from src.runtime.redaction import masked_values
from src.training import run_tables

HELD = [("etf", "SPY"), ("stock", "AAPL"), ("stock", "ON"), ("stock", "SPY")]
LATER = ["featurize", "train", "quote", "tune", "report", "promote", "sync", "status"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = BarStore(tmp_path / "bars" / "full")
    chosen = {"stock": 500, "etf": None, "panel": 100, "types": ["common", "adr", "fund"]}
    store.write_manifest(
        Manifest("full", "1d", "folder", str(tmp_path / "in"), "auto", 64, None, "f", "j", True, universe=chosen)
    )
    rows = [(*key, True, "") for key in HELD] + [("stock", "OUT", False, "rank 501 of 500 taken")]
    schema = ["asset_class", "symbol", "included", "reason"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(store.root / "universe.parquet")
    return tmp_path


def chosen(root: Path, verb: str, *typed: str) -> Config:
    words = ["universe=full", f"data.root={root}", *typed]
    return settled(verb, compose(words), words)


@pytest.mark.parametrize("verb", NARROWED)
@pytest.mark.parametrize(
    ("symbols", "only"),
    [
        ("[aapl]", ["stock:AAPL"]),
        ("[SPY]", ["etf:SPY", "stock:SPY"]),
        ("[stock:SPY,ON]", ["stock:ON", "stock:SPY"]),
        ("[AAPL,ON,SPY]", []),
    ],
)
def test_symbols_narrow_a_later_stage_as_only_does(root: Path, verb: str, symbols: str, only: list[str]) -> None:
    assert chosen(root, verb, f"universe.symbols={symbols}").only == only


def test_a_list_of_ones_own_narrows_a_later_stage(root: Path) -> None:
    (root / "mine.csv").write_text("symbol\nON\n", encoding="utf-8")
    assert chosen(root, "train", f"universe.file={root / 'mine.csv'}").only == ["stock:ON"]


def test_symbols_and_only_narrow_together(root: Path) -> None:
    assert chosen(root, "train", "universe.symbols=[AAPL,ON]", "only=[ON]").only == ["stock:ON"]
    with pytest.raises(ConfigError, match="have no instrument in common: leave one of them out"):
        chosen(root, "train", "universe.symbols=[AAPL]", "only=[ON]")


@pytest.mark.parametrize("verb", LATER)
def test_a_name_that_the_dataset_lacks_is_named_with_the_nearest(root: Path, verb: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no APPL \(close: AAPL.*\) in full: correct the name, or hydrate"):
        chosen(root, verb, "universe.symbols=[APPL]")
    with pytest.raises(ConfigError, match="there is no OUT"):
        chosen(root, verb, "universe.symbols=[OUT]")


@pytest.mark.parametrize("verb", sorted({*LATER} - {*NARROWED}))
def test_a_stage_that_knows_no_parts_refuses_symbols(root: Path, verb: str) -> None:
    with pytest.raises(ConfigError, match=rf"names 1 of 4 instruments of full, which {verb} can't be restricted to"):
        chosen(root, verb, "universe.symbols=[AAPL]")
    assert chosen(root, verb, "universe.symbols=[AAPL,ON,SPY]").only == []


@pytest.mark.parametrize("verb", ["featurize", "train", "report", "promote", "sync", "tune"])
@pytest.mark.parametrize(
    ("typed", "was"),
    [
        ("source=yahoo", "source=folder"), ("source.path=elsewhere", "source.path="),
        ("source.basis=total_return", "auto"),
        ("data.until=2019-12-31", "split.until limits what training uses"), ("universe.stock=5", "universe.stock=500"),
        ("universe.etf=5", "universe.etf=null"), ("universe.buckets=8", "universe.buckets=64"),
        ("universe.types=[common]", "'fund'"), ("universe.panel=7", "universe.panel=100"),
    ],
)  # fmt: skip
def test_a_choice_of_other_bars_is_refused(root: Path, verb: str, typed: str, was: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(root, verb, *(["source=folder"] if "." in typed and typed.startswith("source") else []), typed)
    message = str(caught.value)
    assert f"{typed.partition('=')[0]}=" in message and f" has no effect on {verb}: the bars of full were " in message
    assert was in message and "leave it out, or hydrate again with python -m src.hydrate" in message


@pytest.mark.parametrize("verb", LATER)
def test_the_same_words_as_for_hydrate_are_taken(root: Path, verb: str) -> None:
    typed = ["source=folder", f"source.path={root / 'in'}", "universe.stock=500", "data.until=null", "model=xgboost"]
    assert chosen(root, verb, *typed, "engine.workers=1").model.family == "xgboost"


@pytest.fixture
def trained(root: Path) -> Path:
    runs = root / "runs" / "full"
    runs.mkdir(parents=True)
    config = compose(["universe=full", f"data.root={root}", "model=xgboost"])
    session = {"key": "5" * 24, "config_yaml": yaml.safe_dump(masked_values(config))}
    (runs / "session-55555555.json").write_text(json.dumps(session), encoding="utf-8")
    row = dict.fromkeys(run_tables.GRADE_SCHEMA) | {"graded_by": "5" * 24}
    pl.DataFrame([row], schema=run_tables.GRADE_SCHEMA).write_parquet(runs / "b000-55555555.grades.parquet")
    return root


@pytest.mark.parametrize("verb", ["report", "promote", "sync"])
@pytest.mark.parametrize(
    ("typed", "was"),
    [
        ("model=lightgbm", "model=xgboost"), ("model=all", "model=xgboost"), ("label=next_open_5", "label=next_open"),
        ("grade.min_auc=0.6", "grade.min_auc=0.52"), ("strategy=long_short", "strategy=long_flat"),
        ("seed=8", "seed=7"),
        ("features=technical", "features=all"), ("split.embargo=9", "split.embargo=5"),
    ],
)  # fmt: skip
def test_settings_of_another_training_are_refused(trained: Path, verb: str, typed: str, was: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(trained, verb, typed)
    assert str(caught.value).startswith(
        f"{typed} has no effect on {verb}: the last session of full was trained with {was}"
    )
    assert "python -m src.train" in str(caught.value)


@pytest.mark.parametrize("verb", ["report", "promote", "sync"])
def test_settings_of_the_session_itself_are_taken(trained: Path, verb: str) -> None:
    typed = ["model=xgboost", "label=next_open", "grade.min_auc=0.52", "split.embargo=5", "features=all", "seed=7"]
    assert dataclasses.asdict(chosen(trained, verb, *typed))["seed"] == 7
