"""Summaries of option chains: a known surface is found again, and nothing is lost silently."""

import datetime as dt
import logging
import math

import numpy as np
import polars as pl
import pytest
from scipy.optimize import brentq

from src.chains.quotes import contract_table, with_flags
from src.chains.store import OptionStore
from src.documents.facts import schema
from src.options.staleness import age_flags
from src.options.valuation import with_values
from src.research.chain_summaries import chain_summaries, left_out, summaries
from src.research.smiles import at_days, expiry_volatilities
from tests.options.oracles import CAPTURED, N, black_scholes, chain, years_to

RATE, DIVIDEND, SPOT = 0.04, 0.01, 100.0
# Fridays and others about 16, 37, 72 and 121 days ahead, so that neither 30 nor 90 days is an expiry
EXPIRIES = tuple(dt.date(2026, *day) for day in ((2, 27), (3, 20), (4, 24), (6, 12)))


def forward(years):
    return SPOT * math.exp((RATE - DIVIDEND) * years)


def surface(strike, years):
    """Volatility whose square times the years is linear in the years at each ln(strike / forward)."""
    k = math.log(strike / forward(years))
    return math.sqrt((0.06 - 0.12 * k + 0.2 * k * k) + (0.0012 - 0.003 * k) / years)


def on_surface(call, spot, strike, years, rate, _sigma, dividend):
    return black_scholes(call, spot, strike, years, rate, surface(strike, years), dividend)


def valued(given, asset_class="stock"):
    """A chain as it lies in the store."""
    rows = contract_table(given, asset_class)
    return with_values(with_flags(rows, **age_flags(rows)), RATE)


def stored(tmp_path, *chains):
    store = OptionStore(tmp_path)
    for each in chains:
        store.write(valued(each), each.captured)
    return store


def smooth(**changes):
    """An index's chain (European, so that prices are exact) on the surface above, a strike each dollar."""
    settings = {"underlying": "^AAA", "expiries": EXPIRIES, "strikes": tuple(range(60, 150)), "spread": 0.002}
    return chain(**(settings | {"price": on_surface, "rate": RATE, "dividend": DIVIDEND} | changes))


def at_delta(call, years, wanted=0.25):
    """Volatility of the option whose spot delta has that size, on the surface."""

    def excess(strike):
        deviation = surface(strike, years) * math.sqrt(years)
        d1 = math.log(forward(years) / strike) / deviation + deviation / 2
        return math.exp(-DIVIDEND * years) * (N(d1) if call else N(-d1)) - wanted

    low, high = (forward(years), 149) if call else (60, forward(years))
    return surface(brentq(excess, low, high), years)


def over_years(values, years, target):
    """Volatility at the target, linear in total variance."""
    return math.sqrt(np.interp(target, years, np.square(values) * years) / target)


def test_a_known_surface_is_found_again(tmp_path):
    row = chain_summaries(stored(tmp_path, smooth())).row(0, named=True)
    years = np.array([years_to(day) for day in EXPIRIES])
    month, quarter = 30 / 365, 90 / 365
    assert row["volatility"] == pytest.approx(surface(forward(month), month), abs=2e-4)
    assert row["term_slope"] == pytest.approx(
        surface(forward(quarter), quarter) - surface(forward(month), month), abs=3e-4
    )
    sides = [over_years([at_delta(call, t) for t in years], years, month) for call in (False, True)]
    assert row["skew"] == pytest.approx(sides[0] - sides[1], abs=1e-3) and row["skew"] > 0.03
    assert row["known"] == CAPTURED and not row["backfilled"]
    assert row["document"] == "options:stock.^AAA/2026-02-11T170000Z:0"


def test_american_options_on_a_flat_surface_have_its_volatility_no_skew_and_no_slope(tmp_path):
    given = chain(expiries=EXPIRIES, strikes=tuple(range(60, 150, 5)), sigma=0.3, spread=0.02)
    row = chain_summaries(stored(tmp_path, given)).row(0, named=True)
    assert row["volatility"] == pytest.approx(0.3, abs=3e-3)
    assert abs(row["skew"]) < 6e-3 and abs(row["term_slope"]) < 6e-3


