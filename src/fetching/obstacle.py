"""What stands between this machine and a host that gives no answer, read from the words of the client libraries.

libcurl, urllib3 and ccxt report the same faults in different types and words. The kinds below are those that need
different remedies: a name that does not resolve is the network's, a certificate in the wrong name a portal's, a
certificate that is not valid yet this machine's clock's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME, ROUTE, REFUSED, PROXY, CLOCK, CERTIFICATE, SILENCE, PAGE = (
    "name", "route", "refused", "proxy", "clock", "certificate", "silence", "page",
)  # fmt: skip


@dataclass(frozen=True)
class Remedy:
    """A kind of obstacle for a person: what happens, what to do, and whether one such fault is proof.

    Attributes
    ----------
    words : str
        What happens, with the host's name before it.
    action : str
        What a person does about it.
    certain : bool
        The fault is no matter of load or luck: asked once more, the host answers the same.
    """

    words: str
    action: str
    certain: bool = True


REMEDIES = {
    NAME: Remedy(
        "its name does not resolve",
        "connect this machine to the network or repair its DNS; behind a proxy set HTTPS_PROXY or source.live.proxy",
    ),
    ROUTE: Remedy("there is no route to it", "connect this machine to the network, or to its VPN"),
    REFUSED: Remedy(
        "the connection is refused", "a firewall may block it: set HTTPS_PROXY or source.live.proxy if there is a proxy"
    ),
    PROXY: Remedy(
        "the proxy does not let it through",
        "correct HTTPS_PROXY or source.live.proxy: its address, and user:password@ where it answers 407",
    ),
    CLOCK: Remedy("its certificate is not valid at this machine's date", "set this machine's clock"),
    CERTIFICATE: Remedy(
        "its certificate is not trusted",
        "sign in where the network has a sign-in page; where a proxy opens TLS, name its certificates in"
        " source.live.ca_file or SSL_CERT_FILE",
    ),
    SILENCE: Remedy("it does not answer in time", "try later, or behind a proxy set HTTPS_PROXY", certain=False),
    PAGE: Remedy(
        "a web page came instead of data",
        "open a browser: the network may have a sign-in page, or a proxy may block the host",
        certain=False,
    ),
}

_SIGNS = {  # the first that matches; what a proxy does comes before what it says of the host behind it
    PROXY: (
        "response 407", "407 proxy", "proxy authentication", "from proxy after connect", "connect tunnel failed",
        "over proxy", "proxy connect aborted", "tunnel connection failed", "unable to connect to proxy",
        "cannot connect to proxy", "resolve proxy", "proxyerror", "proxy handshake", "socks4", "socks5",
    ),
    NAME: (
        "could not resolve", "couldn't resolve", "resolving timed out", "failed to resolve", "name resolution",
        "getaddrinfo", "name or service not known", "nodename nor servname", "no address associated", "no such host",
        "errno 11001",
    ),
    CLOCK: (
        "not yet valid", "certificate has expired", "certificate is expired", "cert_not_yet_valid", "cert_has_expired",
    ),
    CERTIFICATE: (
        "certificate", "wrong_version_number", "wrong version number", "tlsv1 alert", "sslv3 alert", "unknown ca",
        "alert handshake", "self-signed", "self signed",
    ),
    ROUTE: (
        "no route to host", "network is unreachable", "network is down", "host is down", "errno 101]", "errno 113]",
        "error 10051", "error 10065", "cannot assign requested address",
    ),
    REFUSED: (
        "connection refused", "errno 111]", "errno 61]", "error 10061", "failed to connect", "couldn't connect",
        "could not connect to server", "actively refused",
    ),
    SILENCE: (
        "timed out", "timeout", "connection reset", "reset by peer", "connection aborted", "empty reply",
        "without response", "recv failure", "send failure", "broken pipe", "unexpected_eof", "eof occurred",
        "closed abruptly", "error 10054", "error 10060",
    ),
}  # fmt: skip
_TIMED_OUT = re.compile(r"timed out|timeout|error 10060")
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<!--", b"<?xml")


def kind_of(message: str) -> str | None:
    """Kind of the obstacle that an error of a client library reports.

    Parameters
    ----------
    message : str
        Text of the error, its causes included.

    Returns
    -------
    str or None
        A key of `REMEDIES`; None if the words mean something else, such as a fault of the host itself.

    Examples
    --------
    >>> kind_of("Could not resolve host: query1.finance.yahoo.com")
    'name'
    >>> kind_of("CONNECT tunnel failed, response 407")
    'proxy'
    """
    text = message.lower()
    found = next((kind for kind, signs in _SIGNS.items() if any(sign in text for sign in signs)), None)
    # "Failed to connect to host after 30001 ms: Timeout was reached" is no refusal
    return SILENCE if found == REFUSED and _TIMED_OUT.search(text) and "refused" not in text else found


def is_page(body: bytes) -> bool:
    """Whether a body is a web page for people: a sign-in page, or that of a proxy which blocks.

    Parameters
    ----------
    body : bytes
        As received.
    """
    return body.lstrip()[:40].lower().startswith(_PAGES)
