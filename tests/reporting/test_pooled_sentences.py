"""What the first line says of pooled portfolios, and when a failing one is a near miss."""

import pytest

from src.config.schema import GradeConfig
from src.market.survivors import survivorship
from src.reporting.pooled_results import GradedPortfolio, PooledResults
from src.reporting.pooled_sentences import is_near_miss, pooled_sentence, strength, verdict
from src.reporting.report_data import thresholds
from tests.reporting.pooled_case import FAR, NEAR, PASSING, hydrated, tables

LIMITS = thresholds(GradeConfig())


def portfolio(row):
    return GradedPortfolio(row, row["symbol"], *tables().values())


def results(*rows, ended=0):
    known = survivorship(hydrated(ended), ["stock"])
    return PooledResults(tuple(map(portfolio, rows)), survivorship=known, settings={"portfolio.borrow_bps": 50.0})


def test_the_first_line_names_what_passed_its_sharpe_its_trials_and_that_it_is_weak():
    assert pooled_sentence(results(PASSING, FAR), LIMITS) == (
        "Pooled: 1 of 2 portfolios passed (stock.neutral: Sharpe 0.58, t 1.4 after 66 trials: weak; etf.neutral: Sharpe"
        " -0.30, t -0.7 after 66 trials: weak). Survivors only; borrowing is assumed to cost 50 bp a year."
    )


def test_a_portfolio_with_a_t_of_three_is_not_called_weak():
    assert strength(NEAR) == "Sharpe 0.55, t 3.4 after 66 trials"


def test_evidence_that_is_unknown_is_weak():
    assert strength(PASSING | {"weak": None, "adjusted_t": None}) == "Sharpe 0.58, t unknown after 66 trials: weak"


def test_an_auc_of_51_that_misses_52_is_said_as_a_near_miss():
    assert verdict(portfolio(NEAR), LIMITS) == "Failed, a near miss: auc 0.513 is below 0.520."
    assert "near miss: auc 0.513 is below 0.520)" in pooled_sentence(results(NEAR), LIMITS)


@pytest.mark.parametrize(
    ("changes", "near"),
    [({"auc": 0.507}, True), ({"auc": 0.506}, False), ({"auc": None}, False), ({"accuracy": 0.505}, True),
     ({"accuracy": 0.505, "sharpe": 0.4}, False), ({"max_drawdown": 0.29}, True), ({"max_drawdown": 0.31}, False)],
)  # fmt: skip
def test_near_is_a_third_of_the_way_from_no_skill_and_at_most_two_misses(changes, near):
    assert is_near_miss(portfolio(NEAR | changes), LIMITS) is near


def test_a_pass_is_no_near_miss_and_a_far_miss_gives_every_reason():
    assert not is_near_miss(portfolio(PASSING), LIMITS)
    assert verdict(portfolio(FAR), LIMITS) == "Failed: auc 0.50 is below 0.52; sharpe -0.30 is below 0.50."


def test_a_pass_that_is_flagged_says_why():
    assert "flagged: gone a day late" in verdict(portfolio(PASSING | {"suspicious": "gone a day late"}), LIMITS)


def test_with_delisted_names_in_the_data_survivors_are_not_claimed():
    line = pooled_sentence(results(PASSING, ended=10), LIMITS)
    assert line.endswith(". Borrowing is assumed to cost 50 bp a year.") and "urvivors" not in line


def test_many_portfolios_are_counted_and_three_of_them_named():
    line = pooled_sentence(results(*[PASSING] * 5), LIMITS)
    assert line.startswith("Pooled: 5 of 5 portfolios passed") and line.count("Sharpe") == 3 and "and 2 more" in line
    assert pooled_sentence(PooledResults(()), LIMITS) == "Pooled: no portfolio was graded."
