"""The symbol directories of Nasdaq Trader and the SEC's list of tickers, with everything that may trip a reader."""

from __future__ import annotations

from tests.loopback.names import Instrument
from tests.loopback.wire import TEXT, Reply, Request, json
from tests.loopback.world import NEW_YORK, World

HOSTS = ("www.nasdaqtrader.com", "www.sec.gov")
_NASDAQ = "Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares"
_OTHER = "ACT Symbol|Security Name|Exchange|CQS Symbol|ETF|Round Lot Size|Test Issue|NASDAQ Symbol"
_NASDAQ_TESTS = (
    "ZAZZT|Tick Pilot Test Stock Class A Common Stock|G|Y|N|100|N|N",
    "ZJZZT|NASDAQ TEST STOCK|Q|Y|N|100|N|N",
    "ZXYZ.A|Nasdaq Symbology Test Common Stock|Q|Y|N|100|N|N",
)
_OTHER_TESTS = (
    "NTEST.H|NYSE Tick Pilot Test Stock|N|NTEST.H|N|100|Y|NTEST.H",
    "ZVV|NYSE Arca Test ETF|P|ZVV|Y|100|Y|ZVV",
    "ZXIET|IEX Test Company Test Symbol Three for IEX|V|ZXIET|N|100|Y|ZXIET",
)
_CQS = {"warrant": (".WS", "+"), "unit": (".U", "="), "right": ("r", "^")}
_SEC = {"Q": "Nasdaq", "N": "NYSE", "A": "NYSE", "": "OTC"}


class Directories:
    """Answers requests to the hosts of the directories."""

    def __init__(self, world: World) -> None:
        self.world = world

    def answer(self, request: Request) -> Reply:
        """The reply without any fault."""
        if request.host == "www.sec.gov":
            return self.sec(request)
        file = request.path.lower().rsplit("/", 1)[-1]
        if request.path.lower().startswith("/dynamic/symdir/") and file in ("nasdaqlisted.txt", "otherlisted.txt"):
            lines = self.nasdaq() if file.startswith("nasdaq") else self.other()
            return Reply(200, ("\r\n".join(lines) + "\r\n").encode(), TEXT)
        return Reply(404, b"<html><body>Not found</body></html>", "text/html")

    def sec(self, request: Request) -> Reply:
        """All tickers with their exchange; only for clients whose User-Agent has a contact address."""
        if "@" not in request.headers.get("user-agent", ""):
            words = b"<html><title>SEC.gov | Your Request Originates from an Undeclared Automated Tool</title></html>"
            return Reply(403, words, "text/html")
        if request.path != "/files/company_tickers_exchange.json":
            return Reply(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
        shares = [each for each in self.living() if each.kind in ("common", "adr", "otc")]
        rows = [
            [1_000_000 + i, each.title.split(" - ")[0], each.yahoo, _SEC[each.exchange]]
            for i, each in enumerate(sorted(shares, key=lambda each: each.symbol))
        ]
        rows.append([1_999_999, "Nowhere Listed Fund", "NWLFX", None])
        return json({"fields": ["cik", "name", "ticker", "exchange"], "data": rows})

    def nasdaq(self) -> list[str]:
        """Lines of nasdaqlisted.txt."""
        listed = [each for each in self.living() if each.exchange == "Q"]
        rows = [f"{e.symbol}|{e.title}|Q|N|N|100|{_yes(e.kind == 'etf')}|N" for e in listed]
        return [_NASDAQ, *sorted([*rows, *_NASDAQ_TESTS]), f"{self._made()}|||||||"]

    def other(self) -> list[str]:
        """Lines of otherlisted.txt."""
        listed = [each for each in self.living() if each.exchange not in ("", "Q")]
        rows = [
            f"{e.symbol}|{e.title}|{e.exchange}|{cqs}|{_yes(e.kind == 'etf')}|100|N|{short}"
            for e in listed
            for cqs, short in [_other_names(e)]
        ]
        return [_OTHER, *sorted([*rows, *_OTHER_TESTS]), f"{self._made()}||||||"]

    def living(self) -> list[Instrument]:
        """Instruments listed at the clock's time: not those delisted, and renamed ones under their new name."""
        found = []
        for each in self.world.instruments.values():
            now = self.world.named_now(each)
            if now is not None and each.asset_class != "crypto":
                found.append(now)
        return found

    def _made(self) -> str:
        local = self.world.now.astimezone(NEW_YORK)
        return f"File Creation Time: {local:%m%d%Y%H:%M}"


def _other_names(each: Instrument) -> tuple[str, str]:
    """Names as the tape and as Nasdaq write them."""
    root = each.symbol.split(".")[0]
    if "$" in each.symbol:
        root, series = each.symbol.split("$")
        return f"{root}p{series}", f"{root}-{series}"
    if each.kind in _CQS:
        tape, sign = _CQS[each.kind]
        return root + tape, root + sign
    return each.symbol, each.symbol


def _yes(is_so: bool) -> str:
    return "Y" if is_so else "N"
