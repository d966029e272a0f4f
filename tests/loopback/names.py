"""Instruments of the invented market: tickers, types and exchanges, with names that trip careless readers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

_BASES = (
    "BTC ETH SOL XRP ADA DOGE LTC LINK AVAX DOT BCH UNI ATOM XLM ALGO FIL ETC NEAR APT ARB OP AAVE MKR GRT SUI INJ "
    "RNDR TIA SEI SNX CRV COMP YFI ZEC DASH XTZ EOS MANA SAND AXS CHZ ENJ BAT ZRX KNC ANKR SKL STORJ LRC BAND"
)
BASES = _BASES.split()
PEGGED = ("USDC", "DAI", "WBTC")  # traded beside the coins, and not coins of the universe
VENUES = ("coinbaseexchange", "kraken", "binanceus")
# Real tickers that pandas, YAML or Windows read as something else.
TRAPS = (("stock", "NA"), ("stock", "NAN"), ("stock", "TRUE"), ("stock", "CON"), ("etf", "PRN"), ("stock", "NULL"))
_WORDS = {
    "common": "Common Stock",
    "adr": "American Depositary Shares, each representing two ordinary shares",
    "etf": "Index ETF",
    "coin": "USD",
    "preferred": "6.375% Series D Cumulative Redeemable Preferred Stock, Liquidation Preference $25.00 per Share",
    "warrant": "Redeemable Warrants, each whole warrant exercisable for one share at an exercise price of $11.50",
    "unit": "Units, each consisting of one ordinary share and one-half of one redeemable warrant",
    "right": "Rights",
    "note": "6.50% Senior Notes due 2030",
    "otc": "",
}
_YAHOO_SUFFIX = {"warrant": "-WT", "unit": "-UN", "right": "-RI"}
_ETFS, _ADRS, _CLASSES, _OTHERS = 0.27, 0.05, 0.04, 0.12  # of the invented instruments; others are added to them
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Instrument:
    """An instrument of the market."""

    asset_class: str
    symbol: str  # as the directories have it (BRK.B); coins BTC-USD
    kind: str  # common | adr | etf | coin, or what is no share: preferred | warrant | unit | right | note; or otc
    exchange: str = ""  # letter of the directory: Q Nasdaq, N NYSE, A NYSE American, P Arca, Z Cboe
    venues: tuple[str, ...] = ()  # exchanges that trade the coin
    company: str = ""  # part of the title that stays when the symbol changes; empty: made from the symbol

    @property
    def yahoo(self) -> str:
        """Its symbol at Yahoo."""
        if "$" in self.symbol:
            return self.symbol.replace("$", "-P")
        if self.kind in _YAHOO_SUFFIX and "." in self.symbol:
            return self.symbol.split(".")[0] + _YAHOO_SUFFIX[self.kind]
        return self.symbol.replace(".", "-")

    @property
    def title(self) -> str:
        """A name as a directory would print it."""
        company = (
            f"{self.symbol.split('.')[0].split('$')[0].title()} {'Trust' if self.kind == 'etf' else 'Holdings Inc.'}"
        )
        return f"{company}{' - ' if self.exchange == 'Q' else ' '}{_WORDS[self.kind]}"


def population(seed: int, symbols: int, named: tuple[tuple[str, str], ...] = ()) -> list[Instrument]:
    """`symbols` invented stocks, ETFs and coins, with the named ones and securities that are not shares added."""
    draw = random.Random(f"population {seed}")
    coins = min(len(BASES), max(3, symbols // 50)) if symbols else 0
    etfs = round((symbols - coins) * _ETFS)
    stocks = symbols - coins - etfs
    taken = {symbol for _, symbol in (*TRAPS, *named)}
    fresh = (ticker for ticker in _tickers(draw) if ticker not in taken)
    made: list[Instrument] = []
    for asset_class, count in (("stock", stocks), ("etf", etfs)):
        traps = [symbol for kind, symbol in TRAPS if kind == asset_class][:count]
        made += [_listed(draw, asset_class, symbol, plain=True) for symbol in traps]
        made += [_listed(draw, asset_class, next(fresh), plain=False) for _ in range(count - len(traps))]
    made += [_coin(draw, base) for base in BASES[:coins]]
    made += [_other(draw, next(fresh)) for _ in range(round(stocks * _OTHERS))]
    found = {(each.asset_class, each.symbol): each for each in made}
    for asset_class, symbol in named:
        if (asset_class, symbol) not in found:
            coin = asset_class == "crypto"
            new = _coin(draw, symbol.split("-")[0]) if coin else _listed(draw, asset_class, symbol, plain=True)
            found[asset_class, symbol] = new
    return list(found.values())


def _listed(draw: random.Random, asset_class: str, symbol: str, plain: bool) -> Instrument:
    """A share or a fund; one that is not `plain` may be an ADR or have classes."""
    if asset_class == "etf":
        return Instrument("etf", symbol, "etf", draw.choice("QPZP"))
    exchange = "N" if "." in symbol else draw.choice("QQQNNA")
    kind = "common" if plain or draw.random() >= _ADRS else "adr"
    if not plain and exchange != "Q" and draw.random() < _CLASSES:
        symbol = f"{symbol}.{draw.choice('AB')}"
    return Instrument("stock", symbol, kind, exchange)


def _other(draw: random.Random, ticker: str) -> Instrument:
    """A security that is not a share: five letters at Nasdaq, a suffix elsewhere."""
    kind, exchange = draw.choice(("preferred", "warrant", "unit", "right", "note", "otc")), draw.choice("QNA")
    if kind == "otc":
        return Instrument("stock", f"{ticker}{draw.choice('FY')}", kind)
    if kind == "note":
        return Instrument("stock", ticker, kind, exchange)
    if exchange == "Q":
        letter = {"preferred": "P", "warrant": "W", "unit": "U", "right": "R"}[kind]
        return Instrument("stock", ticker + letter, kind, exchange)
    suffix = {"preferred": f"${draw.choice('ABCD')}", "warrant": ".W", "unit": ".U", "right": ".R"}[kind]
    return Instrument("stock", ticker + suffix, kind, exchange)


def _coin(draw: random.Random, base: str) -> Instrument:
    venues = tuple(venue for venue in VENUES if draw.random() < 0.55) or (draw.choice(VENUES),)
    return Instrument("crypto", f"{base}-USD", "coin", venues=VENUES if base in ("BTC", "ETH") else venues)


def _tickers(draw: random.Random) -> Iterator[str]:
    """Four letters, each combination once; the step is coprime with 26^4."""
    size, at = 26**4, draw.randrange(26**4)
    for _ in range(size):
        at = (at + 104_729) % size
        yield "".join(_LETTERS[at // 26**k % 26] for k in range(4))
