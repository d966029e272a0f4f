"""The demands of a promotion: each side of each limit, undefined figures, and what a person types."""

from __future__ import annotations

import math

import pytest

from src.config.schema import Config, Demands, PromotionConfig
from src.core.errors import ConfigError
from src.evaluation.grade import GATE_METRICS, Thresholds
from src.tracking.demands import Demand, EvidenceDemands, all_demands, gate_demands

MET = {"q_value": 0.1, "deflated_sharpe": 0.9, "luck_rate": 0.02, "n_oos": 1000.0}
LIMITS = Demands(max_q=0.1, min_deflated_sharpe=0.9, max_luck=0.02, min_oos=1000)


@pytest.mark.parametrize("scope", ["instruments", "portfolios"])
@pytest.mark.parametrize(
    ("figure", "missed"), [("q_value", 0.1001), ("deflated_sharpe", 0.8999), ("luck_rate", 0.0201), ("n_oos", 999.0)]
)
def test_each_demand_is_met_at_its_limit_and_missed_beyond_it(scope: str, figure: str, missed: float) -> None:
    demands = EvidenceDemands.of(PromotionConfig(**{scope: LIMITS}))
    name = "stock.AAPL" if scope == "instruments" else "pooled.stock.neutral"
    other = "pooled.stock.neutral" if scope == "instruments" else "stock.AAPL"
    assert demands.unmet(name, MET) == ()
    (reason,) = demands.unmet(name, {**MET, figure: missed})
    assert reason.startswith(f"{figure} ")
    assert demands.unmet(other, {}) == ()


@pytest.mark.parametrize("figure", sorted(MET))
def test_an_undefined_figure_misses_its_demand(figure: str) -> None:
    demands = EvidenceDemands.of(PromotionConfig(instruments=LIMITS))
    (reason,) = demands.unmet("stock.AAPL", {name: value for name, value in MET.items() if name != figure})
    assert reason.startswith(f"{figure} is undefined (at ")
    assert not Demand(figure, 0.0, is_most=False).is_met(math.nan)


def test_what_is_typed_is_demanded_besides_and_the_stricter_limit_holds() -> None:
    promotion = PromotionConfig(instruments=Demands(max_q=0.1))
    demands = EvidenceDemands.of(promotion, {"max_q_value": 0.05, "min_z": 2.0})
    assert demands.instruments == (Demand("q_value", 0.05, True), Demand("z", 2.0, False))
    assert demands.portfolios == (Demand("q_value", 0.05, True), Demand("z", 2.0, False))
    assert EvidenceDemands.of(promotion, {"max_q": 0.5}).instruments == (Demand("q_value", 0.1, True),)


def test_a_figure_that_no_grade_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_qvalue must name a figure of the grades, got qvalue: take one of "):
        EvidenceDemands.of(PromotionConfig(), {"max_qvalue": 0.1})
    assert EvidenceDemands.of(PromotionConfig(), {"min_adjusted_t": 1.0}).portfolios  # of portfolios alone


def test_the_gate_demands_what_grade_does() -> None:
    from src.evaluation.grade import grade

    thresholds = Thresholds.of(Config().grade)
    limits = {metric.name: thresholds.limit(metric) for metric in GATE_METRICS} | {"n_oos": 1000}
    demands = gate_demands(thresholds)
    assert all(each.is_met(limits[each.figure]) for each in demands)
    assert grade(limits, thresholds).promotable
    for each in demands:
        beyond = {**limits, each.figure: limits[each.figure] * (1.001 if each.is_most else 0.999)}
        assert not each.is_met(beyond[each.figure])
        assert not grade(beyond, thresholds).promotable
    stricter = all_demands(thresholds, [Demand("n_oos", 1500, False)])
    assert [each.limit for each in stricter if each.figure == "n_oos"] == [1500]


def test_shortfalls_are_shares_of_the_way_to_no_skill() -> None:
    assert Demand("auc", 0.52, False).span == pytest.approx(0.02)
    assert Demand("sharpe", 0.5, False).span == pytest.approx(0.5)
    assert Demand("q_value", 0.1, True).span == pytest.approx(0.9)
