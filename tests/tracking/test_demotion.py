"""Taking a champion down: the alias, the reason on the version, and the history."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.tracking.demotion import demote
from src.tracking.promotion_history import Change, PromotionHistory
from tests.tracking.tracking_case import Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture
def crowned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    made = case(tmp_path, monkeypatch)
    made.add("stock", "AAPL")
    made.project()
    made.client().set_registered_model_alias("stock.AAPL", "champion", "1")
    return made


def test_a_demoted_champion_loses_its_alias_and_shows_the_reason(crowned: Case) -> None:
    line = demote(crowned.tracked, "stock.AAPL", 1, "live Sharpe -2.1 is outside its band")
    assert line == "stock.AAPL: version 1 is no longer champion: live Sharpe -2.1 is outside its band"
    client = crowned.client()
    assert client.get_registered_model("stock.AAPL").aliases == {}
    assert (
        client.get_model_version("stock.AAPL", "1")
        .tags["alpha.demoted"]
        .endswith("live Sharpe -2.1 is outside its band")
    )
    (entry,) = PromotionHistory(crowned.tracked.paths.promotions).entries()
    assert (entry.kind, entry.changes, entry.is_closed) == ("demote", (Change("stock.AAPL", 1, None),), True)
    assert entry.why == "live Sharpe -2.1 is outside its band"


def test_another_version_than_the_champion_is_left_alone(crowned: Case) -> None:
    assert "version 7 is not champion (version 1 is)" in demote(crowned.tracked, "stock.AAPL", 7, "old")
    assert int(crowned.client().get_registered_model("stock.AAPL").aliases["champion"]) == 1
    assert "it has no champion" in demote(crowned.tracked, "stock.NONE", 1, "gone")
    assert not crowned.tracked.paths.promotions.exists()
