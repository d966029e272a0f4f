import polars as pl
import pytest

from src.config.schema import GradeConfig
from src.evaluation.grade import GATE_METRICS
from src.reporting.report_data import Threshold, groups, most_credible_first, thresholds
from src.reporting.schemas import GRADE_SCHEMA, ReportDataError, equity_table, grades_table
from tests.reporting.synthetic import grades, luck


def test_a_grades_table_without_a_key_is_refused_by_name():
    with pytest.raises(ReportDataError, match="grades table lacks symbol"):
        grades_table(grades(2).drop("symbol"))


def test_missing_evidence_columns_are_null():
    conformed = grades_table(grades(2).drop("q_value", "luck_rate", "z"))
    assert conformed.columns == list(GRADE_SCHEMA)
    assert conformed["q_value"].is_null().all()


def test_an_empty_table_without_columns_is_a_table_of_no_runs():
    assert grades_table(pl.DataFrame()).schema == pl.Schema(GRADE_SCHEMA)


def test_nan_and_infinity_become_null():
    table = grades(2).with_columns(
        auc=pl.Series([float("nan")] * 6),
        sharpe=pl.Series([float("inf")] * 6),
        max_drawdown=pl.Series([float("-inf")] * 6),
    )
    conformed = grades_table(table)
    assert all(conformed[c].is_null().all() for c in ("auc", "sharpe", "max_drawdown"))


def test_an_undefined_pass_is_not_a_pass():
    table = grades(2).with_columns(passed=pl.lit(None, dtype=pl.Boolean))
    assert not grades_table(table)["passed"].any()


def test_the_order_of_rows_on_disk_does_not_matter():
    table = grades(20)
    shuffled = table.sample(fraction=1.0, shuffle=True, seed=3)
    assert grades_table(table).equals(grades_table(shuffled))
    assert most_credible_first(grades_table(table)).equals(most_credible_first(grades_table(shuffled)))


def test_unknown_evidence_ranks_last():
    table = grades_table(grades(4)).with_columns(q_value=pl.Series([None, 0.5, 0.1] * 4))
    assert most_credible_first(table)["q_value"].to_list() == [0.1] * 4 + [0.5] * 4 + [None] * 4


def test_thresholds_are_those_of_the_configuration_and_undefined_does_not_clear():
    gate = GradeConfig(min_auc=0.6, max_drawdown=0.1)
    by_name = {t.metric: t for t in thresholds(gate)}
    assert (by_name["auc"].limit, by_name["max_drawdown"].limit) == (0.6, 0.1)
    table = pl.DataFrame({"auc": [0.6, 0.59, None], "max_drawdown": [0.1, 0.11, None]})
    assert table.select(by_name["auc"].is_cleared()).to_series().to_list() == [True, False, False]
    assert table.select(by_name["max_drawdown"].is_cleared()).to_series().to_list() == [True, False, False]


def test_thresholds_agree_with_the_gate_itself():
    declared = [(metric.name, metric.at_least) for metric in GATE_METRICS]
    assert [(t.metric, t.at_least) for t in thresholds(GradeConfig())] == declared
    assert all(isinstance(t, Threshold) for t in thresholds(GradeConfig()))


def test_an_unknown_asset_class_or_family_has_its_own_group():
    table = grades_table(grades(5).with_columns(family=pl.lit("ridge")))
    assert [g.name for g in groups(table, luck)] == ["stock", "etf", "crypto", "ridge"]


def test_an_equity_point_that_is_undefined_is_left_out():
    table = pl.DataFrame({"record_id": ["a", "a"], "stamp": [None, None], "equity": [1.0, float("nan")]})
    assert equity_table(table).height == 1


def test_flagged_runs_rank_last():
    table = grades_table(grades(4)).with_columns(q_value=pl.lit(0.5), suspicious=pl.lit(None, dtype=pl.String))
    best = pl.col("symbol") == "S001"
    table = table.with_columns(
        q_value=pl.when(best).then(0.001).otherwise("q_value"),
        suspicious=pl.when(best).then(pl.lit("gone one bar later")),
    )
    assert most_credible_first(table)["symbol"].to_list()[-3:] == ["S001"] * 3
