"""Why a line is refused while the others stand."""

from __future__ import annotations


class RefusedLine(Exception):
    """A decision that can't be vouched for; the message gives the reason and, where there is one, the remedy."""
