"""10,000 instruments (real bars tiled) from bars to report, killed once on the way: ``make soak``, an hour or two.

``ALPHA_SOAK_INSTRUMENTS=1000`` makes it smaller. The table is printed, and stands in docs/full-size.md as it was
measured last. What a machine can do in an hour is shown and not asserted.
"""

import os
import sys

import polars as pl
import pytest

from src.config.compose import compose
from src.reporting.report_data import STATES
from tests.soak.full_session import FullSession

pytestmark = pytest.mark.timeout(6 * 3600)
INSTRUMENTS = int(os.environ.get("ALPHA_SOAK_INSTRUMENTS", "10000"))
MEMORY = 4096.0  # MiB, of a command and its children together
SEARCH = 2.0  # seconds, by the budget; a loaded machine may take three times as long
PAGE = 4.0  # MiB that a browser opens at once
KEY = ["asset_class", "symbol"]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    made = FullSession(tmp_path_factory.mktemp("full"), INSTRUMENTS, ("engine.workers=2",))
    made.whole()
    sys.stdout.write(f"\n{made.table()}\n")
    return made


@pytest.mark.parametrize("stage", ["hydrate", "featurize", "train"])
def test_every_instrument_ends_each_stage_in_exactly_one_state(session, stage):
    states = session.states(stage)
    assert states.height == states.select(KEY).n_unique() == INSTRUMENTS
    assert set(states["state"]) <= set(STATES)
    assert states.filter((pl.col("state") != "done") & (pl.col("reason").str.len_chars() == 0)).height == 0


def test_what_is_trained_is_graded_in_every_family_and_nothing_else_is(session):
    done, grades = session.states("train").filter(state="done"), session.grades()
    families = grades.group_by(KEY).agg(pl.col("family").sort())
    assert families.join(done, on=KEY, how="semi").height == families.height == done.height
    assert families["family"].to_list() == [sorted(compose(["model=all"]).model.members)] * done.height
    assert f"{INSTRUMENTS:,} instruments, {grades.height:,} runs" in session.figures["train, again"]["said"]


def test_each_run_is_once_in_the_store_and_once_in_mlflow(session):
    grades, stored = session.grades(), sorted(session.data.glob("runs/full/b*.runs.parquet"))
    kept = pl.concat([pl.read_parquet(path, columns=["record_id"]) for path in stored])["record_id"].sort().to_list()
    assert sorted(session.recorded()) == kept == grades["record_id"].sort().to_list()
    assert grades["mlflow_run_id"].n_unique() == grades.height
    assert not list(session.data.glob("runs/full/pending/b*"))


def test_the_kill_was_in_the_middle_and_nothing_finished_was_trained_again(session):
    killed, again = session.figures["train, killed"]["said"], session.figures["train, again"]["said"]
    assert killed.startswith("killed at"), "the session ended before it was killed: nothing of its resumption is shown"
    assert " runs reused, " in again


def test_nothing_to_do_trains_and_writes_nothing(session):
    runs, said = session.grades().height, session.figures["train, nothing to do"]["said"]
    assert f" {runs:,} runs reused, " in said


def test_passing_runs_alone_have_models(session):
    models = {path.name for path in (session.data / "runs" / "full" / "models").iterdir()}
    assert models == set(session.grades().filter("passed")["record_id"])


def test_every_command_stays_within_four_gib(session):
    peaks = {name: step["total"] for name, step in session.figures.items() if "total" in step}
    assert len(peaks) >= 9
    assert {name: peak for name, peak in peaks.items() if peak > MEMORY} == {}


def test_searches_are_quick_enough_to_wait_for(session):
    searches = session.figures["searches"]
    assert len(searches) >= 9
    assert {name: seconds for name, seconds in searches.items() if seconds > 3 * SEARCH} == {}


def test_the_page_can_be_opened(session):
    assert session.figures["disk"]["report's page"]["mib"] <= PAGE
