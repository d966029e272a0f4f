"""Contract 11 over every feature that looks at facts, and each property shown to catch the fault it guards against."""

import dataclasses
import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from src.documents.facts import COVERAGE, FACTS
from src.features import fact_lookup
from src.features.compute import compute
from src.features.fact_lookup import FactLookup
from src.features.fact_units import MONEY, MONEY_A_SHARE, SHARES
from src.features.facts import at, count, latest, since_bar
from src.features.registry import Feature
from tests.features import facts_case
from tests.features.facts_case import coverage, facts, moments_of
from tests.features.series import frame, lively, market
from tests.features.sets import OF_RESEARCH, ON_BARS
from tests.features.test_documentation import bounds, returns
from tests.features.test_twins import twins

BARS, PANEL = lively(), market()
TABLES, COVERED = facts(moments=moments_of(BARS)), coverage()
CUTS = (290, 430, 560, 640)
NEW_YORK = ZoneInfo("America/New_York")


def planted(function, window: int = 1) -> list[Feature]:
    return [Feature("planted", "price", function, None, window, "none", 0.0, "this test")]


def columns(features, bars=BARS, tables=TABLES, covered=COVERED, interval="1d") -> dict[str, np.ndarray]:
    table = compute(bars, features, PANEL, FactLookup(tables, covered, interval))
    return {item.name: table[item.name].to_numpy().astype(np.float64) for item in features}


def differing(a, b, rows=slice(None), **tolerance) -> set[str]:
    return {name for name in a if not np.allclose(a[name][rows], b[name][rows], equal_nan=True, **tolerance)}


def exact(a, b, rows=slice(None)) -> set[str]:
    return {name for name in a if not np.array_equal(a[name][rows], b[name][rows], equal_nan=True)}


# what comes later ------------------------------------------------------------------------------------------------


def without(tables, close, covered):
    kept = {kind: table.filter(pl.col("known") <= close) for kind, table in tables.items()}
    return kept, covered.with_columns(until=pl.min_horizontal("until", pl.lit(close)))


def contradicted(tables, close, covered):
    """Later facts say the opposite."""
    later = pl.col("known") > close
    return {
        kind: table.with_columns(pl.when(later).then(pl.col(*FACTS[kind]) * -3 + 1).otherwise(pl.col(*FACTS[kind])))
        for kind, table in tables.items()
    }, covered


def shuffled(tables, close, covered):
    """Later facts become known at other times that are later too."""
    random, mixed = np.random.default_rng(3), {}
    for kind, table in tables.items():
        later = table.filter(pl.col("known") > close)
        times = later["known"].gather(random.permutation(later.height)) + dt.timedelta(hours=5)
        mixed[kind] = pl.concat([table.filter(pl.col("known") <= close), later.with_columns(times)])
    return mixed, covered


def revised(tables, close, covered):
    """Every fact that is known comes a second time, later, with other values."""
    again = {
        kind: table.filter(pl.col("known") <= close).with_columns(
            pl.lit(close + dt.timedelta(minutes=1)).alias("known"),
            pl.col("document").str.replace(":0", ":1"),
            *(pl.col(name) * -2 + 1 for name in FACTS[kind]),
        )
        for kind, table in tables.items()
    }
    return {kind: pl.concat([tables[kind], again[kind]]) for kind in tables}, covered


def left_uncovered(tables, close, covered):
    return tables, covered.with_columns(until=pl.lit(close))


CHANGES = (without, contradicted, shuffled, revised, left_uncovered)


def seeing_later_facts(features, bars=BARS, tables=TABLES, covered=COVERED, interval="1d", cuts=CUTS) -> set[str]:
    """Values up to a bar that change with facts, or coverage, of moments after its close."""
    whole, found = columns(features, bars, tables, covered, interval), set()
    for cut in cuts:
        close = dt.datetime.fromtimestamp(int(moments_of(bars, interval)[cut - 1]) / 1e6, dt.UTC)
        for change in CHANGES:
            again = columns(features, bars, *change(tables, close, covered), interval)
            found |= exact(whole, again, slice(cut))
        again = columns(features, bars[:cut], *without(tables, close, covered), interval)
        found |= exact({name: values[:cut] for name, values in whole.items()}, again)
    return found