def points(*expiries, snapshot="x"):
    """Volatilities by years, as `expiry_volatilities` gives them."""
    rows = [(snapshot, dt.date(2026, 1, 1), days / 365, value, value, value) for days, value in expiries]
    names = {"snapshot": pl.String(), "expiry": pl.Date()} | dict.fromkeys(
        ("years", "at_money", "put", "call"), pl.Float64()
    )
    return pl.DataFrame(rows, schema=names, orient="row")


@pytest.mark.parametrize(
    ("expiries", "wanted"),
    [
        (((30, 0.2),), 0.2),
        (((20, 0.2),), 0.2),
        (((45, 0.2),), 0.2),
        (((19, 0.2),), None),
        (((46, 0.2),), None),
        (((20, 0.2), (40, 0.3)), math.sqrt((0.2**2 * 20 + (0.3**2 * 40 - 0.2**2 * 20) / 2) / 30)),
        (((7, 0.2), (40, 0.3)), 0.3),
        (((8, 0.2), (91, 0.3)), None),
        (
            ((10, None), (25, 0.2), (60, 0.3), (80, 0.9)),
            math.sqrt((0.2**2 * 25 + (0.3**2 * 60 - 0.2**2 * 25) / 7) / 30),
        ),
        ((), None),
    ],
)
def test_between_two_expiries_variance_is_linear_and_one_alone_counts_near_the_day(expiries, wanted):
    table = points(*expiries, (3000, 0.5))
    found = at_days(table, "at_money", 30)
    assert found["snapshot"].to_list() == ["x"]
    assert found["at_money"][0] == (None if wanted is None else pytest.approx(wanted, rel=1e-12))


def quotes(*rows):
    """Quotes of one expiry with forward 100, a quarter of a year ahead: type, strike, volatility, delta."""
    return pl.DataFrame(
        [("x", dt.date(2026, 5, 15), kind, strike, 100.0, 0.25, iv, delta) for kind, strike, iv, delta in rows],
        schema={
            "snapshot": pl.String(), "expiry": pl.Date(), "type": pl.String(), "strike": pl.Float64(),
            "forward": pl.Float64(), "years": pl.Float64(), "iv": pl.Float64(), "delta": pl.Float64(),
        },
        orient="row",
    )  # fmt: skip


def test_the_volatility_at_the_forward_lies_between_the_strikes_beside_it():
    rows = quotes(
        ("call", 98.0, 0.30, 0.6), ("put", 98.0, 0.32, -0.4), ("call", 102.0, 0.29, 0.45), ("call", 120.0, 0.1, 0.1)
    )
    below, above = math.log(0.98), math.log(1.02)
    wanted = 0.31 + (0.29 - 0.31) * -below / (above - below)
    assert expiry_volatilities(rows)["at_money"][0] == pytest.approx(wanted, rel=1e-12)
    assert expiry_volatilities(quotes(("call", 100.0, 0.2, 0.5)))["at_money"][0] == pytest.approx(0.2)


def test_strikes_beyond_a_standard_deviation_or_on_one_side_alone_tell_nothing_at_the_forward():
    far = quotes(("put", 84.0, 0.3, -0.2), ("call", 101.0, 0.3, 0.5))  # a deviation is 15%
    near = quotes(("put", 88.0, 0.3, -0.2), ("call", 101.0, 0.3, 0.5))
    lone = quotes(("call", 101.0, 0.3, 0.5), ("call", 110.0, 0.3, 0.2))
    assert [expiry_volatilities(rows)["at_money"][0] is None for rows in (far, near, lone)] == [True, False, True]


def test_25_delta_is_interpolated_between_two_quotes_that_are_near_enough():
    rows = quotes(
        ("put", 95.0, 0.32, -0.35), ("put", 90.0, 0.36, -0.15), ("call", 105.0, 0.28, 0.30), ("call", 130.0, 0.2, 0.04)
    )
    found = expiry_volatilities(rows).row(0, named=True)
    assert found["put"] == pytest.approx(0.34, rel=1e-12) and found["call"] is None


