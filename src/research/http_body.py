"""The body of an HTTP answer: whole, decompressed and within a limit, or an error that says what is wrong with it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable

from src.fetching.provider import Malformed, ProviderError, Unavailable, Unfit
from src.runtime.disk_space import format_bytes

ENCODINGS = "gzip, deflate"
_SLOWEST = 1000.0  # bytes a second that a long answer has to reach: a host that drips must not hold a thread for hours
_HTML = re.compile(rb"(?:\s|<!--.*?-->|<\?xml.*?\?>)*<(?:!doctype\s+html|html|head)\b", re.IGNORECASE | re.DOTALL)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_LOOKED_AT = 4096


def collected(
    pieces: Iterable[bytes], length: str | None, most: int, patience: float, clock: Callable[[], float]
) -> bytes:
    """Read a body to its end, as it is transferred.

    Parameters
    ----------
    pieces : iterable of bytes
        As they arrive.
    length : str or None
        The header Content-Length.
    most : int
        Bytes; a longer body is refused.
    patience : float
        Seconds before a pace below 1,000 bytes a second counts as silence.
    clock : callable
        Monotonic time in seconds.

    Returns
    -------
    bytes
        Still compressed.

    Raises
    ------
    Unavailable
        If fewer bytes came than were announced, or they come too slowly.
    Unfit
        If there are more than `most`.
    """
    began, size, body = clock(), 0, []
    announced = int(length) if length and length.isdigit() else None
    if announced is not None and announced > most:
        raise _too_long(announced, most)
    for piece in pieces:
        size += len(piece)
        body.append(piece)
        if size > most:
            raise _too_long(size, most)
        seconds = clock() - began
        if seconds > patience and size < seconds * _SLOWEST:
            raise Unavailable(f"{format_bytes(size)} in {seconds:,.0f} s: given up")
    if announced is not None and size != announced:
        raise Unavailable(f"the answer was cut: {size:,} of {announced:,} bytes came")
    return b"".join(body)


def decoded(body: bytes, encoding: str | None, most: int) -> bytes:
    """Decompress a body.

    Parameters
    ----------
    body : bytes
        As transferred.
    encoding : str or None
        The header Content-Encoding.
    most : int
        Bytes of the result; a longer one is refused before it is in memory.

    Returns
    -------
    bytes

    Raises
    ------
    Unavailable
        If the compressed data is broken or ends early.
    Malformed
        If the encoding was not asked for.
    Unfit
        If the result is longer than `most`.
    """
    for name in reversed([each.strip().lower() for each in (encoding or "").split(",")]):
        if name in ("", "identity") or not body:
            continue
        if name not in ("gzip", "x-gzip", "deflate"):
            raise Malformed(f"the answer is encoded as {name}, which was not asked for")
        body = _inflated(body, name == "deflate", most)
    return body


def is_html(body: bytes) -> bool:
    """Whether a body is a page for people; XML of other kinds, such as feeds and filings, is not.

    Parameters
    ----------
    body : bytes

    Examples
    --------
    >>> is_html(b"<?xml version='1.0'?><!DOCTYPE html><html>"), is_html(b"<?xml version='1.0'?><rss>")
    (True, False)
    """
    start = body[:_LOOKED_AT]
    for mark in _MARKS:
        start = start.removeprefix(mark)
    return _HTML.match(start.replace(b"\0", b"")) is not None


def _inflated(body: bytes, is_deflate: bool, most: int) -> bytes:
    """All members of a compressed body."""
    # Some servers send raw deflate without the header of zlib that the standard demands.
    bits = 31 if not is_deflate else zlib.MAX_WBITS if body[0] & 0x0F == 8 else -zlib.MAX_WBITS
    parts, size, rest = [], 0, body
    while rest:
        stream = zlib.decompressobj(bits)
        try:
            part = stream.decompress(rest, most - size + 1)
        except zlib.error as error:
            raise Unavailable(f"the compressed answer is broken ({error})") from error
        size += len(part)
        if size > most:
            raise _too_long(size, most)
        if not stream.eof:
            raise Unavailable("the compressed answer was cut")
        parts.append(part)
        rest = stream.unused_data.lstrip(b"\0")  # some servers fill up the last block
    return b"".join(parts)


def _too_long(size: int, most: int) -> ProviderError:
    return Unfit(f"the answer has {format_bytes(size)} or more, which is over the limit of {format_bytes(most)}")
