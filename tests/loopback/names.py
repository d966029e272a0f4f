"""Who is in the invented market: tickers, types and exchanges, among them names that trip careless readers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

_BASES = (
    "BTC ETH SOL XRP ADA DOGE LTC LINK AVAX DOT BCH UNI ATOM XLM ALGO FIL ETC NEAR APT ARB OP AAVE MKR GRT SUI INJ "
    "RNDR TIA SEI SNX CRV COMP YFI ZEC DASH XTZ EOS MANA SAND AXS CHZ ENJ BAT ZRX KNC ANKR SKL STORJ LRC BAND"
)
BASES = _BASES.split()
VENUES = ("coinbaseexchange", "kraken", "binanceus")
# Real tickers that pandas, YAML or Windows take for something else.
TRAPS = (("stock", "NA"), ("stock", "NAN"), ("stock", "TRUE"), ("stock", "CON"), ("etf", "PRN"), ("stock", "NULL"))
_ETFS, _ADRS, _CLASSES = 0.27, 0.05, 0.02  # of the invented instruments
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Instrument:
    """One name of the market."""

    asset_class: str
    symbol: str  # as the directories have it (BRK.B); coins BTC-USD
    kind: str  # common | adr | etf | coin
    exchange: str = ""  # letter of the directory: Q Nasdaq, N NYSE, A NYSE American, P Arca, Z Cboe
    venues: tuple[str, ...] = ()  # exchanges that trade the coin

    @property
    def yahoo(self) -> str:
        """Its name at Yahoo."""
        return self.symbol.replace(".", "-")

    @property
    def title(self) -> str:
        """A name as a directory would print it."""
        words = {"common": "Common Stock", "adr": "American Depositary Shares", "etf": "ETF", "coin": "USD"}
        company = "Trust" if self.kind == "etf" else "Holdings Inc."
        return f"{self.symbol.split('.')[0].title()} {company} - {words[self.kind]}"


def population(seed: int, symbols: int, named: tuple[tuple[str, str], ...] = ()) -> list[Instrument]:
    """Invented instruments, and those that were named."""
    draw = random.Random(f"population {seed}")
    coins = min(len(BASES), max(3, symbols // 50)) if symbols else 0
    etfs = round((symbols - coins) * _ETFS)
    stocks = symbols - coins - etfs
    found: dict[tuple[str, str], Instrument] = {}
    fresh = _tickers(draw)
    for asset_class, count in (("stock", stocks), ("etf", etfs)):
        traps = [symbol for kind, symbol in TRAPS if kind == asset_class][:count]
        for i in range(count):
            symbol = traps[i] if i < len(traps) else next(fresh)
            found[asset_class, symbol] = _listed(draw, asset_class, symbol, plain=i < len(traps))
    for base in BASES[:coins]:
        found["crypto", f"{base}-USD"] = _coin(draw, base)
    for asset_class, symbol in named:
        if (asset_class, symbol) not in found:
            coin = asset_class == "crypto"
            made = _coin(draw, symbol.split("-")[0]) if coin else _listed(draw, asset_class, symbol, plain=True)
            found[asset_class, symbol] = made
    return list(found.values())


def _listed(draw: random.Random, asset_class: str, symbol: str, plain: bool) -> Instrument:
    if asset_class == "etf":
        return Instrument("etf", symbol, "etf", draw.choice("QPZP"))
    kind = "adr" if not plain and draw.random() < _ADRS else "common"
    exchange = "N" if "." in symbol else draw.choice("QQQNNA")
    if not plain and exchange != "Q" and draw.random() < 2 * _CLASSES:
        symbol = f"{symbol[:3]}{draw.choice('XYZ')}.{draw.choice('AB')}"
    return Instrument("stock", symbol, kind, exchange)


def _coin(draw: random.Random, base: str) -> Instrument:
    venues = tuple(venue for venue in VENUES if draw.random() < 0.55) or (draw.choice(VENUES),)
    return Instrument("crypto", f"{base}-USD", "coin", venues=VENUES if base in ("BTC", "ETH") else venues)


def _tickers(draw: random.Random) -> Iterator[str]:
    """Four letters, none twice; the step is coprime with 26^4."""
    size, at = 26**4, draw.randrange(26**4)
    for _ in range(size):
        at = (at + 104_729) % size
        yield "".join(_LETTERS[at // 26**k % 26] for k in range(4))
