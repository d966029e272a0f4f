"""The reading API against the stored files, read naively: a small trained dataset, and tables written by hand."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src import results
from src.chains.store import OptionStore
from src.core.project import ROOT
from src.evaluation.metrics import max_drawdown, sharpe
from src.inspection.reading.champion import Champion, PooledChampion
from src.inspection.reading.names import instrument
from src.inspection.reading.places import Place, place
from src.inspection.reading.predictions import _as_dates
from src.signals.tables import book_frame, lines_frame
from src.storage import atomic
from src.storage.ledger import Ledger
from src.tracking.crowned_versions import CrownedVersion
from tests import process_case
from tests.chains.test_store import rows as option_rows
from tests.features import stored_case
from tests.options.oracles import CAPTURED
from tests.signals.journal_case import filled
from tests.signals.trained_case import END, Trained, configured, trained

COIN = "SIMC01-USD"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two stocks and a coin by two families; SIM02's ticker is also an ETF's."""
    config = configured(tmp_path_factory.mktemp("results"), features__families=["price", "momentum"])
    made = trained(config, "lightgbm", "ridge")
    write_days(made.config.paths.signals)
    filled(made.config.paths.journal)
    OptionStore(made.config.paths.options).write(option_rows("SIM01"), CAPTURED)
    write_portfolios(made.config.paths.portfolios)
    return made


@pytest.fixture
def root(case: Trained) -> Path:
    return Path(case.config.data.root).parent


@pytest.fixture(scope="module")
def dataset(case: Trained) -> str:
    return case.config.dataset


def write_days(folder: Path) -> None:
    for day in (dt.date(2024, 1, 3), dt.date(2024, 1, 4)):
        line = {"book_date": day, "name": "stock.SIM01", "asset_class": "stock", "symbol": "SIM01", "state": "said"}
        atomic.write_parquet(lines_frame([line]), folder / f"{day}.parquet")
        weight = {"book_date": day, "asset_class": "stock", "symbol": "SIM01", "weight": day.day / 100}
        atomic.write_parquet(book_frame([weight]), folder / f"{day}-book.parquet")


def write_portfolios(folder: Path) -> None:
    graded = {"asset_class": "pooled", "record_id": ["a.0", "b.0"], "symbol": ["stock.neutral", "etf.neutral"]}
    graded |= {"family": "ensemble", "sharpe": [0.5, 0.1], "shift_passes": b"", "graded_by": "0123abcd"}
    atomic.write_parquet(pl.DataFrame(graded), folder / "grades.parquet")
    atomic.write_parquet(pl.DataFrame({"date": [dt.date(2024, 1, 3)], "net": [0.01]}), folder / "a.0" / "daily.parquet")
    held = pl.DataFrame({"date": [dt.date(2024, 1, 3)], "symbol": ["SIM01"], "weight": [0.2]})
    atomic.write_parquet(held, folder / "a.0" / "weights.parquet")


def stored(folder: Path, symbol: str) -> pl.DataFrame:
    """Rows of an instrument in all shards of a folder, read one by one."""
    parts = [pl.read_parquet(path) for path in sorted(folder.glob("b*-*.parquet"))]
    parts += [stored_case.read(path) for path in sorted(folder.glob("b*-*.npy"))]
    return pl.concat(parts).filter(pl.col("symbol") == symbol).sort("date")


def refusal(ask: Callable[[], Any]) -> str:
    with pytest.raises((results.ConfigError, results.StageError)) as refused:
        ask()
    return str(refused.value)


# bars and features -----------------------------------------------------------------------------------------------


def test_bars_and_features_are_those_of_the_files(case: Trained, root: Path, dataset: str) -> None:
    paths = case.config.paths
    for name in ("SIM01", "stock.SIM01", "stock:SIM01", ("stock", "SIM01"), "sim01"):
        assert results.bars(dataset, name, root=root).equals(stored(paths.bars, "SIM01"))
    assert results.features(dataset, COIN, root=root).equals(stored(paths.features, COIN))
    both = results.bars(dataset, ["SIM02", COIN], ["close"], since="2021-03-01", until=dt.date(2022, 5, 31), root=root)
    naive = pl.concat([stored(paths.bars, COIN), stored(paths.bars, "SIM02")])
    naive = naive.filter(pl.col("date").is_between(dt.date(2021, 3, 1), dt.date(2022, 5, 31)))
    assert both.equals(naive.select("asset_class", "symbol", "date", "close"))
    assert results.scan_bars(dataset, root=root).select(pl.len()).collect().item() == sum(
        stored(paths.bars, name).height for name in ("SIM01", "SIM02", COIN)
    )
    lazy = results.scan_features(dataset, root=root).filter(symbol="SIM01").select("rsi_14").collect()
    assert lazy["rsi_14"].equals(stored(paths.features, "SIM01")["rsi_14"])


