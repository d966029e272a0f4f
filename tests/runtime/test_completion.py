"""The Tab key: every verb, key and known value is offered, a real shell completes a line, and at once."""

from __future__ import annotations

import functools
import io
import itertools
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from src.clean import REQUEST_KEYS
from src.config.compose import compose
from src.core.errors import ConfigError
from src.core.project import ROOT
from src.core.unknown_verb import verbs
from src.monitor import KEYS
from src.runtime import completion
from src.runtime.completion_keys import keys
from src.tracking.promotion import is_request_key
from src.ui import parse
from tests.process_case import run
from tests.terminal_case import Session

posix = pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX")


def words(line: str) -> set[str]:
    """What can follow on a line after ``alpha``."""
    *before, current = line.split(" ")
    return {word for word, _remark in completion.candidates(before, current)}


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("tr", {"train"}, {"report", "tune"}),
        ("", {*verbs(), "completion"}, {"results"}),
        ("train ", {"model=", "model.", "split.", "universe=", "follow=", "seed="}, {"tune.", "refit=", "drop="}),
        ("train split.em", {"split.embargo="}, {"split.anchor="}),
        ("train source.live.t", {"source.live.timeout=", "source.live.tries="}, {"source.live."}),
        ("train model=", {"model=lightgbm", "model=all"}, {"model=lightgbm.yaml"}),
        ("train model.params.ro", {"model.params.rounds="}, set()),
        ("ingest research=edgar,", {"research=edgar,news"}, {"research=edgar,edgar", "research=news"}),
        ("train follow=", {"follow=true", "follow=false"}, set()),
        ("hydrate retry=f", {"retry=failed"}, {"retry=all"}),
        ("train tune.tr", {"tune.trials="}, set()),
        ("clean ", {"yes=", "drop=", "cache="}, {"follow=", "model="}),
        ("compare base=all", {"base=all", "base=all+research"}, set()),
        ("ui ", {"host=", "port=", "open=", "tracking.", "universe="}, {"model="}),
        ("ui m", set(), {"model="}),
        ("ui tracking.", {"tracking.uri=", "tracking.artifacts="}, set()),
        ("gate ", {"why=", "loosen"}, set()),
        ("status --", {"--watch", "--json", "--help"}, {"--multirun"}),
        ("hydrate source.path=data/so", {"source.path=data/source/"}, set()),
        ("completion ", {"bash", "zsh", "fish", "powershell"}, set()),
        ("nothing ", set(), {"model="}),
    ],
)
def test_what_fits_is_offered(line: str, offered: set[str], not_offered: set[str]) -> None:
    found = words(line)
    assert offered <= found and not not_offered & found
    assert all(word.startswith(line.rpartition(" ")[2]) for word in found)


def test_every_setting_is_reached_from_dot_to_dot_and_its_values_compose() -> None:
    offered = functools.cache(words)
    for key in keys():
        places = [found.end() for found in re.finditer(r"\.", key)]
        for start, end in itertools.pairwise([0, *places]):
            assert start == 0 or key[:end] in offered(f"train {key[:start]}")
        start = places[-1] if places else 0
        assert f"{key}=" in offered(f"train {key[:start]}" if start else f"train {key}")
    assert len(keys()) > 200
    for setting in ("scope.kind=pooled", "retry=failed", "strategy.short=true", "tracking.route=bulk"):
        key, _, value = setting.partition("=")
        assert value in keys()[key][0]
        compose([setting])


def test_the_arguments_of_a_verb_are_those_that_it_takes() -> None:
    assert set(completion.OWN["clean"]) == set(REQUEST_KEYS)
    assert set(completion.OWN["monitor"]) == set(KEYS)
    assert all(map(is_request_key, completion.OWN["promote"]))
    assert set(completion.OWN) | set(completion.FLAGS) <= set(verbs())
    parse([f"{key}={value}" for key, values in completion.OWN["ui"].items() for value in values])
    with pytest.raises(ConfigError):
        parse(["drop=quick"])
    for verb, own in {**completion.OWN, **completion.FLAGS}.items():
        source = (ROOT / "src" / f"{verb}.py").read_text(encoding="utf-8")
        if verb != "promote":
            assert [word for word in own if f'"{word}"' not in source] == []


