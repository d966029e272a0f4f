"""Slips at the keyboard: recognise what was meant, and say what to type.

`slip` looks at the words before Hydra does, whose grammar answers ``--model lightgbm`` or an open bracket with the
name of a lexer's exception. `repaired` quotes for Hydra what can only be one text: a path with a comma, a symbol with a
caret.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from src.config.commands import hydra_quoted, shell_word
from src.config.schema import Config
from src.config.text_values import field_type, hints

Options = Mapping[str, Sequence[str]]
"""Names of the files of conf/, by group."""

SEVERAL = ("research",)
"""Groups of conf/ of which several options can be chosen at once: research=edgar,news."""
_FLAGS = {  # of Hydra's own command line, and how many words follow
    "-h": 0, "--help": 0, "--hydra-help": 0, "--version": 0, "--resolve": 0, "-m": 0, "--multirun": 0, "-r": 0,
    "--run": 0, "-sc": 0, "--shell-completion": 0, "-c": 1, "--cfg": 1, "-p": 1, "--package": 1, "-i": 1, "--info": 1,
    "-cp": 1, "--config-path": 1, "-cn": 1, "--config-name": 1, "-cd": 1, "--config-dir": 1,
    "--experimental-rerun": 1,
}  # fmt: skip
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2212"
_TYPOGRAPHY = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"',
    "\u00bb": '"', "\u3010": "[", "\u3011": "]", "\u3001": ",", "\u200b": "", "\ufeff": "", "\u2060": "",
})  # fmt: skip
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_READ_AS_TYPED = re.compile(r"[\w./:@%*?|+-]+(?: +[\w./:@%*?|+-]+)*", re.ASCII)


def repaired(word: str, *, multirun: bool = False) -> str:
    """Quote for Hydra the value of a setting that is a text or a list of texts.

    Parameters
    ----------
    word : str
        ``key=value``, as typed.
    multirun : bool
        Whether commas separate the values of several runs.

    Returns
    -------
    str
        Unchanged where Hydra reads the value as it stands, or nothing is known of the key.

    Examples
    --------
    >>> print(repaired("source.path=/mnt/bars, old"), repaired("only=[^GSPC,BRK.B]"))
    source.path='/mnt/bars, old' only=['^GSPC',BRK.B]
    """
    key, has_value, value = word.partition("=")
    kind = field_type(key.lstrip("+~"))
    if not has_value or not value or key.lstrip("+~") in _groups() or (multirun and "," in value):
        return word
    if "str" in str(kind) and typing.get_origin(kind) not in (list, dict):
        return f"{key}={_text(value)}"
    inside = value.strip()
    if kind == list[str] and inside[:1] == "[" and inside[-1:] == "]" and not re.search(r"[\[\]]", inside[1:-1]):
        return f"{key}=[{','.join(map(_text, _entries(inside[1:-1])))}]"
    return word


def slip(words: Sequence[str], options: Options) -> str | None:
    """Find the first word that can't be meant as it is.

    Parameters
    ----------
    words : sequence of str
        As typed, with Hydra's own flags.
    options : mapping
        See `Options`.

    Returns
    -------
    str or None
        One line that says what is wrong and what to type; None if nothing is.
    """
    multirun = bool({"-m", "--multirun"} & set(words))
    place = 0
    while place < len(words):
        word = words[place]
        if word in _FLAGS or word.partition("=")[0] in _FLAGS:
            place += 1 + (_FLAGS.get(word, 0) if "=" not in word else 0)
            continue
        found = next(_slips(word, list(words[place + 1 :]), options, multirun), None)
        if found:
            reason, meant = found
            return f"can't read {word!r}: {reason}: {' '.join(map(shell_word, meant))}"
        place += 1
    return None


def known_word(name: str, options: Sequence[str]) -> str | None:
    """Find the word that was meant, whatever its case.

    Parameters
    ----------
    name : str
        As typed.
    options : sequence of str
        What can be typed.

    Returns
    -------
    str or None
        None if none is near.
    """
    by_case = {option.lower(): option for option in options}
    close = difflib.get_close_matches(name.lower(), list(by_case), n=1, cutoff=0.6)
    return by_case[close[0]] if close else None


def _slips(word: str, rest: list[str], options: Options, multirun: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield what may be wrong with a word, the likeliest first, with the words that were meant."""
    plain = unicodedata.normalize("NFKC", word).translate(_TYPOGRAPHY).strip()
    if plain != word and _is_setting(plain) and not (_is_setting(word) and _holds_only_text(word)):
        yield "it has characters of another keyboard or a word processor, type", [plain]
    if plain[:1] and plain[0] in _DASHES:
        yield from _dashed(plain.lstrip(_DASHES), rest)
        return
    if plain[:1] in ("'", '"') and plain[-1:] == plain[:1] and _is_setting(plain[1:-1]):
        yield "this shell passes these quotes on, type", [plain[1:-1]]
    key, has_value, value = word.partition("=")
    if not has_value:
        if not (word[:1] == "~" and field_type(word[1:]) is not None):  # Hydra's way to leave a setting out
            yield from _without_equals(word, rest, options)
        return
    if key != key.strip() or (value[:1].isspace() and value.strip()):
        yield "write it without spaces around =", [f"{key.strip()}={value.strip()}"]
    if value.startswith("="):
        yield "one = is enough", [f"{key}={value.lstrip('=')}"]
    if not value and rest and "=" not in rest[0] and rest[0][:1] != "-":
        yield "write it without spaces around =", [f"{key}={rest[0]}"]
    yield from _brackets(key, value, rest)
    if not multirun:
        yield from _several(key, value, options)


