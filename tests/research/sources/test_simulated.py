"""The simulated research world: effects of the stated size, in the formats of the real sources, dated as they are."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re

import numpy as np
import polars as pl
import pytest

from src.core.errors import ConfigError
from src.research.source import CollectContext, Reply
from src.research.sources.simulated import RESEARCH, insiders, news
from src.research.sources.simulated.company import SimulatedCompany
from tests.composed_case import composed

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
NOTHING = pl.DataFrame(schema={"asset_class": pl.String, "symbol": pl.String})


def context(*overrides: str) -> CollectContext:
    config = composed("research=simulated", *overrides)
    return CollectContext(
        config.research, config.source.live, NOW, NOTHING, NOTHING, lambda _id: False, lambda _unit: {},
        lambda _kind: [], bars=config.source, until=config.data.until,
    )  # fmt: skip


def documents(world: CollectContext, symbol: str) -> list:
    page = next(page for page in RESEARCH.pages(world) if page.context.get("symbol") == symbol)
    return list(RESEARCH.read(page, Reply(b"", NOW), world).documents)


def white_noise(seed: int, n: int = 2700) -> SimulatedCompany:
    dates = np.busday_offset("2014-01-06", np.arange(n), roll="forward").astype("datetime64[D]")
    returns = 0.02 * np.random.default_rng(seed).standard_normal(n)
    return SimulatedCompany(f"SIM{seed + 1:02d}", 5, dates, returns, NOW)


@pytest.mark.parametrize("strength", [0.0, 0.4])
def test_the_tone_of_articles_is_correlated_with_the_next_tradable_return_as_stated(strength: float) -> None:
    tones, after = [], []
    for seed in range(6):
        world = white_noise(seed)
        rises, falls = (set(words) for words in news.vocabulary()[:2])
        at = {str(day): k for k, day in enumerate(world.dates)}
        for article in news.articles(world, strength):
            words = (article.title.partition(": ")[2] + " " + article.body.decode()).split()
            good, bad = sum(word in rises for word in words), sum(word in falls for word in words)
            k = at[article.id.rpartition("/")[2]]
            if good + bad and k + 1 < len(world.returns):
                tones.append((good - bad) / (good + bad))
                after.append(world.returns[k + 1])  # from the next open to the one after it
    found = float(np.corrcoef(tones, after)[0, 1])
    # Twelve charged words a text blur the tone: of a correlation of 0.4 about three quarters are left.
    assert abs(found - 0.77 * strength) < 0.04


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_those_who_know_buy_before_a_rise_and_others_by_the_calendar(strength: float) -> None:
    knowing, routine = [], []
    for seed in range(30):
        world = white_noise(seed)
        ahead = world.ahead(insiders.HORIZON)
        accepted = {close.date(): k for k, close in enumerate(world.closes)}
        for form in insiders.forms(world, strength):
            text = form.body.decode()
            assert form.accepted is not None
            decision = accepted[(form.accepted - dt.timedelta(hours=4)).date()] + 1
            if decision < len(ahead) - insiders.HORIZON - 1:
                sign = 1 if "<transactionCode>P" in text else -1
                (knowing if "<aff10b5One>0" in text else routine).append((sign, ahead[decision]))
    found = float(np.corrcoef(*np.array(knowing).T)[0, 1])
    assert abs(found - 0.8 * strength) < 0.06  # a sign keeps sqrt(2 / pi) of a correlation
    assert abs(float(np.corrcoef(*np.array(routine).T)[0, 1])) < 0.06


def test_a_later_last_day_adds_documents_and_changes_none() -> None:
    early, late = (documents(context(f"data.until={day}"), "SIM03") for day in ("2019-06-30", "2020-06-30"))
    of_late = {each.id: each for each in late}
    same = [each for each in early if each.kind != "companyfacts"]
    assert same and all(of_late[each.id] == each for each in same)
    assert len(late) > len(early)
    assert all((each.accepted or each.published or NOW).year < 2020 for each in same)


def test_documents_have_the_forms_of_the_real_sources() -> None:
    found = documents(context("data.until=2016-12-31"), "SIM05")
    kinds = {each.kind for each in found}
    assert kinds == {"4", "8-K", "10-K", "10-Q", "companyfacts", "article"}
    assert len({each.id for each in found}) == len(found)
    assert all(re.fullmatch(r"CIK:\d{10}|stock:SIM05", each.entity) for each in found)
    facts = json.loads(next(each.body for each in found if each.kind == "companyfacts"))
    filed = [row["filed"] for row in facts["facts"]["us-gaap"]["Assets"]["units"]["USD"]]
    assert filed and max(filed) <= "2016-12-31"


def test_real_bars_have_no_simulated_documents() -> None:
    world = context()
    assert world.bars is not None
    real = dataclasses.replace(world, bars=dataclasses.replace(world.bars, kind="folder"))
    with pytest.raises(ConfigError, match="research=simulated is about simulated bars, got source=folder"):
        list(RESEARCH.pages(real))
