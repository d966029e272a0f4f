"""What a session of the pooled scope may take from earlier ones, and what it may not."""

from types import SimpleNamespace

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.config.schema import StrategyConfig
from src.core.end_state import EndState
from src.evaluation.pooled.assessment import assess_pooled
from src.storage import atomic
from src.training.pooled.instrument_table import InstrumentTable
from src.training.pooled.instruments import PooledInstruments
from src.training.pooled.outputs import TABLES, are_of, write_states, write_tables
from src.training.pooled.stored_runs import StoredRuns
from tests.evaluation.pooled.graded_case import ELIGIBILITY, GATE, pooled_run, portfolio


@pytest.fixture(scope="module")
def assessed():
    return assess_pooled(pooled_run(0.3), portfolio(), ELIGIBILITY, GATE, trials=1, seed=5)


def stored(root, grade_key):
    """Runs of a session whose only grade has a key."""
    row = {"run_key": "a", "record_id": "a.0", "grade_key": grade_key, "passed": False, "model_sha256": None}
    runs = pl.DataFrame(schema={**dict.fromkeys(("run_key", "record_id"), pl.String), "created_at": pl.Date})
    runs = runs.with_columns(superseded=pl.lit(False))
    store = SimpleNamespace(root=root, runs=lambda *_: runs, grades=lambda *_: pl.DataFrame([row]))
    return StoredRuns(store, "s" * 32, fresh=False)


def test_a_grade_is_taken_where_its_own_tables_stand(tmp_path, assessed):
    data = SimpleNamespace(section=pooled_run().section)
    write_tables(tmp_path / "a.0", assessed, data, "first")
    assert stored(tmp_path, "first").grade("a", "first")["record_id"] == "a.0"
    assert stored(tmp_path, "first").grade("a", "second") is None


def test_a_grade_is_made_again_where_another_portfolio_of_the_same_name_wrote_its_tables(tmp_path, assessed):
    data = SimpleNamespace(section=pooled_run().section)
    for key in ("first", "second"):
        write_tables(tmp_path / "a.0", assessed, data, key)
    assert stored(tmp_path, "first").grade("a", "first") is None
    assert stored(tmp_path, "second").grade("a", "second") is not None


def test_tables_whose_writing_was_interrupted_are_of_no_grade(tmp_path, assessed):
    data = SimpleNamespace(section=pooled_run().section)
    write_tables(tmp_path, assessed, data, "first")
    assert are_of(tmp_path, "first")
    broken = SimpleNamespace(daily=assessed.daily, by_year=None, decay=assessed.decay, portfolio=assessed.portfolio)
    with pytest.raises(AttributeError):
        write_tables(tmp_path, broken, data, "second")
    assert all((tmp_path / f"{name}.parquet").is_file() for name in TABLES)
    assert not are_of(tmp_path, "first") and not are_of(tmp_path, "second")


def test_states_are_carried_from_the_same_session_and_for_all_names_or_none(tmp_path):
    names = {"asset_class": ["stock", "stock", "etf"], "symbol": ["A", "B", "C"], "state": ["done"] * 3}
    instruments = PooledInstruments(None, SimpleNamespace(instruments=pl.DataFrame(names)))
    assert instruments.carried("stock", tmp_path / "states.parquet") is None
    states = [EndState("stock", "A", "done", rows=3), EndState("stock", "B", "skipped", "too thin")]
    write_states(states, tmp_path / "states.parquet")
    assert instruments.carried("stock", tmp_path / "states.parquet") == states
    assert instruments.carried("etf", tmp_path / "states.parquet") is None


def test_a_table_of_instruments_whose_writing_was_interrupted_is_of_no_run(tmp_path, monkeypatch):
    training = SimpleNamespace(paths=DatasetPaths(tmp_path, "demo"), strategy=StrategyConfig(), grade=GATE)
    table = InstrumentTable(SimpleNamespace(training=training, eligibility=ELIGIBILITY))
    table.add(pooled_run(), "first")
    assert table.is_current("stock", "first") and not table.is_current("stock", "second")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "write_json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        table.add(pooled_run(), "second")
    assert not table.is_current("stock", "first") and not table.is_current("stock", "second")