def test_no_feature_sees_facts_that_are_known_after_the_close():
    assert seeing_later_facts(OF_RESEARCH) == set()


def test_no_feature_of_coins_or_of_hourly_bars_sees_later_facts():
    coin = lively(700, asset_class="crypto")
    tables = facts(("crypto", "AAA"), moments=moments_of(coin))
    assert seeing_later_facts(OF_RESEARCH, coin, tables, coverage(("crypto", "AAA")), cuts=(430,)) == set()
    hours = hourly(40)
    tables = facts(moments=moments_of(hours, "1h"))
    assert seeing_later_facts(OF_RESEARCH, hours, tables, COVERED, "1h", cuts=(90, 150)) == set()


def hourly(days: int, first: dt.date = dt.date(2015, 2, 17)) -> pl.DataFrame:
    """Bars of 9:30 to 15:30 New York time over the change of clocks in March 2015."""
    session = [dt.time(9, 30), *(dt.time(hour, 30) for hour in range(10, 16))]
    dates = [day for day in lively(60)["date"].to_list() if day >= first][:days]
    starts = [dt.datetime.combine(day, at, NEW_YORK).astimezone(dt.UTC) for day in dates for at in session]
    return lively(len(starts)).with_columns(date=pl.Series(starts, dtype=pl.Datetime("us", "UTC")))


def next_fact(text_scores):
    """The fault: facts are counted by where they lie, not by when they are known."""
    return at(text_scores.fields["tone"], np.minimum(text_scores.seen, len(text_scores.known) - 1))


def over_all_facts(statements):
    return at(statements.fields["assets"] / np.nanmean(statements.fields["assets"]), latest(statements))


def number_of_facts(filings):
    return np.full(len(filings.seen), float(len(filings.known)))


def coverage_of_tomorrow(filings):
    return np.r_[filings.covered[1:], False].astype(float)


@pytest.mark.parametrize("function", [next_fact, over_all_facts, number_of_facts, coverage_of_tomorrow])
def test_a_feature_that_sees_later_facts_is_caught(function):
    assert seeing_later_facts(planted(function)) == {"planted"}


@pytest.mark.parametrize("change", CHANGES[:4])
def test_each_change_of_later_facts_catches_a_feature_that_reads_ten_days_ahead(change, monkeypatch):
    monkeypatch.setattr("tests.features.test_research_properties.CHANGES", (change,))
    monkeypatch.setattr("tests.features.test_research_properties.without", lambda tables, _, covered: (tables, covered))

    def days_ahead(text_scores):
        seen = np.searchsorted(text_scores.known, text_scores.close + 10.0, side="right")
        return at(text_scores.fields["tone"], seen - 1) + at(text_scores.known, seen - 1)

    assert seeing_later_facts(planted(days_ahead)) == {"planted"}


# the moment ------------------------------------------------------------------------------------------------------

