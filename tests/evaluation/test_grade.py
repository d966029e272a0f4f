import json
import math
import sys
from dataclasses import replace

import pytest
import yaml

from src.config.schema import GradeConfig
from src.core.project import ROOT
from src.evaluation import grade as module
from src.evaluation.grade import GATE_METRICS, Thresholds, grade
from tests import process_case

LIMITS = Thresholds({"min_auc": 0.52, "min_accuracy": 0.51, "min_sharpe": 0.5, "max_drawdown": 0.20}, 500, 1000)
GOOD = {"auc": 0.53, "accuracy": 0.52, "sharpe": 0.9, "max_drawdown": 0.11, "n_oos": 1600}


def test_a_run_that_clears_all_four_passes_and_may_be_registered_and_promoted():
    verdict = grade(GOOD, LIMITS)
    assert verdict == module.Grade(True, (), (), ())
    assert verdict.registrable
    assert verdict.promotable


@pytest.mark.parametrize("metric", GATE_METRICS, ids=lambda metric: metric.name)
def test_each_threshold_is_met_at_its_limit_and_missed_just_beyond(metric):
    limit = LIMITS.limit(metric)
    beyond = math.nextafter(limit, -math.inf if metric.at_least else math.inf)
    assert grade({**GOOD, metric.name: limit}, LIMITS).passed
    missed = grade({**GOOD, metric.name: beyond}, LIMITS)
    assert not missed.passed
    assert len(missed.reasons) == 1
    assert missed.reasons[0].startswith(metric.name)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, "0.9", True, [0.9], {}, 10**400])
@pytest.mark.parametrize("metric", GATE_METRICS, ids=lambda metric: metric.name)
def test_an_undefined_metric_fails(metric, value):
    verdict = grade({**GOOD, metric.name: value}, LIMITS)
    assert verdict.reasons == (f"{metric.name} is undefined",)


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
    assert Thresholds.of(LIMITS.by_name()) == LIMITS
    with pytest.raises(ValueError, match="min_sharpe must be a number, got None"):
        Thresholds.of({**LIMITS.by_name(), "min_sharpe": None})


def test_the_config_file_holds_the_four_thresholds_of_the_gate():
    written = yaml.safe_load((ROOT / "conf" / "grade" / "default.yaml").read_text(encoding="utf-8"))
    assert Thresholds.of(written) == LIMITS


def test_the_gate_needs_the_standard_library_only():
    """In a process of its own: what importing and asking the gate leaves among the loaded modules."""
    code = (
        "import sys; before = set(sys.modules); from src.evaluation.grade import Thresholds, grade;"
        f"grade({GOOD!r}, Thresholds.of({LIMITS.by_name()!r}));"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    loaded = process_case.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(loaded.split()) <= {*sys.stdlib_module_names, "src"}


NEW_METRIC = """
import dataclasses, datetime as dt, json, sys
from src.config import schema
from src.evaluation import grade as gate

def worst_return(run):
    return float(-run.net.min())

added = gate.GateMetric("worst_return", "max_worst_return", False, 0.0, 1.0, worst_return, "Worst return", "worst",
                        ".1%", (0.0, 0.1), 0.005)
gate.GATE_METRICS = (*gate.GATE_METRICS, added)
limit = [("max_worst_return", float, dataclasses.field(default=0.03))]
schema.GradeConfig = dataclasses.make_dataclass("GradeConfig", limit, bases=(schema.GradeConfig,))

import numpy as np, polars as pl
from src.evaluation import assessment
from src.inspection import dossier_view, instrument
from src.reporting import all_runs, binning, formatting, report_data
from src.tracking import gate_triggers, registry_gate
from src.training import code_keys
from src.training.session_summary import run_line
from tests.evaluation.test_shift_test import one_run

run = one_run(seed=3, folds=3)
limits = gate.Thresholds.of(schema.GradeConfig(min_auc=0.5, min_accuracy=0.5, min_sharpe=0.0, max_drawdown=0.5))
shifts = run.shifts(limits)
worst = [-run.shifted_by_hand(s)[1].net.min() for s in range(run.label.size)]
good = {"auc": 0.6, "accuracy": 0.6, "sharpe": 1.0, "max_drawdown": 0.1, "n_oos": 900}
row = {**good, "luck_rate": 0.1, "passed": True, "worst_return": 0.0456, "family": "f"}
thresholds = report_data.thresholds(schema.GradeConfig())
print(json.dumps({
    "reason": gate.grade({**good, "worst_return": 0.0456}, limits).reasons,
    "column": "worst_return" in assessment.SCHEMA,
    "shifts": bool(shifts.clears.any()) and all(worst[s] <= 0.03 for s in np.flatnonzero(shifts.clears)),
    "log": "worst_return 0.046" in run_line(row, 1.0),
    "data": format(row["worst_return"], dossier_view._METRICS["worst_return"]),
    "dossier": "worst_return" in instrument._GRADES,
    "report": [thresholds[-1].name, formatting.METRIC_FORMATS["worst_return"](0.0456)],
    "limit": formatting.threshold_value("worst_return", 0.03),
    "report's table": "worst" in [column.title for column in all_runs.columns(has_bars=True)],
    "histogram": len(binning.bin_edges(thresholds[-1])),
    "registry": "worst_return" in registry_gate.GATED,
    "database": "max_worst_return" in gate_triggers._meets(added),
    "key": len(code_keys.returns_code()),
}))
"""


def test_a_metric_that_is_added_to_the_declaration_shows_everywhere():
    """A fifth metric in a process of its own: in the gate, grades, shifts, log, views, report, registry and keys."""
    answer = process_case.run([sys.executable, "-c", NEW_METRIC], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == {
        "reason": ["worst_return 0.05 is above 0.03"],
        "column": True,
        "shifts": True,
        "log": True,
        "data": "4.6%",
        "dossier": True,
        "report": ["Worst return", "4.6%"],
        "limit": "3%",
        "report's table": True,
        "histogram": 21,
        "registry": True,
        "database": True,
        "key": 32,
    }


def test_the_threshold_of_every_metric_is_a_setting_with_a_range_and_a_value_in_the_file():
    written = yaml.safe_load((ROOT / "conf" / "grade" / "default.yaml").read_text(encoding="utf-8"))
    for metric in GATE_METRICS:
        assert metric.threshold in written
        assert metric.threshold in GradeConfig.__dataclass_fields__


def test_how_a_metric_is_shown_does_not_count_as_code_and_its_rule_does():
    metric = GATE_METRICS[0]
    assert replace(metric, title="Area", form=".1f").code() == metric.code()
    assert replace(metric, at_least=False).code() != metric.code()
    assert replace(metric, compute=GATE_METRICS[1].compute).code() != metric.code()
