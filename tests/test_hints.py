"""What the program's own text says to type exists: verbs, flags, targets of make, groups, keys and their values.

A message never spells a command of this project out: `src.config.commands.command` writes it, with the choice of the
dataset. That such commands work as printed, tests/test_hint_commands.py types into a shell.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hydra.errors import HydraException

from src.clean import REQUEST_KEYS
from src.config.compose import _composed
from src.core.errors import ConfigError
from src.core.project import ROOT
from src.core.unknown_verb import verbs
from src.tracking.promotion import is_request_key

GAP = "\0"  # what an f-string fills in
SPELT_OUT = {
    "src/config/commands.py": "writes commands",
    "src/config/compose.py": "the first line of --help",
    "src/core/unknown_verb.py": "the verb that was meant, without its settings",
    "src/data.py": "the name of the program in its usage",
    "src/doctor.py": "the name of the program in its usage",
    "src/status.py": "the name of the program in its usage",
    "src/gate.py": "acts on a store, not on a dataset",
    "src/tracking/connection.py": "a store's gate, and a command for the server's own machine",
    "src/tracking/gate_view.py": "a command for the server's own machine",
    "src/tracking/model_cards.py": "stays in a registry, whatever the settings of this process",
    "src/tracking/server.py": "names another process",
    "src/tuning/winner_files.py": "names the program that wrote a file",
    "src/runtime/lock.py": "the command line of this process",
    "src/features/reference.py": "a page of docs",
}
"""Modules whose strings hold a command of this project that is no hint about a dataset, and why."""
SETTING = re.compile(r"(?<![\w.\-/?&*^$%{}(])(?:\+{0,2})([a-z_]+(?:\.[a-z_]+)*)=(?!=)([^\s`;)]*)")
OWN = {*REQUEST_KEYS, "dataset", "why", "host", "port", "key", "group", "max_q_value", "min_auc", "clear", "name"}
OWN |= {"version", "open", "withdraw", "acknowledge", "kind", "since", "until", "limit", "base", "folder"}
"""Arguments of single verbs, and the words of ``key=value`` itself."""
NO_SETTINGS = {
    "bars", "bucket", "class", "class_", "columnsize", "content", "crumb", "date", "device", "dtype", "extra",
    "flags", "height", "high", "id", "interval", "journal_mode", "low", "moneyness", "oldest_days", "order", "pwd",
    "q", "role", "scale", "sep", "sig", "src", "symbol", "synchronous", "tokenize", "tolerance", "type", "tzinfo",
    "whole", "width", "window", "windows", "x", "y",
}  # fmt: skip
"""What stands before = in code, SQL, SVG, folders and addresses."""
UNLIKE = {
    "source=edgar": "an argument of search",
    "source=Wilder": "an argument in an example",
    "source=Sloan": "the same",
    "model=tuned": "a file that tune writes",
}
"""What looks like a setting and is none, or not yet."""
ENGLISH = ("a", "every", "it", "no", "room")
"""What follows the verb to make where no target of make is meant."""
BESIDE = {"follow": (), "engine.address": ("engine=ray",), "source.columns": ()}


@dataclass(frozen=True)
class Text:
    """A string of the program."""

    path: str
    line: int
    text: str
    is_documentation: bool

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


def texts() -> Iterator[Text]:
    for path in sorted((ROOT / "src").rglob("*.py")):
        yield from texts_of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "src").rglob("*.jinja")):
        yield Text(path.relative_to(ROOT).as_posix(), 1, path.read_text(encoding="utf-8"), is_documentation=False)


def texts_of(name: str, source: str) -> Iterator[Text]:
    nodes = list(ast.walk(ast.parse(source)))
    documentation, parts = set(), set()
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documentation.add(node.value)
        if isinstance(node, ast.JoinedStr):
            parts |= {part for part in ast.walk(node) if part is not node and isinstance(part, ast.Constant)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            whole = "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
            yield Text(name, node.lineno, whole, is_documentation=False)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts:
            yield Text(name, node.lineno, node.value, is_documentation=node in documentation)


@functools.cache
def every() -> list[Text]:
    return list(texts())


def spelt_out(found: list[Text]) -> list[str]:
    """Messages with a command that has no choice of the dataset."""
    return [str(each) for each in found if "python -m src" in each.text and not each.is_documentation]


def test_no_message_spells_a_command_out() -> None:
    assert [place for place in spelt_out(every()) if place.partition(":")[0] not in SPELT_OUT] == []
    planted = [*texts_of("src/x.py", 'raise StageError(f"run `python -m src.train` for {name}")')]
    assert spelt_out(planted) == ["src/x.py:1"]


def test_every_module_that_may_spell_one_out_still_does() -> None:
    assert {place.partition(":")[0] for place in spelt_out(every())} >= set(SPELT_OUT)


def unknown_commands(found: list[Text]) -> list[str]:
    """Verbs, flags and targets of make that do not exist."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    wrong = []
    for each in found:
        for verb, rest in re.findall(r"python -m src\.([a-z]\w*)\b(?!\.)([^`\n]*)", each.text):
            source = ROOT / "src" / f"{verb}.py"
            flags = re.findall(r"(?<![\w-])--[a-z]+", rest)
            known = source.read_text(encoding="utf-8") if source.is_file() else ""
            if verb not in (*verbs(), "trian") or not all(f'"{flag}"' in known for flag in flags):
                wrong.append(f"{each}: {verb}{rest}")
        for target in [] if each.is_documentation else re.findall(r"\bmake ([a-z]+)", each.text):
            if target not in ENGLISH and not re.search(rf"^{target}:", makefile, re.M):
                wrong.append(f"{each}: make {target}")
    return wrong


