"""Characters that can't be seen: text from outside must not move a cursor, reorder a line or pass for another text."""

from __future__ import annotations

import re
import unicodedata

# Characters that are drawn as nothing although Python calls them printable: joiners, fillers, variation selectors.
_IGNORABLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
_UNSEEN = re.compile(f"[{_IGNORABLE}]")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_hidden(letter: str) -> bool:
    """Whether a character is not seen, or changes how its neighbours are shown.

    Parameters
    ----------
    letter : str
        One character.

    Returns
    -------
    bool
        True for control characters, bidirectional and zero-width marks, line and paragraph separators, spaces other
        than the common one, lone surrogates, unassigned characters, and what Unicode draws as nothing.

    Examples
    --------
    >>> [is_hidden(letter) for letter in ("A", " ", "\\u00e9", "\\n", "\\u202e", "\\ufe0f")]
    [False, False, False, True, True, True]
    """
    return not letter.isprintable() or _UNSEEN.fullmatch(letter) is not None


def has_hidden(text: str) -> bool:
    """Whether any character of a text is hidden.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool
        See `is_hidden`.
    """
    return _PLAIN.fullmatch(text) is None and any(map(is_hidden, text))


def escaped(text: str, keep: str = "") -> str:
    """Write hidden characters as Python would in a string, so that a text stays on one line and is what it looks like.

    Parameters
    ----------
    text : str
        Any text.
    keep : str
        Characters that stay as they are, such as the newline.

    Returns
    -------
    str
        A line feed as ``\\n``, a right-to-left mark as ``\\u200f``; all else unchanged.

    Examples
    --------
    >>> print(escaped("AAPL\\u202e\\n"))
    AAPL\\u202e\\n
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_written(letter) if letter not in keep and is_hidden(letter) else letter for letter in text)


def described(text: str) -> str:
    """Name the hidden characters of a text.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Each once, in their order, such as ``\\u202e (right-to-left override)``.
    """
    letters = dict.fromkeys(letter for letter in text if is_hidden(letter))
    names = ((_written(letter), unicodedata.name(letter, "").lower()) for letter in letters)
    return ", ".join(f"{shown} ({name})" if name else shown for shown, name in names)


def _written(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