def _dashed(name: str, rest: list[str]) -> Iterator[tuple[str, list[str]]]:
    key, has_value, value = name.partition("=")
    key = key.replace("-", "_") if field_type(key) is None else key
    if not has_value and field_type(key) is bool:
        value = "true"
    elif not has_value and rest and "=" not in rest[0] and rest[0][:1] != "-":
        value = rest[0]
    if not value:
        near = known_word(name, _names())
        value = "..."
        key = near or key
    elif field_type(key) is None:
        key = known_word(key, _names()) or key
    yield "settings are typed without dashes", [f"{key}={value}"]


def _without_equals(word: str, rest: list[str], options: Options) -> Iterator[tuple[str, list[str]]]:
    for separator in (":", "/", "\\"):
        before, found, after = word.partition(separator)
        if found and after and field_type(before) is not None:
            yield "a setting is typed with =", [f"{before}={after.removesuffix('.yaml')}"]
    if field_type(word) is bool:
        yield "a setting has a value", [f"{word}=true"]
    if field_type(word) is not None and rest:
        follows = rest[1:] if rest[0] == "=" else rest
        if follows and ("=" not in follows[0] or follows[0].startswith("=")):
            yield "write it without spaces around =", [f"{word}={follows[0].lstrip('=')}"]
    holders = [group for group, names in options.items() if word in names]
    if holders:
        yield f"it is a {holders[0]}, type", [f"{holders[0]}={word}"]
    if field_type(word) is not None:
        example = (options.get(word) or ["..."])[0]
        yield "a setting has a value", [f"{word}={example}"]
    yield "a setting is typed as key=value, such as", ["universe=full"]


def _brackets(key: str, value: str, rest: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Lists without or with half of their brackets, or in quotes, or split by a shell."""
    if field_type(key.lstrip("+~")) != list[str]:
        return
    bare = value.strip()
    if len(bare) > 1 and bare[0] in "'\"" and bare[-1] == bare[0] and bare[1:2] == "[":
        yield "a list stands in brackets without quotes around them", [f"{key}={bare[1:-1]}"]
    outside = _QUOTED.sub("", bare)
    opened, closed = outside.count("["), outside.count("]")
    if opened > closed:
        parts = [bare]
        for word in rest:
            if "=" in word:
                break
            parts.append(word)
            if "]" in word:
                break
        joined = ",".join(part.strip(",") for part in parts if part.strip(","))
        yield "the bracket is not closed in this word, type", [f"{key}={joined.rstrip(']')}]"]
    elif closed > opened:
        yield "the bracket is not opened, type", [f"{key}=[{bare.replace(']', '')}]"]
    elif bare and bare[0] in "({":
        yield "a list stands in square brackets", [f"{key}=[{bare.strip('(){}')}]"]
    elif bare and bare[0] != "[" and bare.lower() != "null" and not bare.startswith("${"):
        more = [word for word in rest if "=" not in word and word[:1] not in _DASHES]
        every = ",".join([bare.strip(","), *more])
        yield "a list stands in brackets", [f"{key}=[{every}]"]


def _several(key: str, value: str, options: Options) -> Iterator[tuple[str, list[str]]]:
    """Several values where one is expected."""
    key = key.lstrip("+~")
    kind = field_type(key)
    names = [name.strip() for name in value.strip("[]").split(",") if name.strip()]
    if key in options and key not in SEVERAL and ("," in value or value[:1] == "["):
        if key == "model" and len(names) > 1:
            yield "model takes one name, and all trains several", ["model=all", f"model.members=[{','.join(names)}]"]
        elif names:
            yield f"{key} takes one name, such as", [f"{key}={names[0]}"]
    elif re.fullmatch(r"\d{1,3}(,\d{3})+", value) and ("int" in str(kind) or "float" in str(kind)):
        yield "a number is typed without commas", [f"{key}={value.replace(',', '')}"]
    elif re.fullmatch(r"[+-]?\d+,\d+", value) and "float" in str(kind):
        yield "a number has a decimal point", [f"{key}={value.replace(',', '.')}"]
    if key in options and value.endswith(".yaml"):
        stem = re.split(r"[/\\]", value)[-1].removesuffix(".yaml")
        if stem in options[key]:
            yield "a file of conf/ is named without folder and .yaml", [f"{key}={stem}"]


def _is_setting(word: str) -> bool:
    return re.match(r"[+~]{0,2}\w+(\.\w+)*=", word, re.ASCII) is not None


def _holds_only_text(word: str) -> bool:
    """Whether the setting is one text, which may hold any character."""
    kind = field_type(word.partition("=")[0].lstrip("+~"))
    return (
        "str" in str(kind) and typing.get_origin(kind) not in (list, dict) and word.partition("=")[0] not in _groups()
    )


def _groups() -> set[str]:
    return {name for name, kind in hints(Config).items() if dataclasses.is_dataclass(kind)} | {"experiment"}


def _names() -> list[str]:
    return sorted(hints(Config))


def _entries(text: str) -> list[str]:
    """The entries of a list, separated by commas outside quotes."""
    parts = re.findall(rf"(?:{_QUOTED.pattern}|[^,])+", text)
    return [part.strip() for part in parts if part.strip()]


def _text(value: str) -> str:
    bare = value.strip()
    if not bare or _QUOTED.fullmatch(bare) or _READ_AS_TYPED.fullmatch(bare) or _is_escaped(bare):
        return value
    return hydra_quoted(bare)


def _is_escaped(value: str) -> bool:
    """Whether a value was typed with Hydra's own escapes, such as ``a\\,b``."""
    return re.search(r"\\[,()\[\]{}=]", value) is not None and not re.match(r"[A-Za-z]:\\|\\\\", value)
