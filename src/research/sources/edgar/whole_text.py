"""A filing's whole text: its header, then each of its documents."""

from __future__ import annotations

import re

from src.fetching.provider import Malformed
from src.research.sources.edgar.header import FilingHeader, read_header

_ENDS = (b"</SEC-DOCUMENT>", b"-----END PRIVACY-ENHANCED MESSAGE-----", b"</SUBMISSION>")
_FIRST = re.compile(rb"<DOCUMENT>(.*?)<TEXT>\r?\n?(.*?)</TEXT>", re.DOTALL)
_NAME = re.compile(rb"<FILENAME>([^\r\n]*)")
_WRAPPER = re.compile(rb"\s*<(XML|XBRL|PDF)>\s*(.*?)\s*</\1>\s*", re.DOTALL)


def read_whole_text(body: bytes) -> tuple[FilingHeader, str, bytes]:
    """Read the header and the main document of a filing.

    Parameters
    ----------
    body : bytes
        As served.

    Returns
    -------
    (FilingHeader, str, bytes)
        The header; the main document's file name and content, both empty for what was filed on paper.

    Raises
    ------
    Malformed
        If the text has no header, or was cut before its end.
    """
    if not body.rstrip().endswith(_ENDS):
        raise Malformed("a filing's text ends before its mark of the end: it was cut")
    head = body.split(b"<DOCUMENT>", 1)[0]
    header = read_header(head.decode("latin-1"))
    first = _FIRST.search(body, len(head))
    if not first:
        return header, "", b""
    name = _NAME.search(first[1])
    wrapped = _WRAPPER.fullmatch(first[2])
    return header, name[1].decode("latin-1").strip() if name else "", wrapped[2] if wrapped else first[2]
