"""What is old about a quote: the last trade, the quote itself, or the whole market.

Free providers give the time of a contract's last trade but not of its quote, so the age of a quote must be inferred
from other signs. On four real snapshots (AAPL and SPY, 11 and 12 February 2026, 10 to 13 o'clock in New York):

- 58 to 77% of the contracts had not traded in the session, and yet their quotes moved with the underlying from one day
  to the next. An old trade thus says nothing about the quote (`stale_trade`): `last` is what may not be used.
- Of contracts that bid at least 1, nearly all that had last traded more than 42 days before (101 of 102 of AAPL's, 439
  of 442 of SPY's) had the same bid and ask on both days, though AAPL had moved by 3%; of AAPL's 1,660 others none had.
  They are quotes of weeks ago: all of AAPL's crossed ones are among them.
- At 10:09 on the second day, AAPL having opened 5 dollars lower, the quotes of contracts that had last traded 30 to 42
  days before still were those of the day before, off by 5.4 dollars; those of 28 to 30 days were right to 0.4. So it is
  the 30th day without a trade from which a quote is not looked after (`stale_quote`).
"""

from __future__ import annotations

import datetime as dt

import polars as pl

from src.market import calendar

UNTRADED_DAYS = 30  # without a trade, after which a provider's quote counts as not looked after
_EARLY = dt.timedelta(minutes=1)  # before the opening: clocks differ by seconds
_LATE = dt.timedelta(minutes=15)  # after the close: options of broad ETFs trade to 16:15
_TICK = 0.05


def session(captured: dt.datetime) -> tuple[dt.datetime, bool]:
    """Opening of the session that a capture shows, and whether that session was still on.

    Before the opening, at weekends and on holidays of the New York Stock Exchange it is the session before.

    Parameters
    ----------
    captured
        With a time zone.

    Returns
    -------
    tuple
        Opening in UTC, a minute early; true between it and a quarter of an hour after the close.
    """
    day = calendar.latest_session("stock", captured.astimezone(calendar.NEW_YORK).date())
    if captured < calendar.session_open("stock", day) - _EARLY:
        day = calendar.previous_session("stock", day)
    opening, close = calendar.session_open("stock", day), calendar.session_close("stock", day)
    return opening - _EARLY, captured <= close + _LATE


def age_flags(rows: pl.DataFrame) -> dict[str, pl.Expr]:
    """Flags of age that follow from one snapshot alone: closed, stale_trade, stale_quote.

    A contract whose last trade is not known counts as not traded in the session; its quote counts as fresh.

    Parameters
    ----------
    rows : DataFrame
        captured and last_trade.

    Returns
    -------
    dict of str to Expr
        Conditions by flag, for `with_flags`; empty without a time of capture.
    """
    sessions = {time: session(time) for time in rows["captured"].unique().drop_nulls()}
    if not sessions:
        return {}
    stamp = rows.schema["captured"]
    opening = pl.col("captured").replace_strict({t: s[0] for t, s in sessions.items()}, return_dtype=stamp)
    open_ = pl.col("captured").replace_strict({t: s[1] for t, s in sessions.items()}, return_dtype=pl.Boolean)
    return {
        "closed": ~open_,
        "stale_trade": pl.col("last_trade").is_null() | (pl.col("last_trade") < opening),
        "stale_quote": pl.col("captured") - pl.col("last_trade") > pl.duration(days=UNTRADED_DAYS),
    }


def quote_times(rows: pl.DataFrame) -> pl.Series:
    """Moment of each quote: its capture, or if the market was closed then, the close of the last session.

    A chain read on a Saturday shows prices of Friday's close: counting the time to expiry from Saturday would make
    every volatility too high.

    Parameters
    ----------
    rows : DataFrame
        captured, with a time zone.

    Returns
    -------
    Series
        One time per row, named quoted.
    """
    moments = {}
    for time in rows["captured"].unique().drop_nulls():
        opening, on = session(time)
        day = opening.astimezone(calendar.NEW_YORK).date()
        moments[time] = time if on else calendar.session_close("stock", day)
    kind = rows.schema["captured"]
    return pl.Series("quoted", [moments.get(time) for time in rows["captured"]], dtype=kind)


def unmoved_contracts(rows: pl.DataFrame, former: pl.DataFrame) -> list[str]:
    """Contracts whose quote should have moved since an earlier session and did not.

    Bid, ask and last trade are the same as in the `former` snapshot, while the forward moved by so much that the
    option, by its delta, had to move by more than twice its spread (and than two ticks).

    Parameters
    ----------
    rows, former
        Valued snapshots of one underlying, rows of `src.chains.quotes.SCHEMA`.

    Returns
    -------
    list of str
        Symbols of contracts; none where both snapshots are of the same session.
    """
    if not rows.height or not former.height:
        return []
    if session(rows["captured"].max())[0] == session(former["captured"].max())[0]:  # type: ignore[arg-type]
        return []
    names = ["contract", "bid", "ask", "last_trade", "forward"]
    both = rows.join(former.select(names), on="contract", suffix="_then")
    still = pl.all_horizontal(
        *(pl.col(name) == pl.col(f"{name}_then") for name in ("bid", "ask")),
        pl.col("last_trade").eq_missing(pl.col("last_trade_then")),
    )
    due = pl.col("delta").abs() * (pl.col("forward") - pl.col("forward_then")).abs()
    spread = pl.max_horizontal((pl.col("ask") - pl.col("bid")).abs(), pl.lit(_TICK))
    return both.filter(still & (due > 2 * spread))["contract"].to_list()
