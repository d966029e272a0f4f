"""Names of companies as sequences of plain words, so that texts can be searched for them."""

from __future__ import annotations

import re
import unicodedata

from src.research.linking.words import FORMS, INDUSTRY, SMALL

Words = tuple[str, ...]
TOKEN = re.compile(r"[A-Za-z0-9]+(?:['.&][A-Za-z0-9]+)*")

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_QUOTES = "\u2018\u2019\u201a\u201b\u2032\u02bc\uff07"
_DOUBLE = "\u201c\u201d\u201e\u2033\uff02"
_UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\u202a\u202b\u202c\u202d\u202e\ufe0f"
_MARKS = str.maketrans(
    dict.fromkeys(_DASHES, "-") | dict.fromkeys(_QUOTES, "'") | dict.fromkeys(_DOUBLE, '"') | dict.fromkeys(_UNSEEN, "")
)
_STATE = re.compile(r"\s*/[A-Z]{2,5}/?\s*$|\s*\\[A-Z]{2,5}\\?\s*$")  # "BANK OF AMERICA CORP /DE/"
_SECURITY = re.compile(
    r"\s+-\s+.*$|,? series \d+$"
    r"|\s+(class [a-z]\b.*|common stock.*|common shares.*|ordinary shares?.*|american depositary.*|adr|ads)$",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Text in ASCII as far as its letters allow: dashes, quotes and accents in their simplest form, nothing unseen.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> plain("Nestl\u00e9\u2019s Coca\u2011Cola\u200b")
    "Nestle's Coca-Cola"
    """
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text.translate(_MARKS))
    return "".join(each for each in text if not unicodedata.combining(each)).translate(_MARKS)


def token_words(token: str) -> Words:
    """Words of one token in lower case: initials joined, other dots apart, apostrophes dropped.

    Examples
    --------
    >>> token_words("J.P"), token_words("Amazon.com"), token_words("McDonald's"), token_words("AT&T")
    (('jp',), ('amazon', 'com'), ('mcdonalds',), ('at&t',))
    """
    token = token.lower()
    if token.isalnum():
        return (token,)
    token = token.replace("'", "")
    parts = token.split(".")
    if all(len(part) == 1 for part in parts):
        return ("".join(parts),)
    return tuple(part for part in parts if part)


def name_words(name: str) -> Words:
    """Words of a company's name, its legal form at the end among them; ``and`` left out.

    Examples
    --------
    >>> name_words("BANK OF AMERICA CORP /DE/"), name_words("The Procter & Gamble Company")
    (('bank', 'of', 'america', 'corp'), ('procter', 'gamble', 'company'))
    """
    text = _STATE.sub("", plain(name).strip())
    text = _SECURITY.sub("", text)
    words = [word for token in TOKEN.findall(text) for word in token_words(token) if word != "and"]
    words = _joined_initials(words)
    return tuple(words[1:] if words[:1] == ["the"] and len(words) > 2 else words)


def without_form(words: Words) -> Words:
    """The words without the legal form at their end; at least one remains.

    Examples
    --------
    >>> without_form(("apple", "inc")), without_form(("goldman", "sachs", "group", "inc"))
    (('apple',), ('goldman', 'sachs', 'group'))
    """
    while len(words) > 1 and words[-1] in FORMS:
        words = words[:-1]
    return words


def shortened(words: Words) -> list[Words]:
    """The words without what they say of the industry at their end, word by word.

    Examples
    --------
    >>> shortened(("united", "airlines", "holdings")), shortened(("apple",))
    ([('united', 'airlines'), ('united',)], [])
    """
    found = []
    while len(words) > 1 and words[-1] in INDUSTRY | FORMS | SMALL:
        words = words[:-1]
        if words[-1] not in SMALL and len("".join(words)) > 3:
            found.append(words)
    return found


def _joined_initials(name: list[str]) -> list[str]:
    """``a o smith`` becomes ``ao smith``, as texts write A.O. Smith."""
    joined: list[str] = []
    initials = 0
    for word in name:
        if len(word) == 1 and word.isalpha() and initials and joined:
            joined[-1] += word
        else:
            joined.append(word)
        initials = initials + 1 if len(word) == 1 and word.isalpha() else 0
    return joined
