"""Network addresses as settings name them."""

from __future__ import annotations


def host_and_port(address: str) -> tuple[str, str]:
    """Split an address into host and port.

    Parameters
    ----------
    address : str
        ``host:port``, with or without ``ray://``.

    Returns
    -------
    (str, str)
        Host, an IPv6 one without its brackets, and port; a part that is missing is empty.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    return host.strip("[]"), port


def is_cluster_address(address: str) -> bool:
    """Tell whether an address can be that of a Ray cluster.

    Parameters
    ----------
    address : str
        What the setting holds.

    Returns
    -------
    bool
        Whether it is ``auto``, or ``host:port`` with or without ``ray://``.
    """
    host, port = host_and_port(address)
    return address == "auto" or (bool(host) and port.isdigit() and int(port) < 65_536)
