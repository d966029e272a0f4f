"""What takes longer of the printed commands: those of other programs, and what holds after a promotion."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from src.core.project import ROOT
from tests import printed_case as printed
from tests.test_printed_commands import instead, must, project, read_by, snippets

__all__ = ["project"]


def test_the_registered_model_has_the_champions_name_after_promotion(project: Path, tmp_path: Path) -> None:
    """The README's snippet, with the address that it gives for later."""
    (readme,) = (each.text for each in snippets() if each.page.name == "README.md")
    champion = re.search(r"`(models:/\S+@champion)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert champion
    must(project, "-m", "src.promote")
    program = tmp_path / "snippet.py"
    program.write_text(re.sub(r"models:/[\w.]+/1", champion.group(1), readme), encoding="utf-8")
    assert champion.group(1) in program.read_text(encoding="utf-8")
    assert must(project, str(program), PYTHONPATH=str(project)).strip()


@pytest.mark.parametrize("program", ["mlflow", "ray"])
def test_commands_of_other_programs_are_read_by_them(program: str) -> None:
    read_by(program)


def test_a_wrong_command_of_another_program_is_seen() -> None:
    for program, words in (("dvc", ["repros"]), ("mlflow", ["models", "serves"]), ("ray", ["start", "--heads"])):
        with pytest.raises((Exception, SystemExit)):
            printed.parsed_by(program)(words)


def test_modules_of_the_tests_that_pages_name_have_the_flags_that_are_printed() -> None:
    texts = {each.text: each for each in (*printed.block_commands(), *printed.inline_commands())}
    named = [each for each in texts.values() if instead(each.text) == "help" and "-m tests." in each.text]
    assert named
    for module in {each.words[2] for each in named}:
        help_text = must(ROOT, "-m", module, "--help")
        flags = {word for each in named if each.words[2] == module for word in each.words if word.startswith("--")}
        assert all(flag in help_text for flag in flags), module
