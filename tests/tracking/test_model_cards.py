"""What the registry says of versions: written at registration, kept up to date, a champion's reason beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from src.promote import promote
from src.sync import sync
from src.tracking.model_cards import (
    CHAMPION,
    champion_section,
    markdown_text,
    model_card,
    version_card,
    with_champion,
)
from src.tracking.run_record import NOTE, run_contents
from src.tracking.settings import TrackedDataset
from tests.tracking.routes_case import look_anew
from tests.tracking.tracking_case import GOOD, Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
LUCK = {"name": "demo lightgbm", "runs": 258, "passed": 61, "expected_lucky_passes": 2.0436}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    project = case(tmp_path, monkeypatch)
    project.add("crypto", "BTC-USD")
    look_anew()
    return project


def _content(made: Case) -> Any:
    grades = made.grades()
    import polars as pl

    filled = grades.with_columns(session_key=pl.lit("5" * 24), strategy_key=pl.lit("a" * 24))
    return next(iter(run_contents(made.tracked, made.store.runs(), filled)))


def test_a_card_has_the_figures_the_limits_the_luck_and_how_to_call_the_model(made: Case) -> None:
    card = version_card(_content(made), "abc", made.tracked.thresholds, LUCK)
    for part in ("0.560", "at least 0.520", "at most 0.20", "61 of 258 runs", "about 2.0 would", "refit on all data"):
        assert part in card.description
    assert "models:/crypto.BTC-USD@champion" in card.description
    assert card.tags["auc"] == "0.560"
    assert card.tags["data_to"] == "2025-01-01"
    assert card.tags["session"] == "demo lightgbm"
    assert not {"q_value", "deflated_sharpe"} & card.tags.keys()  # undefined here


def test_descriptions_say_that_bars_are_simulated(made: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    own = _content(made)
    monkeypatch.setattr(TrackedDataset, "simulated", True)
    simulated = _content(made)
    for content, said in ((own, False), (simulated, True)):
        cards = version_card(content, "abc", made.tracked.thresholds, LUCK), model_card(content)
        for text in (content.tags[NOTE], *(card.description for card in cards)):
            assert ("Simulated bars" in text) is said


def test_an_unknown_figure_is_a_dash_and_unknown_luck_is_left_out(made: Case) -> None:
    content = _content(made)
    content = replace(content, metrics={key: value for key, value in content.metrics.items() if key != "z"})
    card = version_card(content, "abc", made.tracked.thresholds, {})
    assert "| z | - |" in card.description
    assert "in its session" not in card.description.lower()


def test_a_symbol_can_not_become_markup() -> None:
    assert markdown_text("<b>*x*_[y](z)|") == r"\<b\>\*x\*\_\[y\](z)\|"


def test_the_section_of_a_champion_is_replaced_kept_and_taken_away() -> None:
    once = with_champion("card", "by ann")
    assert once == f"card{CHAMPION}by ann"
    assert with_champion(once, "by bob") == f"card{CHAMPION}by bob"
    assert champion_section(once) == "by ann"
    assert with_champion(once, None) == "card"
    assert champion_section("card") is None


def test_promotion_adds_its_reason_and_sync_keeps_it_while_the_figures_change(made: Case) -> None:
    made.project()
    client = made.client()
    before = client.get_model_version("crypto.BTC-USD", "1")
    assert before.tags["z"] == "2.1"
    promote(made.config, {"name": "crypto.BTC-USD", "why": "looked at it"})
    crowned = client.get_model_version("crypto.BTC-USD", "1").description
    assert crowned.startswith(before.description)
    assert "looked at it" in crowned.removeprefix(before.description)
    assert "version 1, promote" in client.get_registered_model("crypto.BTC-USD").tags["champion"]
    made.graded[-1]["z"] = 3.4
    made.save()
    look_anew()
    sync(made.config)
    after = client.get_model_version("crypto.BTC-USD", "1")
    assert after.tags["z"] == "3.4"
    assert champion_section(after.description) == champion_section(crowned)
    promote(made.config, {"withdraw": "crypto.BTC-USD"})
    assert champion_section(client.get_model_version("crypto.BTC-USD", "1").description) is None


@pytest.mark.parametrize("route", ["auto", "client"])
def test_sync_gives_versions_of_an_earlier_release_their_cards_once(
    route: str, made: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    made.config.tracking.route = route  # type: ignore[assignment]
    made.project()
    client = made.client()
    card = client.get_model_version("crypto.BTC-USD", "1")
    client.update_model_version("crypto.BTC-USD", "1", "A refit on all data")
    client.update_registered_model("crypto.BTC-USD", "")
    client.delete_model_version_tag("crypto.BTC-USD", "1", "auc")
    client.set_model_version_tag("crypto.BTC-USD", "1", "mine", "stays")
    look_anew()
    sync(made.config)
    found = client.get_model_version("crypto.BTC-USD", "1")
    assert (found.description, found.tags) == (card.description, {**card.tags, "mine": "stays"})
    assert "cleared the four thresholds" in client.get_registered_model("crypto.BTC-USD").description
    counted = Counter[str]()
    for name in ("update_model_version", "set_model_version_tag", "update_registered_model"):
        real = getattr(mlflow.MlflowClient, name)
        monkeypatch.setattr(
            mlflow.MlflowClient, name, lambda *args, real=real, name=name: (counted.update([name]), real(*args))[1]
        )
    stamp = found.last_updated_timestamp
    look_anew()
    sync(made.config)
    assert not counted
    assert client.get_model_version("crypto.BTC-USD", "1").last_updated_timestamp == stamp


def test_a_run_says_why_it_did_not_pass_and_its_figures_come_first(made: Case) -> None:
    made.add("stock", "AAPL", metrics={**GOOD, "sharpe": 0.31})
    ids = made.project()
    run = made.client().get_run(ids[made.graded[-1]["record_id"]])
    assert run.data.tags["mlflow.note.content"].startswith("**Did not pass.** ")
    assert "0.31" in run.data.tags["mlflow.note.content"]
    shown = [key for key in run.data.tags if not key.startswith("mlflow.")]
    assert shown[:3] == ["asset_class", "symbol", "family"]
    assert [key for key in shown if key.startswith("alpha.hash.")] == shown[-3:]
    assert next(iter(run.data.metrics)) == "auc"
