"""The shape of the code: sizes, names, words and documentation, held for every file of src."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from src.core.project import ROOT

VERBS = {
    "clean", "compare", "daily", "data", "doctor", "enlist", "featurize", "gate", "hydrate", "ingest", "monitor",
    "predict", "promote", "quote", "report", "search", "status", "sync", "train", "tune", "ui",
}  # fmt: skip
FILES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LONGEST_FILE, LONGEST_BODY = 350, 40
EMPTY_NAMES = {"utils", "util", "helpers", "common", "base", "misc"}
SECTION = re.compile(r"^\s*(Parameters|Returns|Yields|Raises|Attributes)\n\s*-{3,}", re.MULTILINE)
AVOIDED = re.compile(r"\b(told|anew|whoever|nobody|want of|in words|so many|a word about)\b", re.IGNORECASE)
DOCUMENTED = 0.60


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(node: ast.AST, *, public: bool = True) -> Iterator[tuple[ast.FunctionDef, bool]]:
    """Functions and methods, nested ones left out, and whether they are public."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.ClassDef):
            yield from functions(each, public=public and not each.name.startswith("_"))
        elif isinstance(each, ast.FunctionDef):
            yield each, public and not each.name.startswith("_")


def body_lines(function: ast.FunctionDef) -> int:
    first = 1 if ast.get_docstring(function) is not None and len(function.body) > 1 else 0
    return (function.end_lineno or 0) - function.body[first].lineno + 1


def test_verbs_alone_stand_at_the_root() -> None:
    assert {path.stem for path in (ROOT / "src").glob("*.py")} == VERBS | {"__init__", "__main__", "results"}


def test_a_file_and_its_functions_are_short() -> None:
    assert len(FILES) > 600
    lengths = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {place: lines for place, lines in lengths.items() if lines >= LONGEST_FILE} == {}
    bodies = {f"{name(path)}:{each.name}": body_lines(each) for path in FILES for each, _ in functions(tree(path))}
    assert {place: lines for place, lines in bodies.items() if lines >= LONGEST_BODY} == {}


def test_a_file_is_named_for_what_it_holds() -> None:
    assert [name(path) for path in FILES if path.stem in EMPTY_NAMES] == []


def test_no_class_name_stands_for_two_things() -> None:
    places = defaultdict(list)
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name(path))
    assert {kind: where for kind, where in places.items() if len(where) > 1} == {}


def test_most_public_functions_document_parameters_returns_or_errors() -> None:
    public = [each for path in FILES for each, is_public in functions(tree(path)) if is_public]
    documented = [each for each in public if SECTION.search(ast.get_docstring(each) or "")]
    assert len(documented) >= DOCUMENTED * len(public)


def test_prose_is_plain_english() -> None:
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in [*FILES, *PAGES]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if AVOIDED.search(line)
    ]
    assert found == []
