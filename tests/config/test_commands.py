"""Commands in hints reach the program as they are meant, through a shell and through Hydra, whatever the names are."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config.commands import command, hydra_quoted, setting, shell_word, typed_words
from src.config.compose import _composed, _opened
from src.runtime.command import run_verb
from tests.config.test_text_values import SCALARS, read
from tests.process_case import run

ODD = [
    "my stocks", "a=b", "[x]", "it's", 'say "so"', "$HOME", "\u00e9t\u00e9", "a,b", "C:\\bars\\", "C:\\my bars\\",
    "null", "TRUE", "0700", "1E5", "{a: b}", "a#b", "~/bars", "*", "(new)", "x;y", "a&b|c", "100%", "hey!", "`date`",
    "^GSPC",
]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize("word", ODD)
def test_a_posix_shell_passes_a_word_on_unchanged(word: str) -> None:
    assert shlex.split(shell_word(word, windows=False)) == [word]
    program = 'import sys; sys.stdout.buffer.write("\\0".join(sys.argv[1:]).encode())'
    line = f"{shlex.quote(sys.executable)} -c {shlex.quote(program)} {shell_word(word, windows=False)}"
    done = run(["/bin/sh", "-c", line], check=True, capture_output=True)
    assert done.stdout.decode() == word


@pytest.mark.parametrize("word", ODD)
def test_a_windows_program_takes_a_word_apart_as_it_was(word: str) -> None:
    typed = shell_word(word, windows=True)
    assert typed == word or (typed[0], typed[-1]) == ('"', '"')
    assert _windows_arguments(typed) == [word]


def _windows_arguments(line: str) -> list[str]:
    """The rule of Microsoft's C runtime: 2n backslashes and a quote are n backslashes and the end of a string."""
    words, word, quoted, place = [], "", False, 0
    while place < len(line):
        run = len(line[place:]) - len(line[place:].lstrip("\\"))
        after = line[place + run : place + run + 1]
        if after == '"':
            word += "\\" * (run // 2) + ('"' if run % 2 else "")
            quoted ^= not run % 2
            place += run + 1
        elif run:
            word += "\\" * run
            place += run
        elif after == " " and not quoted:
            words.append(word)
            word, place = "", place + 1
        else:
            word += after
            place += 1
    return [*words, word]


def test_hydra_reads_a_setting_as_it_was_meant() -> None:
    for turned in (ODD, ODD[::-1]):
        meant = dict(zip(SCALARS, turned, strict=False))
        assert len(meant) == len(ODD)
        found = _composed([*(setting(key, text) for key, text in meant.items()), setting("only", turned)])
        assert {key: read(found, key) for key in meant} == meant
        assert found.only == turned


@pytest.mark.parametrize("text", ODD)
def test_a_text_is_written_alike_for_every_setting_of_text(text: str) -> None:
    assert len({setting(key, text).removeprefix(f"{key}=") for key in SCALARS}) == 1


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="$\n\r\0", exclude_categories=["C"]), min_size=1))
@settings(max_examples=50)
def test_any_text_goes_through_hydra_and_a_shell(text: str) -> None:
    """Through the reader of Hydra's command line, whose values the composition takes over as they are."""
    (word,) = _opened(shlex.split(shell_word(setting("tracking.experiment", text), windows=False)))
    assert OverridesParser.create().parse_override(word).value() == text
    assert hydra_quoted(text)[0] == hydra_quoted(text)[-1] == "'"


def test_a_command_keeps_what_leads_to_the_same_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [
        "universe=full",
        "universe.name=mine",
        "data.root=/mnt/my bars",
        "source=folder",
        "source.path=in",
        "model=all",
    ]
    typed += ["universe.symbols=[A]", "only=[B]", "source.live.proxy=http://me:secret@host", "--multirun", "seed=1,2"]
    monkeypatch.setattr(sys, "argv", ["src/featurize.py", *typed])
    assert command("report", dataset="mine") == (
        'python -m src.report universe=full universe.name=mine "data.root=/mnt/my bars"'
    )
    assert command("train") == (
        'python -m src.train universe=full universe.name=mine "data.root=/mnt/my bars" model=all'
    )
    assert command("hydrate", "source=yahoo") == (
        'python -m src.hydrate universe=full universe.name=mine "data.root=/mnt/my bars" source.path=in'
        ' "universe.symbols=[A]" source=yahoo'
    )


def test_a_command_of_a_process_without_settings_names_the_universe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["src/train.py"])
    assert command("train", dataset="full") == "python -m src.train universe=full"
    assert command("train", dataset="nothing-of-this-name") == "python -m src.train universe.name=nothing-of-this-name"
    assert command("doctor") == "python -m src.doctor"


def test_of_a_multirun_only_what_all_runs_share_is_kept() -> None:
    assert typed_words(["-m", "universe=demo,full", "only=[A,B]", "data.root=x"]) == ["only=[A,B]", "data.root=x"]
    assert typed_words(["tests/test_x.py", "-k", "a=b c", "--durations=5"]) == ["a=b c"]


def test_the_name_of_stored_tables_chooses_universe_and_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["src/report.py"])
    assert command("train", stored="full-1h") == "python -m src.train universe=full universe.interval=1h"
    assert command("train", stored="1e5") == "python -m src.train \"universe.name='1e5'\""
    monkeypatch.setattr(sys, "argv", ["src/report.py", "universe.interval=1h"])
    assert command("data", "GC=F", stored="full-1h") == ("python -m src.data universe=full universe.interval=1h GC=F")
    monkeypatch.setattr(sys, "argv", ["src/report.py", "universe.name=x-1h"])
    assert command("train", stored="x-1h") == "python -m src.train universe.name=x-1h"


def test_a_command_for_the_store_names_it_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["tracking.uri=postgresql://me:se@cret@host/db", "tracking.artifacts=/mnt/a b"]
    monkeypatch.setattr(sys, "argv", ["src/train.py", *typed])
    assert command("promote") == (
        'python -m src.promote "tracking.uri=postgresql://***@host/db" "tracking.artifacts=/mnt/a b"'
    )
    assert command("featurize") == "python -m src.featurize"


def test_each_run_of_a_multirun_names_its_own_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = [f"data.{name}={tmp_path}" for name in ("logs", "root", "reports")]
    monkeypatch.setattr(sys, "argv", ["src/train.py", "-m", "universe=demo,full", "only=[A,B]", *folders])
    before, hints = list(sys.argv), []
    assert run_verb("train", lambda config: hints.append((config.universe.name, command("sync"))) or "done") == 0
    rest = " ".join(folders)
    assert hints == [(name, f"python -m src.sync universe={name} {rest}") for name in ("demo", "full")]
    assert sys.argv == before
