"""The ccxt client of one exchange as we use it: every request passes the gate, and no bad answer passes for a good one.

ccxt itself turns a body that is cut short into an empty list, takes candles without a time for none, and retries or
waits where it sees fit. The client made here is its own class with four of its hooks taken: the request (gate), the
status (refusals with their Retry-After), the parsing of JSON, and the parsing of candles.
"""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import math
import ssl
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from src.config.schema import LiveSource
from src.core.errors import ConfigError
from src.fetching.network import ca_file, proxy
from src.fetching.provider import Malformed, ProviderError, Refusal, RequestGate, Stopped, Unavailable, Unknown
from src.runtime.redaction import masked
from src.sources import registry

_REFUSED = {403: "forbidden", 418: "banned for a while", 429: "too many requests", 451: "not from this country"}
_WORDS = 200  # characters of what an exchange says that are kept


def client(exchange: str, settings: LiveSource, gate: RequestGate) -> Any:
    """A ccxt client without keys, for one thread.

    Parameters
    ----------
    exchange
        Name as ccxt has it: coinbaseexchange, kraken, binanceus, ...
    settings
        Timeout, proxy and certificates.
    gate
        Asked before every request, told of every answer.

    Raises
    ------
    ConfigError
        Where ccxt knows no such exchange, or it serves no candles.
    """
    made = _class(exchange)({"enableRateLimit": False, "timeout": int(settings.timeout * 1000)})
    made.gate = gate
    made.has["fetchCurrencies"] = False  # a second request for what the markets say already
    made.httpsProxyCallback = lambda url, *_: proxy(settings, urlsplit(url).hostname)
    bundle = ca_file(settings)
    if bundle:
        made.validateServerSsl = bundle  # ccxt hands requests `verify and validateServerSsl`, which is the latter
    return made


@functools.cache
def _class(exchange: str) -> Any:
    import ccxt

    if exchange not in ccxt.exchanges:
        links = registry.links()
        close = difflib.get_close_matches(exchange.lower(), [*links, *ccxt.exchanges], n=3)
        known = f": a link is {', '.join(links)} or an exchange as ccxt names it"
        hint = f"; did you mean {' or '.join(close)}?" if close else known
        raise ConfigError(f"source.live.chain: ccxt has no exchange {exchange}{hint}")
    known = getattr(ccxt, exchange)
    if known().has["fetchOHLCV"] is not True:
        raise ConfigError(f"source.live.chain: {exchange} serves no candles of its own: take another exchange")
    hooks = {
        "fetch": _fetch(known),
        "on_rest_response": _on_rest_response(known),
        "parse_json": _parse_json,
        "parse_ohlcvs": _parse_ohlcvs(known),
    }
    return type(exchange, (known,), hooks)


