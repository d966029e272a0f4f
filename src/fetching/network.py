"""The proxy and the certificates that every client of a live provider uses: from the settings, else the environment."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from src.config.schema import LiveSource
from src.core.errors import ConfigError
from src.runtime.redaction import masked

PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def proxy(settings: LiveSource, host: str | None = None) -> str | None:
    """Address of the proxy to use, ``scheme://[user:password@]host:port``; None for a direct connection.

    ``source.live.proxy`` comes first, then HTTPS_PROXY and ALL_PROXY of the environment, then what Windows or macOS
    have set for the whole system. Show it only through `src.runtime.redaction.masked`.

    Parameters
    ----------
    settings
        Where the proxy may be named.
    host
        The host to be reached: None is returned where NO_PROXY names it, whoever named the proxy.

    Raises
    ------
    ConfigError
        Where the address is none.
    """
    if host is not None and urllib.request.proxy_bypass(host):
        return None
    found = named_proxy(settings)
    return _address(found[1], found[0]) if found else None


def named_proxy(settings: LiveSource) -> tuple[str, str] | None:
    """Who names the proxy, and what is named, unchecked; None where nobody does."""
    if settings.proxy:
        return "source.live.proxy", settings.proxy
    system = urllib.request.getproxies()
    found = system.get("https") or system.get("all")
    if not found:
        return None
    return next((name for name in PROXIES if os.environ.get(name) == found), "the system's proxy"), found


def check(settings: LiveSource) -> None:
    """Look at the form of the proxy's address and for the file of certificates, before any client is loaded.

    Raises
    ------
    ConfigError
        Where the address is none, or there is no such file.
    """
    proxy(settings)
    ca_file(settings)


def ca_file(settings: LiveSource) -> str | None:
    """File of the certificate authorities to trust instead of the client's own; None leaves the client's own.

    ``source.live.ca_file`` comes first, then SSL_CERT_FILE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE of the environment.

    Raises
    ------
    ConfigError
        Where there is no such file.
    """
    named = [("source.live.ca_file", settings.ca_file), *((name, os.environ.get(name)) for name in BUNDLES)]
    for name, value in named:
        if value:
            path = Path(value).expanduser()
            if not path.is_file():
                raise ConfigError(f"{name} must name a file of certificates (PEM), got {path}: correct or unset it")
            return str(path.resolve())
    return None


def _address(text: str, name: str) -> str:
    whole = text.strip() if "://" in text else f"http://{text.strip()}"
    rule = f"{name} must be an address like http://127.0.0.1:8080, got {masked(whole)}: correct or unset it"
    try:
        parts = urlsplit(whole)
        known = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError as error:  # a port that is no number, or an address with an unclosed bracket
        raise ConfigError(rule) from error
    if not known:
        raise ConfigError(rule)
    return whole
