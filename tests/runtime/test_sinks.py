"""Every way out of a command goes through redaction: no module writes to the terminal or makes a log by itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from src.core.project import ROOT

SOURCES = sorted((ROOT / "src").rglob("*.py"))
STREAMS = {
    "src/runtime/terminal.py", "src/runtime/log_file.py",
    "src/runtime/command.py",  # the traceback of an error that nothing expected, masked
    "src/runtime/progress.py",  # its lines are made by `shown`
    "src/__main__.py",  # before anything is imported; the word that was typed for a verb, and what a shell is offered
    "src/core/unknown_verb.py",  # before anything is imported; the name of a module alone
}  # fmt: skip
"""Modules that may write to standard output or error."""


SIGNS = re.compile("print|showwarning|sys.std|sys.__std|basicConfig|Handler|Formatter")
"""What stands in the text of every module that `writes` finds something in."""


def writes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Calls that put text on the terminal or make a log file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in {"print", "traceback.print_exc", "traceback.print_exception", "warnings.showwarning"}:
                yield node.lineno, name
            if name.startswith(("sys.stdout.write", "sys.stderr.write", "sys.__std")) or name.endswith("basicConfig"):
                yield node.lineno, name
            if name.endswith(("FileHandler", "StreamHandler", "logging.Formatter")):
                yield node.lineno, name


def test_a_module_writes_to_the_terminal_through_the_masking_functions_alone() -> None:
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in SOURCES}
    found = {name: list(writes(ast.parse(text))) for name, text in texts.items() if SIGNS.search(text)}
    assert len(found) > len(STREAMS)
    assert {name: lines for name, lines in found.items() if lines and name not in STREAMS} == {}


def test_the_search_finds_what_it_looks_for() -> None:
    planted = "print(1)\nsys.stderr.write('x')\nlogging.FileHandler('x')\nlogging.basicConfig()\nthing.write('x')\n"
    assert [line for line, _ in writes(ast.parse(planted))] == [1, 2, 3, 4]
