"""Champions: the best that clears, the named one, the cleared one, and those that no longer clear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from src.core.errors import ConfigError, StageError
from src.evaluation.grade import Thresholds
from src.promote import promote
from src.runtime.arguments import split_arguments
from src.tracking.demotion import demote
from src.tracking.promotion import is_request_key
from tests.tracking.tracking_case import GOOD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return case(tmp_path, monkeypatch)


def champion(made: Case, name: str) -> int | None:
    aliases = made.client().get_registered_model(name).aliases
    return int(aliases["champion"]) if "champion" in aliases else None


def test_the_strongest_evidence_becomes_champion_and_each_step_is_shown(made: Case, capsys: Any) -> None:
    made.add("crypto", "BTC-USD", "lightgbm", {**GOOD, "z": 2.0, "sharpe": 2.0})
    made.add("crypto", "BTC-USD", "xgboost", {**GOOD, "z": 3.0, "sharpe": 0.6})
    made.add("stock", "YOUNG", metrics={**GOOD, "n_oos": 700})
    made.project()
    line = promote(made.config, {})
    best = {each.run_id: int(each.version) for each in made.client().search_model_versions("name = 'crypto.BTC-USD'")}
    strongest = next(run for run in best if made.client().get_run(run).data.metrics["z"] == 3.0)
    assert champion(made, "crypto.BTC-USD") == best[strongest]
    assert champion(made, "stock.YOUNG") is None
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "WARNING: instruments are promoted by the four thresholds alone: 1 clear",
        f"crypto.BTC-USD: version {best[strongest]} (xgboost; auc 0.560, sharpe 0.600, z 3.000) is champion",
        "stock.YOUNG: not promoted (lightgbm): n_oos 700 is below 1000; auc 0.560, accuracy 0.540, sharpe 0.90, "
        "max_drawdown 0.12, n_oos 700, q_value 0.02, luck_rate 0.01, z 2.1",
    ]
    assert line == "promote: 2 instruments with versions, 1 champions, 1 changed, 0 no longer clear"
    assert "0 changed" in promote(made.config, {})
    assert "stays champion" in capsys.readouterr().out


def test_a_named_version_becomes_champion_or_is_refused_with_the_gates_message(made: Case, capsys: Any) -> None:
    made.add("stock", "AAPL", "lightgbm", {**GOOD, "z": 1.0})
    made.add("stock", "AAPL", "catboost", {**GOOD, "z": 3.0})
    made.add("stock", "YOUNG", metrics={**GOOD, "n_oos": 700})
    made.project()
    promote(made.config, {"name": "stock.AAPL", "version": "1"})
    assert champion(made, "stock.AAPL") == 1
    promote(made.config, {"name": "stock.AAPL", "version": "2"})
    assert champion(made, "stock.AAPL") == 2
    assert "is champion, was version 1" in capsys.readouterr().out
    with pytest.raises(StageError, match="n_oos 700 is below 1000"):
        promote(made.config, {"name": "stock.YOUNG", "version": "1"})
    with pytest.raises(StageError, match=r"stock.AAPL has no version 7 \(it has: 2, 1\)"):
        promote(made.config, {"name": "stock.AAPL", "version": "7"})


def test_evidence_may_be_demanded(made: Case) -> None:
    made.add("stock", "AAPL", metrics={**GOOD, "p_value": 0.3})
    made.project()
    promote(made.config, {"max_q_value": "0.1"})
    assert champion(made, "stock.AAPL") is None
    promote(made.config, {"min_deflated_sharpe": "0.9"})  # undefined
    assert champion(made, "stock.AAPL") is None
    promote(made.config, {"max_q_value": "0.5"})
    assert champion(made, "stock.AAPL") == 1


def test_champions_that_no_longer_clear_are_listed_and_stay(made: Case, capsys: Any) -> None:
    made.add("stock", "AAPL")
    made.project()
    promote(made.config, {})
    made.config.grade.min_sharpe = 1.0
    made.mark(Thresholds.of(made.config.grade))
    line = promote(made.config, {})
    assert line.endswith("0 changed, 1 no longer clear")
    said = capsys.readouterr().out
    assert "stock.AAPL: champion version 1" in said
    assert "no longer clears: sharpe 0.90 is below 1.00 (withdraw=stock.AAPL removes it)" in said
    assert champion(made, "stock.AAPL") == 1
    promote(made.config, {"withdraw": "stock.AAPL"})
    assert champion(made, "stock.AAPL") is None
    with pytest.raises(StageError, match="no champion to withdraw"):
        promote(made.config, {"withdraw": "stock.AAPL"})


def test_a_superseded_version_is_not_chosen_but_a_champion_stays(made: Case) -> None:
    made.add("stock", "AAPL", metrics={**GOOD, "z": 9.0})
    made.project()
    promote(made.config, {})
    made.graded.clear()
    made.add("stock", "AAPL", metrics={**GOOD, "sharpe": 0.1}, attempt=1)
    made.project()
    promote(made.config, {})
    assert champion(made, "stock.AAPL") == 1
    made.graded.clear()
    made.add("stock", "AAPL", metrics={**GOOD, "z": 1.0}, attempt=2)
    made.project()
    promote(made.config, {})
    assert champion(made, "stock.AAPL") == 2


def test_a_suspicious_run_is_registered_once_a_person_clears_it(made: Case) -> None:
    record = made.add("etf", "SPY", metrics={**GOOD, "auc": 0.7}, suspicious="AUC 0.70 at or above 0.65")
    run = made.project()[record]
    client = made.client()
    assert list(client.search_registered_models()) == []
    with pytest.raises(ConfigError, match=r'needs why="\.\.\."'):
        promote(made.config, {"clear": run})
    line = promote(made.config, {"clear": record, "why": "listed on two exchanges, both agree"})
    assert line.startswith(f"promote: cleared run {run} of etf.SPY (lightgbm) of being suspicious (AUC 0.70")
    assert line.endswith("registered as version 1")
    said = json.loads(client.get_run(run).data.tags["alpha.cleared"])
    assert said["why"] == "listed on two exchanges, both agree"
    assert said["who"]
    assert said["when"].startswith("20")
    made.project()
    assert len(client.search_model_versions()) == 1
    promote(made.config, {})
    assert champion(made, "etf.SPY") == 1


def test_clearing_does_not_lift_a_threshold(made: Case) -> None:
    low = {**GOOD, "auc": 0.7, "n_oos": 300}
    record = made.add("etf", "SPY", metrics=low, suspicious="AUC 0.70")
    run = made.project()[record]
    assert "not registered: n_oos 300 is below 500" in promote(made.config, {"clear": run, "why": "sure"})
    assert list(made.client().search_registered_models()) == []
    plain = made.add("etf", "QQQ")
    with pytest.raises(StageError, match="is not suspicious"):
        promote(made.config, {"clear": made.project()[plain], "why": "sure"})
    with pytest.raises(StageError, match="there is no run nothing of demo"):
        promote(made.config, {"clear": "nothing", "why": "sure"})


def test_the_request_is_separated_from_the_configuration() -> None:
    arguments = ["universe=full", "name=crypto.BTC-USD", "version=3", "why=a=b", "max_q_value=0.1", "grade.min_auc=0.6"]
    own, rest = split_arguments(arguments, is_request_key)
    assert own == {"name": "crypto.BTC-USD", "version": "3", "why": "a=b", "max_q_value": "0.1"}
    assert rest == ["universe=full", "grade.min_auc=0.6"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [({"version": "3"}, "version must be a number beside name"),
     ({"name": "stock.AAPL", "version": "x"}, "version must be a number"),
     ({"max_q_value": "low"}, "max_q_value must be a number, got low"),
     ({"name": "stock.NONE"}, "name must be a registered model")],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused(made: Case, request_: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        promote(made.config, request_)


def test_flagged_passes_are_named_with_the_reason_and_what_to_do(made: Case, capsys: Any) -> None:
    made.add("stock", "AAPL", "lightgbm", GOOD)
    made.add("stock", "TOO", "xgboost", GOOD, suspicious="stale prices on 12% of its bars")
    made.add("crypto", "TINY", metrics={**GOOD, "n_oos": 300})
    made.project()
    flagged = made.client().search_runs([experiment(made)], "tags.`alpha.suspicious` LIKE '%'")[0].info.run_id
    line = promote(made.config, {})
    assert line == (
        "promote: 1 instruments with versions, 1 champions, 1 changed, 0 no longer clear; 1 pass is flagged as"
        " suspicious and not registered; 1 pass has fewer than 500 out-of-sample bars"
    )
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == (
        "stock.TOO: xgboost passed but is suspicious: stale prices on 12% of its bars; look at its bars (python -m"
        f' src.data universe=demo stock:TOO), then clear={flagged} why="..." registers it'
    )
    promote(made.config, {"clear": flagged, "why": "looked at it"})
    assert "flagged" not in promote(made.config, {})
    assert promote(made.config, {"name": "stock.TOO"}).endswith("0 no longer clear")


def test_where_nothing_is_registered_flagged_passes_are_still_said(made: Case, capsys: Any) -> None:
    for number in range(7):
        made.add("stock", f"TOO{number}", metrics=GOOD, suspicious="sharpe 4.1 is at or above 3.00")
    made.project()
    line = promote(made.config, {})
    assert line.startswith("promote: no version of demo is registered: ")
    assert line.endswith("; 7 passes are flagged as suspicious and not registered")
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 6 and said[-1] == "and 2 more flagged passes: the report lists them"


def experiment(made: Case) -> str:
    found = made.client().get_experiment_by_name("alpha-loop/demo")
    assert found is not None
    return str(found.experiment_id)


def test_a_demoted_champion_comes_back_where_it_is_named_and_not_by_itself(made: Case, capsys: Any) -> None:
    made.add("stock", "AAPL", "lightgbm", {**GOOD, "z": 1.0})
    made.add("stock", "AAPL", "catboost", {**GOOD, "z": 3.0})
    made.project()
    promote(made.config, {})
    best = champion(made, "stock.AAPL")
    assert best is not None
    demote(made.tracked, "stock.AAPL", best, "monitor: drift")
    promote(made.config, {})
    assert champion(made, "stock.AAPL") == 3 - best
    said = capsys.readouterr().out
    assert f"version {best} is refused: demoted on " in said
    assert f"monitor: drift (name=stock.AAPL version={best} promotes it all the same)" in said
    promote(made.config, {"name": "stock.AAPL", "version": str(best)})
    assert champion(made, "stock.AAPL") == best
    promote(made.config, {})
    assert champion(made, "stock.AAPL") == best
