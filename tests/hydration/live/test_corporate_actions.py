"""Total return from events, and an archive continued by a provider. Oracles: a plain loop, adj_close of real bars."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest

from src.fetching.provider import EVENTS, RAW
from src.hydration.live.corporate_actions import AGREEMENT, SPLICE, derived, disagreements
from src.hydration.validation import validate
from tests.hydration.live.raw_case import answer
from tests.market_case import MARKET

KEY = ("stock", "AAA")


def bars(closes, first="2024-01-01", source="yahoo", **columns):
    days = pl.date_range(dt.date.fromisoformat(first), dt.date(2030, 1, 1), eager=True)
    days = days.filter(days.dt.weekday() < 6).head(len(closes))
    made = pl.DataFrame({"date": days, "close": [float(c) if c is not None else None for c in closes]})
    price = pl.col("close")
    made = made.with_columns(open=price, high=price, low=price, adj_close=None, volume=1000.0, source=pl.lit(source))
    made = made.with_columns(asset_class=pl.lit("stock"), symbol=pl.lit("AAA"), **columns)
    return made.select(pl.col(name).cast(kind) for name, kind in RAW.items())


def events(*rows):
    """Rows of (date, kind, value)."""
    full = [("stock", "AAA", dt.date.fromisoformat(day), kind, value, "yahoo") for day, kind, value in rows]
    return pl.DataFrame(full, schema=EVENTS, orient="row")


def ratios(made):
    return (made.bars["adj_close"] / made.bars["close"]).to_list()


def naive(frame, paid):
    """Total return over price for each day: a holder of one share reinvests every payment at the last close."""
    held, last, out, waiting = 1.0, None, {}, sorted(paid)
    for day, close in sorted(dict(frame.select("date", "close").rows()).items()):
        due = sum(value for when, value in waiting if when <= day)
        waiting = [each for each in waiting if each[0] > day]
        if close is None or not math.isfinite(close) or close <= 0:
            waiting = [*waiting, (day, due)] if due else waiting
            continue
        if last is not None and due < last:
            held *= last / (last - due)
        last = close
        out[day] = held
    return out


def test_a_dividend_of_2_on_a_close_of_100_steps_the_factor_by_100_over_98():
    made = derived(bars([100, 98, 98]), events(("2024-01-02", "dividend", 2.0)))
    assert ratios(made) == pytest.approx([1, 100 / 98, 100 / 98], rel=1e-15)
    factor = validate(made.bars, "auto")[0]["factor"].to_list()
    assert factor == pytest.approx([1, 100 / 98, 100 / 98], rel=1e-15)  # 98 for the share and 2 in cash: no loss


def test_payments_of_one_day_and_of_days_without_a_bar_are_summed_at_the_next_bar():
    made = derived(
        bars([100, 90, 80, 75]),
        events(("2024-01-06", "dividend", 1.0), ("2024-01-04", "dividend", 3.0), ("2024-01-04", "capital_gain", 2.0)),
    )  # the sixth is a Saturday, and no bar comes after it
    assert ratios(made) == pytest.approx([1, 1, 1, 80 / 75])
    later = derived(bars([100, 90, 80, 80, 80, 80]), events(("2024-01-06", "dividend", 1.0)))
    assert ratios(later) == pytest.approx([1, 1, 1, 1, 1, 80 / 79])


def test_invalid_payments_and_those_before_the_first_bar_change_nothing_and_are_reported():
    paid = [("2023-12-29", "dividend", 5.0), ("2024-01-01", "dividend", 5.0), ("2024-01-02", "dividend", -1.0)]
    made = derived(bars([100, 90, 80]), events(*paid, ("2024-01-03", "dividend", 90.0)))
    assert ratios(made) == [1, 1, 1]
    assert made.remarks[KEY] == [
        "dividend of -1.0 on 2024-01-02 ignored",
        "dividend of 90 on 2024-01-03 ignored: it is not below the last close",
    ]


@pytest.mark.parametrize(("source", "volume"), [("yahoo", 2.5), ("kraken", 500.0)])
def test_yahoos_volume_of_coins_in_dollars_is_converted_to_coins(source, volume):
    frame = bars((200.0, 0.0), source=source).with_columns(asset_class=pl.lit("crypto"), volume=500.0)
    assert derived(frame, events()).bars["volume"].to_list() == [volume, 500.0]  # unchanged without a price


def test_as_traded_prices_are_the_price_times_all_later_splits():
    split = [("2024-01-03", "split", 2.0), ("2024-01-06", "split", 0.1), ("2024-01-02", "split", math.nan)]
    assert derived(bars([10] * 7), events(*split)).bars["split"].to_list() == pytest.approx(
        [0.2, 0.2, 0.1, 0.1, 0.1, 1, 1]
    )


def test_a_split_without_a_ratio_is_ignored_and_reported():
    odd = events(("2024-01-03", "split", 0.0), ("2024-01-04", "split", None))
    made = derived(bars([10] * 5), odd)
    assert made.bars["split"].to_list() == [1.0] * 5
    assert made.remarks[KEY] == [
        "split of 0 on 2024-01-03 ignored: a ratio is above 0",
        "split without a ratio on 2024-01-04 ignored: a ratio is above 0",
    ]


def test_a_dividend_named_for_two_days_counts_once():
    made = derived(bars([100, 98, 98, 98]), events(("2024-01-02", "dividend", 2.0), ("2024-01-03", "dividend", 2.0)))
    assert ratios(made) == pytest.approx([1, 100 / 98, 100 / 98, 100 / 98])
    assert made.remarks[KEY] == ["dividend of 2 on 2024-01-03 named for 2024-01-02 already: it counts once"]


def test_a_capital_gain_that_is_in_the_dividend_counts_once_by_the_fall_of_the_price():
    # A Vanguard fund of December 2025: dividend 1.437 and gain 6.42 are named as a dividend of 7.857 and a gain of 6.42
    paid = events(("2024-01-02", "dividend", 7.857), ("2024-01-02", "capital_gain", 6.42))
    within = derived(bars([100, 92.2]), paid)
    assert ratios(within) == pytest.approx([1, 100 / (100 - 7.857)])
    assert within.remarks[KEY] == ["capital gain of 6.42 on 2024-01-02 is in the dividend: it counts once"]
    both = derived(bars([100, 85.9]), paid)
    assert ratios(both) == pytest.approx([1, 100 / (100 - 7.857 - 6.42)]) and KEY not in both.remarks
    small = derived(bars([100, 92.2]), events(("2024-01-02", "dividend", 1.437), ("2024-01-02", "capital_gain", 6.42)))
    assert ratios(small) == pytest.approx([1, 100 / (100 - 7.857)])


def test_a_dividend_in_cents_is_a_hundredth():
    closes = [100.0] * 70
    paid = [(f"2024-0{m}-0{d}", "dividend", value) for m, d, value in ((1, 4, 0.5), (2, 2, 0.5), (3, 1, 50.0))]
    made = derived(bars(closes), events(*paid))
    assert ratios(made)[-1] == pytest.approx((100 / 99.5) ** 3)
    assert made.remarks[KEY] == ["dividend of 50 on 2024-03-01 read as 0.5: it is in hundredths"]


@pytest.mark.parametrize("ratio", [2.0, 1.5, 0.1])
@pytest.mark.parametrize("fault", ["none", "not applied", "applied twice"])
def test_a_named_split_is_compared_with_the_bars_and_dividends_follow_the_repaired_prices(fault, ratio):
    whole = answer("AAA", 300)
    day = whole.bars["date"][150]
    split = events((str(day), "split", ratio)).cast(EVENTS)
    known = pl.concat([whole.events, split.select(whole.events.columns)])
    by = {"none": 1.0, "not applied": ratio, "applied twice": 1 / ratio}[fault]
    here = pl.col("date") < day
    prices = [
        pl.when(here).then(pl.col(name) * by).otherwise(name).alias(name) for name in ("open", "high", "low", "close")
    ]
    served = whole.bars.with_columns(*prices, volume=pl.when(here).then(pl.col("volume") / by).otherwise("volume"))
    right, _ = validate(derived(whole.bars, known).bars, exact=True)
    got, states = validate(derived(served, known).bars, exact=True)
    assert states["state"].to_list() == ["done"], states["reason"][0]
    for name in ("close", "volume", "factor", "split"):
        assert got[name].to_list() == pytest.approx(right[name].to_list(), rel=1e-9), name
    words = {"none": "", "not applied": "prices as traded", "applied twice": "applied twice (repaired)"}[fault]
    assert words in states["reason"][0] and bool(states["reason"][0]) == bool(words)


@pytest.mark.parametrize("seed", range(6))
def test_total_return_equals_a_plain_loop_even_on_odd_rows(seed):
    random = np.random.default_rng(seed)
    closes = 50 * np.exp(np.cumsum(0.02 * random.standard_normal(250)))
    for i in random.integers(1, 250, 12):
        closes[i] = random.choice([np.nan, 0.0, -3.0, np.inf])
    frame = bars(closes)
    frame = pl.concat([frame, frame.sample(20, seed=seed).with_columns(close=pl.col("close") * 1.01)])
    days = pl.date_range(dt.date(2023, 12, 20), dt.date(2025, 1, 10), eager=True).sample(25, seed=seed).to_list()
    paid = [(day, float(random.uniform(0.01, 3))) for day in days]
    made = derived(frame, events(*((day.isoformat(), "dividend", value) for day, value in paid))).bars
    assert made.drop("adj_close", "split", "dividend").equals(frame.select(made.columns[:-3]))  # rows as they came
    expected = naive(frame, paid)
    last = made.with_row_index().unique("date", keep="last", maintain_order=True)
    for row in last.filter((pl.col("close") > 0) & pl.col("close").is_finite()).iter_rows(named=True):
        assert row["adj_close"] / row["close"] == pytest.approx(expected[row["date"]], rel=1e-12)


def test_later_bars_and_events_change_no_earlier_value():
    whole = answer("AAA", 300)
    day = whole.bars["date"][200]
    early = derived(whole.bars.head(201), whole.events.filter(pl.col("date") <= day)).bars
    assert derived(whole.bars, whole.events).bars.head(201).equals(early)


def test_an_instrument_has_the_same_factors_in_a_bucket_and_alone():
    each = [answer(symbol, asset_class=kind) for symbol, kind in (("AAA", "stock"), ("BBB", "etf"), ("AAA", "etf"))]
    together = derived(pl.concat([a.bars for a in each]), pl.concat([a.events for a in each])).bars
    alone = pl.concat([derived(a.bars, a.events).bars for a in each])
    assert together.equals(alone.sort("asset_class", "symbol", maintain_order=True))


def test_an_adj_close_that_disagrees_with_the_events_is_reported_and_not_used():
    closes = [100.0, 101, 98, 99, 100]
    good = bars(closes, adj_close=pl.Series([98.0, 98.98, 98, 99, 100]))
    paid = events(("2024-01-03", "dividend", 2.02))
    assert disagreements(good, paid) == {}
    missing = disagreements(good, events())
    assert missing == {
        KEY: "1 step of the provider's adj_close disagree with its events (the largest on 2024-01-03: +2.0408% against"
        " +0.0000%): the events count"
    }
    assert ratios(derived(good, events())) == [1.0] * 5
    near = [98.0 * (1 + AGREEMENT / 2), 98.98 * (1 + AGREEMENT / 2), 98, 99, 100]
    assert disagreements(bars(closes, adj_close=pl.Series(near)), paid) == {}
    cents = bars(
        [1.04, 1.05, 1.02, 1.03], adj_close=pl.Series([1.01, 1.02, 1.02, 1.03])
    )  # rounded to cents, so 0.5% is tolerated
    assert disagreements(cents, events(("2024-01-03", "dividend", 0.03))) == {}


def test_events_are_used_without_a_check_if_a_provider_has_no_adj_close():
    assert disagreements(bars([100, 98]), events(("2024-01-02", "dividend", 2.0))) == {}


def test_real_events_give_the_total_return_of_real_adj_close():
    path = MARKET / "corporate_actions.parquet"
    if not path.is_file():
        pytest.skip("needs shared/market")
    actions, real = pl.read_parquet(path), pl.read_parquet(MARKET / "bars.parquet").filter(asset_class="stock")
    real = real.join(actions.select("symbol").unique(), on="symbol", how="semi").with_columns(source=pl.lit("yahoo"))
    paid = actions.filter(pl.col("dividends") > 0).select(
        asset_class=pl.lit("stock"), symbol="symbol", date="date", kind=pl.lit("dividend"), value="dividends",
        source=pl.lit("yahoo"),
    )  # fmt: skip
    odd = disagreements(real.select(pl.col(name).cast(kind) for name, kind in RAW.items()), paid.cast(EVENTS))
    assert real["symbol"].n_unique() > 100
    assert {symbol for _, symbol in odd} == {
        "LRCX", "GE", "ODFL",  # split or spun off after these bars were taken
        "CHRW",  # its dividend of December 2021 is named for two days, and is in adj_close twice
    }  # fmt: skip


# An archive, then a provider


def archive(full, paid, end, digits=6, **columns):
    """Total-return prices of an archive made on day number `end`: all payments until then lower earlier prices."""
    ratio = (derived(full, paid).bars["adj_close"] / full["close"]).to_numpy()[: end + 1]
    scale = ratio / ratio[-1]
    part = full.head(end + 1).with_columns(adj_close=None, source=pl.lit("stooq"))
    prices = {name: part[name].to_numpy() * scale for name in ("open", "high", "low", "close")}
    rounded = {name: pl.Series([float(f"{v:.{digits}g}") for v in values]) for name, values in prices.items()}
    return part.with_columns(**rounded).cast(RAW)


def returns(frame):
    made = validate(frame, "auto")[0]
    total = made["close"] * made["factor"]
    return (total / total.shift(1)).drop_nulls().to_numpy()


@pytest.mark.parametrize("paid_in_overlap", [False, True])
def test_an_archive_is_continued_by_live_rows_and_no_dividend_counts_twice(paid_in_overlap):
    whole = answer("AAA", 300)
    end = 224 if paid_in_overlap else 190  # ex-dates are 40, 100, 160, 220, 280
    old = archive(whole.bars, whole.events, end)
    live = whole.bars.slice(end - 9)
    known = whole.events.filter(pl.col("date") >= live["date"][0])
    made = derived(pl.concat([old, live]), known)
    assert not made.remarks and not made.apart
    assert made.bars.height == 300 and made.bars.head(end + 1)["close"].equals(old["close"])
    assert made.bars["adj_close"].head(end + 1).equals(old["close"])
    assert made.bars["split"].is_null().to_list() == [True] * (end + 1) + [False] * (299 - end)
    assert returns(made.bars) == pytest.approx(returns(derived(whole.bars, whole.events).bars), rel=SPLICE)
    assert made.bars.tail(299 - end)["close"].equals(whole.bars.tail(299 - end)["close"])  # already on one scale


def test_live_rows_after_a_split_are_rebased_to_the_archive():
    whole = answer("AAA", 300)
    old = archive(whole.bars, whole.events, 190)
    halved = [pl.col(name) / 4 for name in ("open", "high", "low", "close")]
    live = whole.bars.slice(100).with_columns(*halved, volume=pl.col("volume") * 4)
    known = whole.events.filter(pl.col("date") >= live["date"][0]).with_columns(pl.col("value") / 4)
    known = pl.concat([known, events((str(whole.bars["date"][250]), "split", 4.0))])
    made = derived(pl.concat([old, live]), known)
    assert not made.apart
    assert returns(made.bars) == pytest.approx(returns(derived(whole.bars, whole.events).bars), rel=SPLICE)
    tail = made.bars.tail(109)
    assert tail["close"].to_list() == pytest.approx(whole.bars.tail(109)["close"].to_list(), rel=SPLICE)
    assert tail["volume"].to_list() == pytest.approx(whole.bars.tail(109)["volume"].to_list(), rel=SPLICE)
    assert tail["split"].to_list() == pytest.approx([1.0] * 59 + [0.25] * 50, rel=SPLICE)  # times the price: as traded


def test_an_archive_with_its_own_adj_close_keeps_it_and_is_continued():
    whole = answer("AAA", 300)
    ratio = derived(whole.bars, whole.events).bars["adj_close"] / whole.bars["close"]
    old = whole.bars.head(191).with_columns(source=pl.lit("folder"))
    old = old.with_columns(adj_close=pl.col("close") * ratio.head(191) / ratio[190])
    live = whole.bars.slice(180)
    made = derived(pl.concat([old, live]), whole.events.filter(pl.col("date") >= live["date"][0]))
    assert not made.apart and made.bars["close"].equals(whole.bars["close"])
    assert returns(made.bars) == pytest.approx(returns(derived(whole.bars, whole.events).bars), rel=1e-9)


@pytest.mark.parametrize("fault", ["another company", "few", "missing dividend"])
def test_an_archive_that_does_not_match_is_left_out_with_a_message(fault):
    whole = answer("AAA", 300)
    old = archive(whole.bars, whole.events, 224)
    live, known = whole.bars.slice(200), whole.events.filter(pl.col("date") >= whole.bars["date"][200])
    if fault == "another company":
        live = answer("AAA", 300, seed=5).bars.slice(200)
    elif fault == "few":
        live = whole.bars.slice(221)
    else:
        known = known.head(0)
    made = derived(pl.concat([old, live]), known)
    assert made.apart == {KEY} and made.bars["close"].equals(live["close"])
    words = "4 bars in common, 5 are needed" if fault == "few" else "bars in common are not in the one ratio"
    assert words in made.remarks[KEY][0] and made.remarks[KEY][0].endswith("the provider's stand alone")


def test_archive_rows_alone_are_total_return_prices():
    whole = answer("AAA", 300)
    old = archive(whole.bars, whole.events, 299)
    made = derived(old, whole.events.head(0))
    assert made.bars["adj_close"].is_null().all() and made.bars["split"].is_null().all()
    same = ["asset_class", "symbol", "date", "open", "high", "low", "close", "volume"]
    assert made.bars.select(same).equals(old.select(same))


def test_real_bars_spliced_from_an_archive_have_the_returns_of_the_whole():
    path = MARKET / "corporate_actions.parquet"
    if not path.is_file():
        pytest.skip("needs shared/market")
    actions, real = pl.read_parquet(path), pl.read_parquet(MARKET / "bars.parquet").filter(asset_class="stock")
    names = sorted(set(actions["symbol"]) & set(real["symbol"]) - {"LRCX", "GE", "ODFL"})[:40]
    real = real.with_columns(source=pl.lit("yahoo")).select(pl.col(name).cast(kind) for name, kind in RAW.items())
    real = real.sort("symbol", "date")
    paid = actions.filter(pl.col("dividends") > 0).select(
        asset_class=pl.lit("stock"), symbol="symbol", date="date", kind=pl.lit("dividend"), value="dividends",
        source=pl.lit("yahoo"),
    ).cast(EVENTS)  # fmt: skip
    fitting = 0
    for name in names:
        one, mine = real.filter(symbol=name), paid.filter(symbol=name)
        end = one.height - 250
        if end < 500:
            continue
        live = one.slice(end - 30)
        known = mine.filter(pl.col("date") >= live["date"][0])
        made = derived(pl.concat([archive(one, mine, end), live]), known)
        fitting += not made.apart
        if not made.apart:
            theirs = (one["adj_close"] / one["adj_close"].shift(1)).tail(300).to_numpy()
            ours = (made.bars["adj_close"] / made.bars["adj_close"].shift(1)).tail(300).to_numpy()
            assert ours == pytest.approx(theirs, rel=1e-3)
    assert fitting >= 30
