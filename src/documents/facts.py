"""What is derived from documents: one table for each kind of fact, keyed by instrument and known time.

Every value is a float64, null where it is not known; days are days since 1970-01-01 (UTC), with a fraction.
"""

from __future__ import annotations

from typing import Any

import polars as pl

_MOMENT = pl.Datetime("us", "UTC")
KEY: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "known": _MOMENT,  # from then on decisions may use it
    "document": pl.String(),  # source:id:revision
    "backfilled": pl.Boolean(),  # whether `known` stands on a publisher's time plus a lag
}
FILING_FORMS = {"10-K": 1, "10-Q": 2, "8-K": 3, "NT 10-K": 4, "NT 10-Q": 5, "20-F": 6, "40-F": 7, "6-K": 8}
CHANNELS = {"filing": 1, "article": 2, "post": 3, "paper": 4, "file": 5}
FACTS: dict[str, dict[str, str]] = {  # kind: field: what it is
    "filings": {
        "form": "code of `FILING_FORMS`; amendments have the code of their form; null: a text of a known filing",
        "amended": "1 for an amendment (10-K/A), else 0",
        "accepted": "day when the SEC accepted it",
        "period": "last day of the period of report",
        "late": "days between the legal deadline of the form for this period and its acceptance; negative if early",
        "length": "words of the main document",
        "similarity": "cosine of its word counts with those of the same form a year before, in [0, 1]",
        "earnings": "1 for an 8-K with item 2.02, else 0",
        "departure": "1 for an 8-K with item 5.02",
        "distress": "1 for an 8-K with an item of 1.03, 2.04, 2.06, 3.01 or 4.02",
        "items": "number of items of an 8-K",
    },
    "insider_trades": {
        "shares": "shares bought (positive) or sold (negative) in the open market (codes P and S)",
        "value": "USD of these shares at the price stated, negative for a sale",
        "price": "USD a share",
        "held": "shares that the owner holds after it",
        "owner": "CIK of the owner",
        "officer": "1 if an officer, else 0",
        "director": "1 if a director, else 0",
        "owner_of_ten_percent": "1 if so, else 0",
        "planned": "1 under a 10b5-1 plan, 0 if not, null if the form does not say",
        "routine": "1 if the owner traded in this calendar month in each of the three years before, 0 if not, null "
        "without a known trade in each of these years (Cohen, Malloy and Pomorski 2012)",
        "traded": "day of the transaction",
        "correction": "1 where an amendment corrects an earlier trade: for sums, no trade of its own; else 0",
    },
    "statements": {
        "period": "last day of the fiscal period",
        "annual": "1 for a fiscal year, 0 for a quarter's twelve months",
        "assets": "USD, at the end of the period",
        "assets_before": "USD, a year earlier, as first filed",
        "equity": "USD, of common shareholders",
        "revenue": "USD of twelve months",
        "gross_profit": "USD of twelve months",
        "net_income": "USD of twelve months",
        "operating_cash": "USD of twelve months, cash flow from operations",
        "shares": "shares outstanding, of the cover page",
        "shares_before": "the same a year earlier",
    },
    "text_scores": {
        "tone": "in [-1, 1], positive if the text is good news for the price; null where no model may score the text",
        "confidence": "of the link to the instrument, in (0, 1]",
        "channel": "code of `CHANNELS`",
        "words": "words of the text",
        "published": "day as published; known if not stated",
        "fitted": "day of the fit of the word weights that gave the tone, null for a model that is not fitted: see "
        "`text_models.json` beside the facts for its name, version and fits",
    },
    "chain_summaries": {
        "volatility": "at the money, 30 days, a year",
        "skew": "volatility of the 25-delta put less that of the 25-delta call, 30 days, a year",
        "term_slope": "volatility at the money at 90 days less that at 30 days, a year",
        "put_call_volume": "puts traded over calls traded",
        "put_call_interest": "open puts over open calls",
        "volume": "contracts traded",
        "contracts": "clean quotes that it rests on",
    },
}
COVERAGE: dict[str, Any] = {  # intervals in which the absence of a fact says that there was none
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "fact": pl.String(),
    "since": _MOMENT,
    "until": _MOMENT,
}


def schema(kind: str) -> dict[str, Any]:
    """Columns and types of a kind of fact.

    Parameters
    ----------
    kind : str
        A key of `FACTS`.

    Returns
    -------
    dict of str to polars data type
    """
    return KEY | dict.fromkeys(FACTS[kind], pl.Float64())
