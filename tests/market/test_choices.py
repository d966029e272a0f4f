"""What is chosen for a later stage is honoured or refused, and never ignored."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from src.config.schema import Config
from src.core.errors import ConfigError
from src.market.bars import BarStore, Manifest
from src.market.choices import NARROWED, settled
from tests.composed_case import composed

HELD = [("etf", "SPY"), ("stock", "AAPL"), ("stock", "ON"), ("stock", "SPY")]
LATER = ["featurize", "train", "quote", "tune", "report", "promote", "sync", "status"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, and a list of one's own; tests change neither."""
    tmp_path = tmp_path_factory.mktemp("choices")
    store = BarStore(tmp_path / "bars" / "full")
    chosen = {"stock": 500, "etf": None, "panel": 100, "types": ["common", "adr", "fund"]}
    store.write_manifest(
        Manifest("full", "1d", "folder", str(tmp_path / "in"), "auto", 64, None, "f", "j", True, universe=chosen)
    )
    rows = [(*key, True, "") for key in HELD] + [("stock", "OUT", False, "rank 501 of 500 taken")]
    schema = ["asset_class", "symbol", "included", "reason"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(store.root / "universe.parquet")
    (tmp_path / "mine.csv").write_text("symbol\nON\n", encoding="utf-8")
    return tmp_path


def chosen(root: Path, verb: str, *typed: str) -> Config:
    words = ["universe=full", f"data.root={root}", *typed]
    return settled(verb, composed(*words), words)


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
