"""The ccxt client of one exchange: every request passes the gate, and no bad answer passes for a good one.

By itself, ccxt turns a truncated body into an empty list, drops candles without a time, and decides when to retry or
wait. The client made here is its class with four methods overridden: the request (gate), the status (refusals with
their Retry-After), the parsing of JSON, and the parsing of candles.
"""

from __future__ import annotations

import difflib
import functools
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from src.config.schema import LiveSource
from src.core.errors import ConfigError
from src.fetching.network import ca_file, proxy
from src.fetching.obstacle import CERTIFICATE, is_page, kind_of
from src.fetching.provider import (
    Malformed,
    ProviderError,
    Refusal,
    RequestGate,
    Stopped,
    Unavailable,
    Unknown,
    Unreachable,
    WebPage,
)
from src.fetching.retry_after import retry_after
from src.runtime.redaction import masked
from src.sources import registry

_REFUSED = {403: "forbidden", 418: "banned for a while", 429: "too many requests", 451: "blocked in this country"}
_MESSAGE = 200  # characters of an exchange's message that are kept


def client(exchange: str, settings: LiveSource, gate: RequestGate) -> Any:
    """Make a ccxt client without keys, for one thread.

    Parameters
    ----------
    exchange : str
        Name as in ccxt: coinbaseexchange, kraken, binanceus, ...
    settings : LiveSource
        Timeout, proxy and certificates.
    gate : RequestGate
        Passed before every request, and notified of every answer.

    Returns
    -------
    ccxt.Exchange
        With the methods of ccxt.

    Raises
    ------
    ConfigError
        If ccxt has no such exchange, or the exchange serves no candles.
    """
    made = _class(exchange)({"enableRateLimit": False, "timeout": int(settings.timeout * 1000)})
    made.gate = gate
    made.has["fetchCurrencies"] = False  # a second request for what the markets have already
    made.httpsProxyCallback = lambda url, *_: proxy(settings, urlsplit(url).hostname)
    bundle = ca_file(settings)
    if bundle:
        made.validateServerSsl = bundle  # ccxt passes `verify and validateServerSsl` to requests, which is the latter
    return made


def hosts(exchange: str) -> tuple[str, ...]:
    """Hosts of an exchange's public interface.

    Parameters
    ----------
    exchange : str
        Name as in ccxt.

    Raises
    ------
    ConfigError
        As of `client`.
    """
    made = _class(exchange)()
    public = made.urls["api"]
    address = public.get("public") or public.get("rest") if isinstance(public, dict) else public
    named = made.implode_params(address, {"hostname": made.hostname}) if isinstance(address, str) else ""
    return (_host(named),) if _host(named) else ()


@functools.cache
def _class(exchange: str) -> Any:
    import ccxt

    if exchange not in ccxt.exchanges:
        links = registry.links()
        close = difflib.get_close_matches(exchange.lower(), [*links, *ccxt.exchanges], n=3)
        rule = f": a link is {', '.join(links)} or an exchange as ccxt names it"
        hint = f"; did you mean {' or '.join(close)}?" if close else rule
        raise ConfigError(f"source.live.chain: ccxt has no exchange {exchange}{hint}")
    library_class = getattr(ccxt, exchange)
    if library_class().has["fetchOHLCV"] is not True:
        raise ConfigError(f"source.live.chain: {exchange} serves no candles of its own: take another exchange")
    hooks = {
        "fetch": _fetch(library_class),
        "on_rest_response": _on_rest_response(library_class),
        "parse_json": _parse_json,
        "parse_ohlcvs": _parse_ohlcvs(library_class),
    }
    return type(exchange, (library_class,), hooks)


