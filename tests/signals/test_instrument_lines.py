"""Lines of single instruments' champions: what they say, of which days, and each reason for which one is refused."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.features import catalog
from src.features.build import FeatureJob, build
from src.features.store import FeatureStore
from src.market import calendar
from src.market.bars import BarStore, bucket
from src.signals import graded_settings
from src.signals.instrument_lines import instrument_lines
from src.signals.tables import LINES
from src.storage import atomic
from tests.features import stored_case
from tests.signals.trained_case import END, UNTIL, Trained, configured, days, hydrated, train, trained

NAMES = ["rsi_14", "return_5", "residual_return"]
LAST = dt.date.fromisoformat(END)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    config = configured(tmp_path_factory.mktemp("lines"), features__names=NAMES, label__horizon=3)
    return trained(config, "lightgbm", "ridge")


@pytest.fixture
def own(case: Trained, tmp_path: Path) -> Trained:
    return case.copy(tmp_path)


def one(lines: pl.DataFrame) -> dict[str, Any]:
    assert lines.height == 1, lines
    return lines.row(0, named=True)


MISSING = ("its last bar", "there is no bar", "features ", "failed: ")
"""How reasons begin that are of missing or late data: the weight stays until it comes."""


def refusal(case: Trained, day: dt.date | str = LAST, name: str = "SIM01 ridge", **changes: Any) -> str:
    """Reason of the one line of a champion on a day, which is refused and decides nothing."""
    champion = replace(case.champions(name)[0], **changes)
    row = one(instrument_lines([champion], case.dataset, days(day)))
    assert row["state"] == "refused"
    assert [row[name] for name in ("score", "position", "trade_on", "inputs_sha256")] == [None] * 4
    assert row["holds"] is (row["reason"].startswith(MISSING) or None)
    return str(row["reason"])


def rewrite(case: Trained, change: Callable[[pl.DataFrame], pl.DataFrame], *, featurized: bool = True) -> None:
    """Change the bars of all buckets, as a later hydration does."""
    store = BarStore(case.config.paths.bars)
    for number in store.buckets():
        bars = change(store.read_bucket(number))
        digest = store.write_bucket(number, bars)
        store.ledger.record(number, str(store.ledger.fact(number)), store.ledger.states(number), digest=digest)
    if featurized:
        build(FeatureJob.of(case.config))


# what is said ---------------------------------------------------------------------------------------------------------


def test_a_line_says_what_was_decided_on_which_bar_and_by_which_model(case: Trained) -> None:
    champion = case.champions("SIM01 lightgbm")[0]
    lines = instrument_lines([champion], case.dataset, days(LAST))
    assert dict(lines.schema) == LINES
    row = one(lines)
    task = case.tasks["SIM01"]
    bars = BarStore(case.config.paths.bars)
    number = next(b for b in bars.buckets() if bars.read_bucket(b).filter(pl.col("symbol") == "SIM01").height)
    last = bars.read_bucket(number).filter(pl.col("symbol") == "SIM01").row(-1, named=True)
    assert (row["state"], row["reason"], row["scope"], row["family"]) == ("said", None, "instrument", "lightgbm")
    assert row["holds"] is None
    assert (row["decided_on"], row["trade_on"]) == (dt.datetime(2023, 12, 29), dt.date(2024, 1, 2))
    assert (row["close"], row["factor"], row["bar_age"], row["hedge"]) == (last["close"], last["factor"], 0, None)
    assert row["position"] == row["exposure"] * row["size"]
    assert row["cost"] == abs(row["position"] - row["before"]) * row["cost_rate"]
    assert row["model_sha256"] == champion.model_sha256
    assert {name: row[name] for name in ("auc", "n_oos")} == {name: champion.grade[name] for name in ("auc", "n_oos")}
    x = FeatureStore(case.config.paths.features).read_bucket(number, task.feature_names, [("stock", "SIM01")])
    features = x.select(task.feature_names).row(-1)
    digest = hashlib.sha256(np.array(features, dtype="<f4").tobytes())
    digest.update(np.array([last["date"]], dtype="datetime64[us]").astype("<i8").tobytes())
    digest.update(np.array([last[name] for name in ("open", "high", "low", "close", "factor")], dtype="<f8").tobytes())
    assert row["inputs_sha256"] == digest.hexdigest()
    named = [part.split() for part in row["moved_by"].split("; ")]
    assert {name for name, _ in named} <= set(task.feature_names)
    sizes = [abs(float(value)) for _, value in named]
    assert sizes == sorted(sizes, reverse=True)


def test_a_day_alone_is_decided_as_in_a_range(case: Trained) -> None:
    whole = case.lines("2023-11-20", LAST)
    for day in whole["book_date"].unique().sort().to_list()[::9]:
        assert case.lines(day).equals(whole.filter(pl.col("book_date") == day))


def test_explanations_may_be_left_out(case: Trained) -> None:
    said, silent = (case.lines(LAST, explain=explain) for explain in (True, False))
    assert silent["moved_by"].null_count() == silent.height
    assert said.drop("moved_by").equals(silent.drop("moved_by"))


def test_books_are_of_days_with_a_bar_and_after_training(case: Trained) -> None:
    lines = case.lines("1900-01-01", "2100-01-01", "SIM01 ridge", "SIMC01-USD ridge")
    after = dt.date.fromisoformat(UNTIL)
    every_day = pl.date_range(after + dt.timedelta(days=1), LAST, eager=True).to_list()
    coin = lines.filter(pl.col("asset_class") == "crypto")
    assert coin["book_date"].to_list() == every_day
    assert coin["trade_on"].to_list() == [day + dt.timedelta(days=1) for day in every_day]
    stock = lines.filter(pl.col("asset_class") == "stock")
    assert stock["book_date"].to_list() == [day for day in every_day if day > dt.date(2023, 7, 2)], "Monday, July 3"
    expected = [calendar.latest_session("stock", day) for day in stock["book_date"].to_list()]
    assert stock["decided_on"].dt.date().to_list() == expected
    assert stock["trade_on"].to_list() == [calendar.next_session("stock", day) for day in stock["book_date"].to_list()]
    assert stock["bar_age"].unique().to_list() == [0]
    weekend = stock.filter(pl.col("book_date").is_between(dt.date(2023, 7, 7), dt.date(2023, 7, 9)))
    assert weekend.drop("book_date").unique().height == 1, "Friday's decision stands on Saturday and Sunday"


def test_without_champions_or_bars_there_is_no_line(case: Trained, tmp_path: Path) -> None:
    assert instrument_lines([], case.dataset, days(LAST)).is_empty()
    elsewhere = configured(tmp_path)
    champions = case.champions()
    assert dict(instrument_lines(champions, Trained(elsewhere, {}).dataset, days(LAST)).schema) == LINES


def test_later_bars_change_no_line(own: Trained) -> None:
    day = dt.date(2023, 10, 3)
    whole = own.lines(day)
    rewrite(own, lambda bars: bars.filter(pl.col("date") <= day))
    assert own.lines(day).equals(whole)


def test_the_position_before_is_that_of_the_bar_before(case: Trained) -> None:
    lines = case.lines("2023-07-10", LAST, "SIM02 lightgbm").unique("decided_on", keep="first", maintain_order=True)
    assert lines["before"].to_list()[1:] == lines["position"].to_list()[:-1]
    assert lines["position"].n_unique() > 3


# what is refused ------------------------------------------------------------------------------------------------------


def test_what_stands_against_a_champion_refuses_its_line_and_no_other(case: Trained) -> None:
    reason = refusal(case, objections=("auc 0.501 is below 0.52", "its model was changed"))
    assert reason == "auc 0.501 is below 0.52; its model was changed"
    champions = case.champions("SIM01 ridge", "SIM02 ridge")
    lines = instrument_lines([replace(champions[0], objections=("no",)), champions[1]], case.dataset, days(LAST))
    assert dict(lines.select("symbol", "state").iter_rows()) == {"SIM01": "refused", "SIM02": "said"}
    assert lines.row(1) == case.lines(LAST, None, "SIM02 ridge").row(0)


def test_a_refused_champion_is_refused_on_each_day_after_its_training(case: Trained) -> None:
    champion = replace(case.champions("SIMC01-USD ridge")[0], objections=("no",))
    lines = instrument_lines([champion], case.dataset, days("1900-01-01", LAST))
    assert lines["book_date"].min() == dt.date(2023, 7, 1) and lines["state"].unique().to_list() == ["refused"]
    assert lines.height == (LAST - dt.date(2023, 6, 30)).days


def test_a_run_that_training_did_not_store_is_refused_on_the_last_day_alone(case: Trained) -> None:
    unknown = replace(case.champions("SIM01 ridge")[0], record_id="f" * 24 + ".0", grade={})
    row = one(instrument_lines([unknown], case.dataset, days("1900-01-01", LAST)))
    assert (row["book_date"], row["asset_class"], row["symbol"]) == (LAST, "stock", "SIM01")
    assert row["reason"].startswith(f"training stored no run {'f' * 24}.0: run `python -m src.train")


def test_a_changed_and_a_missing_model_are_refused_with_the_remedy(own: Trained) -> None:
    champion = own.champions("SIM01 ridge")[0]
    path = own.runs.root / "models" / champion.record_id / "model.npz"
    path.write_bytes(path.read_bytes() + b" ")
    assert "was changed (SHA-256): run `python -m src.train" in refusal(own, model_sha256=champion.model_sha256)
    path.unlink()
    row = one(instrument_lines([champion], own.dataset, days(LAST)))
    assert row["reason"] == (
        f"its native model {path.as_posix()} is missing: run `python -m src.train universe=demo`, which makes it again"
    )


def test_a_model_without_a_recorded_hash_is_refused(case: Trained) -> None:
    assert "training recorded no SHA-256 of its native model" in refusal(case, model_sha256=None)


def test_features_older_than_their_bars_are_refused_with_the_remedy(own: Trained) -> None:
    rewrite(own, lambda bars: bars.with_columns(pl.col("high") * 1.0001), featurized=False)
    assert refusal(own) == (
        "features of universe=demo are older than its bars: run `python -m src.featurize universe=demo` first"
    )


def test_features_of_other_code_are_refused(case: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    feature = catalog.declared()["rsi_14"]
    monkeypatch.setitem(catalog.FEATURES, "rsi_14", replace(feature, window=feature.window + 1))
    assert refusal(case).startswith("the code of its features is not that of its training: run `python -m src.train ")


def test_a_model_of_another_release_of_its_library_is_refused(case: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graded_settings, "_release", lambda _family: "scikit-learn 0.0.1")
    reason = refusal(case)
    assert reason.startswith("it was trained with ")
    assert ", and scikit-learn 0.0.1 is installed: install that, or run `python -m src.train " in reason


def test_features_that_featurize_computed_by_other_code_are_refused(own: Trained) -> None:
    path = own.config.paths.features / "b000.json"
    for path in own.config.paths.features.glob("b*.json"):
        record = json.loads(path.read_text())
        record["columns"]["rsi_14"] = "0" * 32
        path.write_text(json.dumps(record))
    reason = refusal(own)
    assert reason.startswith("features of universe=demo lack rsi_14 as it is declared now (1 of 3 such): run `python")


def test_an_instrument_on_which_featurize_failed_is_refused_with_its_reason(own: Trained) -> None:
    for path in own.config.paths.features.glob("b*.json"):
        record = json.loads(path.read_text())
        for each in record["states"]:
            if each["symbol"] == "SIM01":
                each.update(state="failed", reason="rsi_14 raised ValueError")
        path.write_text(json.dumps(record))
    assert refusal(own) == "failed: rsi_14 raised ValueError"
    assert refusal_free(own, "SIM02 ridge")


def refusal_free(case: Trained, name: str) -> bool:
    return one(case.lines(LAST, None, name))["state"] == "said"


def test_a_missing_row_of_features_is_refused(own: Trained) -> None:
    store = FeatureStore(own.config.paths.features)
    gone = (pl.col("symbol") == "SIM01") & (pl.col("date") == dt.date(2023, 12, 28))
    for number in store.buckets():
        stored_case.write(store, number, store.read_bucket(number).filter(~gone))
    lines = own.lines("2023-12-20", LAST, "SIM01 ridge").unique("decided_on", keep="first", maintain_order=True)
    assert lines["state"].to_list() == ["said"] * 5 + ["refused"] * 2, "the position is a mean over three bars"
    assert "features have no row for its bar" in lines["reason"][-1] and lines["holds"][-1]


def test_an_old_bar_is_refused_unless_the_configuration_allows_it(own: Trained) -> None:
    cut = dt.date(2023, 12, 26)
    rewrite(own, lambda bars: bars.filter((pl.col("symbol") != "SIM01") | (pl.col("date") <= cut)))
    assert one(own.lines(cut, None, "SIM01 ridge"))["state"] == "said"
    assert refusal(own) == (
        "its last bar is 3 sessions old, and book.max_bar_age=0 allows no more: "
        "run `python -m src.hydrate universe=demo`"
    )
    own.config.book.max_bar_age = 3
    row = one(own.lines(LAST, None, "SIM01 ridge"))
    assert (row["state"], row["bar_age"], row["decided_on"]) == ("said", 3, dt.datetime(2023, 12, 26))


def test_a_delisted_instrument_is_refused_on_each_day_after_its_training(own: Trained) -> None:
    cut = dt.date(2023, 6, 20)
    rewrite(own, lambda bars: bars.filter((pl.col("symbol") != "SIM01") | (pl.col("date") <= cut)))
    lines = own.lines("2023-12-20", LAST, "SIM01 ridge")
    assert lines["state"].to_list() == ["refused"] * 10
    assert lines["bar_age"].to_list()[-1] == calendar.session_count("stock", cut + dt.timedelta(days=1), LAST)


def test_an_instrument_without_any_bar_is_refused(own: Trained) -> None:
    rewrite(own, lambda bars: bars.filter(pl.col("symbol") != "SIM01"))
    assert refusal(own) == "there is no bar of stock:SIM01: run `python -m src.hydrate universe=demo`"


def test_an_instrument_that_hydrate_set_aside_is_refused_with_its_reason(own: Trained) -> None:
    store = BarStore(own.config.paths.bars)
    gone = pl.col("symbol") == "SIM01"
    for number in store.buckets():
        states = store.ledger.states(number).with_columns(
            state=pl.when(gone).then(pl.lit("quarantined")).otherwise("state"),
            reason=pl.when(gone).then(pl.lit("a frozen series")).otherwise("reason"),
        )
        digest = store.write_bucket(number, store.read_bucket(number).filter(~gone))
        store.ledger.record(number, str(store.ledger.fact(number)), states, digest=digest)
    assert refusal(own).startswith("there is no bar of stock:SIM01 (quarantined: a frozen series): run `python -m src.")


@pytest.mark.parametrize("damage", ["gone", "broken"])
def test_bars_that_cant_be_read_refuse_the_lines_of_their_bucket_alone(own: Trained, damage: str) -> None:
    store = BarStore(own.config.paths.bars)
    buckets = {symbol: bucket("crypto" if "-" in symbol else "stock", symbol, 2) for symbol in own.tasks}
    assert set(buckets.values()) == {0, 1}
    for number in store.buckets():
        record = store.ledger.read(number)
        assert record is not None
        store.ledger.record(number, record.key, store.ledger.states(number), **record.facts)
    path = own.config.paths.bars / "b001-2020.parquet"
    path.unlink() if damage == "gone" else path.write_bytes(b"no parquet")
    states = dict(own.lines(LAST).select("symbol", "state").unique().iter_rows())
    assert states == {symbol: "said" if number == 0 else "refused" for symbol, number in buckets.items()}
    reasons = own.lines(LAST).filter(state="refused")["reason"]
    assert all("b001-2020.parquet is gone" in each or "bucket 1 in" in each for each in reasons)


def test_features_that_cant_be_read_refuse_the_lines_of_their_bucket_alone(own: Trained) -> None:
    (own.config.paths.features / "b001-2023.npy").write_bytes(b"no features")
    lines = own.lines(LAST)
    refused = lines.filter(state="refused")
    assert 0 < refused.height < lines.height
    assert refused["reason"].str.contains("can't be read").all() and refused["holds"].all()
    assert refused["decided_on"].null_count() == 0


def test_a_last_bar_without_volume_is_refused(own: Trained) -> None:
    last = (pl.col("symbol") == "SIM01") & (pl.col("date") == LAST)
    rewrite(own, lambda bars: bars.with_columns(volume=pl.when(last).then(0.0).otherwise("volume")))
    assert refusal(own).startswith("its last bar has no price or no volume")
    assert one(own.lines("2023-12-28", None, "SIM01 ridge"))["state"] == "said"


def edit_runs(case: Trained, **columns: Any) -> None:
    for path in case.runs.root.glob("b*.runs.parquet"):
        atomic.write_parquet(pl.read_parquet(path).with_columns(**columns), path)


def test_a_label_of_an_unknown_kind_is_refused(own: Trained) -> None:
    parts = pl.col("parts").str.replace('"kind": "outright"', '"kind": "sideways"', literal=True)
    edit_runs(own, parts=parts)
    assert "label.kind of scope=instrument must be one of beta, outright, relative, got sideways" in refusal(own)


def test_an_unknown_family_is_refused(own: Trained) -> None:
    edit_runs(own, family=pl.lit("oracle"))
    assert refusal(own).startswith("model family oracle is not one of catboost, ")


def test_a_session_without_its_recorded_configuration_is_refused(own: Trained) -> None:
    for path in own.runs.root.glob("session-*.json"):
        path.unlink()
    assert refusal(own).startswith("its session's configuration is not recorded: run `python -m src.train")


def test_a_strategy_of_other_settings_than_the_graded_one_is_refused(case: Trained) -> None:
    reason = refusal(case, strategy_key="0" * 24)
    assert reason.startswith("it was graded by a strategy of other code or settings: run `python -m src.train")


def test_a_features_file_of_the_user_that_is_gone_is_refused(own: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise OSError("features.py is gone")

    monkeypatch.setattr(graded_settings, "select", gone)
    assert refusal(own) == "its features can't be chosen as in training: features.py is gone"


def test_the_strategy_and_the_label_are_those_that_were_graded_not_those_typed_now(own: Trained) -> None:
    before = own.lines(LAST)
    own.config.strategy.threshold, own.config.label.horizon, own.config.features.names = 0.9, 1, ["rsi_14"]
    assert own.lines(LAST).equals(before)


def test_bars_after_the_training_but_before_its_until_are_not_said(own: Trained) -> None:
    """Where an instrument's bars came later than its training, the first day is still after `split.until`."""
    grade = dict(own.champions("SIM01 ridge")[0].grade) | {"last_oos": dt.date(2023, 3, 1)}
    champion = replace(own.champions("SIM01 ridge")[0], grade=grade)
    lines = instrument_lines([champion], own.dataset, days("1900-01-01", LAST))
    assert lines["book_date"].min() == dt.date(2023, 7, 3)


def test_without_until_the_first_day_is_after_the_last_bar_of_training(tmp_path: Path) -> None:
    config = configured(tmp_path, features__names=NAMES, split__until=None)
    config.data.until = "2023-10-31"
    hydrated(config)
    case = train(config, "ridge")
    assert case.lines("1900-01-01", LAST).is_empty()
    config.data.until = END
    hydrated(config)
    assert case.lines("1900-01-01", LAST)["book_date"].min() == dt.date(2023, 11, 1)
