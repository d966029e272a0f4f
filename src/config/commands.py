"""Commands for hints: each works as it is printed, in a shell of Linux, macOS or Windows, whatever the names are.

`command` names a verb with the settings that this process was started with, as far as they lead to the same dataset, so
``data.root=/mnt/bars`` or ``universe=full universe.name=mine`` is not lost between two commands.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Sequence

from src.core.project import ROOT

_PLAIN = re.compile(r"[A-Za-z0-9_./:=+@-]+")
_SAME_IN_EVERY_SHELL = re.compile(r"[^\"$`\\!%\n\r]*")
_PLAIN_FOR_HYDRA = re.compile(r"(?!true$|false$|null$)[A-Za-z_/.-][\w./@%*?|-]*(?::[\w./@%*?|-]+)*", re.ASCII | re.I)
_LEADING = ("universe", "data")
_POOLED = ("eligibility", "portfolio")
SECTIONS = {
    "hydrate": ("source",),
    "quote": ("source", "options"),
    "ingest": ("source", "research"),
    "search": ("research",),
    "enlist": ("source",),
    **dict.fromkeys(("sync", "clean", "status"), ("tracking",)),
    "promote": ("tracking", "promotion"),
    "predict": ("tracking", "book"),
    "monitor": ("tracking", "monitor", "book"),
    "doctor": ("source", "research", "tracking"),
    "featurize": ("features", "engine", "experiment"),
    "tune": ("scope", "features", "label", "split", "strategy", "model", *_POOLED, "engine", "seed", "experiment"),
    "train": (
        *("scope", "features", "label", "split", "strategy", "model", *_POOLED, "grade", "engine", "seed"),
        *("experiment", "tracking"),
    ),
}
_INTERVAL = re.compile(r"(.+)-([1-9]\d{0,2}(?:m|h|d|wk|mo))")
_LOGIN = re.compile(r"(?<=://).*@")
# A secret, and what restricts one command: hydrate alone takes these as the universe itself.
_LEFT_OUT, _CHOOSING = ("source.live.proxy", "source.live.contact"), ("universe.symbols", "universe.file")


def command(
    verb: str, *words: str, dataset: str | None = None, stored: str | None = None, without: Iterable[str] = ()
) -> str:
    """Write the command that runs a verb on the dataset of this process.

    Parameters
    ----------
    verb : str
        Such as ``train``.
    words : str
        Further arguments, as the program is to receive them.
    dataset : str, optional
        Name of the universe, for a process whose command line names none.
    stored : str, optional
        The same where the name of the stored tables alone is known, which ends with the interval unless daily.
    without : iterable of str
        Keys of settings of this process that the command is not to take over.

    Returns
    -------
    str
        To be typed into a shell. The login of a store's address is masked.
    """
    typed = _typed(verb, {*map(_key, words), *without})
    keys = set(map(_key, (*typed, *words)))
    lead = []
    if not keys & {"universe", "universe.name"}:
        lead = [universe_setting(dataset)] if dataset else stored_settings(stored, keys) if stored else []
    return " ".join([f"python -m src.{verb}", *map(shell_word, [*lead, *typed, *words])])


def universe_setting(name: str) -> str:
    """Write the setting that chooses a universe: its file in conf/universe where there is one, else its name.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        Such as ``universe=full``, as the program is to receive it.
    """
    return setting("universe" if has_file("universe", name) else "universe.name", name)


def has_file(group: str, name: str) -> bool:
    """Whether a group of ``conf/`` has a file of this name.

    Parameters
    ----------
    group, name : str
        Such as ``source`` and ``yahoo``.
    """
    return (ROOT / "conf" / group / f"{name}.yaml").is_file()


def setting(key: str, value: str | Sequence[str]) -> str:
    """Write ``key=value`` so that Hydra reads the value as this text, or as a list of texts.

    Parameters
    ----------
    key : str
        Dotted key.
    value : str or sequence of str

    Returns
    -------
    str
        As the program is to receive it; `shell_word` makes it ready for a shell.

    Examples
    --------
    >>> setting("only", ["BRK.B", "^GSPC", "TRUE"])
    "only=[BRK.B,'^GSPC','TRUE']"
    """
    if isinstance(value, str):
        return f"{key}={_hydra_text(value)}"
    return f"{key}=[{','.join(map(_hydra_text, value))}]"


def shell_word(word: str, *, windows: bool = os.name == "nt") -> str:
    r"""Quote one argument for a shell, where it needs quotes.

    Parameters
    ----------
    word : str
        As the program is to receive it.
    windows : bool
        Whether the shell is one of Windows. Double quotes serve every shell alike, so the two differ only for words
        with a double quote, ``$``, a backslash and the like.

    Returns
    -------
    str

    Examples
    --------
    >>> print(shell_word("only=[AAPL]"), shell_word("data.root=/mnt/bars"))
    "only=[AAPL]" data.root=/mnt/bars
    >>> print(shell_word("only=['$A']", windows=False), shell_word("source.path=C:\\my bars", windows=True))
    'only=['"'"'$A'"'"']' "source.path=C:\my bars"
    """
    if _PLAIN.fullmatch(word):
        return word
    if _SAME_IN_EVERY_SHELL.fullmatch(word):
        return f'"{word}"'
    if windows:
        return '"' + re.sub(r'(\\*)("|$)', lambda match: 2 * match[1] + ('\\"' if match[2] else ""), word) + '"'
    return "'" + word.replace("'", "'\"'\"'") + "'"


def hydra_quoted(text: str) -> str:
    """Quote a text for Hydra.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        In single quotes, with quotes and the backslashes before them escaped.
    """
    return "'" + re.sub(r"(\\*)('|$)", lambda match: 2 * match[1] + ("\\'" if match[2] else ""), text) + "'"


def typed_words(arguments: Iterable[str] | None = None) -> list[str]:
    """List the settings that this process was started with.

    Parameters
    ----------
    arguments : iterable of str, optional
        Those of the process by default.

    Returns
    -------
    list of str
        Each ``key=value`` with a dotted lower-case key; without those that a multirun takes several values from.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    sweeps = {"-m", "--multirun"} & set(given)
    settings = [word for word in given if is_setting(word)]
    return [word for word in settings if not (sweeps and re.search(r"=(?![\[{'\"]).*,", word))]