def test_what_is_traded_counts_once_and_of_this_session_alone():
    rows = valued(chain())
    rows = rows.with_columns(
        volume=pl.when(pl.col("type") == "put").then(6.0).otherwise(2.0),
        stale_trade=pl.col("strike") == 85,
        duplicate=pl.col("strike") == 90,
        no_bid=pl.col("strike") == 95,
        clean=~pl.col("strike").is_in([90.0, 95.0]),
    ).with_columns(snapshot=pl.lit("x"))
    row = summaries(rows).row(0, named=True)
    assert row["volume"] == 2 * 5 * 8  # of seven strikes in two expiries, one is of an earlier session, one doubled
    assert row["put_call_volume"] == 3 and row["put_call_interest"] == 1
    assert row["contracts"] == 2 * 2 * 5


def test_without_calls_there_is_no_ratio_and_without_volumes_no_volume():
    rows = valued(chain()).with_columns(snapshot=pl.lit("x"))
    puts = summaries(rows.filter(pl.col("type") == "put")).row(0, named=True)
    assert puts["put_call_volume"] is None and puts["put_call_interest"] is None and puts["volume"] == 42
    silent = summaries(rows.with_columns(volume=pl.lit(None, pl.Float64))).row(0, named=True)
    assert silent["volume"] is None and silent["put_call_volume"] is None
    idle = summaries(rows.with_columns(stale_trade=pl.lit(True))).row(0, named=True)
    assert idle["volume"] == 0 and idle["put_call_volume"] is None


def test_every_quote_is_used_or_left_out_for_one_reason():
    rows = valued(chain()).with_columns(
        no_bid=pl.col("strike") == 90, wide=pl.col("strike") <= 95, iv=pl.when(pl.col("strike") != 110).then("iv")
    )
    rows = rows.with_columns(clean=~pl.col("no_bid"))
    assert left_out(rows) == {"no_bid": 4, "wide": 8, "no_volatility": 4, "used": 12}


def test_each_snapshot_of_a_day_is_a_fact_from_its_own_capture_on(tmp_path):
    saturday = dt.datetime(2026, 2, 14, 15, tzinfo=dt.UTC)
    later = CAPTURED + dt.timedelta(hours=3)
    chains = [
        chain(captured=moment, underlying=name) for name in ("BBB", "AAA") for moment in (later, CAPTURED, saturday)
    ]
    table = chain_summaries(stored(tmp_path, *chains))
    assert table.columns == list(schema("chain_summaries"))
    assert table.select("symbol", "known").rows() == [
        (name, moment) for name in ("AAA", "BBB") for moment in (CAPTURED, later, saturday)
    ]
    assert table["document"].n_unique() == 6


def test_adding_a_snapshot_changes_no_other_row(tmp_path):
    store = stored(tmp_path, chain())
    before = chain_summaries(store)
    store.write(valued(chain(captured=CAPTURED + dt.timedelta(days=1), sigma=0.9)), CAPTURED + dt.timedelta(days=1))
    assert chain_summaries(store).head(1).equals(before)


def test_nothing_stored_gives_an_empty_table(tmp_path):
    assert chain_summaries(OptionStore(tmp_path / "none")).schema == schema("chain_summaries")


def test_a_chain_without_a_usable_quote_is_a_row_without_a_volatility(tmp_path, caplog):
    crossed = chain(spread=-0.04)
    with caplog.at_level(logging.INFO):
        row = chain_summaries(stored(tmp_path, crossed)).row(0, named=True)
    assert row["volatility"] is None and row["skew"] is None and row["contracts"] == 0 and row["volume"] == 84
    assert (
        "1 snapshots, 1 of them without a volatility at the money, 0 files unreadable; quotes: 28 crossed"
        in caplog.text
    )


def test_a_damaged_file_is_named_and_the_others_are_read(tmp_path, caplog):
    store = stored(tmp_path, chain(), chain(underlying="BBB"))
    path = store.path("stock", "AAA", CAPTURED)
    path.write_bytes(path.read_bytes()[:200])
    with caplog.at_level(logging.INFO):
        assert chain_summaries(store)["symbol"].to_list() == ["BBB"]
    assert path.as_posix() in caplog.text and "1 files unreadable" in caplog.text