UTC = dt.UTC
BOUNDARIES = [  # asset class, interval, bars, close of the first of them
    ("stock", "1d", [dt.date(2015, 1, 14), dt.date(2015, 1, 15)], dt.datetime(2015, 1, 14, 21, tzinfo=UTC)),  # winter
    ("etf", "1d", [dt.date(2015, 7, 14), dt.date(2015, 7, 15)], dt.datetime(2015, 7, 14, 20, tzinfo=UTC)),  # summer
    ("stock", "1d", [dt.date(2015, 3, 6), dt.date(2015, 3, 9)], dt.datetime(2015, 3, 6, 21, tzinfo=UTC)),  # clocks
    ("stock", "1d", [dt.date(2015, 3, 9), dt.date(2015, 3, 10)], dt.datetime(2015, 3, 9, 20, tzinfo=UTC)),  # change
    ("stock", "1d", [dt.date(2015, 11, 27), dt.date(2015, 11, 30)], dt.datetime(2015, 11, 27, 18, tzinfo=UTC)),  # half
    ("crypto", "1d", [dt.date(2015, 1, 17), dt.date(2015, 1, 18)], dt.datetime(2015, 1, 18, tzinfo=UTC)),
    ("stock", "1h", [dt.datetime(2015, 1, 14, 15, 30, tzinfo=UTC), dt.datetime(2015, 1, 14, 16, 30, tzinfo=UTC)],
     dt.datetime(2015, 1, 14, 16, 30, tzinfo=UTC)),
    ("stock", "1h", [dt.datetime(2015, 1, 14, 20, 30, tzinfo=UTC), dt.datetime(2015, 1, 15, 14, 30, tzinfo=UTC)],
     dt.datetime(2015, 1, 14, 21, tzinfo=UTC)),  # the last half hour
    ("crypto", "15m", [dt.datetime(2015, 1, 14, 23, 45, tzinfo=UTC), dt.datetime(2015, 1, 15, tzinfo=UTC)],
     dt.datetime(2015, 1, 15, tzinfo=UTC)),
]  # fmt: skip
MINUTE, INSTANT = dt.timedelta(minutes=1), dt.timedelta(microseconds=1)


def first_bar(asset_class, interval, dates, known) -> int:
    """Bar at which a fact is first seen."""
    ones = np.ones(len(dates))
    kind = pl.Date() if interval == "1d" else pl.Datetime("us", "UTC")
    bars = frame(*[ones] * 6, "X", asset_class, lively(len(dates))["date"]).with_columns(
        date=pl.Series(dates, dtype=kind)
    )
    table = TABLES["text_scores"][:1].with_columns(asset_class=pl.lit(asset_class), symbol=pl.lit("X"), known=known)
    seen = planted(lambda text_scores: text_scores.seen.astype(float))
    found = compute(bars, seen, None, FactLookup({"text_scores": table}, None, interval))["planted"].to_list()
    return found.index(1.0) if 1.0 in found else len(found)


@pytest.mark.parametrize(("asset_class", "interval", "dates", "close"), BOUNDARIES)
def test_what_is_known_at_the_close_belongs_to_the_bar_and_what_comes_later_to_the_next(
    asset_class, interval, dates, close
):
    before = [close - MINUTE, close - INSTANT, close]
    assert [first_bar(asset_class, interval, dates, known) for known in before] == [0, 0, 0]
    assert [first_bar(asset_class, interval, dates, close + wait) for wait in (INSTANT, MINUTE)] == [1, 1]


def test_a_fact_of_the_weekend_belongs_to_monday():
    dates = [dt.date(2015, 1, 16), dt.date(2015, 1, 20), dt.date(2015, 1, 21)]  # Monday is a holiday
    assert first_bar("stock", "1d", dates, dt.datetime(2015, 1, 17, 12, tzinfo=UTC)) == 1
    assert first_bar("stock", "1d", dates, dt.datetime(2015, 1, 20, 21, 1, tzinfo=UTC)) == 2


def test_a_close_that_ignores_half_days_is_caught(monkeypatch):
    def at_four(asset_class, days):
        return days.cast(pl.Datetime("us")).dt.offset_by("16h").dt.replace_time_zone("America/New_York")

    monkeypatch.setattr(fact_lookup, "session_closes", at_four)
    fact_lookup._year.cache_clear()
    *bar, close = BOUNDARIES[4]
    assert first_bar(*bar, close + MINUTE) == 0
    fact_lookup._year.cache_clear()


# the other properties of columns ---------------------------------------------------------------------------------