def is_setting(word: str) -> bool:
    """Whether a word of the command line is ``key=value``; GC=F and EURUSD=X are symbols.

    Parameters
    ----------
    word : str
        As typed.
    """
    return re.match(r"[+~]{0,2}[a-z_]+(\.\w+)*=", word) is not None


def typed_keys(arguments: Iterable[str] | None = None) -> list[str]:
    """List the dotted keys of the settings that this process was started with, in their order.

    Parameters
    ----------
    arguments : iterable of str, optional
        Those of the process by default.

    Returns
    -------
    list of str
    """
    return list(map(_key, typed_words(arguments)))


def _typed(verb: str, replaced: set[str]) -> list[str]:
    """Settings of this process that the verb needs, to be used of the same dataset."""
    sections = (*_LEADING, *SECTIONS.get(verb, ()))
    return [
        _LOGIN.sub("***@", word) if _key(word).startswith("tracking.") else word
        for word in typed_words()
        if _key(word).partition(".")[0] in sections
        and _key(word) not in replaced
        and not _key(word).startswith(_LEFT_OUT)
        and (verb == "hydrate" or _key(word) not in _CHOOSING)
    ]


def stored_settings(stored: str, keys: Collection[str] = ()) -> list[str]:
    """Write the settings that choose stored tables by their name.

    Parameters
    ----------
    stored : str
        Name of a dataset, such as ``quick-1h``.
    keys : collection of str
        Keys of settings that are chosen already.

    Returns
    -------
    list of str
        Such as ``universe=quick universe.interval=1h``.
    """
    parts = None if has_file("universe", stored) else _INTERVAL.fullmatch(stored)
    if parts is None:
        return [universe_setting(stored)]
    return [universe_setting(parts[1]), *([] if "universe.interval" in keys else [f"universe.interval={parts[2]}"])]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _hydra_text(text: str) -> str:
    return text if _PLAIN_FOR_HYDRA.fullmatch(text) else hydra_quoted(text)
