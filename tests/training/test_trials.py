"""Trials are counted by series and overlapping days, and nothing that is renamed, restated or removed resets them."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from src.config.paths import DatasetPaths
from src.config.schema import SplitConfig, StrategyConfig
from src.core.errors import StageError
from src.core.project import ROOT
from src.training.trials_ledger import TrialsLedger
from tests.training.trials_case import Command, bars


@pytest.fixture
def one(tmp_path: Path) -> Command:
    return Command(tmp_path)


def restated(table: pl.DataFrame, share: float = 0.0, seed: int = 1) -> pl.DataFrame:
    """The same bars with one of them, or a share of them, at other prices."""
    rng = np.random.default_rng(seed)
    changed = rng.random(table.height) < share if share else np.arange(table.height) == 700
    factor = pl.Series(np.where(changed, 1.03, 1.0))
    return table.with_columns(pl.col(name) * factor for name in ("open", "high", "low", "close"))


def renamed(table: pl.DataFrame, symbol: str, kind: str = "stock") -> pl.DataFrame:
    return table.with_columns(symbol=pl.lit(symbol), asset_class=pl.lit(kind))


def test_a_first_session_counts_its_own_runs_and_a_repetition_adds_none(one: Command) -> None:
    table = bars()
    assert one(table) == [3]
    assert one(table) == [3]
    assert one.but(seed=8)(table) == [6]
    assert one(table) == [6]


def test_another_universes_name_does_not_reset(one: Command) -> None:
    one(bars())
    one.but(seed=8)(bars())
    assert one.but(dataset="two", seed=9)(bars()) == [9]
    assert one.but(dataset="two")(bars()) == [9]  # the same runs as the first session's


def test_a_restated_bar_does_not_reset_under_any_name(one: Command) -> None:
    one(bars())
    assert one.but(seed=8)(restated(bars())) == [6]
    assert one.but(dataset="two", seed=9)(restated(bars())) == [9]
    assert one.but(dataset="two", seed=9)(renamed(restated(bars()), "ZZZ")) == [12]


def test_another_symbol_of_the_class_does_not_reset_and_another_class_has_its_own(one: Command) -> None:
    one(bars())
    assert one.but(seed=8)(renamed(bars(), "META")) == [6]
    assert one.but(dataset="two", seed=9)(renamed(bars(), "META", "crypto")) == [3]


def test_prices_times_seven_are_the_same_series(one: Command) -> None:
    one(bars())
    times = bars().with_columns(pl.col(name) * 7.0 for name in ("open", "high", "low", "close"))
    assert one.but(dataset="two", seed=9)(times) == [6]


@pytest.mark.parametrize(("share", "counted"), [(0.04, True), (0.25, False)])
def test_a_series_is_the_same_where_most_returns_agree(one: Command, share: float, counted: bool) -> None:
    one(bars())  # a changed price changes two returns
    assert one.but(dataset="two", seed=8)(restated(bars(), share)) == [6 if counted else 3]


def test_unrelated_series_have_their_own_trials_even_under_one_symbol(one: Command) -> None:
    one(bars(0))
    assert one.but(dataset="two")(bars(1)) == [3]
    assert one(bars(0), renamed(bars(2), "BBB")) == [3, 3]


def test_within_a_dataset_a_symbol_is_one_instrument_whatever_its_source_was(one: Command) -> None:
    one(bars(0))
    assert one.but(seed=8)(bars(1)) == [6]


def test_series_that_resemble_cash_match_their_own_name_alone(one: Command) -> None:
    cash = bars(3, volatility=1e-4)
    one(cash)
    assert one.but(dataset="two", seed=8)(renamed(bars(4, volatility=1e-4), "BBB")) == [3]
    assert one.but(dataset="two", seed=9)(restated(cash, 0.03)) == [6]


def test_days_that_do_not_overlap_are_other_evidence(one: Command) -> None:
    table = bars(count=3000)
    early, late = table.head(1500), table.slice(1500)
    assert one(early) == [3]
    assert one.but(seed=8)(late) == [3]
    assert one.but(seed=9)(table) == [9]


def test_strategy_variants_count_and_code_or_thresholds_do_not(one: Command) -> None:
    one(bars())
    assert one.but(strategy=StrategyConfig(cost_bps={"stock": 50.0, "etf": 5.0, "crypto": 10.0}))(bars()) == [6]
    assert one(bars()) == [6]


def test_bars_that_a_refresh_prolongs_are_the_same_trial(one: Command) -> None:
    table = bars(count=1600)
    for count in (1500, 1501, 1502, 1600):
        assert one(table.head(count)) == [3]
    assert one.but(dataset="two", seed=8)(table) == [6]
    assert one(restated(table)) == [9]  # its beginning is not that of any
    assert one(table.head(1550)) == [9]


def test_a_refresh_with_a_restated_bar_is_another_trial_and_its_own_extensions_are_not(one: Command) -> None:
    table = bars(count=1600)
    one(table.head(1500))
    other = restated(table)
    assert [one(other.head(count)) for count in (1510, 1520, 1530)] == [[6], [6], [6]]


def test_a_refresh_stores_a_further_fingerprint_only_once_a_year(one: Command) -> None:
    table = bars(count=2300)
    for count, stored in ((1500, 1), (1501, 1), (1800, 1), (1900, 2), (2200, 2), (2300, 3)):
        one(table.head(count))
        ledger = TrialsLedger(one.root / "data" / "trials", "one")
        assert (count, ledger.series(["stock"], "1d").height) == (count, stored)
        assert set(ledger.trials(["stock"], "1d")["series"]) == set(ledger.series(["stock"], "1d")["series"])


def test_a_session_that_was_killed_counts_on_as_a_whole_one(tmp_path: Path) -> None:
    """Twins in one universe are the hard case: each is graded before or after the other."""
    tables = [renamed(bars(i // 2), f"S{i}") for i in range(6)]
    whole, killed = Command(tmp_path / "a"), Command(tmp_path / "b")
    for command in (whole, killed):
        command.but(seed=8)(*tables)
        killed_after = None if command is whole else 1
        command(*tables, buckets=3, killed_after=killed_after)
    again = whole(*tables, buckets=3)
    assert killed(*tables, buckets=3) == again == [9] * 6


def test_what_is_recorded_does_not_depend_on_the_order_of_buckets(tmp_path: Path) -> None:
    tables = [renamed(bars(i), f"S{i}") for i in range(4)]
    found = []
    for name, order in (("a", tables), ("b", tables[::-1])):
        command = Command(tmp_path / name)
        command(*order, buckets=2)
        path = tmp_path / name / "data" / "trials" / "one" / f"{command.key[:8]}.trials.parquet"
        found.append(pl.read_parquet(path).drop("seen"))
    assert found[0].equals(found[1])


def test_a_closed_bucket_survives_a_kill_and_counts_in_any_universe(one: Command) -> None:
    tables = [renamed(bars(i), f"S{i}") for i in range(2)]
    one(*tables, buckets=2, killed_after=1)
    assert one.but(dataset="two", seed=8)(*tables) == [6, 3]


def test_pieces_that_were_merged_but_not_yet_removed_count_once(one: Command) -> None:
    one(bars())
    folder = one.root / "data" / "trials" / "one"
    (folder / "pending").mkdir(exist_ok=True)
    before = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    for path in folder.glob("*.parquet"):
        shutil.copy(path, folder / "pending" / f"{path.name[:8]}-b000{path.name[8:]}")
    assert one.but(dataset="two", seed=8)(bars()) == [6]
    assert one(bars()) == [6]
    assert {path.name: path.read_bytes() for path in folder.glob("*.parquet")} == before
    assert not list(folder.glob("pending/*.parquet"))


def test_a_repeated_session_writes_nothing(one: Command) -> None:
    one(bars())
    folder = one.root / "data" / "trials"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    one(bars())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before


def test_sessions_on_these_bars_are_numbered_by_when_they_were_first_seen(one: Command) -> None:
    first, second, other = one, one.but(seed=8), one.but(dataset="two", seed=9)
    assert first.number(bars()) == 1
    first(bars())
    second(bars())
    other(renamed(bars(), "ZZZ"), renamed(bars(5), "YYY"))
    assert [command.number(bars()) for command in (first, second)] == [1, 2]
    assert other.number(renamed(bars(), "ZZZ")) == 3
    assert one.but(dataset="three").number(bars(5)) == 2
    assert one.but(dataset="three").number(bars(6)) == 1


@pytest.mark.parametrize("kind", ["trials", "series"])
def test_a_file_that_cannot_be_read_is_named_and_never_left_out(one: Command, kind: str) -> None:
    one(bars())
    path = next((one.root / "data" / "trials" / "one").glob(f"*.{kind}.parquet"))
    path.write_bytes(b"PAR1 not parquet")
    with pytest.raises(StageError, match=f"{path.name} can't be read"):
        one.but(dataset="two", seed=8)(bars())


def test_an_instrument_without_a_first_training_window_has_its_plans_alone(one: Command) -> None:
    one(bars())
    assert one.but(split=SplitConfig(first_train_bars=5000), seed=9)(bars()) == [3]
    short = bars(count=2)
    command = one.but(seed=10)
    assert command.counter([short]).counts([command.planned(short)]) == [3]


def test_a_restated_history_is_recognised_by_its_later_part(one: Command) -> None:
    """A universe that begins later, and one whose bars end earlier."""
    table = bars(count=2500)
    one(table)
    later = table.filter(pl.col("date") >= dt.date(2016, 6, 1))
    assert one.but(dataset="two", seed=8)(later) == [6]
    assert one.but(dataset="three", seed=9)(renamed(table.head(1900), "OLD")) == [9]


def test_working_copies_share_the_ledger_of_the_main_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    monkeypatch.chdir(tmp_path)
    assert DatasetPaths(Path("data"), "one").trials == tmp_path / "main" / "data" / "trials"
    assert DatasetPaths(tmp_path / "far", "one").trials == tmp_path / "far" / "trials"


def test_dvc_and_git_leave_the_ledger_alone() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    outs = [next(iter(out)) if isinstance(out, dict) else out for stage in stages for out in stage.get("outs", [])]
    assert outs and not any(out.startswith("data/trials") for out in outs)
    assert "data/trials" in (ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines()
    assert "/data/?*" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
