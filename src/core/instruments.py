"""What names an instrument: its asset class and its symbol."""

from __future__ import annotations

ASSET_CLASSES = ("stock", "etf", "crypto")
KEY = ["asset_class", "symbol"]
"""Columns that name an instrument in every table; a ticker alone is no key."""
