"""Every column of research against a loop over the facts that were known at a bar, written from its paper."""

import datetime as dt
import math

import numpy as np
import pytest

from src.documents.facts import CHANNELS, FILING_FORMS
from src.features.compute import compute
from src.features.fact_lookup import FactLookup
from src.market.calendar import latest_session, session_close
from tests.features.facts_case import FIRST, coverage, facts, moments_of
from tests.features.series import lively
from tests.features.sets import OF_RESEARCH

BARS = lively(760, 4)
TABLES = facts(seed=9, moments=moments_of(BARS))
SPLIT_AT = 480  # bar at which each share becomes three
BARS = BARS.with_columns(split=np.where(np.arange(760) < SPLIT_AT, 3.0, 1.0))
COLUMNS = compute(BARS, OF_RESEARCH, None, FactLookup(TABLES, coverage()))
CLOSES = [session_close("stock", latest_session("stock", day)) for day in BARS["date"]]
ROWS = {kind: table.to_dicts() for kind, table in TABLES.items()}
DAY = dt.timedelta(days=1)
SAMPLED = (30, 70, 130, 291, 400, 479, 480, 481, 530, 560, 601, 660, 759)


class Then:
    """What is known at a bar."""

    def __init__(self, row: int) -> None:
        self.row, self.close = row, CLOSES[row]
        self.bars = BARS[: row + 1]

    def known(self, kind, after=None, **chosen):
        """Facts that are known, oldest first, of a time and with some values."""
        return [
            fact
            for fact in ROWS[kind]
            if fact["known"] <= self.close
            and (after is None or fact["known"] > after)
            and all(fact[name] in (value if isinstance(value, tuple) else (value,)) for name, value in chosen.items())
        ]

    def days(self, count):
        return self.close - count * DAY

    def bars_ago(self, count):
        return CLOSES[self.row - count]

    def age(self, fact):
        return (self.close - fact["known"]) / DAY

    def money(self, bars):
        return float((self.bars["close"] * self.bars["volume"]).tail(bars).sum())


def usd(trade) -> float:
    return trade["value"] or 0.0


def every(_trade):
    return True


def net(then, bars, keep=every):
    trades = then.known("insider_trades", then.bars_ago(bars))
    return sum(usd(trade) for trade in trades if keep(trade)) / then.money(bars)


def own_trades(then, after=None):
    """Without corrections of earlier trades."""
    trades = then.known("insider_trades", after)
    return [trade for trade in trades if trade["shares"] is not None and trade["correction"] != 1]


def purchase_ratio(then):
    sides = [trade["shares"] > 0 for trade in own_trades(then, then.days(180))]
    return (2 * sum(sides) - len(sides)) / len(sides) if sides else 0.0


def breadth(then):
    trades = own_trades(then, then.days(90))
    return len({t["owner"] for t in trades if t["shares"] > 0}) - len({t["owner"] for t in trades if t["shares"] < 0})


def planned_share(then):
    sold = [t for t in own_trades(then, then.days(180)) if t["planned"] is not None and t["shares"] < 0]
    every = sum(usd(t) for t in sold)
    return sum(usd(t) for t in sold if t["planned"]) / every if every else math.nan


def since(then, found, most):
    return min(then.age(found[-1]), most) if found and then.age(found[-1]) <= most else most


def reports(then, **chosen):
    forms = (FILING_FORMS["10-K"], FILING_FORMS["10-Q"])
    return [each for each in then.known("filings", form=forms, **chosen) if each["amended"] != 1]


def last_report(then, field):
    found = reports(then)
    value = found[-1][field] if found and then.age(found[-1]) <= 400 else None
    return math.nan if value is None else value


def length_change(then):
    found = reports(then)
    if not found or then.age(found[-1]) > 400 or not found[-1]["length"]:
        return math.nan
    last = found[-1]
    before = [each for each in found[:-1] if each["form"] == last["form"]]
    before = [each for each in before if abs(last["period"] - 365.25 - each["period"]) <= 45]
    if not before or not before[-1]["length"]:
        return math.nan
    return math.log(last["length"] / before[-1]["length"])