def needing_more_than_the_window(features, bars=BARS, interval="1d") -> set[str]:
    whole, found = columns(features, bars, interval=interval), set()
    for item in features:
        for row in {item.window - 1, 4 * len(bars) // 5, len(bars) - 1} & {*range(item.window - 1, len(bars))}:
            alone = columns([item], bars[row - item.window + 1 : row + 1], interval=interval)[item.name][-1]
            if not np.array_equal(alone, whole[item.name][row], equal_nan=True):
                found.add(item.name)
    return found


def test_the_declared_window_suffices():
    assert needing_more_than_the_window(OF_RESEARCH) == set()
    assert needing_more_than_the_window(OF_RESEARCH, hourly(59, dt.date(2015, 1, 2)), "1h") == set()


def test_a_window_that_is_too_short_is_caught():
    def flow_of_five_bars(text_scores):
        return count(text_scores, np.ones(len(text_scores.known), dtype=bool), since_bar(text_scores, 200))

    assert needing_more_than_the_window(planted(flow_of_five_bars, 5)) == {"planted"}


def test_every_column_has_values_from_its_window_on_and_none_before():
    for name, values in columns(OF_RESEARCH).items():
        window = next(item.window for item in OF_RESEARCH if item.name == name)
        assert np.isnan(values[: window - 1]).all(), name
        assert np.isfinite(values[window - 1 :]).mean() > 0.05, name


def in_units(tables, money: float, shares: float):
    by = {}
    for kind in FACTS:
        by[kind] = dict.fromkeys(MONEY.get(kind, ()), money) | dict.fromkeys(SHARES.get(kind, ()), shares)
        by[kind] |= dict.fromkeys(MONEY_A_SHARE.get(kind, ()), money / shares)
    return {kind: table.with_columns(pl.col(n) * x for n, x in by[kind].items()) for kind, table in tables.items()}


def changed_by_units(features) -> set[str]:
    """Columns that change with the currency, or with the size of the company."""
    whole, prices = columns(features), pl.col("open", "high", "low", "close")
    dear = columns(features, BARS.with_columns(prices * 7), in_units(TABLES, 7, 1))
    large = columns(features, BARS.with_columns(pl.col("volume") * 7), in_units(TABLES, 7, 7))
    later_split = columns(features, BARS.with_columns(prices / 7, pl.col("volume") * 7, pl.col("split") * 7))
    return {name for other in (dear, large, later_split) for name in differing(whole, other, rtol=1e-5, atol=1e-6)}


def test_the_currency_the_size_and_a_later_split_change_nothing():
    assert changed_by_units(OF_RESEARCH) == set()


def test_a_column_in_dollars_or_in_shares_is_caught():
    assert changed_by_units(planted(lambda statements: at(statements.fields["assets"], latest(statements))))
    assert changed_by_units(planted(lambda insider_trades: at(insider_trades.fields["held"], latest(insider_trades))))


def test_instruments_in_one_table_do_not_leak_into_each_other():
    coin = lively(120, seed=6, asset_class="crypto")
    other = lively(300, seed=5, symbol="BBB")
    together = pl.concat([other, BARS, coin])
    known = facts_case.lookup(together)
    joint = compute(together.sample(fraction=1.0, shuffle=True, seed=3), OF_RESEARCH, PANEL, known)
    for alone in (BARS, other, coin):
        own = joint.join(alone.select("asset_class", "symbol", "date"), on=["asset_class", "symbol", "date"])
        expected = compute(alone, OF_RESEARCH, PANEL, known)
        assert own.sort("date").equals(expected.select(own.columns))


# missing is missing ----------------------------------------------------------------------------------------------

FLOWS = {
    "late_notice_90", "amended_reports_365", "current_reports_90", "distress_signal", "departure_signal",
    "insider_net_buying_21", "insider_net_buying_63", "insider_net_buying_126", "insider_purchases_63",
    "insider_opportunistic_buying_63", "insider_routine_buying_63", "insider_officer_buying_63",
    "insider_purchase_ratio", "insider_breadth", "text_attention_5", "text_attention_shock_5_63",
}  # fmt: skip
AGES = {"annual_report_age": 500, "quarterly_report_age": 250, "current_report_age": 365, "earnings_age": 200,
        "insider_purchase_age": 365, "text_age": 90}  # fmt: skip


def test_without_facts_every_value_is_missing():
    for known in (None, FactLookup()):
        table = compute(BARS, OF_RESEARCH, PANEL, known)
        assert table.select(item.name for item in OF_RESEARCH).null_count().row(0) == (700,) * len(OF_RESEARCH)


def test_covered_without_an_event_flows_are_zero_ages_are_the_longest_and_all_else_is_missing():
    nothing = {kind: table.clear() for kind, table in TABLES.items()}
    for name, values in columns(OF_RESEARCH, tables=nothing).items():
        expected = 0.0 if name in FLOWS else AGES.get(name, np.nan)
        late = values[600:]
        late = late[np.isfinite(late)] if name.startswith("insider") else late  # bars without volume
        assert np.array_equal(late, np.full(len(late), expected), equal_nan=True), name


def test_coverage_that_begins_within_the_window_leaves_the_flow_missing():
    begun = dt.datetime(2016, 1, 4, tzinfo=UTC)
    nothing = {kind: table.clear() for kind, table in TABLES.items()}
    values = columns(OF_RESEARCH, tables=nothing, covered=coverage(since=begun))
    day = np.array([(date - begun.date()).days for date in BARS["date"]])
    for name, days in (("current_reports_90", 90), ("insider_purchase_ratio", 180), ("annual_report_age", 500)):
        known = np.flatnonzero(np.isfinite(values[name]))
        assert days <= day[known[0]] < days + 4, name


def test_a_stream_that_is_no_longer_asked_is_covered_for_ten_days():
    """As long as its store leaves an interval open: a later request then changes no bar that had closed."""
    ended = dt.datetime(2016, 5, 2, 12, tzinfo=UTC)
    values = columns(OF_RESEARCH, covered=coverage(until=ended))["current_reports_90"]
    dates = BARS["date"].to_list()
    assert np.isfinite(values[dates.index(dt.date(2016, 5, 11))])
    assert np.isnan(values[dates.index(dt.date(2016, 5, 12)) :]).all()  # closes after noon of the tenth day


def test_intervals_that_touch_are_one_and_a_gap_begins_anew():
    ended, begun = dt.datetime(2016, 2, 1, tzinfo=UTC), dt.datetime(2016, 2, 9, tzinfo=UTC)
    rows = [("stock", "AAA", "filings", facts_case.FIRST, ended), ("stock", "AAA", "filings", begun, facts_case.LAST)]
    one = pl.DataFrame(rows, schema=COVERAGE, orient="row")
    whole = columns(OF_RESEARCH)["current_reports_90"]
    assert np.array_equal(columns(OF_RESEARCH, covered=one)["current_reports_90"], whole, equal_nan=True)
    apart = one.with_columns(since=pl.col("since").replace(begun, begun + dt.timedelta(days=30)))
    missing = np.isnan(columns(OF_RESEARCH, covered=apart)["current_reports_90"]) & ~np.isnan(whole)
    dates = BARS["date"].to_numpy()[missing]
    assert dates[0] == np.datetime64("2016-02-11")
    assert dates[-1] <= np.datetime64("2016-06-09")


# what the page says ----------------------------------------------------------------------------------------------


def test_values_lie_in_the_stated_range():
    values = columns(OF_RESEARCH)
    for item in OF_RESEARCH:
        low, high = bounds(returns(item))
        known = values[item.name][np.isfinite(values[item.name])]
        assert low - 1e-5 <= known.min() <= known.max() <= high + 1e-5, item.name


def test_no_two_columns_are_twins():
    fed = [item for item in [*ON_BARS, *OF_RESEARCH] if item.scale == "none" and not item.intraday]
    bars = pl.concat(lively(700, seed, symbol=f"S{seed}") for seed in range(6))
    table = compute(bars, fed, PANEL, facts_case.lookup(bars))
    names = [item.name for item in fed]
    filled = table.with_columns(pl.col(names).fill_null(strategy="forward").fill_null(0.0))
    assert twins(filled, fed) == []
    more = [*fed, dataclasses.replace(planted(lambda accruals: 2 * accruals)[0])]
    doubled = filled.with_columns(planted=2 * pl.col("accruals"))
    assert twins(doubled, more) == [("accruals", "planted")]
