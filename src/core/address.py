"""Network addresses as settings name them."""

from __future__ import annotations


def host_and_port(address: str) -> tuple[str, str]:
    """Host and port of ``[ray://]host:port``; an IPv6 host without its brackets."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    return host.strip("[]"), port


def is_cluster_address(address: str) -> bool:
    """Whether this is ``auto``, or ``host:port`` with or without ``ray://``."""
    host, port = host_and_port(address)
    return address == "auto" or (bool(host) and port.isdigit() and int(port) < 65_536)
