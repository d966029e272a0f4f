import ast
import math
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from src.config.schema import GradeConfig
from src.core.project import ROOT
from src.evaluation import grade as module
from src.evaluation.grade import RULES, Thresholds, grade

LIMITS = Thresholds(0.52, 0.51, 0.5, 0.20, 500, 1000)
GOOD = {"auc": 0.53, "accuracy": 0.52, "sharpe": 0.9, "max_drawdown": 0.11, "n_oos": 1600}


def test_a_run_that_clears_all_four_passes_and_may_be_registered_and_promoted():
    verdict = grade(GOOD, LIMITS)
    assert verdict == module.Grade(True, (), (), ())
    assert verdict.registrable
    assert verdict.promotable


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.metric)
def test_each_threshold_is_met_at_its_limit_and_missed_just_beyond(rule):
    limit = getattr(LIMITS, rule.limit)
    beyond = math.nextafter(limit, -math.inf if rule.at_least else math.inf)
    assert grade({**GOOD, rule.metric: limit}, LIMITS).passed
    missed = grade({**GOOD, rule.metric: beyond}, LIMITS)
    assert not missed.passed
    assert len(missed.reasons) == 1
    assert missed.reasons[0].startswith(rule.metric)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "0.9", True, [0.9], {}, 10**400])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.metric)
def test_an_undefined_metric_fails(rule, value):
    verdict = grade({**GOOD, rule.metric: value}, LIMITS)
    assert verdict.reasons == (f"{rule.metric} is undefined",)


def test_a_metric_that_was_not_logged_fails():
    assert len(grade({}, LIMITS).reasons) == 4
    assert "n_oos is undefined: at least 500" in grade({}, LIMITS).against_registration[-1]


@pytest.mark.parametrize(("metric", "value"), [("auc", 1.2), ("accuracy", 52.0), ("max_drawdown", -0.3)])
def test_an_impossible_value_fails_even_where_it_is_on_the_right_side(metric, value):
    assert grade({**GOOD, metric: value}, LIMITS).reasons == (f"{metric} {value:.2f} is not between 0 and 1",)


def test_reasons_name_metric_value_and_threshold():
    verdict = grade({"auc": 0.5, "accuracy": 0.4, "sharpe": 0.31, "max_drawdown": 0.27, "n_oos": 900}, LIMITS)
    assert verdict.reasons == (
        "auc 0.50 is below 0.52",
        "accuracy 0.40 is below 0.51",
        "sharpe 0.31 is below 0.50",
        "max_drawdown 0.27 is above 0.20",
    )


def test_a_near_miss_is_printed_with_the_decimals_that_show_it():
    assert grade({**GOOD, "auc": 0.5196}, LIMITS).reasons == ("auc 0.5196 is below 0.5200",)
    assert grade({**GOOD, "sharpe": 0.4999999}, LIMITS).reasons == ("sharpe 0.4999999 is below 0.5000000",)


def test_few_bars_pass_but_are_not_registered_and_more_are_needed_to_be_promoted():
    short, middle = grade({**GOOD, "n_oos": 499}, LIMITS), grade({**GOOD, "n_oos": 500}, LIMITS)
    assert short.passed
    assert short.against_registration == ("n_oos 499 is below 500, the out-of-sample bars needed to be registered",)
    assert middle.registrable
    assert not middle.promotable
    assert grade({**GOOD, "n_oos": 1000}, LIMITS).promotable


def test_a_suspicion_stands_against_registration_but_not_against_the_pass():
    verdict = grade(GOOD, LIMITS, "auc 0.71 is at or above 0.65")
    assert verdict.passed
    assert verdict.against_registration == ("suspicious: auc 0.71 is at or above 0.65",)
    assert not verdict.promotable


def test_thresholds_come_from_the_config_or_from_what_a_database_stored():
    assert Thresholds.of(GradeConfig()) == LIMITS
    assert Thresholds.of(asdict(LIMITS)) == LIMITS
    with pytest.raises(ValueError, match="min_sharpe must be a number, got None"):
        Thresholds.of({**asdict(LIMITS), "min_sharpe": None})


def test_the_config_file_holds_the_four_thresholds_of_the_gate():
    written = yaml.safe_load((ROOT / "conf" / "grade" / "default.yaml").read_text(encoding="utf-8"))
    assert Thresholds.of(written) == LIMITS


def test_the_gate_needs_the_standard_library_only():
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= set(sys.stdlib_module_names)
