"""How the loopback world misbehaves: by a seeded plan for each symbol and try, and in storms that hit all requests.

There are three kinds. *Passing* faults spoil the first one or two answers to a symbol, for any client. *Lasting* ones
stay: the symbol ends in a state other than fetched. *Odd values* are part of what is served, and must be stored as
served.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from tests.loopback.wire import HTML, JSON, TEXT, Reply
from tests.loopback.world import Series, World, stream

PASSING = (
    "429", "429 with Retry-After", "500 JSON", "502 HTML", "503 HTML", "reset", "timeout", "truncated", "cut",
    "empty", "null result", "ragged", "HTML with 200", "no quotes", "not found once",
)  # fmt: skip
LASTING = {
    "delisted": "unknown",
    "gone": "unknown",
    "renamed": "unfit",
    "other currency": "unfit",
    "always ragged": "failed",
    "always 500": "failed",
}
ODD = ("duplicate", "disordered", "nan", "zero", "negative", "infinite", "unadjusted split")
ODD_FROM = np.datetime64("2025-01-01")
_FOR_COINS = ("429", "429 with Retry-After", "500 JSON", "502 HTML", "reset", "timeout", "truncated", "cut", "empty")
_PAGE = b"<html><head><title>Yahoo</title></head><body><h1>Will be right back...</h1></body></html>"
_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>"


@dataclass(frozen=True)
class Plan:
    """What is wrong with a symbol."""

    kind: str
    times: int = 0  # answers spoilt; 0: all


@dataclass(frozen=True)
class Storm:
    """A number of requests that a provider refuses, from request number `after` on, for any symbol and client."""

    provider: str
    after: int
    refusals: int
    retry_after: float | None = None  # seconds


class Faults:
    """The schedule of faults, and how far it has been played.

    Parameters
    ----------
    world
        The world whose symbols have faults.
    share
        Share of the symbols that have a fault; every kind occurs.
    storms
        Periods in which all requests are refused.
    retry_after
        Seconds named in a single 429.
    """

    def __init__(
        self,
        world: World,
        share: float = 0.0,
        storms: tuple[Storm, ...] = (),
        retry_after: float = 1.0,
    ) -> None:
        self.world, self.storms, self.retry_after, self.on = world, storms, retry_after, True
        self.plans = plans(world, share)
        self.asked: Counter[tuple[str, str]] = Counter()
        self.played: Counter[str] = Counter()
        self._refused: Counter[Storm] = Counter()

    def forget(self) -> None:
        """Restart the schedule."""
        for counter in (self.asked, self.played, self._refused):
            counter.clear()

    def storm(self, provider: str, number: int) -> Reply | None:
        """A refusal, if the provider's request of this number falls into a storm."""
        for each in self.storms if self.on else ():
            if each.provider == provider and number > each.after and self._refused[each] < each.refusals:
                self._refused[each] += 1
                self.played["storm"] += 1
                return refusal(provider, each.retry_after)
        return None

    def spoiled(self, provider: str, subject: str | None, reply: Reply) -> Reply:
        """The reply, with the fault of this try if there is one."""
        if subject is None:
            return reply
        self.asked[provider, subject] += 1
        plan = self.plans.get(subject) if self.on else None
        if plan is None or plan.kind in ODD or (plan.times and self.asked[provider, subject] > plan.times):
            return reply
        if provider != "yahoo" and plan.kind not in _FOR_COINS:
            return reply
        self.played[plan.kind] += 1
        return self._spoil(provider, plan.kind, reply)

    def series(self, name: str, series: Series) -> Series:
        """What is served for a symbol: the series, with its odd values if it has any."""
        plan = self.plans.get(name)
        return odd(series, plan.kind, self.world.seed, name) if self.on and plan and plan.kind in ODD else series

    def _spoil(self, provider: str, kind: str, reply: Reply) -> Reply:
        body = reply.body
        errors = {
            "500 JSON": _error(500, "Internal Server Error", "internal error"),
            "always 500": _error(500, "Internal Server Error", "internal error"),
            "not found once": _error(404, "Not Found", "No data found, symbol may be delisted"),
            "delisted": _error(404, "Not Found", "No data found, symbol may be delisted"),
            "gone": _error(400, "Bad Request", "Data doesn't exist for startDate = 1388552400, endDate = 1795341216"),
        }
        if kind in errors:
            return errors[kind]
        if kind in ("429", "429 with Retry-After"):
            return refusal(provider, self.retry_after if kind != "429" else None)
        if kind in ("ragged", "always ragged", "null result", "no quotes", "renamed", "other currency"):
            return dataclasses.replace(reply, body=_rewritten(kind, body))
        return {
            "502 HTML": Reply(502, _GATEWAY, HTML),
            "503 HTML": Reply(503, _PAGE, HTML),
            "reset": dataclasses.replace(reply, reset=True),
            "timeout": dataclasses.replace(reply, stall=True),
            "truncated": dataclasses.replace(reply, sent=len(body) // 2),
            "cut": dataclasses.replace(reply, body=body[: len(body) // 2]),
            "empty": Reply(200, b"", JSON),
            "HTML with 200": Reply(200, _PAGE, HTML),
        }[kind]


def plans(world: World, share: float) -> dict[str, Plan]:
    """Faults by Yahoo's symbol: the kinds alternate over a shuffled list."""
    shares = [each.yahoo for each in world.instruments.values() if each.kind in ("common", "adr", "etf")]
    coins = [each.yahoo for each in world.instruments.values() if each.kind == "coin"]
    found: dict[str, Plan] = {}
    for names, kinds in ((shares, (*PASSING, *LASTING, *ODD)), (coins, _FOR_COINS)):
        random = stream(world.seed, "faults", len(kinds))
        chosen = random.permutation(sorted(names))[: round(len(names) * share)]
        for i, name in enumerate(chosen):
            kind = kinds[i % len(kinds)]
            once = kind.endswith("once")
            found[str(name)] = Plan(kind, 1 if once else 1 + int(random.integers(2)) if kind in PASSING else 0)
    return found


def odd(series: Series, kind: str, seed: int, name: str) -> Series:
    """The series with odd values on days from `ODD_FROM` on, chosen by the seed: the same days in any window."""
    n = len(series.days)
    at = int(np.searchsorted(series.days, ODD_FROM)) + int(stream(seed, "odd", name).integers(20, 200))
    if at + 20 > n:
        return series
    if kind in ("duplicate", "disordered"):
        order = np.arange(n)
        if kind == "duplicate":
            order = np.insert(order, at, at)
        else:
            order[at : at + 20] = order[at : at + 20][::-1]
        columns = {
            f: getattr(series, f)[order] for f in ("days", "open", "high", "low", "close", "adj_close", "volume")
        }
        return Series(**columns, events=series.events)
    made = Series(**{f.name: getattr(series, f.name) for f in dataclasses.fields(series)})
    prices = ("open", "high", "low", "close", "adj_close")
    value = {"nan": np.nan, "zero": 0.0, "negative": -1.5, "infinite": np.inf}.get(kind)
    for column in prices:
        values = getattr(series, column).copy()
        if value is None:
            values[:at] *= 4.0
        else:
            values[at : at + 2] = value
        setattr(made, column, values)
    if kind == "nan":
        made.volume = series.volume.copy()
        made.volume[at : at + 2] = np.nan
    return made


def refusal(provider: str, retry_after: float | None) -> Reply:
    """The provider's reply to too many requests."""
    headers = {"Retry-After": f"{retry_after:g}"} if retry_after is not None else {}
    if provider == "kraken" and retry_after is None:
        return Reply(200, b'{"error":["EGeneral:Too many requests"]}', JSON)
    if provider == "binanceus":
        words = (
            b'{"code":-1003,"msg":"Too much request weight used; current limit is 1200 request weight per 1 MINUTE."}'
        )
        return Reply(429, words, JSON, headers)
    if provider == "coinbaseexchange":
        return Reply(429, b'{"message":"Public rate limit exceeded"}', JSON, headers)
    return Reply(429, b"Too Many Requests\r\n", TEXT, headers)


def _error(status: int, code: str, description: str) -> Reply:
    return Reply(
        status, orjson.dumps({"chart": {"result": None, "error": {"code": code, "description": description}}}), JSON
    )


def _rewritten(kind: str, body: bytes) -> bytes:
    """A chart with a fault in it; other answers stay as they are."""
    tree: dict[str, Any] = orjson.loads(body)
    if not tree.get("chart", {}).get("result"):
        return body
    result = tree["chart"]["result"][0]
    if kind == "null result":
        tree["chart"]["result"] = None
    elif kind == "no quotes":
        result["indicators"] = {"quote": [{}], "adjclose": [{}]}
    elif kind == "renamed":
        result["meta"]["symbol"] = "RENAMED"
    elif kind == "other currency":
        result["meta"]["currency"] = "EUR"
    else:
        quote = result["indicators"]["quote"][0]
        quote["close"] = quote["close"][: len(quote["close"]) // 2]
    return orjson.dumps(tree)