def test_every_verb_flag_and_target_exists() -> None:
    assert unknown_commands(every()) == []
    planted = 'print("run python -m src.trains", "see python -m src.status --watches", "run make setups")'
    assert len(unknown_commands([*texts_of("src/x.py", planted)])) == len("abc")


def built() -> Iterator[tuple[str, list[str]]]:
    """Every call that writes a command: its place and the words that are known."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if "command(" in source else ():
            writes = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("command", "shell_command")
            if writes and isinstance(node.args[0], ast.Constant):
                words = [each.value for each in node.args if isinstance(each, ast.Constant)]
                yield f"{path.relative_to(ROOT).as_posix()}:{node.lineno}", words


def test_every_command_that_is_built_has_a_verb_and_settings_that_compose() -> None:
    found = list(built())
    assert len(found) > 30
    assert [place for place, (verb, *_) in found if verb not in verbs()] == []
    for words in {
        tuple(words) for _, (verb, *words) in found if verb not in ("data", "search")
    }:  # take names and words
        _composed(list(words))


def wrong_settings(found: list[Text]) -> list[str]:
    """Settings in the text that Hydra refuses; where a value is left open, their keys count."""
    wrong = {}
    for each in (each for each in found if not each.path.endswith(".jinja")):
        for key, value in SETTING.findall(each.text):
            bare = value.strip("\"',.:]") if "[" not in value else value.rstrip(",.:\"'")
            if ("." not in key and key in OWN | NO_SETTINGS) or is_request_key(key) or f"{key}={bare}" in UNLIKE:
                continue
            is_open = not bare or re.search(rf"[{GAP}%<{{\\]|\.\.\.|option", bare) or bare != bare.strip("'\"")
            wrong[(key, None if is_open else bare)] = str(each)
    left_open = [(key, None) for key, value in wrong if value is None and not key_exists(key)]
    refused = {*left_open, *refused_settings([(key, value) for key, value in wrong if value is not None])}
    return [f"{place}: {key}={value}" for (key, value), place in wrong.items() if (key, value) in refused]


def refused_settings(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those that don't compose; found in as few compositions as can be: halves of halves where one is refused."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):  # a composition takes a key once
        first = {key: (key, value) for key, value in reversed(pairs)}
        rest = [pair for pair in pairs if first[pair[0]] != pair]
        return refused_settings(list(first.values())) + refused_settings(rest)
    try:
        _composed([word for key, value in pairs for word in (f"{key}={value}", *BESIDE.get(key, ()))])
    except (ConfigError, HydraException):
        half = len(pairs) // 2
        return pairs if len(pairs) == 1 else refused_settings(pairs[:half]) + refused_settings(pairs[half:])
    return []


@functools.cache
def usual() -> Any:
    return _composed([])


def key_exists(key: str) -> bool:
    node = usual()
    for part in key.split("."):
        if key.startswith("source.columns"):
            return True
        if part not in node:
            return False
        node = node[part]
    return True


def test_every_setting_of_the_text_exists_and_composes() -> None:
    assert wrong_settings(every()) == []


@pytest.mark.parametrize("planted", ["split.embargos=1", "universe=fulll", "data.roots={root}", "sead=1", "seed=x"])
def test_a_wrong_setting_is_seen(planted: str) -> None:
    assert len(wrong_settings([*texts_of("src/x.py", f'print(f"set {planted} first")')])) == 1