def _fetch(known: Any) -> Callable[..., Any]:
    import ccxt

    def fetch(self: Any, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        self.gate.enter()
        try:
            answer = known.fetch(self, url, method, headers, body)
        except Refusal as error:
            self.gate.refused(error.retry_after)
            raise
        except (ccxt.RateLimitExceeded, ccxt.DDoSProtection, ccxt.RestrictedLocation) as error:
            self.gate.refused(None)
            raise Refusal(said(error)) from error
        except (ProviderError, ccxt.ExchangeError, ccxt.BadResponse):
            self.gate.answered()
            raise
        self.gate.answered()
        if not isinstance(answer, dict | list):
            if not answer:
                raise Unavailable(f"{self.id} sent an empty body")
            raise Malformed(f"{self.id} sent something else than JSON: {_short(str(answer))}")
        if isinstance(answer, dict) and answer.get("result", answer) is None:
            raise Malformed(f"{self.id} sent a result of null")
        return answer

    return fetch


def _on_rest_response(known: Any) -> Callable[..., Any]:
    def on_rest_response(self: Any, code: int, reason: str, url: str, method: str, headers: Any, *rest: Any) -> Any:
        if code in _REFUSED:
            raise Refusal(f"{self.id} answers {code}: {_REFUSED[code]}", retry_after(headers))
        if code >= 500:
            raise Unavailable(f"{self.id} answers {code} {reason or ''}".strip())
        return known.on_rest_response(self, code, reason, url, method, headers, *rest)

    return on_rest_response


def _parse_json(self: Any, body: str) -> Any:
    """What the body holds; None where it is no JSON at all, which `_fetch` refuses where nothing else does."""
    if not body or body[0] not in "{[":
        return None
    try:
        return self.on_json_response(body)
    except ValueError as error:
        raise Unavailable(f"{self.id} sent JSON that is cut short or broken: {_short(str(error))}") from error


def _parse_ohlcvs(known: Any) -> Callable[..., Any]:
    def parse_ohlcvs(self: Any, candles: Any, *rest: Any, **named: Any) -> Any:
        if not isinstance(candles, list):
            raise Malformed(f"{self.id} sent candles that are no list but {_short(repr(candles))}")
        lengths = {len(each) if isinstance(each, list | dict) else 0 for each in candles}
        if len(lengths) > 1 or (lengths and min(lengths) < 6):
            raise Malformed(f"{self.id} sent candles of {_short(str(sorted(lengths)))} values, six or more are due")
        parsed = [self.parse_ohlcv(each, *rest[:1]) for each in candles]
        if any(not row[0] for row in parsed):
            raise Malformed(f"{self.id} sent a candle without a time")
        return known.parse_ohlcvs(self, candles, *rest, **named)

    return parse_ohlcvs


def retry_after(headers: Any, now: dt.datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, from a number or a date; None where there is none or it is neither.

    Parameters
    ----------
    headers
        Of the answer, whatever the case of their names.
    now
        UTC; None reads the clock.
    """
    named = {name.lower(): str(value).strip() for name, value in dict(headers or {}).items()}
    text = named.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(text) - (now or dt.datetime.now(dt.UTC))).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def translated(error: Exception) -> Exception:
    """The `ProviderError` that one of ccxt's errors amounts to; what is of neither stays as it is.

    What ccxt does not foresee in an answer ends as a LookupError or the like inside it, so those count as malformed.
    """
    import ccxt

    kinds: list[tuple[tuple[type[Exception], ...], type[ProviderError]]] = [
        ((ccxt.BadSymbol, ccxt.InvalidOrder), Unknown),  # coinbaseexchange's "NotFound" is an OrderNotFound
        ((ccxt.RateLimitExceeded, ccxt.DDoSProtection, ccxt.RestrictedLocation), Refusal),
        ((ccxt.OperationFailed,), Unavailable),
        ((ccxt.BaseError, LookupError, TypeError, AttributeError, ValueError), Malformed),
    ]
    if isinstance(error, ProviderError | Stopped | ConfigError):
        return error
    if isinstance(error, ccxt.PermissionDenied) and "not available" in str(error):
        return Unknown(said(error))
    if _is_tls(error):
        return Unavailable(said(error))
    return next((kind(said(error)) for known, kind in kinds if isinstance(error, known)), error)


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError) or type(error).__name__ == "SSLError":
            return True
        error = error.__cause__
    return False


def said(error: BaseException) -> str:
    """What an error says, in one short line without secrets; of a broken connection first what broke it."""
    words = str(error).strip() or type(error).__name__
    deepest = _reason(error)
    return _short(words if deepest is error else f"{str(deepest).strip() or type(deepest).__name__}: {words}")


def _reason(error: BaseException) -> BaseException:
    """The innermost reason: requests and urllib3 put it in an argument, in `reason`, or raise from it."""
    inner = [error.__cause__, getattr(error, "reason", None), *error.args]
    found = next((each for each in inner if isinstance(each, BaseException)), None)
    return error if found is None or isinstance(found, ProviderError) else _reason(found)


def _short(text: str) -> str:
    line = " ".join(masked(text).split())
    return line if len(line) <= _WORDS else f"{line[:_WORDS]}..."
