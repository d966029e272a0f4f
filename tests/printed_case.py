"""What the pages print to be typed: commands in blocks and in the text, snippets of Python, and settings."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import re
import runpy
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.core.project import ROOT
from src.core.unknown_verb import verbs

PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
PAGES += (ROOT / "data" / "source" / "README.md",)
FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```")
PROGRAMS = ("python", "make", "dvc", "git", "ray", "mlflow", "pre-commit", "pip", "source", ".venv/bin/python")
SETTING = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*=\S.*")


@dataclass(frozen=True)
class Printed:
    """A command as printed, with its place."""

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}: {self.text}"

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Fenced blocks of a language, with the line on which each begins."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        if found.group(1) == language:
            yield text.count("\n", 0, found.start()) + 2, found.group(2)


def block_commands() -> list[Printed]:
    """Commands of the blocks without a language; other such blocks are drawings."""
    found = []
    for page in PAGES:
        for first, block in blocks(page, ""):
            joined = block.replace("\\\n", "  ")
            if is_command(spelt_out(joined)):
                for number, line in enumerate(joined.splitlines()):
                    found.append(Printed(page, first + number, spelt_out(line.partition(" #")[0].rstrip())))
    return found


def spelt_out(text: str) -> str:
    """``alpha train`` as ``python -m src.train``, which it stands for."""
    return re.sub(rf"^alpha (?=(?:{'|'.join(verbs())})\b)", "python -m src.", text)


def inline_commands() -> list[Printed]:
    """Commands between backticks in the text."""
    return [each for each in spans() if is_command(each.text)]


def inline_settings() -> list[Printed]:
    """Settings between backticks in the text: ``universe.file=watchlist.csv``; paths of Hive folders are none."""
    return [each for each in spans() if SETTING.fullmatch(each.text) and not each.text.endswith(".parquet")]


def spans() -> Iterator[Printed]:
    for page in PAGES:
        text = FENCE.sub(lambda found: "\n" * found.group(0).count("\n"), page.read_text(encoding="utf-8"))
        for found in re.finditer(r"`([^`]+)`", text):
            yield Printed(page, text.count("\n", 0, found.start()) + 1, spelt_out(" ".join(found.group(1).split())))


def is_command(text: str) -> bool:
    words = [word for word in text.split() if not re.match(r"[A-Z_]+=", word)]
    return len(words) > 1 and words[0] in PROGRAMS


def carry_out(commands: list[list[str]]) -> list[tuple[int, str]]:
    """Run modules one after the other in this process, whose libraries are then loaded once: status and output of each.

    Stages stop where their work would begin: the command line is read, composed and checked.
    """
    from src.config import compose
    from src.runtime import command

    command._attempt = lambda *_arguments: 0
    compose.configurations = once_composed(compose.configurations)
    sys.path.insert(0, "")  # the copy of the project in whose folder this runs
    return [carried_out(module, arguments) for module, *arguments in commands]


def once_composed(configurations: Callable[..., Any]) -> Callable[..., Any]:
    """`configurations` that composes equal settings of several commands once."""
    known: dict[tuple[str, ...], Any] = {}

    def composed(verb: str, show: Callable[[str], None]) -> Any:
        words = tuple(sys.argv[1:])
        if any(word.startswith("-") for word in words):
            return configurations(verb, show)
        if words not in known:
            known[words] = configurations(verb, show)
        return copy.deepcopy(known[words])

    return composed


def carried_out(module: str, arguments: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    sys.argv = [module, *arguments]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            return (end.code if isinstance(end.code, int) else int(end.code is not None)), said.getvalue()
        except Exception as error:  # noqa: BLE001 (whatever ends a printed command is what the test reports)
            return 1, f"{said.getvalue()}\n{type(error).__name__}: {error}"
    return 0, said.getvalue()


def parsed_by(program: str) -> Callable[[list[str]], Any]:
    """The reader of another program's command line, without its work."""
    if program == "dvc":
        from dvc.cli import parse_args

        return parse_args
    if program == "mlflow":
        from mlflow.cli import cli
    else:
        from ray.scripts.scripts import cli

    def parse(words: list[str]) -> Any:
        command: Any = cli
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command, words = command.commands[words[0]], words[1:]
        return command.make_context(program, list(words))

    return parse


if __name__ == "__main__":
    sys.stdout.write(json.dumps(carry_out(json.load(sys.stdin))))
