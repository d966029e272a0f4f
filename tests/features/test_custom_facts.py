"""A user's own features of facts: what the checks take and refuse, on invented facts and on an instrument's own."""

import datetime as dt
import textwrap

import numpy as np
import pytest

from src.config.schema import FeaturesConfig
from src.features.compute import PanelLookup, evaluate
from src.features.facts import Facts, at, latest
from src.features.graph import FeatureGraph
from src.features.look_ahead import ForesightError, cut_off, examiner, overturned
from src.features.registry import Feature, FeatureError
from src.features.selection import select
from src.features.trial_bars import thin, trial
from tests.features import facts_case
from tests.features.series import lively
from tests.features.test_custom import ONE, written

HELPERS = "from src.features.facts import at, count, covered_for, latest, newest, since_bar, within\n"
TONE = "at(text_scores.fields['tone'], latest(text_scores))"
EQUITY = "at(statements.fields['equity'], newest(statements, statements.fields['period']))"
SHARES = "at(statements.fields['shares'], newest(statements, statements.fields['period']))"
NEXT = "np.minimum(text_scores.seen, len(text_scores.known) - 1)"
POSTS = "count(text_scores, text_scores.fields['channel'] == 3, "
MONTH, SOME_POSTS = POSTS + "within(text_scores, 30))", POSTS + "since_bar(text_scores, 10))"


@pytest.mark.parametrize(
    ("inputs", "formula", "window", "words"),
    [
        ("text_scores", TONE, 1, None),
        ("statements, traded_close", f"{EQUITY} / ({SHARES} * traded_close)", 1, None),
        ("text_scores", MONTH, 1, None),
        (
            "text_scores",
            f"{SOME_POSTS} + 0 * lag(text_scores.close, 10)",
            11,
            None,
        ),
        ("filings, tone_5", "np.where(covered_for(filings, 30), tone_5, np.nan)", 64, None),
        ("text_scores", f"text_scores.fields['tone'][{NEXT}]", 1, "looks ahead"),
        ("text_scores", f"text_scores.known[{NEXT}] - text_scores.close", 1, "looks ahead"),
        ("text_scores", f"{TONE} - np.mean(text_scores.fields['tone'])", 1, "looks ahead"),
        ("text_scores", "text_scores.seen / len(text_scores.known)", 1, "looks ahead"),
        ("filings", "np.append(filings.since[1:], np.nan) - filings.close", 1, "looks ahead"),
        ("statements", EQUITY, 1, "times seven"),
        ("insider_trades", "at(insider_trades.fields['held'], latest(insider_trades))", 1, "volumes are times seven"),
        ("text_scores", SOME_POSTS, 5, "window=5 bars must give its value"),
        ("text_scores", "text_scores.fields['tone'].sort() or text_scores.close", 1, "read-only"),
        ("text_score", "text_score.close", 1, "no column of the bars or the panel, kind of fact"),
    ],
)
def test_a_declaration_on_facts_is_held_to_the_rules_of_bars(tmp_path, inputs, formula, window, words):
    text = HELPERS + textwrap.dedent(ONE.format(inputs=inputs, formula=formula, window=window, scale="none"))
    choice = FeaturesConfig(families=["own"], files=[written(tmp_path, text)])
    if words is None:
        assert [item.name for item in select(choice)] == ["mine"]
        return
    with pytest.raises(FeatureError, match=words):
        select(choice)


BARS = lively(700)
BUSY = dt.datetime(2016, 6, 1, tzinfo=dt.UTC)  # from when on facts are odd


def found(function, trials: int = 12) -> str:
    """What the check says of a feature on an instrument's own facts; empty where it passes."""
    graph = FeatureGraph([Feature("planted", "own", function, None, 1, "none", 0.0, "this test")])
    known = facts_case.lookup(BARS)
    try:
        _, failed = evaluate(BARS, graph, PanelLookup(None), examiner(graph.features, trials), facts=known)
    except ForesightError as error:
        return error.found.reason
    assert not failed
    return ""


def many_facts(filings):
    """What invented facts don't show: they are fewer."""
    return np.full(len(filings.close), float(len(filings.known) > 10))


def day_ahead(text_scores):
    seen = np.searchsorted(text_scores.known, text_scores.close + 1.0, side="right")
    return at(text_scores.fields["tone"], seen - 1)


def correction(statements):
    """The last value of a period, whenever it became known."""
    return at(np.maximum.accumulate(statements.fields["period"][::-1])[::-1], latest(statements))


@pytest.mark.parametrize("function", [day_ahead, correction])
def test_a_column_that_reads_later_facts_of_an_instrument_is_refused_with_its_date(function):
    assert "planted looks ahead on stock:AAA at 201" in found(function)


def test_a_column_of_known_facts_passes():
    assert found(lambda text_scores: at(text_scores.fields["tone"], latest(text_scores))) == ""


def test_a_branch_on_the_number_of_all_facts_is_found_where_it_turns():
    few = facts_case.facts()["filings"][:11]
    lookup = facts_case.FactLookup({"filings": few.with_columns(known=few["known"] + dt.timedelta(days=1700))})
    graph = FeatureGraph([Feature("planted", "own", many_facts, None, 1, "none", 0.0, "this test")])
    with pytest.raises(ForesightError, match="planted looks ahead"):
        evaluate(BARS, graph, PanelLookup(None), examiner(graph.features, 12), facts=lookup)


@pytest.mark.parametrize("arrays", [trial(), thin(), trial(True)])
def test_changed_facts_are_the_same_up_to_the_cut_and_others_after_it(arrays):
    cut, kinds = 900, [name for name, values in arrays.items() if isinstance(values, Facts)]
    assert len(kinds) == 5
    for kind in kinds:
        whole = arrays[kind]
        known = int(whole.seen[cut - 1])
        assert 0 < known < len(whole.known)
        for changed, facts in ((cut_off(arrays, cut)[kind], known), (overturned(arrays, cut)[kind], len(whole.known))):
            assert len(changed.known) == facts
            for name in ("seen", "covered", "close", "since"):
                before = getattr(whole, name)[:cut]
                assert np.array_equal(getattr(changed, name)[:cut], before, equal_nan=name == "since")
            for name, values in whole.fields.items():
                assert np.array_equal(changed.fields[name][:known], values[:known])
        turned = overturned(arrays, cut)[kind]
        assert (turned.known[known:] > turned.close[cut - 1]).all()
        assert (np.diff(turned.known) >= 0).all()
        assert all(
            (turned.fields[name][known:] != values[known:]).mean() > 0.3 for name, values in whole.fields.items()
        )
