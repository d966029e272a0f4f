"""The key of an instrument: its asset class and its symbol."""

from __future__ import annotations

Key = tuple[str, str]
"""Asset class and symbol of one instrument."""
ASSET_CLASSES = ("stock", "etf", "crypto")
POOLED = "pooled"
"""In place of an asset class, in tables of runs and grades of pooled models; the symbol is ``<class>.<portfolio>``."""
KEY = ["asset_class", "symbol"]
"""Key columns of every table; a ticker alone is not unique."""


def is_pooled_name(name: str) -> bool:
    """Whether a registered model is that of a portfolio, such as ``pooled.stock.neutral``."""
    return name.lower().startswith(f"{POOLED}.")
