"""Every file of conf/ composes and is checked; every mistake is answered in one plain line."""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hydra._internal.hydra import Hydra

from src.config import compose as composing
from src.config.compose import compose, configurations, families
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.core.project import ROOT
from src.models.registry import FAMILIES, PARAMS
from tests.composed_case import composed

CONF = ROOT / "conf"
OPTIONS = sorted(path.relative_to(CONF).with_suffix("").as_posix() for path in CONF.glob("*/*.yaml"))


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of conf/ that a test may spoil."""
    import shutil

    shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.setattr(composing, "CONF", tmp_path / "conf")
    return tmp_path / "conf"


def complaint(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(list(overrides))
    words = str(caught.value)
    assert "\n" not in words
    return words


def test_columns_of_ones_own_files_are_named_on_the_command_line() -> None:
    assert compose(["source=folder", "source.columns.close=Last"]).source.columns == {"close": "Last"}
    named = compose(["source=folder", "source.columns={close: Last, volume: Shares}"])
    assert named.source.columns == {"close": "Last", "volume": "Shares"}


def test_plain_words_are_composed_once_and_as_a_program_of_hydra_composes_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "universe=quick", "model=xgboost", "split.embargo=7", "data.logs=l"])
    real, composed = Hydra.compose_config, []
    monkeypatch.setattr(Hydra, "compose_config", lambda *words, **more: (composed.append(1), real(*words, **more))[1])
    once = configurations("train", print)
    assert (len(composed), once[0][0].split.embargo, list(tmp_path.iterdir())) == (1, 7, [])
    monkeypatch.setattr(composing, "_at_once", lambda _words: None)
    assert configurations("train", print) == once


def test_an_experiment_that_sweeps_by_itself_is_left_to_hydra(
    conf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: 1,2\n"
    (conf / "experiment" / "seeds.yaml").write_text(sweep, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["train.py", "experiment=seeds", "data.logs=l"])
    assert [config.seed for config, _ in configurations("train", print)] == [1, 2]


def test_there_are_options_of_every_group_of_the_schema() -> None:
    groups = {option.split("/")[0] for option in OPTIONS}
    assert groups == {
        "book", "daily", "eligibility", "engine", "experiment", "features", "grade", "label", "model", "monitor",
        "portfolio", "promotion", "research", "scope", "source", "split", "strategy", "universe",
    }  # fmt: skip


def together() -> list[dict[str, str]]:
    """Options by group, each in one of the sets: one of every group in a set, those of experiments and scopes alone."""
    sets: dict[tuple[str, int], dict[str, str]] = {}
    seen: Counter[str] = Counter()
    for option in OPTIONS:
        group, name = option.split("/")
        pooled = option == "model/ensemble" or option.startswith("label/neutral")
        kind = "pooled" if pooled else option if group in ("experiment", "scope") else ""
        number = seen[f"{kind} {group}"]
        seen[f"{kind} {group}"] += 1
        sets.setdefault((kind, number), {"scope": "pooled"} if pooled else {})[group] = name
    return list(sets.values())


@pytest.mark.parametrize("chosen", together(), ids=lambda chosen: "-".join(chosen.values()))
def test_every_option_composes_and_passes_every_rule(chosen: dict[str, str]) -> None:
    config = compose([f"{group}={name}" for group, name in chosen.items()])
    assert config.dataset
    for group, name in chosen.items():
        if group not in ("engine", "experiment", "model", "source"):
            assert getattr(config, group).name == name, "one word from the command line to the file"
    assert [model.family for model in families(config)]


def test_no_option_is_left_out() -> None:
    assert {f"{group}/{name}" for chosen in together() for group, name in chosen.items()} == set(OPTIONS)


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
def test_an_experiment_holds_only_differences(name: str) -> None:
    assert compose([f"experiment={name}"]) != composed()
    written = yaml.safe_load((CONF / "experiment" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert len(str(written)) < 600


@pytest.mark.parametrize("words", [["scope=pooled"], ["experiment=pooled"]])
def test_the_pooled_scope_takes_its_own_label_and_model_from_params_yaml(words: list[str]) -> None:
    chosen = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    config = compose(words)
    assert (config.label.name, config.model.family) == (chosen["pooled"]["label"], chosen["pooled"]["model"])
    assert composed().label.name == chosen["label"]


def test_what_is_typed_stands_above_the_choices_of_the_pooled_scope() -> None:
    config = compose(["scope=pooled", "label=relative_5", "model=lightgbm"])
    assert (config.label.name, config.model.family) == ("relative_5", "lightgbm")


def test_a_style_neutral_label_is_refused_where_there_is_no_cross_section() -> None:
    with pytest.raises(ConfigError, match="neutral compares the names of a cross-section.*: add scope=pooled"):
        compose(["label=neutral_5"])
    assert compose(["label=market_relative_5", "scope=pooled", "model=lightgbm"]).label.kind == "relative"


def test_an_ensemble_is_refused_where_there_is_no_cross_section() -> None:
    with pytest.raises(ConfigError, match="ensemble ranks names of a cross-section.*: add scope=pooled, or choose"):
        compose(["model=ensemble"])


def test_nothing_chosen_is_what_params_yaml_chooses() -> None:
    chosen = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    groups = [key for key in chosen if key in {option.split("/")[0] for option in OPTIONS}]
    config = composed()
    assert compose([f"{key}={chosen[key]}" for key in groups]) == config
    assert config.split.until == chosen["split_until"]
    assert config.data.until == chosen["data_until"]
    assert config.source.path == chosen["source_path"]
    assert config.seed == chosen["seed"]


def test_params_yaml_edited_changes_what_a_bare_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8").replace("model: all", "model: catboost")
    (tmp_path / "params.yaml").write_text(text.replace("universe: demo", "universe: full"), encoding="utf-8")
    monkeypatch.setattr(composing, "ROOT", tmp_path)
    config = compose()
    assert (config.model.family, config.universe.name) == ("catboost", "full")
    (tmp_path / "params.yaml").write_text("universe: demo\n", encoding="utf-8")
    assert complaint().startswith("params.yaml has no ")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_files_of_a_family_name_every_setting_of_its_schema(family: str) -> None:
    written = yaml.safe_load((CONF / "model" / f"{family}.yaml").read_text(encoding="utf-8"))
    assert set(written["params"]) == {name for name in PARAMS[family].__dataclass_fields__}
    model = composed(f"model={family}").model
    assert type(model.params) is PARAMS[family]
    assert vars(model.params) == written["params"]


def test_all_trains_three_families_with_the_settings_of_their_own_files() -> None:
    three = ("lightgbm", "xgboost", "catboost")
    assert families(composed("model=all")) == [composed(f"model={family}").model for family in three]


def test_one_family_is_itself() -> None:
    config = compose(["model=xgboost", "model.params.max_depth=6"])
    (model,) = families(config)
    assert (model.family, model.params.max_depth) == ("xgboost", 6)


def test_a_member_file_is_checked_as_the_chosen_one_is(conf: Path) -> None:
    path = conf / "model" / "catboost.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("depth: 3", "depth: 99"), encoding="utf-8")
    with pytest.raises(ConfigError, match="model.params.depth must be from 1 to 16 levels, got 99"):
        families(compose(["model=all"]))
    path.write_text(text.replace("depth: 3", "dept: 3"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"model.params.dept is no setting.*did you mean depth\?"):
        families(compose(["model=all"]))


def test_a_configuration_travels_to_a_worker_process() -> None:
    for family in (*FAMILIES, "all"):
        config = composed(f"model={family}")
        assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 (our own bytes)


def test_an_interval_other_than_daily_is_part_of_the_datasets_name() -> None:
    assert compose(["universe.interval=1h"]).dataset == "demo-1h"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("universe=demo", ""),
        ("universe=quick", " source=auto"),
        ("universe=quick source=yahoo", " source=yahoo"),
        ("universe=full universe.interval=1h source=auto", " universe.interval=1h source=auto"),
    ],
)
def test_the_command_that_brings_bars_names_a_source_unless_they_are_invented(typed: str, words: str) -> None:
    named = typed.split()
    config = composed(*named)
    command = config.hydrate_command
    assert command == f"python -m src.hydrate {named[0]}{words}"
    typed_again = composed(*command.split()[3:])
    assert typed_again.dataset == config.dataset
    assert typed_again.source.kind != "simulated" or typed_again.universe.allow_simulated


def test_costs_are_set_for_every_class() -> None:
    assert set(composed().strategy.cost_bps) == set(ASSET_CLASSES)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model=lightgmb"], "model=lightgmb: there is no conf/model/lightgmb.yaml; did you mean lightgbm? (all, "),
        (["model=tuned_x"], "model=tuned_x: there is no conf/model/tuned_x.yaml; python -m src.tune model=all "),
        (["modle=all"], "modle is no setting; did you mean model? ("),
        (["sede=1"], "sede is no setting; did you mean seed? ("),
        (["+sede=1"], "sede is no setting; did you mean seed? ("),
        (["model=lightgbm", "model.params.max_dept=4"], "model.params.max_dept is no setting of model.params; did you "
         "mean max_depth? ("),
        (["model=lightgbm", "++model.params.max_dept=4"], "model.params.max_dept is no setting of model.params; did "
         "you mean max_depth? ("),
        (["model=all", "model.params.max_depth=4"], "model.params.max_depth: model=all has no params of its own; "
         "choose one family (catboost, "),
        (["+split.embargos=4"], "split.embargos is no setting of split; did you mean embargo? ("),
        (["strategy.cost_bps.stok=4"], "strategy.cost_bps.stok is no setting of strategy.cost_bps; did you mean "
         "stock? (crypto, etf, stock)"),
        (["seed=abc"], "seed must be a whole number, got 'abc'"),
        (["label.horizon=1.5"], "label.horizon must be a whole number, got 1.5"),
        (["grade.min_auc=high"], "grade.min_auc must be a number, got 'high'"),
        (["fresh=perhaps"], "fresh must be true or false, got 'perhaps'"),
        (["seed=null"], "seed must have a value, got null: leave it out to take the default"),
        (["universe.symbols=AAPL"], "can't read 'universe.symbols=AAPL': a list stands in brackets: "
         '"universe.symbols=[AAPL]"'),
        (["seed"], "can't read 'seed': a setting has a value: seed="),
        (["seed=(7"], "can't read 'seed=(7' ("),
        (["split.embargo=${nope}"], "split.embargo: Interpolation key 'nope' not found"),
        (["model=lightgbm,xgboost"], "can't read 'model=lightgbm,xgboost': model takes one name, and all trains "
         'several: model=all "model.members=[lightgbm,xgboost]"'),
        (["experiment=nothing"], "experiment=nothing: there is no conf/experiment/nothing.yaml; "),
        (["split.embargo=-2"], "split.embargo must be from 0 to 1,000 bars, got -2: split.embargo=5 is the usual "
         "value"),
    ],
)  # fmt: skip
def test_every_mistake_is_answered_in_one_line(overrides: list[str], words: str) -> None:
    assert complaint(*overrides).startswith(words)


def test_a_path_in_quotes_inside_quotes_may_hold_anything() -> None:
    config = compose(["source.path='C:/My files (new), old/bars=1.parquet'"])
    assert config.source.path == "C:/My files (new), old/bars=1.parquet"


def test_a_windows_path_needs_no_quotes() -> None:
    assert compose([r"source.path=C:\data\bars.parquet"]).source.path == r"C:\data\bars.parquet"


def test_a_misspelt_key_in_an_experiment_names_its_file(conf: Path) -> None:
    (conf / "experiment" / "mine.yaml").write_text("# @package _global_\nsede: 1\n", encoding="utf-8")
    assert complaint("experiment=mine").startswith(
        "conf/experiment/mine.yaml: sede is no setting; did you mean seed? ("
    )
    (conf / "experiment" / "mine.yaml").write_text("# @package _global_\nsplit:\n  embargo: few\n", encoding="utf-8")
    assert complaint("experiment=mine") == "conf/experiment/mine.yaml: split.embargo must be a whole number, got 'few'"


def test_a_misspelt_key_in_a_group_names_its_file(conf: Path) -> None:
    (conf / "split" / "mine.yaml").write_text("name: mine\nembargos: 5\n", encoding="utf-8")
    assert complaint("split=mine").startswith(
        "conf/split/mine.yaml: split.embargos is no setting of split; did you mean"
    )


def test_broken_yaml_names_file_and_line(conf: Path) -> None:
    (conf / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: [1\n", encoding="utf-8")
    words = complaint("experiment=mine")
    assert "mine.yaml, line 3: not valid YAML (" in words


def test_a_fault_of_the_program_is_not_called_a_fault_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_composed: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(composing, "_typed", breaks)
    with pytest.raises(ZeroDivisionError):
        compose()


def test_extras_come_from_the_command_line_as_from_a_file() -> None:
    typed = compose(["features.extra=[{pandas_ta: rsi, length: 14}]", "features.files=[mine.py]"])
    assert typed.features.extra == [{"pandas_ta": "rsi", "length": 14}]
    assert typed.features.files == ["mine.py"]
    assert compose(["features=extra_example"]).features.extra[0]["scale"] == "close"
    assert complaint("features.extra=rsi").startswith("features.extra must be a list")
