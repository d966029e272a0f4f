"""The guide's arithmetic is recomputed from its own inputs, and what it names exists."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from scipy.stats import binom

from src.config.schema import Config, EngineConfig, GradeConfig, LiveSource, SplitConfig, StrategyConfig
from src.core.project import ROOT

GUIDE = ROOT / "docs" / "training-guide.md"
N, P, B, F, C = 1000, 0.52, 1.0, 0.01, 0.0005


@pytest.fixture(scope="module")
def guide() -> str:
    return GUIDE.read_text(encoding="utf-8")


def row(guide: str, start: str) -> list[str]:
    found = [line for line in guide.splitlines() if line.startswith(f"| {start}")]
    assert len(found) == 1, start
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def edge(stop: float | None = None) -> float:
    return P * B - (1 - P) - (2 * C / stop if stop else 0)


def test_the_year_before_costs_is_forty_r(guide: str) -> None:
    assert N * edge() == pytest.approx(40)
    assert "= +40 R" in guide
    assert row(guide, "1% of the starting capital")[-1] == f"{N * F * edge():+.1%}"
    assert row(guide, "1% of current capital, average")[-1] == f"{(1 + F * edge()) ** N - 1:+.1%}"
    assert row(guide, "1% of current capital, exactly")[-1] == f"{(1 + F) ** 520 * (1 - F) ** 480 - 1:+.1%}"


def test_the_spread_of_lucky_and_unlucky_years_is_the_binomial_one(guide: str) -> None:
    wins = binom(N, P)
    assert f"{wins.std() * 2:.1f} R" in guide
    assert f"{wins.cdf(N // 2):.1%} of such years" in guide


@pytest.mark.parametrize("stop", [0.005, 0.01, 0.02, 0.025, 0.05, 0.1])
def test_costs_by_stop_distance_follow_the_formula(guide: str, stop: float) -> None:
    cost = 2 * C / stop
    year = round(N * edge(stop), 6) + 0.0
    grown = round((1 + F * edge(stop)) ** N - 1, 9) + 0.0
    assert row(guide, f"{100 * stop:g}% |") == [
        f"{100 * stop:g}%",
        f"{F / stop:.0%}",
        f"{cost:.2f} R",
        f"{2 * N * F / stop:.0f}",
        f"{year:+.0f} R",
        f"{grown:+.1%}",
        f"{(1 + cost) / (1 + B):.1%}",
    ]


def test_the_average_compounded_year_is_the_mean_over_all_outcomes() -> None:
    wins = range(N + 1)
    mean = sum(binom.pmf(w, N, P) * (1 + F) ** w * (1 - F) ** (N - w) for w in wins) - 1
    assert mean == pytest.approx((1 + F * edge()) ** N - 1, rel=1e-9)


def test_the_sum_for_our_own_strategy_holds(guide: str) -> None:
    move = 0.015 * math.sqrt(2 / math.pi)
    gross = 0.5 * (2 * P - 1) * move * 1e4
    cost = 0.5 * StrategyConfig().cost_bps["stock"]
    assert f"= {move:.2%} on an average day" in guide
    assert f"* {move:.2%} = {2 * gross:.1f} basis points" in guide
    assert f"that is {gross:.1f} basis points a day" in guide
    assert f"5 * 0.5 = {cost:.1f} basis points" in guide
    assert f"Net: {gross - cost:.1f}." in guide


def test_thresholds_and_defaults_are_those_of_the_configuration(guide: str) -> None:
    grade = GradeConfig()
    assert row(guide, "AUC |")[1] == f"{grade.min_auc} or more"
    assert row(guide, "accuracy |")[1] == f"{grade.min_accuracy:.0%} or more"
    assert row(guide, "Sharpe ratio |")[1] == f"{grade.min_sharpe} or more"
    assert row(guide, "max drawdown |")[1] == f"{grade.max_drawdown:.0%} or less"
    assert f"at least {grade.min_oos} out-of-sample bars" in guide
    assert f"next {SplitConfig().fold_months} months" in guide


@pytest.mark.parametrize(
    "key",
    [
        "engine.workers",
        "engine.batch_size",
        "fresh",
        "follow",
        "split.first_train_bars",
        "source.live.workers",
        "source.live.batch_size",
    ],
)
def test_a_knob_that_the_guide_names_exists(guide: str, key: str) -> None:
    part, _, name = key.rpartition(".")
    parts = {"engine": EngineConfig(), "split": SplitConfig(), "source.live": LiveSource(), "": Config()}
    holder = parts[part]
    assert hasattr(holder, name)
    assert key in guide


def test_every_command_and_script_that_the_guide_offers_exists(guide: str) -> None:
    verbs = set(re.findall(r"python -m src\.(\w+)", guide))
    scripts = set(re.findall(r"scripts\\(\w+\.bat)", guide))
    missing = [f"src/{verb}.py" for verb in verbs if not (ROOT / "src" / f"{verb}.py").exists()]
    missing += [f"scripts/{name}" for name in scripts if not (ROOT / "scripts" / name).exists()]
    assert not missing


def test_every_file_that_the_guide_links_to_exists(guide: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", guide)
    assert links
    assert [link for link in links if not (Path(GUIDE).parent / link).exists()] == []