def test_pandas_has_the_same_columns_and_values(root: Path, dataset: str) -> None:
    for read in (
        lambda frame: results.bars(dataset, "SIM01", root=root, frame=frame),
        lambda frame: (
            results.grades(dataset, root=root, frame=frame).drop(columns=["reasons"], errors="ignore")
            if frame == "pandas"
            else results.grades(dataset, root=root).drop("reasons")
        ),
        lambda frame: results.predictions(dataset, "SIM01", "ridge", root=root, frame=frame),
    ):
        polars, pandas = read("polars"), read("pandas")
        assert list(pandas.columns) == polars.columns
        for name in polars.select(pl.selectors.numeric()).columns:
            expected = polars[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
            assert np.array_equal(pandas[name].to_numpy(dtype=float, na_value=np.nan), expected, equal_nan=True)


def test_only_the_files_of_the_instrument_and_the_years_are_read(case: Trained, root: Path, tmp_path: Path) -> None:
    copied = tmp_path / "project"
    shutil.copytree(root / "data", copied / "data")
    name, own = case.config.dataset, place(case.config.dataset, root).bars()
    from src.market.bars import bucket

    mine = bucket("stock", "SIM01", own.manifest.buckets)
    for folder in ("bars", "features"):
        for path in (copied / "data" / folder / name).glob("b*-*.*"):
            if not path.name.startswith(f"b{mine:03d}-") or "-2019" in path.name:
                path.write_bytes(b"damaged")
    read = results.bars(name, "SIM01", ["close"], since="2020-01-01", root=copied)
    assert read.equals(results.bars(name, "SIM01", ["close"], since="2020-01-01", root=root))
    assert results.features(name, "SIM01", ["rsi_14"], since="2020-01-01", root=copied).height == read.height
    assert "can't be read" in refusal(lambda: results.bars(name, "SIM01", ["close"], root=copied))
    assert "can't be read" in refusal(lambda: results.bars(name, "SIM01", since="2019-03-01", root=copied))
    assert "can't be read" in refusal(lambda: results.features(name, "SIM01", root=copied))


# grades, predictions, equity -------------------------------------------------------------------------------------


def test_grades_and_runs_are_those_of_the_files(case: Trained, root: Path, dataset: str) -> None:
    table = pl.read_parquet(case.config.paths.grades)
    found = results.grades(dataset, root=root)
    assert found.equals(table.select(found.columns)) and found.height == 6
    assert set(table.columns) - set(found.columns) == {"shift_passes", "shift_z"}
    session = results.sessions(dataset, root=root).filter(scope="instrument").row(0, named=True)
    assert (session["runs"], session["instruments"], session["current"]) == (6, 3, True)
    assert session["passed"] == table["passed"].sum()
    again = results.grades(dataset, session=session["session"][:6], root=root)
    figures = ["record_id", "auc", "sharpe", "z", "q_value", "passed"]
    assert again.sort("record_id").select(figures).equals(table.sort("record_id").select(figures))
    assert results.runs(dataset, root=root).sort("record_id").equals(case.runs.runs())
    assert f"{table['passed'].sum()} of 6 runs passed" in results.verdict(dataset, root=root)


def test_predictions_are_the_stored_lists(case: Trained, root: Path, dataset: str) -> None:
    rows = pl.concat([pl.read_parquet(path) for path in sorted(case.runs.root.glob("b*.runs.parquet"))])
    row = rows.filter(symbol="SIM02", family="ridge").row(0, named=True)
    found = results.predictions(dataset, "SIM02", "ridge", root=root)
    assert found["date"].to_list() == [each.date() for each in row["oos_date"]]
    assert found["probability"].to_list() == row["oos_probability"]
    labels = [None if np.isnan(each) else each for each in row["oos_label"]]
    assert found["label"].to_list() == labels and found["record_id"].unique().to_list() == [row["record_id"]]
    lazy = results.scan_predictions(dataset, root=root).filter(symbol="SIM02", family="ridge")
    assert lazy.select("probability").collect()["probability"].to_list() == row["oos_probability"]


def test_equity_has_the_figures_of_the_grade_whether_the_run_passed_or_not(root: Path, dataset: str) -> None:
    grades = results.grades(dataset, root=root)
    assert 0 < grades["passed"].sum() < grades.height  # curves of both kinds: stored, and computed again
    for row in grades.iter_rows(named=True):
        key = (row["asset_class"], row["symbol"])
        curve = results.equity(dataset, key, row["family"], root=root)
        yearly = 365.0 if row["asset_class"] == "crypto" else 252.0
        assert curve.height == row["n_oos"]
        assert sharpe(curve["net"].to_numpy(), yearly) == pytest.approx(row["sharpe"], rel=1e-9)
        assert max_drawdown(curve["net"].to_numpy()) == pytest.approx(row["max_drawdown"], rel=1e-9)
        assert curve["equity"][-1] == pytest.approx(np.prod(1 + curve["net"].to_numpy()))
        always = np.diff(np.concatenate([[1.0], curve["always_long"]])) / np.concatenate(
            [[1.0], curve["always_long"][:-1]]
        )
        assert sharpe(always, yearly) == pytest.approx(row["buy_hold_sharpe"], rel=1e-6)


def test_a_curve_that_does_not_give_the_stored_grade_is_refused(case: Trained, root: Path, tmp_path: Path) -> None:
    other = case.copy(tmp_path)
    table = pl.read_parquet(other.config.paths.grades)
    failed = table.filter(~pl.col("passed")).row(0, named=True)
    atomic.write_parquet(table.with_columns(sharpe=pl.col("sharpe") + 0.1), other.config.paths.grades)
    key = (failed["asset_class"], failed["symbol"])
    why = refusal(lambda: results.equity(case.config.dataset, key, failed["family"], root=tmp_path))
    assert "its predictions give" in why and "src.train" in why


def test_reading_grades_takes_no_mlflow_and_importing_takes_no_polars(root: Path, dataset: str) -> None:
    code = (
        "import sys; from src import results; assert 'polars' not in sys.modules; "
        f"results.grades({dataset!r}, root={str(root)!r}); assert 'mlflow' not in sys.modules; "
        "assert 'hydra' not in sys.modules"
    )
    process_case.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_times_of_hourly_runs_join_those_of_bars() -> None:
    half = dt.datetime(2024, 1, 2, 14, 30)
    assert _as_dates(pl.DataFrame({"stamp": [half]}))["stamp"].to_list() == [half.replace(tzinfo=dt.UTC)]
    assert _as_dates(pl.DataFrame({"stamp": [half.replace(hour=0, minute=0)]}))["stamp"].to_list() == [half.date()]


# champions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", ["SIM01 lightgbm", f"{COIN} ridge"])
def test_a_champion_says_what_the_book_says_to_the_bit(case: Trained, root: Path, dataset: str, chosen: str) -> None:
    (version,) = case.champions(chosen)
    champion = Champion(place(dataset, root), version)
    bars = results.bars(dataset, champion.key, root=root)
    found = champion.predict(bars)
    said = case.lines("2023-07-03", END, chosen, explain=False).filter(state="said")
    both = said.select(date=pl.col("decided_on").cast(pl.Date), **{name: pl.col(name) for name in SAID})
    both = both.unique("date").sort("date").join(found, on="date", suffix="_here")
    assert both.height > 100
    assert all((both[name] == both[f"{name}_here"]).all() for name in SAID)
    shorter = champion.predict(bars.head(bars.height - 40).to_pandas())
    assert shorter.equals(found.head(found.height - 40))
    used = found.filter("in_sample")["date"].max()
    assert str(used) <= "2023-06-30" and not found.filter(pl.col("date") > used)["in_sample"].any()
    own = champion.features(bars)
    assert own.equals(stored(case.config.paths.features, champion.key[1]).select(own.columns))


SAID = ("score", "exposure", "size", "position", "before", "cost_rate")


def test_a_champion_describes_itself_and_refuses_what_it_can_not_decide_on(
    case: Trained, root: Path, dataset: str
) -> None:
    (version,) = case.champions("SIM01 ridge")
    champion = Champion(place(dataset, root), version)
    assert champion.grade["auc"] == version.grade["auc"] and champion.evidence["n_oos"] == version.grade["n_oos"]
    assert "stock.SIM01 version 1, ridge" in champion.describe() and champion.version == 1
    bars = results.bars(dataset, "SIM01", root=root)
    assert "lack volume" in refusal(lambda: champion.predict(bars.drop("volume")))
    assert "its own bars" in refusal(lambda: champion.predict(results.bars(dataset, "SIM02", root=root)))
    assert "a date twice" in refusal(lambda: champion.predict(pl.concat([bars, bars.tail(1)])))
    doubted = CrownedVersion("stock.SIM01", 1, "", version.record_id, version.strategy_key, objections=("it is gone",))
    assert "it is gone" in refusal(lambda: Champion(place(dataset, root), doubted).predict(bars))
    pooled = PooledChampion(place(dataset, root), CrownedVersion("pooled.stock.neutral", 1, "", "a.0", ""))
    assert "results.lines" in refusal(lambda: pooled.predict(bars)) and pooled.lines().is_empty()


def test_a_model_that_was_changed_is_refused(case: Trained, root: Path, tmp_path: Path) -> None:
    (version,) = case.champions("SIM01 ridge")
    other = case.copy(tmp_path)
    path = other.runs.model_path(version.record_id)
    assert path is not None
    path.write_bytes(path.read_bytes() + b" ")
    champion = Champion(place(case.config.dataset, tmp_path), version)
    bars = results.bars(case.config.dataset, "SIM01", root=root)
    assert "was changed" in refusal(lambda: champion.predict(bars))


# days, portfolios, chains ----------------------------------------------------------------------------------------


def test_the_book_the_lines_and_the_journal_of_a_day(case: Trained, root: Path, dataset: str) -> None:
    assert results.book(dataset, root=root)["weight"].to_list() == [0.04]
    assert results.book(dataset, "2024-01-03", root=root)["weight"].to_list() == [0.03]
    assert results.lines(dataset, dt.date(2024, 1, 3), root=root)["book_date"].to_list() == [dt.date(2024, 1, 3)]
    assert "from 2024-01-03 to 2024-01-04" in refusal(lambda: results.book(dataset, "2024-02-01", root=root))
    assert results.journal(dataset, root=root).height == 4
    assert results.journal(dataset, since="2025-01-01", root=root).height == 2
    assert "src.monitor" in refusal(lambda: results.monitor(dataset, root=root))


def test_portfolios_by_name(root: Path, dataset: str) -> None:
    assert results.portfolios(dataset, root=root)["symbol"].to_list() == ["stock.neutral", "etf.neutral"]
    assert results.returns(dataset, "pooled.stock.neutral", root=root)["net"].to_list() == [0.01]
    assert results.weights(dataset, "stock.neutral", "ensemble", root=root)["weight"].to_list() == [0.2]
    assert "etf.neutral by ensemble, stock.neutral by ensemble" in refusal(lambda: results.returns(dataset, root=root))
    assert "is gone" in refusal(lambda: results.returns(dataset, "etf.neutral", root=root))


def test_chains_with_their_greeks_as_they_are_stored(root: Path, dataset: str) -> None:
    whole = option_rows("SIM01")
    assert results.options("SIM01", universe=dataset, root=root).equals(whole)
    near = results.options(
        "stock.SIM01", universe=dataset, date=CAPTURED.date(), moneyness=(0.9, 1.1), type="call", root=root
    )
    assert near.equals(whole.filter(pl.col("moneyness").is_between(0.9, 1.1), pl.col("type") == "call"))
    assert near["delta"].null_count() < near.height
    assert f"from {CAPTURED.date()}" in refusal(
        lambda: results.options("SIM01", universe=dataset, date="2020-01-01", root=root)
    )
    assert "only=[SIM1]" in refusal(lambda: results.options("SIM1", universe=dataset, root=root))
    assert "must be one of" in refusal(lambda: results.options("SIM01", universe=dataset, columns=["gama"], root=root))


def test_states_reasons_and_facts(case: Trained, root: Path, dataset: str) -> None:
    states = results.states(dataset, "featurize", root=root)
    assert states["symbol"].sort().to_list() == ["SIM01", "SIM02", COIN]
    assert "there are those of" in refusal(lambda: results.states(dataset, "promotion", root=root))
    grades = {
        row["family"]: row for row in results.grades(dataset, root=root).filter(symbol="SIM01").iter_rows(named=True)
    }
    why = results.reasons(dataset, "SIM01", root=root).filter(stage="grade")
    for family, own in why.group_by("family"):
        assert own["reason"].drop_nulls().to_list() == (grades[str(family[0])]["reasons"] or [])
    assert results.facts(dataset, "SIM01", root=root)["facts"].sum() == 0
    assert "kind must be one of" in refusal(lambda: results.facts(dataset, "SIM01", "rumours", root=root))


def test_a_tear_sheet_has_its_page_and_its_tables(case: Trained, root: Path, dataset: str) -> None:
    passed = results.grades(dataset, root=root).filter("passed").row(0, named=True)
    key, family = (passed["asset_class"], passed["symbol"]), passed["family"]
    bare = results.tear_sheet(dataset, key, family, root=root)
    curve = results.equity(dataset, key, family, root=root)
    days = bare.frames["days"]
    assert days["equity"].to_list() == pytest.approx(curve["equity"].to_list())
    assert bare.path is None and "href" not in bare._repr_html_()
    (page,) = [case.config.paths.reports / "sheets" / f"{'.'.join(key)}.{family}.html"]
    page.parent.mkdir(parents=True)
    page.write_text("page", encoding="utf-8")
    linked = results.tear_sheet(dataset, key, family, root=root)
    assert linked.path == page and page.as_uri() in linked._repr_html_()
    assert "has no tear sheet" in refusal(lambda: results.tear_sheet(dataset, key, "catboost", root=root))


# names and places ------------------------------------------------------------------------------------------------


def test_unknown_names_say_what_there_is(root: Path, dataset: str) -> None:
    assert "close: SIM0" in refusal(lambda: results.bars(dataset, "SIM04", root=root))
    assert "close: rsi_14" in refusal(lambda: results.features(dataset, "SIM01", ["rsi_15"], root=root))
    assert "lightgbm, ridge" in refusal(lambda: results.equity(dataset, "SIM01", "xgboost", root=root))
    assert "there are" in refusal(lambda: results.grades(dataset, session="ffff", root=root))
    assert f"stored there: {dataset}" in refusal(lambda: results.grades("nowhere", root=root))
    assert "a day such as" in refusal(lambda: results.bars(dataset, "SIM01", since="March", root=root))
    assert "polars or pandas" in refusal(lambda: results.bars(dataset, "SIM01", root=root, frame="arrow"))  # type: ignore[call-overload]
    assert "name an instrument" in refusal(lambda: results.bars(dataset, root=root))
    assert "is no project" in refusal(lambda: results.bars(dataset, "SIM01", root=root / "data"))


def test_a_ticker_of_two_classes_has_to_be_named_with_its_class(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "bars" / "two"
    states = [{"asset_class": kind, "symbol": "MUX", "state": "done"} for kind in ("etf", "stock")]
    row = {"reason": "", "rows": 1, "first": None, "last": None}
    Ledger(folder).record(0, "key", [{**state, **row} for state in states])
    manifest = {"dataset": "two", "interval": "1d", "source": "folder", "path": "", "basis": "auto", "buckets": 1}
    manifest |= {"until": None, "fingerprint": "", "job": "", "complete": True}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    at = place("two", tmp_path)
    assert 'say "stock.MUX" and "etf.MUX"' in refusal(lambda: instrument(at, "MUX"))
    assert instrument(at, "etf.MUX") == ("etf", "MUX") == instrument(at, ("etf", "MUX"))


def test_the_project_is_found_above_the_working_directory(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "conf").mkdir(parents=True)
    (project / "notebooks").mkdir()
    (project / "params.yaml").write_text("universe: mine\n", encoding="utf-8")
    (project / "data" / "bars" / "mine").mkdir(parents=True)
    monkeypatch.chdir(project / "notebooks")
    monkeypatch.delenv("ALPHA_LOOP_ROOT", raising=False)
    assert (place(None, None).root, place(None, None).dataset) == (project, "mine")
    monkeypatch.chdir(tmp_path)
    assert "ALPHA_LOOP_ROOT" in refusal(lambda: place("mine", None))
    monkeypatch.setenv("ALPHA_LOOP_ROOT", str(project))
    found: Place = place("mine", None)
    assert found.root == project and "universe=mine has no bars" in refusal(found.bars)
