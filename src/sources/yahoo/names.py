"""Yahoo's names of symbols that its usual way of writing would get wrong."""

from __future__ import annotations

COINS = {
    f"{coin}-USD": f"{coin}{number}-USD"
    for coin, number in {
        "UNI": 7083, "SUI": 20947, "APT": 21794, "PEPE": 24478, "TON": 11419, "GRT": 6719, "ARB": 11841, "TAO": 22974,
        "STX": 4847, "IMX": 10603, "COMP": 5692, "HYPE": 32196,
    }.items()
}  # fmt: skip
"""Yahoo gave the plain names of these coins to others that hardly trade, and appends a number to theirs."""
