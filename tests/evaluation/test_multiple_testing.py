import numpy as np
import polars as pl
import pytest
from scipy import stats

from src.evaluation.multiple_testing import session_evidence


def packed(bits):
    return np.packbits(np.asarray(bits, dtype=bool)).tobytes()


def grades(rows):
    """Rows of (symbol, passed, luck_rate, p_value, n_trials, bits)."""
    return pl.DataFrame(
        [
            {
                "asset_class": "stock",
                "symbol": symbol,
                "passed": passed,
                "luck_rate": luck,
                "p_value": p,
                "q_value": None,
                "n_trials": trials,
                "shift_passes": packed(bits),
            }
            for symbol, passed, luck, p, trials, bits in rows
        ],
        schema_overrides={"q_value": pl.Float64, "luck_rate": pl.Float64, "p_value": pl.Float64},
    )


def test_runs_and_instruments_are_counted_apart_and_luck_is_added_up():
    none = np.zeros(200)
    found = session_evidence(
        grades([("A", True, 0.2, 0.01, 2, none), ("A", True, 0.3, 0.02, 2, none), ("B", False, 0.1, 0.5, 1, none)])
    )
    assert (found.passes, found.instruments) == (2, 1)
    assert found.expected == pytest.approx(0.6)


def test_the_range_knows_that_instruments_move_together():
    """Forty runs that pass at the same one shift in ten: 0 or 40 lucky passes, not about 4."""
    rng = np.random.default_rng(0)
    same = rng.random(200) < 0.1
    together = session_evidence(grades([(f"S{i}", False, 0.1, 0.5, 1, same) for i in range(40)]))
    apart = session_evidence(grades([(f"S{i}", False, 0.1, 0.5, 1, rng.random(200) < 0.1) for i in range(40)]))
    assert (together.low, together.high) == (0, 40)
    assert (apart.low, apart.high) == (
        stats.binom.ppf(0.05, 40, 0.1),
        pytest.approx(stats.binom.ppf(0.95, 40, 0.1), abs=1),
    )
    assert together.expected == apart.expected


def test_families_of_one_instrument_count_once_among_instruments():
    rng = np.random.default_rng(1)
    bits = [rng.random(200) < 0.3 for _ in range(3)]
    found = session_evidence(grades([("A", False, 0.3, 0.5, 3, row) for row in bits]))
    assert found.expected_instruments == pytest.approx(np.any(bits, axis=0).mean())
    assert found.high_instruments == 1
    assert found.high >= 2


def test_rows_of_an_instrument_need_not_stand_together():
    bits = [np.arange(200) < 100, np.arange(200) < 50, np.arange(200) < 150]
    found = session_evidence(grades([(s, False, 0.3, 0.5, 2, b) for s, b in zip("ABA", bits, strict=True)]))
    assert found.expected_instruments == pytest.approx((150 + 50) / 200)


def test_q_is_over_all_graded_instruments_and_the_same_on_each_row_of_one():
    rows = [("A", True, 0.1, 0.001, 3, np.zeros(8)), ("B", False, 0.1, 0.2, 1, np.zeros(8))]
    rows += [("A", False, 0.1, 0.4, 3, np.zeros(8))]
    rows += [(f"C{i}", False, 0.1, 0.3 + i / 100, 2, np.zeros(8)) for i in range(20)]
    found = session_evidence(grades(rows)).grades
    p = [0.003, 0.2, *[min(1.0, 2 * (0.3 + i / 100)) for i in range(20)]]
    want = stats.false_discovery_control(p, method="bh")
    assert found["symbol"].to_list()[:4] == ["A", "B", "A", "C0"]
    assert found["q_value"][0] == found["q_value"][2] == pytest.approx(want[0])
    np.testing.assert_allclose(found["q_value"][3:], want[2:])
    passes_only = session_evidence(grades(rows[:1])).grades["q_value"][0]
    assert passes_only < found["q_value"][0]


def test_the_same_ticker_in_two_classes_is_two_instruments():
    table = grades([("A", True, 0.1, 0.01, 1, np.ones(8)), ("A", True, 0.1, 0.01, 1, np.ones(8))])
    table = table.with_columns(asset_class=pl.Series(["stock", "crypto"]))
    found = session_evidence(table)
    assert (found.instruments, found.high_instruments) == (2, 2)


def test_the_sentence():
    rng = np.random.default_rng(2)
    rows = [(f"S{i % 60}", i < 57, 0.31, 0.5, 3, rng.random(200) < 0.31) for i in range(100)]
    found = session_evidence(grades(rows))
    assert found.sentence() == (
        "57 of 100 runs passed (57 instruments, 0 registrable). If no model had any skill, about 31 would"
        f" ({found.expected_instruments:.0f} instruments; 90% range {found.low} to {found.high})."
    )
    one = session_evidence(grades([("A", True, 0.02, 0.5, 1, np.zeros(200))]))
    assert one.sentence() == (
        "1 of 1 run passed (1 instrument, 0 registrable). If no model had any skill, about 0.0 would (0.0 instruments;"
        " 90% range 0 to 0)."
    )


def test_the_sentence_counts_registrable_passes_and_names_the_session():
    rows = [(f"S{i}", i < 3, 12.5, 0.5, 3, np.ones(200)) for i in range(4)]
    table = grades(rows).with_columns(registrable=pl.Series([True, None, False, True]))
    found = session_evidence(table, session_number=1_007)
    assert found.sentence() == (
        "3 of 4 runs passed (3 instruments, 1 registrable). If no model had any skill, about 50 would (4.0 instruments;"
        " 90% range 4 to 4). Session 1,007 on these bars."
    )
    assert found.grades["session_number"].to_list() == [1_007] * 4
    assert session_evidence(found.grades).sentence() == found.sentence()  # a report reads it from the table


def test_no_grades_at_all_give_zeros():
    found = session_evidence(grades([("A", True, 0.1, 0.1, 1, np.zeros(8))]).clear())
    assert (found.passes, found.instruments, found.expected, found.low, found.high) == (0, 0, 0.0, 0, 0)
    assert found.grades.height == 0


def test_undefined_luck_and_p_count_as_none():
    found = session_evidence(
        grades([("A", False, None, None, 1, np.zeros(8)), ("B", False, 0.2, 0.01, 1, np.zeros(8))])
    )
    assert found.expected == pytest.approx(0.2)
    assert found.grades["q_value"].to_list() == pytest.approx([1.0, 0.02])
