"""Real chains of SPY and AAPL, two days each: what is wrong is found, and what is right agrees with itself."""

import datetime as dt
import logging

import polars as pl
import pytest

from src.chains.store import OptionStore, contracts
from src.options.file_import import import_files
from src.options.job import QuoteJob
from src.research.chain_summaries import chain_summaries, left_out
from tests.market_case import MARKET, config
from tests.options.oracles import tree

pytestmark = pytest.mark.skipif(not (MARKET / "options").is_dir(), reason="the real chains are not at hand")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("market")
    line = import_files(QuoteJob.of(config(tmp_path, options__path=str(MARKET / "options"))))
    assert line.startswith("quote: 4 snapshots of 2 underlyings of mine from files: 23,105 contracts (")
    return tmp_path / "data" / "options" / "mine"


@pytest.fixture(scope="module")
def whole(root):
    return contracts(root, snapshots="all")


def test_no_contract_is_lost_and_no_quote_is_changed(whole):
    names = ["contract", "bid", "ask", "last", "volume", "open_interest", "iv"]
    files = pl.concat(
        pl.read_csv(path, infer_schema_length=None).select(*names, day="snapshot_last_trade_utc")
        for path in sorted((MARKET / "options").glob("*.csv"))
    )
    ours = whole.with_columns(iv=pl.col("iv_provider"), day=pl.col("captured").dt.strftime("%Y-%m-%d %H:%M:%S"))
    order = ["day", "contract"]
    assert ours.select(*names, "day").sort(order).equals(files.sort(order))


def test_the_faults_of_these_files_are_found(whole):
    days = whole.group_by("underlying", pl.col("captured").dt.date().alias("day")).agg(
        pl.col("crossed", "no_ask", "locked", "malformed", "duplicate", "expired", "closed").sum()
    )
    found = {(row["underlying"], row["day"].day): row for row in days.iter_rows(named=True)}
    assert {key: row["crossed"] for key, row in found.items()} == {
        ("AAPL", 11): 8, ("AAPL", 12): 8, ("SPY", 11): 0, ("SPY", 12): 2,
    }  # fmt: skip
    assert [sum(row[name] for row in found.values()) for name in ("malformed", "duplicate", "expired", "closed")] == [
        0, 0, 0, 0,
    ]  # fmt: skip
    floor = whole.filter(pl.col("iv_provider") <= 1e-4)
    assert floor.height == 473 and floor["placeholder_iv"].all()
    assert whole.filter("crossed", pl.col("underlying") == "AAPL")["stale_quote"].all()
    assert whole["clean"].mean() > 0.85


def test_calls_and_puts_of_a_strike_agree_on_the_volatility_far_better_than_the_provider_s(whole):
    close = whole.filter("clean", ~pl.col("wide"), (pl.col("moneyness") - 1).abs() < 0.1)
    sides = [close.filter(pl.col("type") == kind) for kind in ("call", "put")]
    both = sides[0].join(sides[1], on=["underlying", "captured", "expiry", "strike"], suffix="_put")
    ours = (both["iv"] - both["iv_put"]).abs()
    theirs = (both["iv_provider"] - both["iv_provider_put"]).abs()
    assert both.height > 3000
    assert ours.median() < 0.002 and theirs.median() > 0.04
    assert ours.quantile(0.9) < 0.015 and theirs.quantile(0.9) > 0.08


def test_prices_at_the_volatilities_found_are_the_mids_by_a_tree_of_our_own(whole):
    liquid = whole.filter("clean", pl.col("iv").is_not_null(), pl.col("years").is_between(0.05, 1.2))
    liquid = liquid.filter(pl.col("moneyness").is_between(0.85, 1.2), pl.col("mid") > 1).sample(40, seed=3)
    for row in liquid.iter_rows(named=True):
        carry = pl.Series([row["forward"] / row["spot"]]).log()[0] / row["years"]
        dividend = row["risk_free"] - carry
        price = tree(
            row["type"] == "call", row["spot"], row["strike"], row["years"], row["risk_free"], row["iv"], dividend, 400
        )
        assert price == pytest.approx(row["mid"], abs=max(0.03, 0.003 * row["mid"])), row["contract"]


