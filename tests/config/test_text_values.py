"""What the schema calls text is read as it is written, in files and on the command line."""

from __future__ import annotations

import dataclasses
import shutil
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.config import compose as composing
from src.config.compose import CONF, compose
from src.config.schema import Config
from src.config.text_values import command_line_word, yaml_values
from src.core.errors import ConfigError
from src.core.project import ROOT

# Tickers and column names that YAML 1.1 or Hydra's grammar would read as something else.
WORDS = [
    "ON", "NO", "OFF", "Y", "N", "YES", "TRUE", "true", "FALSE", "NULL", "null", "0700", "0o7", "0x1F", "1E5", "1_000",
    "12:30", "2020-01-01", "NAN", "INF", "1.10", "005930", "-1", "1e-5",
]  # fmt: skip
COLUMNS = ["date", "open", "high", "low", "close", "volume", "symbol", "asset_class"]
ONLY_IN_YAML = ["~", ".inf", ".NaN", "1:2:3"]


def text_keys(schema: Any = Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    hints = typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        kind = hints[field.name]
        if dataclasses.is_dataclass(kind):
            yield from text_keys(kind, f"{prefix}{field.name}.")
        elif "str" in str(kind) and "Any" not in str(kind):
            yield f"{prefix}{field.name}", kind


FIELDS = dict(text_keys())
LISTS = [key for key, kind in FIELDS.items() if typing.get_origin(kind) is list]
MAPS = [key for key, kind in FIELDS.items() if kind == dict[str, str]]
SCALARS = [key for key, kind in FIELDS.items() if kind is str or "None" in str(kind)]


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.setattr(composing, "CONF", tmp_path / "conf")
    return tmp_path / "conf"


def read(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    return config


def nested(key: str, value: str) -> str:
    return "".join(f"{'  ' * depth}{part}:\n" for depth, part in enumerate(key.split(".")))[:-1] + f" {value}\n"


def test_the_schema_has_texts_of_every_kind() -> None:
    assert {"universe.symbols", "only", "features.exclude", "model.classes"} <= set(LISTS)
    assert {"source.columns"} == set(MAPS)
    assert {"universe.name", "universe.file", "source.path", "split.until", "tracking.uri"} <= set(SCALARS)


@pytest.fixture(scope="module")
def listed() -> Any:
    """What the command line makes of the words in all lists."""
    return composing._composed([f"{key}=[{','.join(WORDS)}]" for key in LISTS])


@pytest.mark.parametrize("key", LISTS)
def test_a_word_in_a_list_is_a_text(listed: Any, key: str) -> None:
    assert list(read(listed, key)) == WORDS
    words = [*WORDS, *ONLY_IN_YAML]
    assert read(yaml_values(nested(key, f"[{', '.join(words)}]"), Config), key) == words
    lines = "".join(f"\n{'  ' * key.count('.')}- {word}" for word in words)
    assert read(yaml_values(nested(key, lines), Config), key) == words


@pytest.mark.parametrize("key", SCALARS)
def test_a_word_of_its_own_in_a_file_is_a_text_and_null_is_nothing(key: str) -> None:
    for word in WORDS:
        expected = None if word.lower() == "null" else word
        assert read(yaml_values(nested(key, word), Config), key) == expected
    assert read(yaml_values(nested(key, "~"), Config), key) is None


def test_a_word_that_is_typed_is_a_text_for_settings_of_every_kind() -> None:
    words, met = [word for word in WORDS if word.lower() != "null"], set()
    for turn in range(0, len(words), 5):
        chosen = {key: words[(place + turn) % len(words)] for place, key in enumerate(SCALARS)}
        typed = composing._composed([f"{key}={word}" for key, word in chosen.items()])
        assert {key: read(typed, key) for key in SCALARS} == chosen
        met |= {(str(FIELDS[key]), word) for key, word in chosen.items()}
    assert met == {(str(FIELDS[key]), word) for key in SCALARS for word in words}


@pytest.mark.parametrize("word", [word for word in WORDS if word.lower() != "null"])
def test_a_word_that_is_typed_is_written_alike_for_every_setting_of_text(word: str) -> None:
    """What Hydra then reads, one setting of each kind shows above."""
    (written,) = {command_line_word(f"{key}={word}").removeprefix(f"{key}=") for key in SCALARS}
    assert written in (word, f"'{word}'")


@pytest.mark.parametrize("word", [*WORDS, *ONLY_IN_YAML])
def test_names_of_columns_in_a_file_are_texts_on_both_sides(word: str) -> None:
    written = yaml_values(f"source:\n  columns: {{date: {word}, {word}: close}}\n", Config)["source"]["columns"]
    assert written == {"date": word, word: "close"}


def test_names_of_columns_that_are_typed_are_texts() -> None:
    for start in range(0, len(WORDS), len(COLUMNS)):
        named = dict(zip(COLUMNS, WORDS[start:], strict=False))
        assert compose([f"source.columns.{name}={word}" for name, word in named.items()]).source.columns == named


@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_symbols_are_read_the_same_with_every_prefix_of_hydra(prefix: str) -> None:
    assert compose([f"{prefix}universe.symbols=[ ON , TRUE,'1E5',\"a,b\"]"]).universe.symbols == [
        "ON", "TRUE", "1E5", "a,b",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["seed=0700", "fresh=true", "engine.workers=null", "strategy.threshold=1e-1", "a"])
def test_what_is_no_text_stays_as_it_is(word: str) -> None:
    assert command_line_word(word) == word


def test_numbers_and_switches_of_files_stay_what_they_are() -> None:
    written = yaml_values("seed: 0o7\nfresh: on\nuniverse: {stock: 1_000, otc: no}\ntune: {prune_p: 1e-1}\n", Config)
    assert (written["fresh"], written["universe"], written["tune"]) == (
        True,
        {"stock": 1000, "otc": False},
        {"prune_p": 0.1},
    )


def test_a_universes_file_names_the_symbol_on(conf: Path) -> None:
    (conf / "universe" / "mine.yaml").write_text("name: mine\nsymbols: [ON, NO, 0700, NULL, 1E5, 12:30]\n")
    assert compose(["universe=mine"]).universe.symbols == ["ON", "NO", "0700", "NULL", "1E5", "12:30"]


def test_a_file_that_begins_with_a_byte_order_mark_is_read(conf: Path) -> None:
    text = "# @package _global_\nuniverse:\n  symbols: [YES]\n"
    (conf / "experiment" / "mine.yaml").write_text(text, encoding="utf-8-sig")
    assert compose(["experiment=mine"]).universe.symbols == ["YES"]


def test_a_file_that_is_not_utf8_is_refused_by_name(conf: Path) -> None:
    (conf / "universe" / "mine.yaml").write_bytes("name: mine # f\u00fcr mich\n".encode("cp1252"))
    with pytest.raises(ConfigError, match=r"mine\.yaml is not UTF-8 \(.*\): save it with the encoding UTF-8"):
        compose(["universe=mine"])


def test_choices_in_params_yaml_are_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    text = text.replace("data_until: null", "data_until: 2019-12-31").replace("data/source", "0700")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(composing, "ROOT", tmp_path)
    config = compose()
    assert (config.data.until, config.source.path, config.seed) == ("2019-12-31", "0700", 7)


@pytest.mark.parametrize("written", ["[ON, ]", "[ON,, NO]", "\n- ON\n-\n"])
def test_an_empty_entry_is_refused(conf: Path, written: str) -> None:
    (conf / "universe" / "mine.yaml").write_text(f"name: mine\nsymbols: {written}\n")
    if written == "[ON, ]":
        assert compose(["universe=mine"]).universe.symbols == ["ON"]
        return
    with pytest.raises(ConfigError, match="mine.yaml"):
        compose(["universe=mine"])
