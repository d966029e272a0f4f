"""Answer ``python -m src.trian`` with the verb that was meant, where Python itself says that there is no such module.

While Python looks for the module to run, ``sys.argv[0]`` is ``-m``. `src` then puts `UnknownVerb` behind all other
finders, so it is asked only for what does not exist; and it answers only for the module that the command line names, so
a missing import inside a verb stays the error that it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_IMPORTED = ("results",)  # modules at the root that are no commands
_PACKAGES = {  # where a package has the verb's place in people's minds
    "config": "doctor", "engine": "train", "evaluation": "report", "features": "featurize", "fetching": "hydrate",
    "hydration": "hydrate", "inspection": "status", "listings": "enlist", "models": "train", "options": "quote",
    "reporting": "report", "sources": "hydrate", "tracking": "sync", "training": "train", "tuning": "tune",
    "backtest": "train", "download": "hydrate", "fetch": "hydrate", "fit": "train", "grade": "report",
    "mlflow": "ui", "evaluate": "report", "register": "promote", "list": "enlist", "show": "data",
}  # fmt: skip


class UnknownVerb:
    """A finder of modules that finds none: it ends the command with a line that names what to type."""

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        """Answer for a module of this package that does not exist and that the command line asks Python to run.

        Parameters
        ----------
        name : str
            Full name of the module, such as ``src.trian`` or ``src.features.__main__``.
        _path, _target : object
            As Python passes them; not used.

        Raises
        ------
        SystemExit
            With status 2, after the answer is printed.
        """
        if sys.argv[:1] == ["-m"] and name.partition(".")[0] == "src" and _is_asked_for(name):
            sys.stderr.write(answer(name) + "\n")
            raise SystemExit(2)


def answer(name: str) -> str:
    """Say what to type instead of the name of a module that can't be run.

    Parameters
    ----------
    name : str
        Such as ``src.trian``.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> print(answer("src.trian"))
    there is no python -m src.trian: did you mean python -m src.train?
    """
    typed = name.removesuffix(".__main__")
    meant = meant_verb(typed.removeprefix("src").lstrip("."))
    if meant is None:
        every = ", ".join(verbs())
        return f"there is no command python -m {typed}: write python -m src.<verb> with a verb of {every}"
    return f"there is no python -m {typed}: did you mean python -m src.{meant}?"


def meant_verb(word: str) -> str | None:
    """Find the verb that was meant.

    Parameters
    ----------
    word : str
        As typed, such as ``trian`` or the name of a package.

    Returns
    -------
    str or None
        None if no verb is near.
    """
    import difflib

    near = difflib.get_close_matches(word.lower(), verbs(), n=1, cutoff=0.65)
    return _PACKAGES.get(word.lower().partition(".")[0]) or next(iter(near), None)


def verbs() -> list[str]:
    """Names of the commands, which are the modules at the root of `src` but for the one that is imported.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted(path.stem for path in _modules())


def purposes() -> dict[str, str]:
    """Say in one line what each verb is for: the first line of its module, without the command in it.

    Returns
    -------
    dict of str to str
        By verb, sorted.
    """
    lines = {path.stem: path.open(encoding="utf-8").readline() for path in _modules()}
    return {verb: line.strip().strip('"').partition(": ``")[0].rstrip(".:") for verb, line in sorted(lines.items())}


def _modules() -> list[Path]:
    from src.core.project import ROOT

    return [path for path in (ROOT / "src").glob("[!_]*.py") if path.stem not in _IMPORTED]


def _is_asked_for(name: str) -> bool:
    """Whether the command line asks Python to run this module: ``-m src.x``, also written ``-msrc.x``."""
    typed = name.removesuffix(".__main__")
    return any(word == typed or (word[:1] == "-" and word.endswith(f"m{typed}")) for word in sys.orig_argv[1:])
