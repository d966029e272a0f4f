"""Findings: one for each rule of an instrument, with its count, dates and text; the reason is made of them."""

import datetime as dt

import polars as pl

from src.core.finding import EFFECTS, BarFinding
from src.hydration.findings import column, reason, with_remarks
from src.hydration.validation import DROPPED, REPAIRED, validate
from src.market.bar_findings import FACT, table
from tests.market_case import put, scale, series


def found(frame: pl.DataFrame, **settings) -> tuple[dict, list[dict]]:
    states = validate(frame, **settings)[1]
    return states.row(0, named=True), table(states).to_dicts()


def test_sane_bars_have_no_finding():
    assert found(series())[1] == []


def test_each_rule_that_applied_is_one_finding_with_its_bars_and_dates():
    frame = put(put(series(), 100, close=None), 200, close=-1.0)
    state, findings = found(put(frame, 300, volume=None))
    dates = frame["date"]
    assert [(f["rule"], f["effect"], f["n"], f["of"], f["first"], f["last"]) for f in findings] == [
        ("price", "repaired", 2, 800, dates[100], dates[200]),
        ("no_volume", "repaired", 1, 800, dates[300], dates[300]),
    ]
    assert state["reason"] == "; ".join(f["text"] for f in findings)


def test_dropped_rows_count_of_all_rows_that_came():
    frame = series()
    state, findings = found(pl.concat([frame, frame.slice(10, 3)]))
    assert [(f["rule"], f["effect"], f["n"], f["of"]) for f in findings] == [
        ("duplicate", "dropped", 3, 803),
        ("unordered", "noted", 0, 0),
    ]
    assert state["state"] == "done"


def test_a_quarantined_instrument_keeps_the_findings_that_its_reason_leaves_out():
    state, findings = found(put(scale(series(), slice(400, 800), 5000.0), 100, volume=None))
    assert state["state"] == "quarantined"
    assert state["reason"] == "; ".join(f["text"] for f in findings if f["effect"] == "quarantined")
    assert {"no_volume", "price_scales"} <= {f["rule"] for f in findings}


def test_every_effect_and_rule_is_a_known_short_name():
    every = [put(put(series(), 100, close=None), 50, open=None), scale(series(), slice(400, 800), 1 / 3.7)]
    for frame in every:
        for finding in found(frame)[1]:
            assert finding["effect"] in EFFECTS and finding["rule"].isidentifier() and finding["text"]
    assert all(rule.isidentifier() for rule in DROPPED | REPAIRED)


def test_a_semicolon_in_a_text_stays_within_its_finding():
    nasty = BarFinding("stale", "noted", "not refreshed (provider: try later; or don't)", last=dt.date(2024, 1, 2))
    states = validate(put(series(), 100, volume=None))[1]
    key = states.select("asset_class", "symbol").row(0)
    more = with_remarks(states, {key: [nasty]})
    assert [row["text"] for row in table(more).to_dicts()] == [states["reason"][0], nasty.text]
    assert more["reason"][0] == f"{states['reason'][0]}; {nasty.text}"
    assert with_remarks(states, {("etf", "NONE"): [nasty]}).equals(states)


def test_the_reason_of_a_quarantine_is_what_condemns():
    findings = [BarFinding("a", "quarantined", "condemned"), BarFinding("b", "noted", "noted")]
    assert reason(findings, "quarantined") == "condemned" and reason(findings, "done") == "condemned; noted"


def test_findings_of_no_instrument_are_an_empty_column():
    assert column([]).len() == 0 and column([[]]).to_list() == [[]] and column([]).name == FACT


def test_a_verdict_shows_the_closes_around_its_place_because_its_bars_are_not_stored():
    frame = scale(series(), slice(400, 800), 5000.0)
    first = found(frame)[1][0]
    assert first["rule"] == "price_scales" and first["closes"][first["at"]] > 1000 * first["closes"][first["at"] - 1]
    assert len(first["closes"]) == 61 and first["first"] == frame["date"][400]
    assert all(f["closes"] == [] for f in found(frame)[1][1:])


def test_a_place_near_either_end_has_fewer_closes_around_it():
    flat = series().with_columns(pl.lit(0.0).alias("volume"))
    first = found(flat)[1][0]
    assert first["rule"] == "never_traded" and len(first["closes"]) == 31 and first["at"] == 30


def test_the_price_ratio_in_question_is_that_of_the_wick_the_held_close_or_the_move():
    frame = series()
    top = max(frame["open"][100], frame["close"][100])
    _, findings = found(put(put(frame, 100, high=7 * top), 200, low=0.0))
    assert [(f["rule"], f["n"]) for f in findings] == [("wick", 2)] and abs(findings[0]["ratio"] - 7) < 1e-9
    _, findings = found(scale(frame, slice(100, 101), 1000.0))
    assert findings[0]["rule"] == "jump" and 900 < findings[0]["ratio"] < 1100
    news = found(put(scale(frame, slice(400, 800), 1 / 3.7), 400, volume=3e6))[1][0]
    assert news["rule"] == "news" and 3.5 < news["ratio"] < 4.0


def test_the_dollar_volume_of_a_quarantined_instrument_is_known():
    state, _ = found(scale(series(), slice(400, 800), 5000.0))
    assert state["state"] == "quarantined" and state["dollar_volume"] > 0
