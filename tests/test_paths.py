"""File names are names: brackets, stars, percent signs and letters beyond ASCII in any path of the project."""

import ast
import os

import polars as pl
import pytest

from src.core.project import ROOT
from src.featurize import featurize
from src.hydrate import hydrate
from src.market.bars import BarStore
from tests.market_case import config, series, write

PATTERNS = ("scan_parquet", "read_parquet", "scan_csv", "read_csv", "scan_ndjson", "scan_ipc")
EXPANDING = ("read_parquet_schema", "read_ipc", "read_ipc_schema")  # these take no `glob=False`
ODD = "a [1] #2 50% key=value Zürich \N{GRINNING FACE}" + ("" if os.name == "nt" else " *?")


def is_polars(node):
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pl"


def expanded_paths(text):
    """Lines on which Polars would take a path as a pattern."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not is_polars(node.func):
            continue
        first = ast.unparse(node.args[0]) if node.args else ""
        if "BytesIO" in first or first.endswith("read_bytes()"):
            continue
        literal = any(word.arg == "glob" and ast.unparse(word.value) == "False" for word in node.keywords)
        if node.func.attr in EXPANDING or (node.func.attr in PATTERNS and not literal):
            yield node.lineno


def test_polars_never_takes_a_path_as_a_pattern():
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    looked_at = {path: text for path, text in texts.items() if any(name in text for name in PATTERNS + EXPANDING)}
    assert len(looked_at) > 30
    found = {path.name: list(expanded_paths(text)) for path, text in looked_at.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}, "add glob=False"


def test_the_search_for_patterns_finds_them():
    assert list(expanded_paths("pl.read_csv(p)\npl.scan_parquet(p, glob=False)\npl.read_parquet_schema(p)")) == [1, 3]


def test_stages_work_in_folders_with_any_name(tmp_path):
    root = tmp_path / ODD
    for symbol in ("ZZA1", "ZZA[1]", "A B#%C"):
        rows = series(symbol, n=90, seed=len(symbol)).drop("asset_class", "symbol")
        write(rows, root / "source" / "stocks" / f"{symbol}.csv")
    write(series("FUND", n=90, asset_class="etf"), root / "source" / "all [2].parquet")
    settings = config(root)
    settings.engine.workers = 1
    settings.universe.name = "odd"
    assert hydrate(settings).startswith("hydrate: 4 instruments")
    store = BarStore(root / "data" / "bars" / "odd")
    bars = pl.concat([store.read_bucket(b) for b in store.buckets()])
    for symbol in ("ZZA1", "ZZA[1]", "A B#%C"):
        rows = series(symbol, n=90, seed=len(symbol))
        assert bars.filter(pl.col("symbol") == symbol)["close"].to_list() == pytest.approx(rows["close"].to_list())
    assert "4 instruments" in featurize(settings)
