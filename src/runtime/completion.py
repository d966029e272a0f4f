"""What can follow on a command line of ``alpha``, and the scripts that bring it to the Tab key of a shell.

A script hands over the words before the cursor: ``alpha completion candidates train @spl`` answers
``split.``, one candidate a line with a remark after a tab. The last word begins with ``@``, because some shells
drop an empty one. Importing the schema takes longer than a person waits at a key, so its keys are kept beside Python's
compiled modules until a file of the schema changes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from src.config.commands import SECTIONS
from src.core.project import ROOT
from src.core.unknown_verb import purposes, verbs

SHELLS = {"bash": "bash", "zsh": "zsh", "fish": "fish", "powershell": "ps1"}
"""Shells, and the suffix of the script of each in this folder."""
FLAGS = {"status": ("--watch", "--every", "--json"), "data": ("--bars", "--json"), "doctor": ("--json",)}
"""Flags of the verbs that are no stages, beside ``--help``."""
_STAGE_FLAGS = ("--multirun", "--cfg")
_DATASETS, _OPTIONS_OF, _YES = "a stored dataset", "a file of conf/", ("true", "false")
OWN: dict[str, dict[str, Sequence[str]]] = {
    "clean": {"yes": _YES, "drop": (_DATASETS,), "cache": _YES},
    "compare": {"base": (f"{_OPTIONS_OF}features",)},
    "enlist": {"dataset": (_DATASETS,)},
    "gate": {"why": ()},
    "monitor": {"acknowledge": ("book", "champions", "all"), "why": ()},
    "promote": {**dict.fromkeys(("name", "version", "withdraw", "clear", "why"), ()), "undo": _YES, "history": _YES},
    "search": dict.fromkeys(("symbol", "source", "kind", "since", "until", "limit", "folder"), ()),
    "ui": {"host": ("127.0.0.1", "0.0.0.0"), "port": ("5000", "5001"), "open": _YES},
}
"""Arguments that belong to a verb itself, with the values that are known."""
_SINGLE = {
    "hydrate": ("only", "fresh", "retry"),
    "featurize": ("only", "fresh"),
    "quote": ("only", "fresh"),
    "train": ("only", "fresh", "follow", "placebo", "placebo_only"),
    "predict": ("date",),
    "promote": ("dry_run",),
    "daily": ("refit", "daily", "source", "research", "book", "monitor", "tracking"),
    "compare": ("features", "scope"),
    "ui": ("tracking",),
}
_NO_OTHERS = ("ui",)  # refuses the settings that are not for it
_PLACES = ("path", "file", "folder", "root", "reports", "logs", "holdings", "pinned", "ca_file", "shared_journal")
_KEPT = Path(__file__).parent / "__pycache__" / "completion.json"
_WATCHED = ("src/config", "src/models", "src/core")

Candidate = tuple[str, str]
"""A word, and a remark on it."""


def run(arguments: Sequence[str], out: TextIO, errors: TextIO) -> int:
    """Print the script of a shell, or the candidates that it asks for.

    Parameters
    ----------
    arguments : sequence of str
        Name of a shell; or ``candidates`` and the words of the command line after ``alpha``, the last one after ``@``.
    out, errors : file
        Where to print.

    Returns
    -------
    int
        The exit status.
    """
    if arguments[:1] == ["candidates"] and arguments[1:]:
        *before, current = arguments[1:]
        found = sorted(set(candidates(before, current.removeprefix("@"))))
        out.writelines(f"{word}\t{remark}\n" for word, remark in found)
        return 0
    if len(arguments) == 1 and arguments[0] in SHELLS:
        out.write((Path(__file__).parent / f"completion.{SHELLS[arguments[0]]}").read_text(encoding="utf-8"))
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        out.write(_USAGE)
        return 0
    errors.write(f"completion knows {', '.join(SHELLS)}, got {' '.join(arguments)}\n")
    return 2


_USAGE = """alpha completion bash | zsh | fish | powershell

Print what makes a shell complete `alpha` at the Tab key. For every new shell, put the line into its start file:

  bash        eval "$(alpha completion bash)"                                ~/.bashrc
  zsh         eval "$(alpha completion zsh)"                                 ~/.zshrc, after compinit
  fish        alpha completion fish | source                                 ~/.config/fish/config.fish
  powershell  alpha completion powershell | Out-String | Invoke-Expression   $PROFILE