def test_a_changed_schema_is_read_again_and_an_unchanged_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept.json"
    monkeypatch.setattr(completion, "_KEPT", kept)
    first = words("train split.em")
    stored = json.loads(kept.read_text(encoding="utf-8"))
    stored["keys"]["split.embedded"] = [[], ""]
    kept.write_text(json.dumps(stored), encoding="utf-8")
    assert words("train split.em") == first | {"split.embedded="}
    stored["stamp"] = []
    kept.write_text(json.dumps(stored), encoding="utf-8")
    assert words("train split.em") == first
    kept.write_text("{half", encoding="utf-8")
    assert words("train split.em") == first


def test_another_shell_is_refused_and_the_start_files_are_named() -> None:
    out, errors = io.StringIO(), io.StringIO()
    assert completion.run(["tcsh"], out, errors) == 2
    assert (out.getvalue(), errors.getvalue()) == ("", "completion knows bash, zsh, fish, powershell, got tcsh\n")
    assert completion.run([], out, errors) == 0
    assert all(f"alpha completion {shell}" in out.getvalue() for shell in completion.SHELLS)


def program(folder: Path) -> Path:
    """A command alpha that completes as the real one and prints what it was started with otherwise."""
    path = folder / "alpha"
    real = f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m src "$@"'
    path.write_text(f'#!/bin/sh\n[ "$1" = completion ] && {real}\necho "GOT<$*>"\n', encoding="utf-8")
    path.chmod(0o755)
    return folder


STARTS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(alpha completion bash)"'),
    "zsh": (["-f", "-i"], 'autoload -Uz compinit; compinit -u -D; eval "$(alpha completion zsh)"'),
}
LINES = (
    ("alpha tra\tuniverse=qu\t", "train universe=quick"),
    ("alpha train split.emb\t3", "train split.embargo=3"),
    ("alpha ingest research=edgar,ne\t", "ingest research=edgar,news"),
    ("alpha train strat\t.sh\ttr\t", "train strategy.short=true"),
)


@posix
@pytest.mark.parametrize("shell", STARTS)
def test_a_shell_completes_a_line_at_the_tab_key(shell: str, tmp_path: Path) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} is installed")
    arguments, start = STARTS[shell]
    path = f"{program(tmp_path)}{os.pathsep}{os.environ['PATH']}"
    begin = f"import os; os.execv({found!r}, {[found, *arguments]!r})"
    session = Session("-c", begin, environment={"PATH": path, "PS1": "ready> ", "HOME": str(tmp_path)})
    session.read_until(lambda text: "ready> " in text)
    session.type(f"{start}; alpha started\n")
    session.read_until(lambda text: "GOT<started>" in text)
    for number, (typed, received) in enumerate(LINES, 1):
        session.type(f"{typed}\n")
        session.read_until(lambda text, number=number: text.count("GOT<") > number)
        assert re.findall("GOT<(.*?) ?>", session.text)[-1] == received
    session.type("exit\n")
    session.end()


@posix
@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish is installed")
def test_fish_completes_a_line(tmp_path: Path) -> None:
    line = "alpha completion fish | source; complete -C 'alpha train model=light'; complete -C 'alpha train split.emb'"
    environment = {**os.environ, "PATH": f"{program(tmp_path)}{os.pathsep}{os.environ['PATH']}"}
    done = run(["fish", "--no-config", "-c", line], env=environment, check=True, capture_output=True, text=True)
    assert [each.partition("\t")[0] for each in done.stdout.splitlines()] == ["model=lightgbm", "split.embargo="]


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="no PowerShell is installed")
def test_powershell_completes_a_line(tmp_path: Path) -> None:
    line = "alpha train model=light"
    script = (
        "alpha completion powershell | Out-String | Invoke-Expression; "
        f"(TabExpansion2 '{line}' {len(line)}).CompletionMatches.CompletionText"
    )
    environment = {**os.environ, "PATH": f"{program(tmp_path)}{os.pathsep}{os.environ['PATH']}"}
    done = run(["pwsh", "-NoProfile", "-c", script], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["model=lightgbm"]
