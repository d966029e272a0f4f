"""Proxy and certificates of every client of a live provider, from the settings or else from the environment."""

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
    """Return the address of the proxy to use.

    ``source.live.proxy`` comes first, then HTTPS_PROXY and ALL_PROXY of the environment, then the system settings of
    Windows or macOS. The address may hold a password: show it only through `src.runtime.redaction.masked`.

    Parameters
    ----------
    settings : LiveSource
        May name a proxy.
    host : str or None
        Host to reach. No proxy is used for hosts that NO_PROXY names, wherever the proxy comes from.

    Returns
    -------
    str or None
        ``scheme://[user:password@]host:port``; None for a direct connection.

    Raises
    ------
    ConfigError
        If the address is malformed.
    """
    if host is not None and urllib.request.proxy_bypass(host):
        return None
    named = named_proxy(settings)
    return _address(named[1], named[0]) if named else None


def named_proxy(settings: LiveSource) -> tuple[str, str] | None:
    """Find the proxy without checking its address.

    Returns
    -------
    (str, str) or None
        The setting or variable that names it, and its address; None if no proxy is set.
    """
    if settings.proxy:
        return "source.live.proxy", settings.proxy
    system = urllib.request.getproxies()
    address = system.get("https") or system.get("all")
    if not address:
        return None
    return next((name for name in PROXIES if os.environ.get(name) == address), "the system's proxy"), address


def check(settings: LiveSource) -> None:
    """Check the proxy's address and the file of certificates before any client is loaded.

    Raises
    ------
    ConfigError
        If the address is malformed, or there is no such file.
    """
    proxy(settings)
    ca_file(settings)


def ca_file(settings: LiveSource) -> str | None:
    """Return the file of the certificate authorities to trust instead of the client's own.

    ``source.live.ca_file`` comes first, then SSL_CERT_FILE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE of the environment.

    Returns
    -------
    str or None
        Absolute path; None leaves the client's own.

    Raises
    ------
    ConfigError
        If there is no such file.
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
        valid = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError as error:  # the port is not a number, or a bracket is not closed
        raise ConfigError(rule) from error
    if not valid:
        raise ConfigError(rule)
    return whole
