"""The accounting of a book: plain loops over days and instruments give the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from src.config.schema import BookConfig
from src.evaluation.metrics import sharpe
from src.market.calendar import sessions
from src.signals.own_book import BookRecord, HedgeWeights, InstrumentBars, Stake, accounted, book_days, held_weights
from tests.signals.netting_case import naive_capped

WIDE = BookConfig(max_weight=1.0, max_class_weight={}, max_gross=20.0, max_turnover=40.0)
TIGHT = BookConfig(max_weight=0.2, max_class_weight={"stock": 0.3, "crypto": 0.15}, max_gross=0.4, max_turnover=0.2)
KEYS = [("crypto", "C"), ("stock", "A"), ("stock", "B"), ("stock", "M")]
EXCHANGE, COINS = (sessions(kind, "2024-01-02", "2024-03-28").astype("datetime64[us]") for kind in ("stock", "crypto"))


def market(seed: int = 0) -> dict[tuple[str, str], InstrumentBars]:
    rng = np.random.default_rng(seed)
    out = {}
    for key in KEYS:
        dates = COINS if key[0] == "crypto" else EXCHANGE[rng.random(EXCHANGE.size) < 0.95]
        size = dates.size - 2
        out[key] = InstrumentBars(dates, rng.normal(0.0, 0.02, size), rng.uniform(0.0005, 0.002, size))
    return out


def stakes(bars: dict[Any, InstrumentBars], seed: int = 1) -> list[Stake]:
    rng = np.random.default_rng(seed)
    out = []
    for name, key, first, last in (("a", KEYS[1], 3, 50), ("b", KEYS[2], 5, 45), ("c", KEYS[0], 0, 80)):
        dates = bars[key].dates[first : last + 1]
        position = np.append(rng.uniform(0.0, 1.0, dates.size - 1) * (rng.random(dates.size - 1) < 0.6), 0.0)
        sold = position * 1.5 if name == "b" else None
        out.append(Stake(name, "instrument", (key,), dates, position[:, None], sold, "stock"))
    change = EXCHANGE[[2, 7, 12, 17, 30]]
    pooled = np.vstack([rng.normal(0.0, 0.5, (4, 2)), np.zeros((1, 2))]).astype(np.float32)
    return [*out, Stake("pooled.p", "pooled", (KEYS[1], KEYS[2]), change, pooled, decided=EXCHANGE[2:30])]


SHARES = {"a": 1 / 6, "b": 1 / 6, "c": 1 / 6, "pooled.p": 0.5}


def record(choice: BookConfig, borrow_bps: float = 0.0) -> tuple[BookRecord, list[Stake], dict[str, HedgeWeights]]:
    bars = market()
    made = stakes(bars)
    books = book_days(made, SHARES)
    hedges = {"stock": HedgeWeights((KEYS[2], KEYS[3]), np.tile([0.25, 0.75], (books.size, 1)))}
    keys, weights = held_weights(made, SHARES, books, hedges, choice)
    return accounted(books, keys, weights, bars, {*KEYS[:3]}, borrow_bps), made, hedges


@pytest.mark.parametrize("choice", [WIDE, TIGHT, replace(WIDE, max_turnover=0.3)])
def test_weights_are_those_of_plain_loops(choice: BookConfig) -> None:
    found, made, hedges = record(choice)
    before: dict[Any, float] = {}
    for day, book in enumerate(found.books):
        wanted = dict.fromkeys(KEYS, 0.0)
        for stake in made:
            known = [row for row, date in enumerate(stake.dates) if date <= book]
            if known:
                for column, key in enumerate(stake.keys):
                    wanted[key] += SHARES[stake.name] * float(stake.positions[known[-1], column])
                if stake.sold is not None:
                    for key, weight in zip(hedges["stock"].keys, hedges["stock"].weights[day], strict=True):
                        wanted[key] -= SHARES[stake.name] * stake.sold[known[-1]] * weight
        before = naive_capped(wanted, before, set(), choice)
        assert found.keys == KEYS
        np.testing.assert_allclose(found.weights[day], [before[key] for key in KEYS], rtol=0.0, atol=1e-12)


def test_returns_and_costs_are_those_of_plain_loops() -> None:
    found, _, _ = record(TIGHT, borrow_bps=100.0)
    bars = market()
    table = {date: dict.fromkeys(("gross", "cost", "borrow", "turnover"), 0.0) for date in found.dates}
    own: dict[Any, list[float]] = {date: [] for date in found.dates}
    for column, key in enumerate(found.keys):
        one, held, last = bars[key], 0.0, None
        for k in range(one.change.size):
            known = [day for day, book in enumerate(found.books) if book < one.dates[k + 1]]
            if known and one.dates[k] <= found.books[-1]:
                weight, last = found.weights[known[-1], column], one.dates[k + 2]
                row = table[last]
                row["gross"] += weight * one.change[k]
                row["turnover"] += abs(weight - held)
                row["cost"] += abs(weight - held) * one.rate[k]
                row["borrow"] += max(-weight, 0.0) * 0.01 / (365 if key[0] == "crypto" else 252)
                held, rate = weight, one.rate[k]
                if key in KEYS[:3]:
                    own[last].append(one.change[k])
        table[last]["turnover"] += abs(held)
        table[last]["cost"] += abs(held) * rate
    for name in ("gross", "cost", "borrow", "turnover"):
        expected = [table[date][name] for date in found.dates]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(found.net, found.gross - found.cost - found.borrow, rtol=0.0, atol=1e-16)
    assert found.borrow.any()
    weekday = int(np.flatnonzero([len(each) == 3 for each in own.values()])[0])
    assert found.always_long[weekday] == pytest.approx(np.mean(list(own.values())[weekday]))


def test_over_a_weekend_stocks_keep_fridays_positions_while_coins_decide() -> None:
    found, _, _ = record(WIDE)
    saturday = int(np.searchsorted(found.books, np.datetime64("2024-01-20")))
    assert found.books[saturday] == np.datetime64("2024-01-20")
    assert np.array_equal(found.weights[saturday - 1, 1:], found.weights[saturday, 1:])
    assert found.weights[saturday - 1, 0] != found.weights[saturday, 0]


def test_days_are_those_on_which_half_of_the_capital_decides() -> None:
    made = stakes(market())
    shares = {"a": 0.1, "b": 0.1, "c": 0.2, "pooled.p": 0.6}
    assert book_days(made, shares)[[0, -1]].tolist() == EXCHANGE[[2, 29]].tolist()
    assert book_days([], {}).size == 0
    alone = book_days(made[:1], {"a": 0.1, "left out": 0.9})
    assert alone.tolist() == made[0].days.tolist()


def test_an_edge_that_is_planted_is_in_the_record() -> None:
    bars = market()
    one = bars[KEYS[1]]
    position = np.append((one.change > 0.0).astype(np.float64), 0.0)
    stake = Stake("a", "instrument", (KEYS[1],), one.dates[:-1], position[:, None])
    books = book_days([stake], {"a": 1.0})
    keys, weights = held_weights([stake], {"a": 1.0}, books, {}, WIDE)
    found = accounted(books, keys, weights, bars, set(keys))
    assert np.allclose(found.gross, np.maximum(one.change, 0.0))
    assert (sharpe(found.net, 252.0) or 0.0) > 5.0


def test_a_delisted_name_costs_its_long_side_the_delisting_return() -> None:
    dates = EXCHANGE[:6]
    one = InstrumentBars(dates, np.array([0.0, 0.0, 0.0, 0.1]), np.zeros(4), loss=-0.3)
    for position, expected in ((0.5, 0.5 * 0.1 + 0.5 * 1.1 * -0.3), (-0.5, -0.5 * 0.1)):
        stake = Stake("pooled.p", "pooled", (KEYS[1],), EXCHANGE[[0, 8]], np.array([[position], [0.0]]))
        books = EXCHANGE[:8]
        keys, weights = held_weights([stake], {"pooled.p": 1.0}, books, {}, WIDE)
        assert accounted(books, keys, weights, {KEYS[1]: one}, set(keys)).gross[-1] == pytest.approx(expected)
