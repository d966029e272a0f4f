"""Promotion tried, carried out, interrupted and undone: the registry and the history agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.config.schema import Demands, PromotionConfig
from src.core.errors import ConfigError, Incomplete, StageError
from src.evaluation.grade import Thresholds
from src.promote import promote
from src.tracking import promotion_carrying
from src.tracking.promotion_history import Change, PromotionHistory
from src.training.regrading import GradeCheck, Regrader
from tests.tracking.tracking_case import GOOD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    case_ = case(tmp_path, monkeypatch)
    case_.config.promotion = PromotionConfig("evidence", Demands(max_q=0.1), Demands(max_q=0.1))
    return case_


def champions(made: Case) -> dict[str, int]:
    models = made.client().search_registered_models()
    return {model.name: int(model.aliases["champion"]) for model in models if "champion" in model.aliases}


def tags(made: Case, name: str, version: int) -> dict[str, str]:
    found = made.client().get_model_version(name, str(version)).tags
    return {key: value for key, value in found.items() if key in ("alpha.promoted_why", "alpha.demoted")}


def entries(made: Case) -> list[tuple[str, tuple[Change, ...]]]:
    found = PromotionHistory(made.tracked.paths.promotions).entries()
    assert all(entry.is_closed for entry in found)
    return [(entry.kind, entry.carried_out) for entry in found]


def two(made: Case) -> None:
    made.add("stock", "AAPL", "lightgbm", {**GOOD, "z": 1.0, "p_value": 0.001})
    made.add("etf", "SPY", "lightgbm", {**GOOD, "z": 2.0, "p_value": 0.002})
    made.project()


def better(made: Case) -> None:
    made.add("stock", "AAPL", "xgboost", {**GOOD, "z": 3.0, "p_value": 0.001})
    made.project()


def content(made: Case) -> dict[Path, bytes]:
    """Every file of the project, but for sqlite's index of its log, which readers share."""
    files = (path for path in made.root.rglob("*") if path.is_file() and path.suffix != ".db-shm")
    return {path: path.read_bytes() for path in files}


def test_a_version_that_misses_a_demand_is_no_champion_and_its_line_says_which(made: Case, capsys: Any) -> None:
    made.add("stock", "NEAR", metrics={**GOOD, "p_value": 0.06})
    made.add("stock", "FAR", metrics={**GOOD, "p_value": 0.9})
    made.add("stock", "BOTH", metrics={**GOOD, "p_value": 0.9, "sharpe": 0.4})
    made.add("stock", "GOOD", metrics={**GOOD, "p_value": 0.001})
    made.project()
    promote(made.config, {})
    assert champions(made) == {"stock.GOOD": 1}
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(" is champion: q_value 0.004 (at most 0.1)")
    assert [line.partition(";")[0] for line in said[1:]] == [
        "stock.NEAR: not promoted (lightgbm): q_value 0.1200 is above 0.1",
        "stock.FAR: not promoted (lightgbm): q_value 0.9000 is above 0.1",
        "stock.BOTH: not promoted (lightgbm): sharpe 0.40 is below 0.50",
    ]
    table = pl.read_parquet(made.tracked.paths.states("promote"))
    assert table.select("name", "state", "misses", "version").rows() == [
        ("stock.GOOD", "champion", 0, 1),
        ("stock.NEAR", "missed", 1, 1),
        ("stock.FAR", "missed", 1, 1),
        ("stock.BOTH", "missed", 2, None),
    ]
    promote(made.config, {"name": "stock.NEAR", "max_p_value": "0.06", "min_luck_rate": "0.02"})
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(
        "stock.NEAR: not promoted (lightgbm): q_value 0.1200 is above 0.1; luck_rate 0.0100 is below 0.02; auc"
    )


def test_a_named_version_must_meet_the_demands_too(made: Case) -> None:
    made.add("stock", "AAPL", metrics={**GOOD, "p_value": 0.9})
    made.project()
    with pytest.raises(StageError, match=r"q_value 0\.9 is above 0\.1 \(promotion=thresholds demands no evidence\)"):
        promote(made.config, {"name": "stock.AAPL", "version": "1"})
    made.config.promotion = PromotionConfig("thresholds")
    promote(made.config, {"name": "stock.AAPL", "version": "1"})
    assert champions(made) == {"stock.AAPL": 1}


