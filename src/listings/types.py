"""The type of a security in an exchange's directory, from its name or else from its symbol.

A security's name ends with its type, after the company's name: ``Preferred Bank - Common Stock``. So the last type that
the name mentions counts, without clauses about other securities (``Warrants, each exercisable for one common share``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TYPES = ("common", "adr", "fund", "preferred", "warrant", "unit", "right", "note", "etf", "etn")
STOCK_TYPES = TYPES[:8]


@dataclass(frozen=True)
class SecurityType:
    """The type of a security, and what tells it.

    Attributes
    ----------
    type : str
        One of `TYPES`.
    source : str
        ``name``, ``symbol``, ``flag`` (the directory's ETF column), or ``assumed``.
    """

    type: str
    source: str


# A clause that begins like this is about another security than the listed one.
_CLAUSE = re.compile(
    r"(?:,|\(|;)?\s*\b(?:each|every|exercisable|consisting|comprised|convertible in|exchangeable for|to purchase"
    r"|to acquire|to receive|entitl|with warrants|expiring|represent|repstg|rep\b|rpstg|1/|par value|no par|liquidation"
    r"|attached|underlying|evidencing)"
)
# Longer kinds come first: "common units" are not units, "depositary shares" are not shares.
_WORDS: tuple[tuple[str, str], ...] = (
    ("etn", r"\betns?\b|exchange[- ]traded notes?"),
    ("etf", r"\betfs?\b"),
    (
        "adr",
        r"american deposit[ao]ry (?:shares?|receipts?|units?)|global depositary (?:shares?|receipts?)|\bad[sr]s?\b",
    ),
    ("depositary", r"\bdep(?:osit[ao]ry|\.)? (?:shares?|shs?|receipts?)\b"),
    ("preferred", r"trust preferred(?: securities)?|capital securities|capital trust [ivx]+\b|\bzones\b"),
    ("preferred", r"prefer(?:red|ence) units?|\bpreference (?:shares?|stock)"),
    ("preferred", r"(?:\bpreferr?ed|\bpfd|\bprefs?|\bprd)\b(?!.*\bfund\b)"),
    ("common", r"(?:common|depositary|partnership|class [a-z]|trust|limited partner\w*|l\.?p\.?) units?\b"),
    ("common", r"units? of beneficial interests?|beneficial unit certificates?"),
    ("warrant", r"\bwarrants?\b|\bwts?\b"),
    ("unit", r"\b(?:sub)?units?\b"),
    ("right", r"\brights?\b"),
    (
        "note",
        r"\bnotes?\b|debentures?\b|mortgage bonds?\b|\bbonds?,|\bbonds? due\b|\bcertificates?\b|\bctf\b|\bcerts?\b",
    ),
    ("note", r"\bstrats\b|\bcorts\b|backed trust securities|\bquibs\b|\bpines\b"),
    ("common", r"(?:common|ordinary|commn|cmn|capital) +(?:stocks?|shares?|shs|voting|new)\b"),
    ("common", r"\bcommon\b(?=[^a-z]*$)|\bcommon \((?:canada|stock)\)|\bord(?:inary)? shares?\b|\bequity shares?\b"),
    ("common", r"(?:registry|registered|voting|exchangeable|class [a-z]|series [a-z]) shares?\b|\bclass [a-z]$"),
)
_KIND = re.compile("|".join(f"(?P<k{n}_{kind}>{words})" for n, (kind, words) in enumerate(_WORDS)))
_INTEREST = re.compile(r"beneficial interest|shares of bi\b|limited partner|limited liability company interests")
_FUND = re.compile(r"\bfunds?\b|closed[- ]end|business development company")
_TRUST = re.compile(
    r"\b(?:municipal|muni|income|credit|dividend|equity|premium|bond|term|convertible|floating|capital allocation"
    r"|innovation|health sciences|science and technology|resources|utilit\w+|multi-?media|value|small-?cap|micro-?cap"
    r"|growth|esg)\b.*\btrust\b|\btrust\b.*\b(?:municipal|muni)\b"
)
_NO_FUND = re.compile(
    r"realty|reit\b|real estate|propert|mortgage|royalty|\bbank|bancorp|hotel|hospitality|apartment|residential"
    r"|health ?care|industrial|office|retail|lodging|storage|acquisition|growth properties"
)
_CLOSED_END = re.compile(
    r"^(?:the )?(?:adams (?:diversified|natural)|general american investors|source capital|tri-?continental corp"
    r"|central securities|asa\b.*gold|eagle point (?:credit|income)|oxford lane|priority income|ellington credit"
    r"|kayne anderson energy|ofs credit|bancroft|ellsworth|pearl diver|sound point meridian|rivernorth "
    r"|(?:gabelli|royce|gamco|western asset|john hancock|franklin universal) .*trust"
    r"|(?:blackrock|gabelli|abrdn|nuveen|eaton vance|invesco|pimco|virtus|mfs|putnam|dws|cohen & steers)"
    r" .*(?:beneficial (?:interests?|ownership)|municipals))"
)
_METAL = re.compile(r"\b(?:gold|silver|platinum|palladium|precious metals|bitcoin|ether|ethereum|solana) trust\b")
_STAPLED = re.compile(r"^(?!.*(?:each|consist|warrant|right)).*\bunits?$")  # a trust's own shares, quoted in dollars
_NYSE = {"W": "warrant", "WS": "warrant", "U": "unit", "R": "right"}
_FIFTH = {"W": "warrant", "R": "right", "U": "unit"} | dict.fromkeys("PONML", "preferred")
_OTC_FIFTH = _FIFTH | {"Y": "adr"} | dict.fromkeys("GHI", "note")
_NASDAQ_LONG = 5


def security_type(symbol: str, title: str, is_etf: bool, nasdaq: bool) -> SecurityType:
    """Classify a line of the NASDAQ Trader directory.

    Parameters
    ----------
    symbol : str
        In the directory's spelling: ``ABR$D``, ``BRK.B``, ``AACT.W``, ``AACBU``.
    title : str
        The security's name.
    is_etf : bool
        Its ETF column.
    nasdaq : bool
        Whether the line is from nasdaqlisted. There, a dash separates company and security, and a fifth letter of a
        symbol has a meaning.

    Returns
    -------
    SecurityType
        ``common`` from ``assumed`` if name and symbol say nothing about the type.
    """
    name = " ".join(title.lower().split())
    if is_etf:
        return SecurityType("etf", "flag")
    suffix = _NYSE.get(symbol.split(".")[1]) if "." in symbol else None
    if suffix:
        return (
            SecurityType("common", "name")
            if suffix == "unit" and _STAPLED.search(name)
            else SecurityType(suffix, "symbol")
        )
    kind = _named(name.rpartition(" - ")[2] if nasdaq else name)
    fifth = _FIFTH.get(symbol[-1]) if nasdaq and len(symbol) == _NASDAQ_LONG else None
    if "$" in symbol and kind not in ("preferred", "note", "unit"):
        return SecurityType("preferred", "symbol")
    if fifth and (kind in (None, "depositary") or (kind, fifth) == ("adr", "warrant")):
        return SecurityType(fifth, "symbol")
    if kind in (None, "common", "etf"):
        kind = "etf" if kind == "etf" or _METAL.search(name) else "fund" if _is_fund(name) else kind
    return SecurityType("adr" if kind == "depositary" else kind, "name") if kind else SecurityType("common", "assumed")


def otc_security_type(symbol: str) -> SecurityType:
    """Classify a security that trades over the counter, from its symbol alone.

    Parameters
    ----------
    symbol : str
        Its fifth letter, or what follows a dash, has a meaning.

    Returns
    -------
    SecurityType
        ``common`` from ``assumed`` if the symbol says nothing about the type.
    """
    base, dash, suffix = symbol.partition("-")
    if dash and suffix[:1] == "P":
        return SecurityType("preferred", "symbol")
    if dash and suffix[:2] in ("WT", "UN", "RI"):
        return SecurityType({"WT": "warrant", "UN": "unit", "RI": "right"}[suffix[:2]], "symbol")
    if not dash and len(base) == _NASDAQ_LONG and base[-1] in _OTC_FIFTH:
        return SecurityType(_OTC_FIFTH[base[-1]], "symbol")
    return SecurityType("common", "symbol" if len(base) == _NASDAQ_LONG else "assumed")


def _named(security: str) -> str | None:
    """The last type that a name mentions; ``depositary`` if it does not say of what, None without any."""
    clause = _CLAUSE.search(security)
    head = security[: clause.start()] if clause and clause.start() else security
    kinds = _kinds(head)
    if not kinds and re.search(r"\(each representing \d+", security):
        return "adr"
    kinds = kinds or _kinds(security)[:1]
    if not kinds:
        return "common" if _INTEREST.search(security) else None
    if kinds[-1] == "depositary":
        if re.search(r"pref|pfd|prd\b|perpetual|cumulative", security):
            return "preferred"
        return "common" if _INTEREST.search(security) or "partnership" in security else "depositary"
    return "adr" if kinds[-1] == "common" and "adr" in kinds else kinds[-1]


def _kinds(text: str) -> list[str]:
    return [str(match.lastgroup).partition("_")[2] for match in _KIND.finditer(text)]


def _is_fund(name: str) -> bool:
    if _FUND.search(name) or _CLOSED_END.search(name):
        return True
    return bool(_TRUST.search(name)) and not _NO_FUND.search(name)
