"""Status, doctor and the picture of an instrument know the pooled scope."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.config.schema import Config
from src.core.project import ROOT
from src.inspection import dataset_counts, dossier_view, status_view
from src.inspection.overview import overview
from src.inspection.pooled_rank import pooled_of
from src.inspection.pooled_view import portfolio_line, portfolios
from src.runtime import heartbeat
from src.storage.atomic import write_json, write_parquet
from src.training.run_store import shard_name
from tests.reporting import pooled_case

NOW = dt.datetime(2026, 11, 20, 22, 0, tzinfo=dt.UTC)
DATES = np.array(["2024-12-26", "2024-12-27", "2024-12-30"], dtype="datetime64[D]")
FITS = {"lightgbm": "a" * 64, "ridge": "b" * 64}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    made = Config()
    made.data.root, made.data.reports = str(tmp_path / "data"), str(tmp_path / "reports")
    states = pooled_case.hydrated(names=3).with_columns(
        state=pl.when(pl.col("symbol") == "S2").then(pl.lit("skipped")).otherwise("state"),
        reason=pl.when(pl.col("symbol") == "S2").then(pl.lit("90 tradable bars")).otherwise("reason"),
    )
    pooled_case.lay_out(tmp_path, states=states)
    return made


def look(config: Config) -> dict[str, Any]:
    return overview(config.paths, config.universe, config.source, NOW)


def stored_scores(paths: DatasetPaths, *, last: int = 5) -> None:
    """Ranks of two names a day, three on the last one, and scores of two families from the second day on."""
    index, rows = {"rows": "rows.npz", "symbols": ["S0", "S1", "S2"], "files": {}}, paths.ranks / "stock"
    write_json(index, rows / "index.json")
    names = np.array([0, 1, 0, 1, 0, 1, 2], dtype=np.int32)
    np.savez(rows / "rows.npz", dates=DATES, offsets=np.array([0, 2, 4, 7]), names=names)
    for family, scores in (("lightgbm", [0, 0, 0.1, 0.3, 0.2]), ("ridge", [0, 0, -5.0, 9.0, 0.0])):
        folder = paths.portfolios / "scores" / FITS[family][:32]
        folder.mkdir(parents=True)
        np.save(folder / "2024-12-27.npy", np.array(scores[:last], dtype=np.float32))
    run = {"record_id": "aa.0", "run_key": "aa", "attempt": 0, "parts": json.dumps({"fits": FITS})}
    run_table = pl.DataFrame([run]).cast({"attempt": pl.Int32})
    write_parquet(run_table, paths.portfolios / f"{shard_name(0, pooled_case.SESSION)}.runs.parquet")
    held = pl.DataFrame(
        {"date": [DATES[n].item() for n in (0, 2, 2)], "symbol": ["S1", "S1", "S0"], "weight": [0.1, 0.02, -0.01]}
    )
    write_parquet(held.with_columns(pl.col("date").cast(pl.Date)), paths.portfolios / "aa.0" / "weights.parquet")


# status and doctor ----------------------------------------------------------------------------------------------------


def test_status_shows_each_portfolio_and_what_stands_against_its_figures(config: Config) -> None:
    text = status_view.text(look(config))
    assert "pooled: stock.neutral by ensemble passed: Sharpe 0.58, t 1.4 after 66 trials: weak\n" in text
    assert "etf.neutral by ensemble failed: Sharpe 0.55, t 3.4 after 66 trials; auc 0.513 is below 0.520" in text
    assert "Borrowing is assumed to cost 50 bp a year." in text and text.isascii()


def test_status_counts_the_instruments_that_were_ranked(config: Config) -> None:
    stage = next(each for each in look(config)["stages"] if each["stage"] == "pooled")
    assert (stage["all"]["done"], stage["all"]["skipped"]) == (3, 1)
    assert "pooled: 1 skipped, 90 tradable bars (stock:S2)" in status_view.text(look(config))


def test_fits_of_the_pooled_scope_are_no_progress_of_the_other(config: Config) -> None:
    with heartbeat.beating("train", "demo", Path(config.data.root), "") as beat:
        beat.update(phase="working", done=3, total=12, unit="fit")
        found = {each["stage"]: each for each in look(config)["stages"]}
    assert (found["train"]["state"], found["pooled"]["state"], found["pooled"]["of"]) == ("idle", "running", 12)


def test_without_pooled_training_nothing_is_shown(tmp_path: Path) -> None:
    made = Config()
    made.data.root = str(tmp_path)
    assert portfolios(made.paths, None, simulated=False) is None and pooled_of(made.paths, ("stock", "S0")) is None
    assert [each["stage"] for each in look(made)["stages"]] == ["hydrate", "featurize", "train"]
    assert "python -m src.train universe=demo experiment=pooled" in dataset_counts.pooled(made).message


def test_survivors_only_is_said_where_no_name_ended(config: Config) -> None:
    found = portfolios(config.paths, pooled_case.hydrated(), simulated=False)
    assert found is not None and found["survivors_only"] and found["reservations"].startswith("Survivors only; ")
    simulated = portfolios(config.paths, pooled_case.hydrated(), simulated=True)
    assert simulated is not None and not simulated["survivors_only"]


def test_doctor_says_the_same_as_status(config: Config) -> None:
    message = dataset_counts.pooled(config).message
    assert all(portfolio_line(row) in message for row in look(config)["pooled"]["portfolios"])


# one instrument -------------------------------------------------------------------------------------------------------


def test_an_instrument_has_its_place_among_the_names_of_the_last_day(config: Config) -> None:
    stored_scores(config.paths)
    found = pooled_of(config.paths, ("stock", "S1"))
    assert found is not None
    row = found["portfolios"][0]
    assert (row["rank"], row["names"], str(row["at"])) == (1, 3, "2024-12-30")
    assert (row["weight"], str(row["traded"])) == (0.02, "2024-12-30")
    lines = list(dossier_view._pooled(found))
    assert lines[0] == "  pooled      eligible on 2,500 graded days, 2014-01-02 to 2023-12-29"
    assert lines[1] == "    stock.neutral by ensemble: rank 1 of 3 on 2024-12-30; weight +2.00% since 2024-12-30"


def test_the_rank_of_several_families_is_that_of_their_mean_rank(config: Config) -> None:
    stored_scores(config.paths)
    places = {name: pooled_of(config.paths, ("stock", name))["portfolios"][0]["rank"] for name in ("S0", "S1", "S2")}
    assert places == {"S1": 1, "S2": 2, "S0": 3}


def test_an_instrument_that_was_not_ranked_says_why(config: Config) -> None:
    found = pooled_of(config.paths, ("stock", "S2"))
    assert next(iter(dossier_view._pooled(found))) == (
        "  pooled      skipped: 90 tradable bars (2,500 rows, 2014-01-02 to 2023-12-29)"
    )


def test_scores_of_other_bars_give_no_rank(config: Config) -> None:
    stored_scores(config.paths, last=4)
    row = pooled_of(config.paths, ("stock", "S0"))["portfolios"][0]
    assert (row["at"], row["rank"]) == (None, None) and row["weight"] == -0.01
    assert (
        "no rank is stored; weight -1.00% since 2024-12-30"
        in list(dossier_view._pooled({"state": None, "portfolios": [row], "by_instrument": None}))[1]
    )


def test_the_pooled_scores_on_one_instrument_stand_beside_its_own_models(config: Config) -> None:
    write_parquet(pooled_case.by_instrument(), config.paths.portfolios / "by_instrument.parquet")
    lines = list(dossier_view._pooled(pooled_of(config.paths, ("stock", "N00"))))
    assert lines[-1] == (
        "    graded on it alone, hedged: auc 0.530, sharpe 0.80, luck_rate 0.020; ridge auc 0.540, sharpe 0.90,"
        " luck_rate 0.030; found by both"
    )
    assert pooled_of(config.paths, ("stock", "S0"))["by_instrument"] is None


def test_the_keys_are_described() -> None:
    page = (ROOT / "docs" / "status.md").read_text(encoding="utf-8")
    row = dict.fromkeys(("portfolio", "family", "passed", "at", "rank", "names", "weight", "traded"))
    assert [key for key in row if f"`{key}`" not in page] == []
