"""A history that came short is asked for once more, and the better answer counts."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from src.fetching.provider import Answer, Unavailable
from src.hydrate import hydrate
from src.hydration.live.second_look import fits
from tests.hydration.live.collect_case import Market, N, Provider, bars, live, states

COIN = "crypto:BTC-USD"
CHAIN = {"stock": ["yahoo"], "crypto": ["kraken", "binanceus"]}


def config(tmp_path, *names: str, **settings):
    made = live(tmp_path, *names, **settings)
    made.source.live.chain = CHAIN
    return made


@pytest.fixture
def limited(market: Market, monkeypatch) -> Market:
    """Kraken serves its latest 300 bars, Binance.US all 700, a little apart."""
    market.list("BTC-USD", "crypto", provider="binanceus")
    whole = market.bars["binanceus", "BTC-USD"]
    apart = pl.col("open", "high", "low", "close") * 1.001
    market.bars["kraken", "BTC-USD"] = whole.tail(300).with_columns(apart)
    fetch = Provider.fetch

    def served(self: Provider, wanted):
        answer = fetch(self, wanted)
        if self.name != "kraken" or wanted.start.year > 2010:
            return answer
        return Answer(answer.bars, answer.events, answer.facts | {"serves": "its latest 300 bars only"})

    monkeypatch.setattr(Provider, "fetch", served)
    return market


def test_a_provider_that_has_the_beginning_is_asked_and_its_history_is_taken_whole(tmp_path, limited):
    line = hydrate(config(tmp_path, COIN))
    assert "without their beginning" not in line
    assert bars(tmp_path, "BTC-USD")["close"].to_list() == limited.bars["binanceus", "BTC-USD"]["close"].to_list()
    asked = [provider for provider, _, _ in limited.asked]
    assert asked == ["kraken", "binanceus"]
    hydrate(config(tmp_path, COIN, retry="all"))
    assert [provider for provider, _, _ in limited.asked[2:]] == ["binanceus"]


def test_another_coin_under_the_same_name_is_not_taken(tmp_path, limited):
    other = pl.col("open", "high", "low", "close") * 3
    limited.bars["binanceus", "BTC-USD"] = limited.bars["binanceus", "BTC-USD"].with_columns(other)
    line = hydrate(config(tmp_path, COIN))
    assert line.endswith("; 1 without their beginning, which the provider does not serve")
    assert bars(tmp_path, "BTC-USD").height == 300
    assert "kraken serves its latest 300 bars only" in states(tmp_path)["BTC-USD"][1]


@pytest.mark.parametrize("fault", ["absent", "shorter", "unavailable"])
def test_where_the_next_provider_has_no_more_the_first_answer_stays(tmp_path, limited, monkeypatch, fault):
    whole = limited.bars["binanceus", "BTC-USD"]
    if fault == "shorter":
        limited.bars["binanceus", "BTC-USD"] = whole.tail(200)
    elif fault == "absent":
        del limited.bars["binanceus", "BTC-USD"]
    else:
        limited.list("ETH-USD", "crypto", provider="binanceus")
        fetch = Provider.fetch

        def broken(self: Provider, wanted):
            if (self.name, wanted.symbol) == ("binanceus", "BTC-USD"):
                raise Unavailable("answered 503")
            return fetch(self, wanted)

        monkeypatch.setattr(Provider, "fetch", broken)
    hydrate(config(tmp_path, COIN, *(["crypto:ETH-USD"] if fault == "unavailable" else [])))
    assert bars(tmp_path, "BTC-USD").height == 300
    assert states(tmp_path)["BTC-USD"][0] == "done"


@pytest.mark.parametrize("cut", ["beginning", "middle", "end"])
def test_a_chart_that_was_cut_for_once_is_asked_for_again(tmp_path, market, monkeypatch, cut):
    market.list("AAA")
    whole = market.bars["yahoo", "AAA"]
    days = whole["date"]
    lost = {"beginning": days[:40], "middle": days[300:310], "end": days[-9:]}[cut]
    fetch = Provider.fetch
    answers = iter(range(9))

    def served(self: Provider, wanted):
        answer = fetch(self, wanted)
        kept = answer.bars.filter(~pl.col("date").is_in(lost.implode())) if next(answers) == 0 else answer.bars
        return Answer(kept, answer.events, answer.facts | {"first_trade": str(days[0])})

    monkeypatch.setattr(Provider, "fetch", served)
    hydrate(config(tmp_path, "stock:AAA"))
    assert bars(tmp_path, "AAA").height == N
    assert len(market.asked) == 2


def test_what_is_missing_for_good_costs_one_more_question_and_is_said(tmp_path, market):
    market.list("AAA")
    whole = market.bars["yahoo", "AAA"]
    market.bars["yahoo", "AAA"] = whole.filter(~pl.col("date").is_in(whole["date"][300:310].implode()))
    hydrate(config(tmp_path, "stock:AAA"))
    assert len(market.asked) == 2 and "without a bar between" in states(tmp_path)["AAA"][1]
    hydrate(config(tmp_path, "stock:AAA", retry="all"))
    assert len(market.asked) == 3


def test_closes_of_two_exchanges_fit_when_they_are_near_and_many():
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=k) for k in range(60)]
    one = pl.DataFrame({"date": days, "close": [100.0 + k for k in range(60)]})
    assert fits(one, one.with_columns(pl.col("close") * 1.005))
    assert not fits(one, one.with_columns(pl.col("close") * 1.5))
    assert not fits(one, one.head(10))
    assert not fits(one, one.with_columns(close=pl.lit(0.0)))
