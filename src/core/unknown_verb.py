"""Answer ``python -m src.trian`` with the verb that was meant, where Python itself says that there is no such module.

While Python looks for the module to run, ``sys.argv[0]`` is ``-m``. `src` then puts `UnknownVerb` behind all other
finders, so it is asked only for what does not exist; and it answers only for the module that the command line names, so
a missing import inside a verb stays the error that it is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

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
    import difflib

    typed = name.removesuffix(".__main__")
    word = typed.removeprefix("src").lstrip(".")
    known = verbs()
    meant = _PACKAGES.get(word.lower().partition(".")[0]) or next(
        iter(difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.65)), None
    )
    every = ", ".join(known)
    if meant is None:
        return f"there is no command python -m {typed}: write python -m src.<verb> with a verb of {every}"
    return f"there is no python -m {typed}: did you mean python -m src.{meant}?"


def verbs() -> list[str]:
    """Names of the commands, which are the modules at the root of `src`.

    Returns
    -------
    list of str
        Sorted.
    """
    from src.core.project import ROOT

    return sorted(path.stem for path in (ROOT / "src").glob("[!_]*.py"))


def _is_asked_for(name: str) -> bool:
    """Whether the command line asks Python to run this module: ``-m src.x``, also written ``-msrc.x``."""
    typed = name.removesuffix(".__main__")
    return any(word == typed or (word[:1] == "-" and word.endswith(f"m{typed}")) for word in sys.orig_argv[1:])
