"""Real chains of SPY and AAPL, two days each: what is wrong is found, and what is right agrees with itself."""

import datetime as dt

import polars as pl
import pytest

from src.chains.store import OptionStore, contracts
from src.options.file_import import import_files
from src.options.job import QuoteJob
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