def plain(then, **chosen):
    return [each for each in then.known("filings", **chosen) if each["amended"] != 1]


def fading(then, flag):
    found = then.known("filings", **{flag: 1.0})
    return 0.5 ** (then.age(found[-1]) / 90) if found and then.age(found[-1]) < 365 else 0.0


def to_earnings(then):
    past = plain(then, earnings=1.0)
    if not past or then.age(past[-1]) > 400:
        return math.nan
    dates = [max(each["accepted"] for each in past[: at + 1]) for at in range(len(past))]
    following = [date + 364 for date in dates[:-1] if date + 364 >= dates[-1] + 45]
    if not following:
        return math.nan
    left = following[0] - then.close.timestamp() / 86400
    return left if -30 <= left <= 365 else math.nan


def statement(then):
    found = then.known("statements")
    newest = max((each["period"] for each in found), default=None)
    last = [each for each in found if each["period"] == newest][-1:]
    return last[0] if last and then.age(last[0]) <= 400 else None


def ratio(then, value, divisor, nonpositive=False):
    own = statement(then)
    parts = [value(own), divisor(own)] if own else [None]
    if any(part is None or math.isnan(part) for part in parts) or (parts[1] <= 0 and not nonpositive):
        return math.nan
    return parts[0] / parts[1]


def minus(a, b):
    return lambda own: None if own[a] is None or own[b] is None else own[a] - own[b]


def of(name):
    return lambda own: own[name]


def mean_assets(own):
    return None if own["assets"] is None or own["assets_before"] is None else (own["assets"] + own["assets_before"]) / 2


def split_then(moment) -> float:
    at = [row for row, close in enumerate(CLOSES) if close <= moment]
    return float(BARS["split"][at[-1]]) if at else math.nan


def market_value(then):
    def value(own):
        if own["shares"] is None:
            return None
        traded = float(then.bars["close"][-1]) * split_then(then.close)  # price as it was traded
        shares = own["shares"] * split_then(own["known"]) / split_then(then.close)  # as they were counted then
        return traded * shares

    return value


def issuance(then):
    own = statement(then)
    if own is None or own["shares"] is None or own["shares_before"] is None:
        return math.nan
    grown = split_then(own["known"] - 365 * DAY) / split_then(own["known"])
    return math.log(own["shares"] / own["shares_before"] / grown)


def texts(then, bars):
    return then.known("text_scores", then.bars_ago(bars))


def tone(then, bars, before=None):
    said = then.known("text_scores", then.bars_ago(bars))
    said = [text for text in said if before is None or text["known"] <= then.bars_ago(before)]
    weight = sum(text["confidence"] for text in said)
    return sum(text["confidence"] * text["tone"] for text in said) / weight if said else math.nan


def disagreement(then):
    said = texts(then, 20)
    if len(said) < 2:
        return math.nan
    weights = [text["confidence"] for text in said]
    return float(np.sqrt(np.cov([text["tone"] for text in said], aweights=weights, ddof=0)))


def posts(then):
    said = texts(then, 20)
    return sum(text["channel"] == CHANNELS["post"] for text in said) / len(said) if said else math.nan


