"""The monitor beside a registry: a champion that turned is tagged, taken down, and stays down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.core.errors import Incomplete
from src.monitor import monitor
from src.tracking.monitor_tags import MONITOR
from tests.monitoring.monitor_case import KEYS, Watched, watched
from tests.tracking.tracking_case import Case, case

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
AAA = KEYS[:1]


@pytest.fixture
def crowned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Case, Watched]:
    """A registered champion in MLflow, and beside it bars, a stored record and a journal of scores that turned."""
    registry = case(tmp_path, monkeypatch)
    record_id = registry.add("stock", "AAA")
    registry.project()
    registry.client().set_registered_model_alias("stock.AAA", "champion", "1")
    made = watched(tmp_path, keys=AAA, config=registry.config, dataset="demo", records={AAA[0]: record_id})
    made.config.monitor.false_alarms = 0.2  # a year of returns that turned is seen soon
    made.say(made.lines(AAA[0], lambda score: np.clip(0.5 - 2.0 * (score - 0.5), 0.01, 0.99)))
    return registry, made


def test_a_champion_that_turned_is_taken_down_and_the_registry_says_why(
    crowned: tuple[Case, Watched], capsys: Any
) -> None:
    registry, made = crowned
    with pytest.raises(Incomplete, match=r"1 flagged \(reversal 1\)"):
        monitor(made.config, {})
    client = registry.client()
    tag = client.get_model_version("stock.AAA", "1").tags[MONITOR]
    assert tag.startswith("reversal since 2024-")
    assert "champion" in client.get_registered_model("stock.AAA").aliases
    made.config.monitor.action = "demote"
    with pytest.raises(Incomplete):
        monitor(made.config, {})
    assert "stock.AAA: version 1 is no longer champion: monitor: reversal since" in capsys.readouterr().out
    assert client.get_registered_model("stock.AAA").aliases == {}
    tags = client.get_model_version("stock.AAA", "1").tags
    assert MONITOR not in tags
    assert "monitor: reversal since" in tags["alpha.demoted"]
    assert [entry.kind for entry in made.journal.entries()] == ["replay", "event"]
    table = pl.read_parquet(made.paths.monitor / "champions.parquet")
    assert table.select("record_id", "demoted").rows() == [(made.record(AAA[0]), True)]
    with pytest.raises(Incomplete, match="0 champions and 1 book .*; 1 former; book flagged: the book has lost"):
        monitor(made.config, {})


def test_without_a_journal_the_line_says_what_to_type(
    crowned: tuple[Case, Watched], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = crowned[0].config
    monkeypatch.setattr(config.data, "root", str(tmp_path / "elsewhere"))
    line = monitor(config, {})
    assert "journal of demo is empty" in line
    assert "python -m src.promote" in line
    assert "python -m src.predict" in line