def test_by_the_thresholds_alone_the_luck_to_expect_is_said(made: Case, capsys: Any) -> None:
    made.add("stock", "AAPL", metrics={**GOOD, "p_value": 0.9})
    made.project()
    grades = made.grades().with_columns(shift_passes=pl.lit(b"\xff\x00", pl.Binary))  # at half of 16 displacements
    made.tracked.paths.grades.parent.mkdir(parents=True, exist_ok=True)
    grades.write_parquet(made.tracked.paths.grades)
    made.config.promotion = PromotionConfig("thresholds")
    promote(made.config, {})
    assert capsys.readouterr().out.splitlines()[0] == (
        "WARNING: instruments are promoted by the four thresholds alone: 1 clear, and without any skill about 0.5 "
        "instruments would clear them"
    )


def test_a_champion_that_misses_the_demands_is_listed_and_stays(made: Case, capsys: Any) -> None:
    two(made)
    promote(made.config, {})
    made.config.promotion.instruments.max_q = 0.001
    line = promote(made.config, {})
    assert champions(made) == {"stock.AAPL": 1, "etf.SPY": 1}
    assert line == (
        "promote: 2 instruments with versions, 2 champions, 0 changed, 0 no longer clear, 2 no longer meet the demands"
    )
    assert "no longer meets the demands: q_value 0.002 is above 0.001 (withdraw=stock.AAPL" in capsys.readouterr().out


def test_a_dry_run_changes_no_byte_and_says_what_would_be_done(made: Case, capsys: Any) -> None:
    two(made)
    before = content(made)
    made.config.dry_run = True
    assert promote(made.config, {}).startswith("promote: dry run, nothing is changed: 2 instruments with versions, ")
    said = capsys.readouterr().out
    assert "etf.SPY: version 1 (lightgbm; auc 0.560, sharpe 0.900, z 2.000) would be champion: q_value" in said
    assert content(made) == before
    made.config.dry_run = False
    promote(made.config, {})
    before = content(made)
    made.config.dry_run = True
    promote(made.config, {"withdraw": "etf.SPY"})
    promote(made.config, {"undo": "true"})
    assert content(made) == before