def test_quotes_untraded_for_thirty_days_are_those_that_stood_still(root):
    days = [contracts(root, "AAPL", as_of=dt.date(2026, 2, day)).filter(pl.col("bid") >= 1) for day in (11, 12)]
    both = days[1].join(days[0], on="contract", suffix="_then")
    still = both.filter(pl.col("bid") == pl.col("bid_then"), pl.col("ask") == pl.col("ask_then"))
    assert still.height == 101 and still["stale_quote"].all()
    assert both["stale_quote"].sum() < 135


def test_the_store_is_small_and_quick_to_ask(root):
    assert sum(path.stat().st_size for path in root.rglob("*.parquet")) < 3_000_000
    assert OptionStore(root).snapshots().height == 4


def test_volatilities_are_the_provider_s_where_its_price_of_the_underlying_errs_for_calls_and_puts_alike(whole):
    """Its calls are too dear and its puts too cheap by the same: the mean of the two is what both agree on."""
    sane = whole.filter("clean", ~pl.col("wide"), ~pl.col("placeholder_iv"), pl.col("years").is_between(7 / 365, 1))
    sane = sane.filter(pl.col("iv_provider").is_between(0.05, 1.5), pl.col("iv").is_not_null())
    sides = [sane.filter(pl.col("type") == kind) for kind in ("call", "put")]
    both = sides[0].join(sides[1], on=["underlying", "captured", "expiry", "strike"], suffix="_put")
    ours, theirs = (pl.col(name) + pl.col(f"{name}_put") for name in ("iv", "iv_provider"))
    away = (pl.col("moneyness") - 1).abs()
    band = pl.when(away < 0.03).then(pl.lit("near")).when(away < 0.1).then(pl.lit("middle")).otherwise(pl.lit("far"))
    apart = both.group_by(band.alias("band")).agg(((ours - theirs).abs() / 2).median().alias("apart"), pl.len())
    found = {name: (apart_, rows) for name, apart_, rows in apart.iter_rows()}
    assert all(rows > 200 for _, rows in found.values())
    assert found["near"][0] < 0.005 and found["middle"][0] < 0.02 and found["far"][0] < 0.06


def test_parity_holds_at_the_forwards_found(whole):
    near = whole.filter("clean", ~pl.col("wide"), pl.col("years").is_between(7 / 365, 0.25))
    near = near.filter((pl.col("strike") / pl.col("forward") - 1).abs() < 0.02)
    calls, puts = (near.filter(pl.col("type") == kind) for kind in ("call", "put"))
    both = calls.join(puts, on=["underlying", "captured", "expiry", "strike"], suffix="_put")
    discount = (-pl.col("risk_free") * pl.col("years")).exp()
    residual = pl.col("mid") - pl.col("mid_put") - discount * (pl.col("forward") - pl.col("strike"))
    shares = both.select(share=residual.abs() / pl.col("spot"))["share"]
    assert both.height > 500 and shares.median() < 3e-4 and shares.quantile(0.95) < 1e-3


def test_summaries_are_sane_and_every_contract_is_accounted_for(root, whole, caplog):
    with caplog.at_level(logging.INFO):
        table = chain_summaries(OptionStore(root))
    assert table.height == 4 and not any(table.null_count().row(0))
    means = table.group_by("symbol").agg(pl.col("volatility", "skew").mean())
    found = {symbol: (volatility, skew) for symbol, volatility, skew in means.iter_rows()}
    assert 0.13 < found["SPY"][0] < 0.15 and 0.22 < found["AAPL"][0] < 0.25
    assert 0.06 < found["SPY"][1] < 0.07 and 0.035 < found["AAPL"][1] < 0.05
    counts = left_out(whole)
    assert sum(counts.values()) == whole.height == 23_105
    assert counts == {
        "no_bid": 1226, "crossed": 18, "stale_quote": 1675, "below_intrinsic": 1, "wide": 73, "no_volatility": 819,
        "used": 19_293,
    }  # fmt: skip
    assert "19,293 used" in caplog.text
