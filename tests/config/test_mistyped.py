"""What is mistyped on the command line is answered with what to type, and that works."""

from __future__ import annotations

import shlex

import pytest

from src.config.compose import _options, compose, configurations
from src.config.mistyped import repaired, slip
from src.core.errors import ConfigError
from tests.composed_case import composed

ARROW = ": "


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["only=[AAPL"], ["only=[AAPL]"]),
        (["only=[AAPL,", "MSFT]"], ["only=[AAPL,MSFT]"]),
        (["only=[AAPL", "MSFT]", "seed=1"], ["only=[AAPL,MSFT]"]),
        (["only=AAPL]"], ["only=[AAPL]"]),
        (["only=AAPL"], ["only=[AAPL]"]),
        (["only=AAPL,MSFT"], ["only=[AAPL,MSFT]"]),
        (["only=AAPL", "MSFT"], ["only=[AAPL,MSFT]"]),
        (["only=(AAPL)"], ["only=[AAPL]"]),
        (["only='[AAPL]'"], ["only=[AAPL]"]),
        (["universe.symbols=ON"], ["universe.symbols=[ON]"]),
        (["--model", "lightgbm"], ["model=lightgbm"]),
        (["--model=lightgbm"], ["model=lightgbm"]),
        (["\u2013\u2013model=lightgbm"], ["model=lightgbm"]),
        (["--modle=lightgbm"], ["model=lightgbm"]),
        (["--fresh"], ["fresh=true"]),
        (["fresh"], ["fresh=true"]),
        (["model", "=", "lightgbm"], ["model=lightgbm"]),
        (["model=", "lightgbm"], ["model=lightgbm"]),
        (["model", "=lightgbm"], ["model=lightgbm"]),
        (["model", "lightgbm"], ["model=lightgbm"]),
        (["model = lightgbm"], ["model=lightgbm"]),
        (["model==lightgbm"], ["model=lightgbm"]),
        (["model:lightgbm"], ["model=lightgbm"]),
        (["universe/full"], ["universe=full"]),
        (["universe=conf/universe/full.yaml"], ["universe=full"]),
        (["lightgbm"], ["model=lightgbm"]),
        (["model=lightgbm,xgboost"], ["model=all", "model.members=[lightgbm,xgboost]"]),
        (["model=[lightgbm,xgboost]"], ["model=all", "model.members=[lightgbm,xgboost]"]),
        (["model\uff1dlightgbm"], ["model=lightgbm"]),
        (["only=\uff3bAAPL\uff0cMSFT\uff3d"], ["only=[AAPL,MSFT]"]),
        (["model=\u201clightgbm\u201d"], ['model="lightgbm"']),
        (["universe=full\u00a0"], ["universe=full"]),
        (["universe=\u200bfull"], ["universe=full"]),
        (["'model=lightgbm'"], ["model=lightgbm"]),
        (["grade.min_auc=0,53"], ["grade.min_auc=0.53"]),
        (["universe.stock=1,000"], ["universe.stock=1000"]),
    ],
)
def test_what_to_type_is_named_and_works(typed: list[str], meant: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(typed)
    message = str(caught.value)
    assert message.startswith(f"can't read {typed[0]!r}: ")
    assert shlex.split(message.removeprefix(f"can't read {typed[0]!r}: ").split(ARROW, 1)[1]) == meant
    composed(*meant)


@pytest.mark.parametrize(
    "typed",
    [
        ["-m", "seed=1,2"], ["--cfg", "job", "seed=1"], ["-c", "job"], ["--multirun", "model=lightgbm,xgboost"],
        ["~experiment"],
        ["only=[AAPL,'A,B']", "source.path='C:/My files (new)'"], ["source.columns={close: Last}"], ["only=null"],
        ["split.until='2020-01-01'"], ["hydra.verbose=true"], ["++data.root=x"], ["only=${universe.symbols}"],
        ["only=[]"], ["tracking.uri=postgresql://me@host/db?x=y"], ["universe.file=/a/b=c, d.csv"],
    ],
)  # fmt: skip
def test_what_hydra_understands_is_left_alone(typed: list[str]) -> None:
    assert slip(typed, _options()) is None


@pytest.mark.parametrize(
    "path",
    ["/tmp/a,b", "/tmp/a=b", "~/bars", "C:\\My files (new)", "C:\\bars\\", "\u00e9t\u00e9", "it's", "[x]", "$HOME/x"],
)
def test_a_path_needs_no_quotes_of_hydra(path: str) -> None:
    assert compose([f"source.path={path}"]).source.path == path


def test_symbols_need_no_quotes_of_hydra() -> None:
    assert compose(["only=[^GSPC, O'X ,BRK.B,\u00c9]"]).only == ["^GSPC", "O'X", "BRK.B", "\u00c9"]


def test_commas_of_a_multirun_stay() -> None:
    assert repaired("tracking.experiment=a,b", multirun=True) == "tracking.experiment=a,b"


def test_names_in_other_case_are_found() -> None:
    for typed, meant in (("universe=FULL", "full"), ("MODEL=all", "model"), ("model=LightGBM", "lightgbm")):
        with pytest.raises(ConfigError, match=rf"did you mean {meant}\?"):
            compose([typed])


def test_a_stage_answers_a_slip_without_hydras_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["src/train.py", "--model", "lightgbm"])
    with pytest.raises(ConfigError, match="settings are typed without dashes: model=lightgbm"):
        configurations("train", print)