def test_evidence_is_repeated_unless_the_champion_is_the_only_version_that_clears(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def check(_self: Regrader, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        for record_id, strategy_key, symbol, alone in graded.select(
            "record_id", "strategy_key", "symbol", "gate_alone"
        ).iter_rows():
            asked.append((symbol, alone))
            yield GradeCheck(record_id, strategy_key)

    monkeypatch.setattr(Regrader, "check", check)
    two(made)
    promote(made.config, {})
    assert sorted(asked) == [("AAPL", False), ("SPY", False)]
    asked.clear()
    promote(made.config, {})
    assert sorted(asked) == [("AAPL", True), ("SPY", True)]
    asked.clear()
    made.add("stock", "AAPL", "xgboost", {**GOOD, "z": 0.5, "p_value": 0.002})
    made.project()
    promote(made.config, {})
    assert sorted(asked) == [("AAPL", False), ("SPY", True)]


def test_undo_restores_the_champions_and_an_undo_of_it_promotes_again(made: Case, capsys: Any) -> None:
    two(made)
    promote(made.config, {"why": "first"})
    better(made)
    promote(made.config, {"why": "second"})
    assert champions(made) == {"stock.AAPL": 2, "etf.SPY": 1}
    assert "undone: 1 changed" in promote(made.config, {"undo": "true", "why": "too early"})
    assert champions(made) == {"stock.AAPL": 1, "etf.SPY": 1}
    assert tags(made, "stock.AAPL", 1) == {"alpha.promoted_why": "too early"}
    assert tags(made, "stock.AAPL", 2)["alpha.demoted"].endswith(": replaced by version 1: too early")
    promote(made.config, {"undo": "true"})
    assert champions(made) == {"stock.AAPL": 2, "etf.SPY": 1}
    promote(made.config, {"withdraw": "etf.SPY", "why": "delisted"})
    assert tags(made, "etf.SPY", 1)["alpha.demoted"].endswith(": delisted")
    promote(made.config, {"undo": "true"})
    assert champions(made) == {"stock.AAPL": 2, "etf.SPY": 1}
    assert [kind for kind, _ in entries(made)] == ["promote", "promote", "undo", "undo", "withdraw", "undo"]
    capsys.readouterr()
    assert promote(made.config, {"history": "true"}).startswith("promote: 6 entries in ")
    said = capsys.readouterr().out
    assert '("delisted"): 1 changed' in said
    assert "   etf.SPY version 1 -> none" in said


def test_undo_refuses_what_no_longer_clears(made: Case, capsys: Any) -> None:
    two(made)
    promote(made.config, {})
    promote(made.config, {"withdraw": "stock.AAPL"})
    made.config.grade.min_sharpe = 1.0
    made.mark(Thresholds.of(made.config.grade))
    with pytest.raises(Incomplete, match="undone: 0 changed, 1 refused"):
        promote(made.config, {"undo": "true"})
    assert "stock.AAPL: version 1 is refused: sharpe 0.90 is below 1.00" in capsys.readouterr().out
    assert "stock.AAPL" not in champions(made)


def test_undo_leaves_a_champion_that_was_changed_otherwise(made: Case, capsys: Any) -> None:
    two(made)
    promote(made.config, {})
    made.client().delete_registered_model_alias("etf.SPY", "champion")
    better(made)
    made.client().set_registered_model_alias("stock.AAPL", "champion", "2")
    assert "undone: 0 changed" in promote(made.config, {"undo": "true"})
    assert "stock.AAPL: its champion was changed since, and stays" in capsys.readouterr().out
    assert champions(made) == {"stock.AAPL": 2}


def test_without_a_history_there_is_nothing_to_undo(made: Case) -> None:
    with pytest.raises(StageError, match="there is nothing to undo"):
        promote(made.config, {"undo": "true"})
    assert promote(made.config, {"history": "true"}).startswith("promote: 0 entries in ")
    with pytest.raises(ConfigError, match="undo must be true"):
        promote(made.config, {"undo": "yes"})
    with pytest.raises(ConfigError, match="undo=true stands alone: leave out name"):
        promote(made.config, {"undo": "true", "name": "stock.AAPL"})


def killed_after(count: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the process die once that number of aliases is set; the function that is returned lets it live again."""
    kept, done = promotion_carrying.carry_out_change, 0

    def carry_out(*arguments: Any) -> str | None:
        nonlocal done
        if done == count:
            raise KeyboardInterrupt
        done += 1
        return kept(*arguments)

    monkeypatch.setattr(promotion_carrying, "carry_out_change", carry_out)
    return lambda: monkeypatch.setattr(promotion_carrying, "carry_out_change", kept)


def test_a_promotion_that_was_killed_is_finished_by_a_rerun_and_undone_as_one(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(made)
    revive = killed_after(1, monkeypatch)  # of two champions that the history has announced
    with pytest.raises(KeyboardInterrupt):
        promote(made.config, {"why": "killed"})
    revive()
    assert len(champions(made)) == 1
    promote(made.config, {})
    assert champions(made) == {"stock.AAPL": 1, "etf.SPY": 1}
    ((kind, changes),) = entries(made)
    assert (kind, set(changes)) == ("promote", {Change("stock.AAPL", None, 1), Change("etf.SPY", None, 1)})
    assert tags(made, "stock.AAPL", 1) == tags(made, "etf.SPY", 1) == {"alpha.promoted_why": "killed"}
    promote(made.config, {"undo": "true"})
    assert champions(made) == {}


def test_a_promotion_that_was_killed_can_be_undone_at_once(made: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    two(made)
    revive = killed_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        promote(made.config, {})
    revive()
    promote(made.config, {"undo": "true"})
    assert champions(made) == {}
    assert [kind for kind, _ in entries(made)] == ["promote", "undo"]


def test_an_undo_that_was_killed_is_finished_by_the_next_one(made: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    two(made)
    promote(made.config, {})
    revive = killed_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        promote(made.config, {"undo": "true"})
    revive()
    assert len(champions(made)) == 1
    promote(made.config, {"undo": "true"})
    assert champions(made) == {}
    assert [kind for kind, _ in entries(made)] == ["promote", "undo"]


def test_a_kill_between_the_last_alias_and_the_history_is_closed_by_the_next_command(
    made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(made)
    kept = PromotionHistory.close
    monkeypatch.setattr(PromotionHistory, "close", lambda *_arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        promote(made.config, {})
    monkeypatch.setattr(PromotionHistory, "close", kept)
    assert "0 changed" in promote(made.config, {})
    ((kind, changes),) = entries(made)
    assert (kind, len(changes)) == ("promote", 2)