ANNUAL = tuple(float(FILING_FORMS[form]) for form in ("10-K", "20-F", "40-F"))
TEN_Q, EIGHT_K = FILING_FORMS["10-Q"], FILING_FORMS["8-K"]
NOTICES = (FILING_FORMS["NT 10-K"], FILING_FORMS["NT 10-Q"])
ORACLES = {
    "annual_report_age": lambda t: since(t, plain(t, form=ANNUAL), 500),
    "quarterly_report_age": lambda t: since(t, plain(t, form=TEN_Q), 250),
    "current_report_age": lambda t: since(t, plain(t, form=EIGHT_K), 365),
    "report_lateness": lambda t: last_report(t, "late"),
    "late_notice_90": lambda t: float(bool(t.known("filings", t.days(90), form=NOTICES))),
    "amended_reports_365": lambda t: len(t.known("filings", t.days(365), form=(*ANNUAL, TEN_Q), amended=1.0)),
    "report_similarity": lambda t: last_report(t, "similarity"),
    "report_length_change": length_change,
    "current_reports_90": lambda t: len([f for f in t.known("filings", t.days(90), form=EIGHT_K) if f["amended"] != 1]),
    "distress_signal": lambda t: fading(t, "distress"),
    "departure_signal": lambda t: fading(t, "departure"),
    "earnings_age": lambda t: since(t, plain(t, earnings=1.0), 200),
    "days_to_earnings": to_earnings,
    "insider_net_buying_21": lambda t: net(t, 21),
    "insider_net_buying_63": lambda t: net(t, 63),
    "insider_net_buying_126": lambda t: net(t, 126),
    "insider_purchases_63": lambda t: net(t, 63, lambda trade: (trade["shares"] or 0) > 0 and trade["correction"] != 1),
    "insider_opportunistic_buying_63": lambda t: net(t, 63, lambda trade: trade["routine"] == 0),
    "insider_routine_buying_63": lambda t: net(t, 63, lambda trade: trade["routine"] == 1),
    "insider_officer_buying_63": lambda t: net(t, 63, lambda trade: trade["officer"] == 1),
    "insider_purchase_ratio": purchase_ratio,
    "insider_breadth": breadth,
    "insider_planned_selling_share": planned_share,
    "insider_purchase_age": lambda t: since(t, [f for f in own_trades(t) if f["shares"] > 0], 365),
    "accruals": lambda t: ratio(t, minus("net_income", "operating_cash"), mean_assets),
    "gross_profitability": lambda t: ratio(t, of("gross_profit"), of("assets")),
    "return_on_equity": lambda t: ratio(t, of("net_income"), of("equity")),
    "asset_growth": lambda t: ratio(t, minus("assets", "assets_before"), of("assets_before")),
    "share_issuance": issuance,
    "statement_age": lambda t: t.close.timestamp() / 86400 - statement(t)["period"] if statement(t) else math.nan,
    "book_to_market": lambda t: ratio(t, of("equity"), market_value(t)),
    "earnings_yield": lambda t: ratio(t, of("net_income"), market_value(t)),
    "sales_yield": lambda t: ratio(t, of("revenue"), market_value(t)),
    "tone_1": lambda t: tone(t, 1),
    "tone_5": lambda t: tone(t, 5),
    "tone_20": lambda t: tone(t, 20),
    "tone_surprise_5_63": lambda t: tone(t, 5) - tone(t, 63, before=5),
    "text_attention_5": lambda t: math.log(1 + len(texts(t, 5))),
    "text_attention_shock_5_63": lambda t: math.log((1 + len(texts(t, 5))) / (1 + len(texts(t, 63)) * 5 / 63)),
    "disagreement_20": disagreement,
    "text_age": lambda t: since(t, t.known("text_scores"), 90),
    "social_share_20": posts,
}
FAMILIES = ("filings", "insiders", "fundamentals", "sentiment")


def test_every_column_has_an_oracle():
    assert {item.name for item in OF_RESEARCH if item.family in FAMILIES} == set(ORACLES)
    assert CLOSES[0] - 900 * DAY > FIRST


@pytest.mark.parametrize("name", ORACLES)
def test_a_column_is_what_a_loop_over_the_known_facts_gives(name):
    window = next(item.window for item in OF_RESEARCH if item.name == name)
    rows = [row for row in SAMPLED if row >= window - 1]
    expected = [ORACLES[name](Then(row)) for row in rows]
    found = [COLUMNS[name][row] for row in rows]
    found = [math.nan if value is None else value for value in found]
    assert found == pytest.approx(expected, rel=2e-6, abs=1e-7, nan_ok=True)
    assert np.isfinite(expected).any()


def test_the_loops_see_facts_on_either_side_of_a_close():
    """The comparison would say little if no fact stood beside a close that is sampled."""
    beside = [fact for rows in ROWS.values() for fact in rows if abs(fact["known"] - CLOSES[560]) <= 20 * DAY]
    close = {abs((fact["known"] - close).total_seconds()) for fact in beside for close in CLOSES[540:580]}
    assert min(close) <= 60
