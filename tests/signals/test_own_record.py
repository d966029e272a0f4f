"""The book's own out-of-sample record, against the grades of its champions and against choices without skill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.config.schema import BookConfig, GradeConfig
from src.evaluation import metrics
from src.evaluation.grade import GATE_METRICS
from src.evaluation.shift_test import common_shifts
from src.evaluation.strategy import exposures, net_returns
from src.signals import kept_record
from src.signals.kept_record import current_record, record_folder, stored_record, write_record
from src.signals.own_decisions import GradedRun, GradedRuns
from src.signals.own_nulls import _stored_shifts
from src.signals.own_record import DAILY, OwnRecord, own_record
from src.signals.own_rule import best
from src.tracking.crowned_versions import CrownedVersion
from tests.signals.trained_case import Trained, configured, trained

WIDE = BookConfig(
    max_weight=1.0, max_class_weight={"stock": 20.0}, max_gross=20.0, max_turnover=40.0, benchmark="stock:none"
)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    config = configured(tmp_path_factory.mktemp("own-record"), features__families=["price", "momentum"])
    return trained(config, "lightgbm", "ridge")


@pytest.fixture(scope="module")
def champions(case: Trained) -> list[CrownedVersion]:
    """One run of each instrument."""
    return [each for each in case.champions() if each.grade["family"] == "lightgbm"]


@pytest.fixture(scope="module")
def record(case: Trained, champions: list[CrownedVersion]) -> OwnRecord:
    return own_record(champions, case.config.paths, WIDE, GradeConfig(), null_books=40)


def test_the_record_of_one_champion_is_its_grade(case: Trained, champions: list[CrownedVersion]) -> None:
    for champion in champions:
        alone = own_record([champion], case.config.paths, WIDE, GradeConfig(), null_books=0)
        for name in ("auc", "accuracy", "sharpe", "max_drawdown", "n_oos", "turnover"):
            assert alone.figures[name] == pytest.approx(champion.grade[name], abs=1e-12)
        assert alone.figures["passed"] == champion.grade["passed"]
        assert alone.figures["reasons"] == list(champion.grade["reasons"])


def test_the_record_of_several_is_the_mean_of_theirs(
    case: Trained, champions: list[CrownedVersion], record: OwnRecord
) -> None:
    expected: dict[Any, float] = {}
    for champion in champions:
        alone = own_record([champion], case.config.paths, WIDE, GradeConfig(), null_books=0)
        for day, net in alone.daily.select("date", "net").iter_rows():
            expected[day] = expected.get(day, 0.0) + net / len(champions)
    found = dict(record.daily.select("date", "net").iter_rows())
    inside = sorted(found)[5:-5]  # at the edges some champions alone have days
    assert len(inside) > 400
    assert all(found[day] == pytest.approx(expected[day], abs=1e-12) for day in inside)


def test_the_tables_are_whole(record: OwnRecord) -> None:
    assert record.daily.schema == pl.Schema(DAILY)
    assert record.daily["date"].is_sorted()
    assert record.daily["date"].is_unique().all()
    net = record.daily["gross"] - record.daily["cost"] - record.daily["borrow"]
    assert (net - record.daily["net"]).abs().max() < 1e-15
    assert record.daily["equity"][-1] == pytest.approx(float(np.prod(1.0 + record.daily["net"].to_numpy())))
    assert (record.weights["weight"] != 0.0).all()
    assert {metric.name for metric in GATE_METRICS} < record.figures.keys()
    assert record.benchmark == "the mean of the stock panel"
    assert "The champions were chosen by these days" in record.sentence()


def test_a_weekend_has_the_coins_returns_alone(record: OwnRecord) -> None:
    weekend = record.daily.filter(pl.col("date").dt.weekday() == 7)
    assert weekend.height > 50
    assert (weekend["benchmark"] == 0.0).all()
    assert (weekend["turnover"] < record.daily["turnover"].max()).all()


def test_champions_that_can_not_be_read_are_named_and_their_share_is_in_cash(
    case: Trained, champions: list[CrownedVersion], record: OwnRecord
) -> None:
    objected = replace(champions[0], objections=("its run no longer clears the gate",))
    gone = replace(champions[1], record_id="gone")
    found = own_record([objected, gone, *champions[2:]], case.config.paths, WIDE, GradeConfig(), null_books=0)
    assert found.left_out[objected.name] == "its run no longer clears the gate"
    assert "no record" in found.left_out[gone.name]
    (key,) = {*found.weights.select("asset_class", "symbol").unique().iter_rows()}
    tables = [each.weights.cast({"symbol": pl.String}) for each in (found, record)]
    both = tables[0].join(tables[1], on=["date", "asset_class", "symbol"], suffix="_of_all")
    assert key == (champions[2].grade["asset_class"], champions[2].grade["symbol"])
    assert both.height > 400
    assert (both["weight"] - both["weight_of_all"]).abs().max() == 0.0


def test_without_a_champion_there_is_no_day(case: Trained, tmp_path: Path) -> None:
    nothing = own_record([], case.config.paths, WIDE, GradeConfig())
    assert nothing.daily.is_empty()
    assert nothing.figures["n_oos"] == 0
    assert nothing.sentence().startswith("The book has no out-of-sample day")
    write_record(nothing, DatasetPaths(tmp_path, "none"))
    found = stored_record(DatasetPaths(tmp_path, "none"))
    assert found is not None
    assert found.figures == nothing.figures


def test_what_is_written_is_read_back(record: OwnRecord, tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path, "d")
    write_record(record, paths, "key")
    found = stored_record(paths, "key")
    assert found is not None
    assert found.daily.equals(record.daily)
    assert found.weights.equals(record.weights)
    assert (found.figures, found.benchmark, found.left_out) == (record.figures, record.benchmark, record.left_out)
    assert stored_record(paths, "other") is None
    (record_folder(paths) / "daily.parquet").write_bytes(b"torn")
    assert stored_record(paths, "key") is None


def test_a_record_is_made_once_for_the_same_champions(
    case: Trained, champions: list[CrownedVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, gate, made = case.config.paths, GradeConfig(), []

    def making(*args: Any, **settings: Any) -> OwnRecord:
        made.append(args)
        return own_record(*args, **settings)

    monkeypatch.setattr(kept_record, "own_record", making)
    first = current_record(champions, paths, WIDE, gate, null_books=0)
    again = current_record(champions[::-1], paths, replace(WIDE, capital=5.0, holdings="other.csv"), gate, null_books=0)
    assert len(made) == 1
    assert again.figures == first.figures
    current_record(champions[1:], paths, WIDE, gate, null_books=0)
    current_record(champions, paths, replace(WIDE, max_weight=0.5), gate, null_books=0)
    current_record(champions, paths, replace(WIDE, max_class_weight={"stock": 0.5}), gate, null_books=0)
    assert len(made) == 4


# what the record owes to the choice of the champions --------------------------------------------------------------


def runs_of(case: Trained) -> Iterator[GradedRun]:
    for runs in GradedRuns(case.config.paths).read(pl.read_parquet(case.config.paths.grades)):
        yield from runs


def test_stored_bits_are_those_of_the_displaced_decisions_that_null_books_trade(case: Trained) -> None:
    """The displacement that a bit belongs to gives, traded again, a record that clears the thresholds or not."""
    graded = pl.read_parquet(case.config.paths.grades)
    passes, _ = _stored_shifts(graded)
    limits, checked = GradeConfig(), 0
    for run in runs_of(case):
        row = graded["record_id"].to_list().index(run.record_id)
        n = run.positions.size
        shifts = common_shifts(200, n - 1 - min(run.gate.exclude_lags, n // 4), run.decisions.bars_per_year)
        for book in range(0, 200, 40):
            exposure = exposures(np.roll(run.direction, shifts[book]), run.decisions.horizon)
            net = net_returns(exposure * run.conditions.size, run.conditions)
            score = np.roll(run.probability, shifts[book])
            clears = (
                (metrics.auc(run.outcome, score) or 0.0) >= limits.min_auc
                and (metrics.accuracy(run.outcome, score) or 0.0) >= limits.min_accuracy
                and (metrics.sharpe(net, run.decisions.bars_per_year) or 0.0) >= limits.min_sharpe
                and (metrics.max_drawdown(net) or 0.0) <= limits.max_drawdown
            )
            assert clears == passes[row, book]
            checked += 1
    assert checked >= 30


def test_planted_edges_are_beyond_books_without_skill_and_hold_out(record: OwnRecord) -> None:
    own = record.figures
    assert own["null_books"] == 40
    assert 0.0 <= own["luck_rate"] <= 1.0
    assert own["null_sharpe"] <= own["null_sharpe_high"]
    assert 1 / 41 <= own["sharpe_p_value"] <= 1.0
    assert own["held_out_champions"] <= 3.0
    assert json.dumps({name: own[name] for name in own if name not in ("first_oos", "last_oos")})


LENIENT = GradeConfig(min_auc=0.49, min_accuracy=0.45, min_sharpe=-1.0, max_drawdown=0.9)


def booked(record: OwnRecord, parts: list[tuple[GradedRun, Any, Any]], choice: BookConfig) -> list[float]:
    """Net return of each day of a book that holds runs with these exposures on these decisions, at equal shares."""
    days = dict.fromkeys(record.daily["date"].to_list(), 0.0)
    for run, exposure, span in parts:
        before, met = 0.0, run.conditions
        stamps = run.decisions.stamps[run.positions][span].astype("datetime64[D]").tolist()
        size, cost, change = (getattr(met, name)[span] for name in ("size", "cost", "change"))
        for k, stamp in enumerate(stamps):
            weight = exposure[span][k] * size[k] / len(parts)
            weight = max(-choice.max_weight, min(choice.max_weight, weight))
            left = abs(weight) if k == len(stamps) - 1 else 0.0
            net = weight * change[k] - (abs(weight - before) + left) * cost[k]
            before = weight
            if stamp in days:
                days[stamp] += net
    return list(days.values())


@pytest.mark.parametrize("most", [0.2, 1.0])
def test_books_without_skill_are_those_of_plain_loops(
    case: Trained, champions: list[CrownedVersion], most: float
) -> None:
    choice = replace(WIDE, max_weight=most)
    found = own_record(champions, case.config.paths, choice, LENIENT, null_books=60)
    graded = pl.read_parquet(case.config.paths.grades)
    passes, z = _stored_shifts(graded)
    runs = {run.record_id: run for run in runs_of(case)}
    instruments = graded.select(pl.struct("asset_class", "symbol").rank("dense")).to_series().to_numpy()
    ratios, counts = [], []
    for book in range(60):
        parts = []
        for row in best(passes[:, book], z[:, book], instruments, len(champions)):
            run = runs[graded["record_id"][int(row)]]
            n = run.positions.size
            shift = common_shifts(200, n - 1 - min(126, n // 4), run.decisions.bars_per_year)[book]
            displaced = np.array([run.direction[(k - shift) % n] for k in range(n)])
            parts.append((run, exposures(displaced, run.decisions.horizon), slice(None)))
        counts.append(len(parts))
        ratios.append(metrics.sharpe(np.array(booked(found, parts, choice)), 365.0) or 0.0)
    assert sum(counts) > 0
    assert found.figures["null_champions"] == pytest.approx(np.mean(counts))
    assert found.figures["null_sharpe"] == pytest.approx(np.median(ratios))
    assert found.figures["null_sharpe_high"] == pytest.approx(np.quantile(ratios, 0.95))
    reached = sum(ratio >= found.figures["sharpe"] for ratio in ratios)
    assert found.figures["sharpe_p_value"] == pytest.approx((1 + reached) / 61)


def test_a_held_out_book_is_that_of_plain_loops(case: Trained, champions: list[CrownedVersion]) -> None:
    found = own_record(champions, case.config.paths, WIDE, LENIENT, null_books=1)
    middle = np.datetime64(middle_of(case, champions, found))
    net, counts = np.zeros(found.daily.height), []
    for half in range(2):
        ranked: dict[Any, tuple[float, GradedRun, Any]] = {}
        for run in runs_of(case):
            dates = run.decisions.dates[run.positions].astype("datetime64[D]")
            seen = dates < middle if half == 0 else dates >= middle
            label, score = run.outcome[seen], run.probability[seen]
            exposure = exposures(run.direction, run.decisions.horizon)
            earned = net_returns(exposure * run.conditions.size, run.conditions)[seen]
            area, right = metrics.auc(label, score) or 0.0, metrics.accuracy(label, score) or 0.0
            ratio, fall = (
                metrics.sharpe(earned, run.decisions.bars_per_year) or 0.0,
                metrics.max_drawdown(earned) or 0.0,
            )
            ups, downs = (label == 1).sum(), (label == 0).sum()
            z = (area - 0.5) / np.sqrt((ups + downs + 1) / (12 * ups * downs))
            clears = area >= 0.49 and right >= 0.45 and ratio >= -1.0 and fall <= 0.9
            if clears and (run.key not in ranked or z > ranked[run.key][0]):
                ranked[run.key] = (float(z), run, np.flatnonzero(~seen))
        parts = [(run, exposures(run.direction, run.decisions.horizon), span) for _, run, span in ranked.values()]
        counts.append(len(parts))
        net += np.array(booked(found, parts, WIDE))
    assert min(counts) > 0
    assert found.figures["held_out_champions"] == np.mean(counts)
    assert found.figures["held_out_sharpe"] == pytest.approx(metrics.sharpe(net, 365.0))
    assert found.figures["held_out_drawdown"] == pytest.approx(metrics.max_drawdown(net))


def middle_of(case: Trained, champions: list[CrownedVersion], record: OwnRecord) -> Any:
    """The day that stands in the middle of the book's days of decision."""
    dates = set()
    for champion in champions:
        row = case.runs.predictions(None, [champion.record_id]).row(0, named=True)
        dates |= {each.date() for each in row["oos_date"]}
    first, last = record.figures["first_oos"], record.figures["last_oos"]
    ordered = sorted(day for day in dates if first <= day <= last)
    return ordered[len(ordered) // 2]


def test_the_best_run_of_each_instrument_is_chosen_and_the_best_of_these() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        passes, z, instruments = rng.random(40) < 0.5, rng.normal(size=40).round(1), rng.integers(0, 10, 40)
        chosen: dict[int, int] = {}
        for run in np.flatnonzero(passes):
            kept = chosen.get(int(instruments[run]))
            if kept is None or z[run] > z[kept]:
                chosen[int(instruments[run])] = int(run)
        expected = sorted(chosen.values(), key=lambda run: (-z[run], run))[:4]
        assert best(passes, z, instruments, 4).tolist() == expected
