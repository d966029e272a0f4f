"""Tuning end to end on invented markets: it finds what there is, says so where there is nothing, and reads no grade."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.config.compose import compose, families
from src.config.schema import Config
from src.core.errors import ConfigError, StageError
from src.engine import dispatch
from src.models.lightgbm import LightGBMParams
from src.tune import tune
from src.tuning import trial
from src.tuning.sample import sample
from src.tuning.settings import TuningSettings
from src.tuning.window import windows
from tests.tuning.tuning_case import (
    FEATURES,
    PLANTED,
    POOR,
    copied_conf,
    market,
    moved,
    scrambled,
    serial,
    trials,
    tuned,
)  # fmt: skip


@pytest.fixture(scope="module")
def skilled(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return market(tmp_path_factory.mktemp("skilled"), 0.7, PLANTED)


@pytest.fixture(scope="module")
def skill_less(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return market(tmp_path_factory.mktemp("noise"), 0.0, PLANTED[:16])


@pytest.fixture(autouse=True)
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "run", serial)
    monkeypatch.setattr(trial, "_PAUSE", 0.0)


def test_what_is_better_becomes_a_file_that_composes_and_says_how_it_was_made(
    skilled: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = copied_conf(tmp_path, monkeypatch)
    line = tune(tuned(moved(skilled, tmp_path), POOR, trials=8, instruments=8, batch=4, max_cost=20.0))
    assert "1 study, 8 trials" in line
    assert "1 winner written, 0 times the default settings stay; model=tuned trains with them" in line
    assert "better than its noise: AUC +0." in capsys.readouterr().out
    text = (conf / "model" / "lightgbm_small_stock.yaml").read_text(encoding="utf-8")
    for words in (
        "the best of 8 trials",
        "on 8 instruments",
        "no bar of 2017-01-01 or later",
        "standard error of",
        "CPU",
    ):
        assert words in text
    chosen = compose(["model=lightgbm_small_stock"]).model
    assert (chosen.family, chosen.classes, chosen.trials, chosen.tuned_before) == (
        "lightgbm", ["stock"], 8, "2017-01-01"
    )  # fmt: skip
    assert str(vars(chosen.params)) in trials(moved_to(skilled, tmp_path))["params"].to_list(), "as it was tried"
    each = families(compose(["model=tuned"]))
    assert [(model.family, model.classes, model.trials) for model in each] == [
        ("lightgbm", ["stock"], 8), ("lightgbm", ["etf", "crypto"], 0)
    ]  # fmt: skip
    assert each[0].params == chosen.params
    assert each[1].params == LightGBMParams()


def moved_to(config: Config, to: Path) -> Config:
    return replace(config, data=replace(config.data, root=str(to / "data")))


def test_where_there_is_no_edge_the_default_settings_stay_and_no_winner_is_written(
    skill_less: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tuned(moved(skill_less, tmp_path), POOR, trials=6, instruments=8, batch=4, max_cost=20.0)
    assert "0 winners written, 1 times the default settings stay" in tune(config)
    assert "no better than its noise" in capsys.readouterr().out
    written = sorted(path.name for path in Path(config.tune.folder).iterdir())
    assert written == ["tuned.yaml"]
    assert "members: [lightgbm]" in (Path(config.tune.folder) / "tuned.yaml").read_text(encoding="utf-8")
    assert "1 winner written" in tune(tuned(config, POOR, trials=6, instruments=8, batch=4, max_cost=20.0, force=True))
    text = (Path(config.tune.folder) / "lightgbm_small_stock.yaml").read_text(encoding="utf-8")
    assert "no better than its noise" in text


def test_trials_are_pruned_on_the_instruments_where_they_fall_behind(skilled: Config, tmp_path: Path) -> None:
    config = tuned(moved(skilled, tmp_path), trials=9, instruments=8, batch=4, prune_p=0.2)
    tune(config)
    found = trials(config).with_columns(tried=pl.col("scores").list.len(), mean=pl.col("scores").list.mean())
    pruned, whole = found.filter(state="PRUNED"), found.filter(state="COMPLETE")
    assert pruned.height
    assert set(pruned["tried"]) == {4}
    assert set(whole["tried"]) == {8}
    assert pruned["mean"].max() < whole["mean"].max()


class Stopped(Exception):
    """Stands for a kill: nothing is tidied up."""


def test_a_search_that_was_stopped_anywhere_ends_as_an_undisturbed_one(
    skilled: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(config: Config) -> Config:
        return tuned(config, POOR, trials=12, instruments=4, batch=2, max_cost=20.0)

    calm = settings(moved(skilled, tmp_path / "calm"))
    tune(calm)
    stopped = settings(moved(skilled, tmp_path / "stopped"))
    for after in (1, 9, 23):

        def breaking(task: Any, items: Any, config: Any, after: int = after) -> Any:
            for count, outcome in enumerate(serial(task, items, config)):
                if count == after:
                    raise Stopped
                yield outcome

        monkeypatch.setattr(dispatch, "run", breaking)
        with pytest.raises(Stopped):
            tune(stopped)
    monkeypatch.setattr(dispatch, "run", serial)
    assert "12 trials" in tune(stopped)
    assert trials(stopped).equals(trials(calm))
    winner = "lightgbm_small_stock.yaml"
    both = [(Path(config.tune.folder) / winner).read_text(encoding="utf-8") for config in (calm, stopped)]
    kept = [[line for line in text.splitlines() if "CPU" not in line and "Study" not in line][1:] for text in both]
    assert kept[0] == kept[1]
    assert "trials: 12" in both[0], "what was interrupted is not counted twice"


def test_more_trials_go_on_from_those_there_are_and_all_are_counted(skilled: Config, tmp_path: Path) -> None:
    config = moved(skilled, tmp_path)
    tune(tuned(config, POOR, trials=4, instruments=4, batch=4))
    first = trials(config)
    assert "4 trials" in tune(tuned(config, POOR, trials=4, instruments=4, batch=4))
    assert trials(config).equals(first), "the same command does nothing twice"
    tune(tuned(config, POOR, trials=6, instruments=4, batch=4))
    assert trials(config).height == 6
    assert trials(config).head(4).equals(first)
    tune(replace(tuned(config, POOR, trials=3, instruments=4, batch=4, force=True), seed=8))
    text = (Path(config.tune.folder) / "lightgbm_small_stock.yaml").read_text(encoding="utf-8")
    assert "trials: 9 " in text, "another seed's trials were made all the same"


def test_no_bar_of_the_out_of_sample_time_has_a_say(
    skilled: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(config: Config) -> pl.DataFrame:
        shutil.rmtree(Path(config.data.root) / "tuning", ignore_errors=True)
        tune(tuned(config, trials=2, instruments=4, batch=4))
        return trials(config)

    from src.tuning import sample as module
    from src.tuning.window import usable_bars

    # The boundary is 2017-01-01, and the 5 bars before it are the embargo: 23, 27, 28, 29 and 30 December.
    clean, late = moved(skilled, tmp_path / "clean"), scrambled(skilled, dt.date(2016, 12, 23), tmp_path / "late")
    assert run(late).equals(run(clean)), "bit by bit"
    monkeypatch.setattr(module, "usable_bars", lambda *where: usable_bars(*where) + 1)
    assert not run(late).equals(run(clean)), "a single bar too many is found"


def test_files_of_a_person_are_not_replaced(skilled: Config, tmp_path: Path) -> None:
    config = tuned(moved(skilled, tmp_path), POOR, trials=2, instruments=4, batch=4, force=True)
    path = Path(config.tune.folder) / "lightgbm_small_stock.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("family: lightgbm\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="was written or changed by a person"):
        tune(config)
    assert path.read_text(encoding="utf-8") == "family: lightgbm\n"
    assert not (Path(config.data.root) / "tuning").exists(), "refused before any work"
    tune(replace(config, tune=replace(config.tune, overwrite=True)))
    tune(config)  # its own may be replaced
    written = path.read_text(encoding="utf-8")
    path.write_text(written.replace("rounds: ", "rounds: 1"), encoding="utf-8")
    with pytest.raises(ConfigError, match="was written or changed by a person"):
        tune(config)
    path.write_text(written, encoding="utf-8")
    other = replace(config, universe=replace(config.universe, name="other"))
    shutil.copytree(Path(config.data.root) / "states" / "small", Path(config.data.root) / "states" / "other")
    with pytest.raises(ConfigError, match=r"tuned.yaml was written for universe=small.*choose tune.name="):
        tune(other)
    with pytest.raises(ConfigError, match="choose another name"):
        tune(replace(config, tune=replace(config.tune, name="all")))


def test_settings_on_which_the_library_raises_are_a_trial_that_failed(
    skilled: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.models import lightgbm

    real, seen = lightgbm.fit_windows, []

    def brittle(x: Any, y: Any, ends: Any, params: LightGBMParams, *rest: Any, bins: int) -> Any:
        seen.append(params)
        if params.rounds != POOR.rounds and params.rounds % 2:
            raise RuntimeError("an odd number of rounds")
        return real(x, y, ends, params, *rest, bins=bins)

    monkeypatch.setattr(lightgbm, "fit_windows", brittle)
    config = tuned(moved(skilled, tmp_path), POOR, trials=8, instruments=4, batch=4)
    line = tune(config)
    found = trials(config)
    failed = found.filter(state="FAIL").height
    assert failed
    assert f"8 trials ({found.filter(state='PRUNED').height} pruned, {failed} failed)" in line
    count = len(seen)
    tune(config)
    assert len(seen) == count, "what failed is not tried again"


def test_words_for_what_can_not_be_tuned(skilled: Config, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no features for universe=none: run `python -m src.featurize universe.name=n"):
        tune(tuned(replace(skilled, universe=replace(skilled.universe, name="none"))))
    for wrong in (replace(skilled, only=["SIM01"]), replace(skilled, fresh=True)):
        with pytest.raises(ConfigError, match="is not for tune"):
            tune(tuned(wrong))
    with pytest.raises(ConfigError, match="tune.first_train_bars must be below split.first_train_bars=500, got 600"):
        tune(tuned(skilled, first_train_bars=600))
    again = tuned(skilled)
    again.model.trials = 40
    with pytest.raises(ConfigError, match="tune begins with default settings"):
        tune(again)
    few = market(tmp_path, 0.0, PLANTED[:7])
    with pytest.raises(
        StageError, match="stock is not tuned: 7 instruments have a walk-forward before 2017-01-01, 8 are"
    ):
        tune(tuned(few))
    assert len(FEATURES) == len(
        sample(TuningSettings.of(skilled), windows(TuningSettings.of(skilled))[0]).feature_names
    )
