import polars as pl

from src.reporting.methodology import costs, folds, method
from src.reporting.passing_runs import best_instruments, run_table
from src.reporting.planted_edges import found_and_missed, rows, verdict
from src.reporting.session_data import Luck, tidy_grades
from src.reporting.verdict import reading, sentence, statements
from tests.reporting.synthetic import grades, material


def test_the_sentence_of_the_evidence_is_used_as_it_is():
    given = "57 of 1,989 runs passed, on 41 instruments."
    assert sentence(Luck(1, 1, 2.0, 0.0, 4.0, given)) == given


def test_without_evidence_the_sentence_says_that_luck_is_unknown():
    assert "not computed" in sentence(Luck(3, 2, None, None, None))
    assert sentence(Luck(1, 1, 31.2, None, None)) == (
        "1 run passed, on 1 instrument. If no model had any skill, about 31 would pass."
    )


def test_the_reading_never_calls_a_count_within_the_range_skill():
    for passes in range(4, 19):
        assert "nothing" in reading(Luck(passes, 1, 10.0, 4.0, 18.0), 100)
    assert "More passed" in reading(Luck(19, 1, 10.0, 4.0, 18.0), 100)
    assert "nothing to believe" in reading(Luck(0, 0, None, None, None), 0)


def statement(shown, part):
    found = [words for words in statements(shown) if part in words]
    assert len(found) <= 1
    return found[0] if found else None


def test_credible_instruments_are_counted_once_each():
    table = grades(10).with_columns(q_value=pl.lit(0.5))
    credible = pl.col("symbol").is_in(["S000", "S001"])
    table = table.with_columns(q_value=pl.when(credible).then(0.02).otherwise("q_value"))
    words = statement(material(table), "q-value")
    assert words.startswith("2 of 10 graded instruments have a q-value under 0.10: S000, S001.")


def test_no_credible_instrument_is_said_plainly():
    words = statement(material(grades(10).with_columns(q_value=pl.lit(0.37))), "q-value")
    assert words.startswith("None of 10 graded instruments") and "0.37" in words


def test_baselines_are_counted_as_a_naive_loop_counts_them():
    shown = material(planted=20)
    passing = list(shown.passing.iter_rows(named=True))
    dull = sum(r["accuracy"] <= r["majority_accuracy"] for r in passing)
    held = sum(r["sharpe"] <= r["buy_hold_sharpe"] for r in passing)
    assert statement(shown, "commoner direction").startswith(f"{dull} of {len(passing)} passes")
    assert statement(shown, "always long").startswith(f"{held} of {len(passing)} passes")


def test_evidence_that_is_missing_for_some_is_counted_over_the_rest():
    table = material(planted=20).grades
    some = table.with_columns(luck_rate=pl.when(pl.col("family") == "xgboost").then(0.5).otherwise(None))
    n = some.filter(pl.col("passed") & (pl.col("family") == "xgboost")).height
    assert f"{n} of the {n} passes measured are" in statement(material(some), "luck rate above")


def test_passes_by_instrument_stand_beside_their_luck():
    shown = material(luck=Luck(9, 5, 4.0, 1.0, 9.0, "s", (2.4, 1, 5)))
    assert statement(shown, "By instrument").startswith("By instrument: 5 have a pass; luck alone gives about 2")


def test_the_best_have_one_run_for_each_instrument():
    best = best_instruments(material(planted=20))
    assert best.height == 12 == best.select("asset_class", "symbol").unique().height
    q = best["q_value"].to_list()
    assert q == sorted(q)


def test_a_run_with_too_few_bars_is_not_called_registrable():
    table = grades(3, planted=3).with_columns(passed=pl.lit(True), registrable=pl.lit(False), suspicious=pl.lit(None))
    assert run_table(material(table)).count("too few bars") == table.height


def test_every_kind_of_instrument_has_its_verdict():
    assert [verdict(*case) for case in ((True, True, True), (True, True, False), (False, True, False))] == [
        "found", "missed", "missed: not trained",
    ]  # fmt: skip
    assert (verdict(True, False, True), verdict(True, False, False)) == ("lucky", "rightly failed")


def test_planted_instruments_and_lucky_ones_are_listed_each_once():
    shown = material(grades(40, planted=10), planted=10)
    listed = [(r["asset_class"], r["symbol"]) for r in rows(shown)]
    won = set(shown.passing.select("asset_class", "symbol").iter_rows())
    assert set(listed) == set(shown.planted) | won
    assert len(listed) == len(set(listed))


def test_a_universe_without_planted_edges_has_no_such_section():
    assert found_and_missed(material(tidy_grades(grades(5)))) == ""


def test_the_method_tells_folds_costs_and_thresholds_of_the_settings():
    told = {
        "split.first_train_bars": 500, "split.fold_months": 18, "split.embargo": 5, "label.horizon": 1,
        "strategy.cost_bps.stock": 5.0, "strategy.cost_bps.crypto": 10.0,
    }  # fmt: skip
    words = method(material(settings=told))
    assert "at least 500 bars to train on, fitted again every 18 months, 5 bars of embargo, label over 1 bar<" in words
    assert "basis points (crypto 10, stock 5)" in words
    assert "AUC at least 0.52; Accuracy at least 51%; Sharpe ratio at least 0.5; Max drawdown at most 20%" in words


def test_settings_that_do_not_tell_are_a_dash():
    assert (folds({}), costs({})) == ("\u2013", "\u2013")