"""


def candidates(before: Sequence[str], current: str) -> Iterator[Candidate]:
    """Find what the last word can become.

    Parameters
    ----------
    before : sequence of str
        The words after ``alpha`` that are complete.
    current : str
        The word as far as it is typed.

    Yields
    ------
    (str, str)
        The whole word, which goes on where it ends in ``=``, ``.``, ``,`` or ``/``; and a remark.
    """
    if not before:
        every = {**purposes(), "completion": "Complete all this at the Tab key"}
        yield from ((verb, purpose) for verb, purpose in every.items() if verb.startswith(current))
    elif before[0] == "completion":
        yield from ((shell, "") for shell in SHELLS if len(before) == 1 and shell.startswith(current))
    elif before[0] in verbs():
        key, has_value, value = current.partition("=")
        if has_value:
            yield from ((f"{key}={each}", "") for each in _values(before[0], key, value))
        elif current.startswith("-"):
            flags = (*FLAGS.get(before[0], () if before[0] in ("ui", "gate", "search") else _STAGE_FLAGS), "--help")
            yield from ((flag, "") for flag in flags if flag.startswith(current))
        else:
            yield from _keys(before[0], current)


def _keys(verb: str, current: str) -> Iterator[Candidate]:
    """Groups, sections and keys: those that the verb is for, else all."""
    own = [(f"{key}=", "") for key in OWN.get(verb, {}) if key.startswith(current)]
    if verb == "gate" and "loosen".startswith(current):
        own.append(("loosen", "let the registry demand less"))
    settings = [each for each in _settings(current) if each[0].startswith(current)]
    meant = [each for each in settings if _is_for(verb, each[0].rstrip("=.").partition(".")[0])]
    yield from own
    yield from meant if meant or own or verb in _NO_OTHERS else settings


def _is_for(verb: str, section: str) -> bool:
    return section in ("universe", "data", *SECTIONS.get(verb, ()), *_SINGLE.get(verb, ()))


def _settings(current: str) -> Iterator[Candidate]:
    """What may follow up to the next dot; sections that are closed stay closed."""
    yield from ((f"{group}=", "an option of conf/") for group in _groups())
    for key, (_, rule) in _known()["keys"].items():
        dot = key.find(".", len(current)) if key.startswith(current) else -1
        yield (key[: dot + 1], "settings") if dot >= 0 else (f"{key}=", rule)


def _values(verb: str, key: str, value: str) -> Iterator[str]:
    """What can stand behind ``key=``."""
    known = _known()
    if key in OWN.get(verb, {}):
        found = [each for name in OWN[verb][key] for each in _listed(name)]
    elif key in _groups():
        found = _options(key)
        if key in known["several"] and "," in value:
            chosen = value.rpartition(",")[0]
            found = [f"{chosen},{each}" for each in found if each not in chosen.split(",")]
    elif key in ("universe.name", "universe"):
        found = _listed(_DATASETS)
    elif key.rpartition(".")[2] in _PLACES:
        found = _files(value)
    else:
        found = known["keys"].get(key, [[]])[0]
    yield from (each for each in found if each.startswith(value))


def _listed(name: str) -> list[str]:
    if name == _DATASETS:
        folder = ROOT / "data" / "bars"
        return [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return _options(name.removeprefix(_OPTIONS_OF)) if name.startswith(_OPTIONS_OF) else [name]


def _groups() -> list[str]:
    return [path.name for path in (ROOT / "conf").iterdir() if path.is_dir()]


def _options(group: str) -> list[str]:
    return [path.stem for path in (ROOT / "conf" / group).glob("*.yaml")]


def _files(value: str) -> list[str]:
    """Files and folders that a path can go on with; it is relative to the project, where every verb runs."""
    start = value.rpartition("/")[0] + "/" if "/" in value else ""
    try:
        with os.scandir(ROOT / start if start else ROOT) as entries:
            return [f"{start}{entry.name}{'/' if entry.is_dir() else ''}" for entry in entries if entry.name[0] != "."]
    except OSError:
        return []


def _known() -> dict[str, Any]:
    """Keys of the schema with their values and rules, from the kept file if the schema has not changed."""
    stamp = _stamp()
    try:
        kept: dict[str, Any] = json.loads(_KEPT.read_text(encoding="utf-8"))
        if kept["stamp"] == stamp:
            return kept
    except (OSError, ValueError, KeyError, TypeError):
        pass
    from src.config.mistyped import SEVERAL
    from src.runtime.completion_keys import keys
    from src.storage.atomic import write_text

    made = {"stamp": stamp, "several": SEVERAL, "keys": keys()}
    with contextlib.suppress(OSError):  # a folder that can't be written to: slower, and as good
        write_text(json.dumps(made), _KEPT)
    return made


def _stamp() -> list[Any]:
    """Name, size and time of each file that the schema is made of."""
    files = [entry for folder in _WATCHED for entry in os.scandir(ROOT / folder) if entry.name.endswith(".py")]
    return sorted([entry.name, entry.stat().st_size, entry.stat().st_mtime_ns] for entry in files)