def _fetch(library_class: Any) -> Callable[..., Any]:
    import ccxt

    def fetch(self: Any, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        self.gate.enter()
        try:
            answer = library_class.fetch(self, url, method, headers, body)
        except Refusal as error:
            self.gate.refused(error.retry_after)
            raise
        except (ccxt.RateLimitExceeded, ccxt.DDoSProtection, ccxt.RestrictedLocation) as error:
            self.gate.refused(None)
            raise Refusal(error_message(error)) from error
        except (ProviderError, ccxt.ExchangeError, ccxt.BadResponse) as error:
            if _is_tls(error):
                raise _with_host(provider_error(error), url) from error
            self.gate.answered()
            raise
        except ccxt.NetworkError as error:
            raise _with_host(provider_error(error), url) from error
        self.gate.answered()
        if not isinstance(answer, dict | list):
            if not answer:
                raise Unavailable(f"{self.id} sent an empty body")
            if is_page(str(answer)[:100].encode()):
                raise WebPage(f"{self.id} did not send JSON but a web page: {_short(str(answer))}", _host(url))
            raise Malformed(f"{self.id} did not send JSON: {_short(str(answer))}")
        if isinstance(answer, dict) and answer.get("result", answer) is None:
            raise Malformed(f"{self.id} sent a result of null")
        return answer

    return fetch


def _on_rest_response(library_class: Any) -> Callable[..., Any]:
    def on_rest_response(self: Any, code: int, reason: str, url: str, method: str, headers: Any, *rest: Any) -> Any:
        if code in _REFUSED:
            raise Refusal(f"{self.id} answers {code}: {_REFUSED[code]}", _retry_after(headers))
        if code >= 500:
            raise Unavailable(f"{self.id} answers {code} {reason or ''}".strip())
        return library_class.on_rest_response(self, code, reason, url, method, headers, *rest)

    return on_rest_response


def _retry_after(headers: Any) -> float | None:
    """Seconds that an answer's headers ask for, whatever the case of their names."""
    named = {name.lower(): str(value).strip() for name, value in dict(headers or {}).items()}
    return retry_after(named.get("retry-after"))


def _parse_json(self: Any, body: str) -> Any:
    """Parse the body; None if it is not JSON at all, which `_fetch` refuses unless another hook does."""
    if not body or body[0] not in "{[":
        return None
    try:
        return self.on_json_response(body)
    except ValueError as error:
        raise Unavailable(f"{self.id} sent truncated or broken JSON: {_short(str(error))}") from error


def _parse_ohlcvs(library_class: Any) -> Callable[..., Any]:
    def parse_ohlcvs(self: Any, candles: Any, *rest: Any, **named: Any) -> Any:
        if not isinstance(candles, list):
            raise Malformed(f"{self.id} sent candles as {_short(repr(candles))} instead of a list")
        lengths = {len(candle) if isinstance(candle, list | dict) else 0 for candle in candles}
        if len(lengths) > 1 or (lengths and min(lengths) < 6):
            raise Malformed(f"{self.id} sent candles of {_short(str(sorted(lengths)))} values instead of six or more")
        parsed = [self.parse_ohlcv(candle, *rest[:1]) for candle in candles]
        if any(not row[0] for row in parsed):
            raise Malformed(f"{self.id} sent a candle without a time")
        return library_class.parse_ohlcvs(self, candles, *rest, **named)

    return parse_ohlcvs


def provider_error(error: Exception) -> Exception:
    """Convert an error of ccxt's to the `ProviderError` that it means.

    Parameters
    ----------
    error : Exception
        Raised by a method of ccxt's. Answers that ccxt does not expect end as a LookupError or the like inside it, so
        those count as malformed.

    Returns
    -------
    Exception
        A `ProviderError`; the error itself if it is one already, or none that ccxt raises.
    """
    import ccxt

    kinds: list[tuple[tuple[type[Exception], ...], type[ProviderError]]] = [
        ((ccxt.BadSymbol, ccxt.InvalidOrder), Unknown),  # "NotFound" of coinbaseexchange is an OrderNotFound
        ((ccxt.RateLimitExceeded, ccxt.DDoSProtection, ccxt.RestrictedLocation), Refusal),
        ((ccxt.OperationFailed,), Unavailable),
        ((ccxt.BaseError, LookupError, TypeError, AttributeError, ValueError), Malformed),
    ]
    if isinstance(error, ProviderError | Stopped | ConfigError):
        return error
    if isinstance(error, ccxt.PermissionDenied) and "not available" in str(error):
        return Unknown(error_message(error))
    if _is_tls(error):
        return Unreachable(error_message(error), kind_of(_causes(error)) or CERTIFICATE)
    if isinstance(error, ccxt.OperationFailed) and (obstacle := kind_of(_causes(error))):
        return Unreachable(error_message(error), obstacle)
    return next((kind(error_message(error)) for types, kind in kinds if isinstance(error, types)), error)


def _with_host(error: Exception, url: str) -> Exception:
    if isinstance(error, Unreachable):
        return Unreachable(f"{_host(url)} can't be reached: {error}", error.obstacle, _host(url))
    return error


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _causes(error: BaseException) -> str:
    """The words of an error and of all its causes; without the address that was asked."""
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__ or cause.__context__
    return " ".join(chain)


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError) or type(error).__name__ == "SSLError":
            return True
        error = error.__cause__
    return False


def error_message(error: BaseException) -> str:
    """Put an error in one short line without secrets.

    Parameters
    ----------
    error : BaseException
        Of ccxt, requests or urllib3.

    Returns
    -------
    str
        Its message; for a broken connection the innermost cause comes first.
    """
    message = str(error).strip() or type(error).__name__
    cause = _innermost(error)
    return _short(message if cause is error else f"{str(cause).strip() or type(cause).__name__}: {message}")


def _innermost(error: BaseException) -> BaseException:
    """The innermost cause: requests and urllib3 put it in an argument, in `reason`, or raise from it."""
    inner = [error.__cause__, getattr(error, "reason", None), *error.args]
    cause = next((value for value in inner if isinstance(value, BaseException)), None)
    return error if cause is None or isinstance(cause, ProviderError) else _innermost(cause)


def _short(text: str) -> str:
    line = " ".join(masked(text).split())
    return line if len(line) <= _MESSAGE else f"{line[:_MESSAGE]}..."
