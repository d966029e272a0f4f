"""Plain text of a document's body: HTML, Markdown, CSV, PDF, Word and plain text, in any encoding."""

from __future__ import annotations

import codecs
import logging
import re
from pathlib import PurePosixPath

from src.documents.office_text import Unreadable, pdf_text, word_text

log = logging.getLogger(__name__)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""")
_HEAD = 4096  # bytes in which a page declares its encoding and shows its kind
_LOOKS_HTML = re.compile(rb"<\s*(?:!doctype\s+html|html|head|body|div|p|table|font|br)\b", re.IGNORECASE)
_UNSEEN = "script, style, head, noscript, template, svg, ix\\:header"
_BLOCKS = re.compile(
    "address|article|aside|blockquote|br|dd|div|dl|dt|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol|p|pre|section|"
    "table|td|th|tr|ul"
)
FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
"""Settings at the top of a Markdown file, which are no part of its text."""
_MARKUP = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+(?=\S)|```.*$|\|?(?:[ \t]*:?-{3,}:?[ \t]*\|)+.*$)", re.MULTILINE
)
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*(?:\s+\"[^\"\n]*\")?\)")
_SPACES = "\t\u00a0\u2007\u202f\f\v"
_RUN = re.compile(" {2,}")


def text_of(body: bytes, name: str) -> str:
    """Text of a body, without markup.

    Parameters
    ----------
    body : bytes
        As served.
    name : str
        A file name or path, whose ending says what it is; without one that is known, the first bytes decide between
        PDF, HTML and plain text.

    Returns
    -------
    str
        Paragraphs on lines of their own; empty if there is no text, or if a file of PDF or Word can't be read.

    Examples
    --------
    >>> text_of(b"<p>Net&nbsp;income</p><p>rose</p>", "a.htm")
    'Net income\\nrose'
    """
    try:
        return readable_text(body, name)
    except Unreadable as error:
        log.debug("a file %s", error)
        return ""


def readable_text(body: bytes, name: str) -> str:
    """Text of a body, as `text_of`, or the reason why it can't be had.

    Parameters
    ----------
    body : bytes
    name : str

    Returns
    -------
    str

    Raises
    ------
    Unreadable
        If it is a file of PDF or Word that is encrypted or damaged.
    """
    ending = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    if ending == ".pdf" or body.startswith(b"%PDF-"):
        return _plain(pdf_text(body))
    if ending in (".docx", ".docm"):
        return _plain(word_text(body))
    text = decoded(body)
    if ending in (".htm", ".html", ".xhtml") or _is_html(body, ending):
        return _plain(_without_tags(text))
    if ending in (".md", ".markdown"):
        return _plain(_MARKUP.sub("", _LINK.sub(r"\1", FRONT_MATTER.sub("", text))))
    return _plain(text)


def decoded(body: bytes) -> str:
    """Decode a body: by its byte order mark, as UTF-8, by the encoding that it declares, else as Windows-1252.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    str
        Bytes that have no meaning become U+FFFD; there are no null characters.
    """
    return _decoded(body).replace("\0", "").lstrip("\ufeff")


def _decoded(body: bytes) -> str:
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body.decode(encoding, errors="replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        found = _DECLARED.search(body[:_HEAD])
    try:
        return body.decode(found[1].decode("ascii") if found else "cp1252", errors="replace")
    except (LookupError, UnicodeError):  # no such encoding, or not one of text
        return body.decode("cp1252", errors="replace")


def _is_html(body: bytes, ending: str) -> bool:
    return ending not in (".csv", ".md", ".markdown", ".json") and _LOOKS_HTML.search(body[:_HEAD]) is not None


def _without_tags(text: str) -> str:
    """Text of a page as it is read: no scripts, no hidden header of inline XBRL, blocks on lines of their own."""
    from selectolax.lexbor import LexborHTMLParser

    root = LexborHTMLParser(text).root
    if root is None:
        return ""
    for node in root.css(_UNSEEN):
        node.decompose()
    parts = []
    for node in root.traverse(include_text=True):
        if node.tag == "-text":
            parts.append((node.text_content or "").replace("\r", " ").replace("\n", " "))
        elif _BLOCKS.fullmatch(node.tag or ""):
            parts.append("\n")
    return "".join(parts)


def _plain(text: str) -> str:
    """Text with single spaces and without empty lines."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for space in _SPACES:
        text = text.replace(space, " ")
    return "\n".join(kept for line in _RUN.sub(" ", text).split("\n") if (kept := line.strip(" "))).strip()
