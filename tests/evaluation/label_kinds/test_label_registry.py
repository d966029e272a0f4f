"""Label kinds: what every declaration must satisfy, and that a file and an option make one more kind."""

import shutil
import sys
from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
import yaml

from src.config import compose as composing
from src.config.compose import compose
from src.config.schema import LabelConfig
from src.core.errors import ConfigError
from src.core.project import ROOT
from src.evaluation import label_kinds
from src.evaluation.label_kinds import registry
from src.evaluation.label_kinds.declaration import TradedBars
from src.evaluation.labels import decisions, market_of
from src.evaluation.pooled.targets import KINDS as POOLED
from src.training.code_keys import fit_code
from tests.evaluation.test_labels import bars

KINDS = list(registry.declarations())
UPPER = '''
    """Whether the return over the horizon clears a hurdle."""

    from src.evaluation.label_kinds.declaration import LabelKind, forward_return


    def outcome(bars, label, market):
        """Return over the horizon less the hurdle."""
        return forward_return(bars.open, label.horizon) - label.params["hurdle"]


    LABEL = LabelKind("hurdle", outcome)
'''
OPTION = """
name: above_two_percent
kind: hurdle
horizon: 1
tolerance: 0.0
params: {hurdle: 0.02}
"""


@pytest.fixture
def hurdle(tmp_path, monkeypatch):
    """A third kind of label: one file, and one option beside those of conf/label."""
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds" / "hurdle.py").write_text("\n".join(line[4:] for line in UPPER.splitlines()), encoding="utf-8")
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf" / "label" / "above_two_percent.yaml").write_text(OPTION, encoding="utf-8")
    monkeypatch.setattr(composing, "CONF", tmp_path / "conf")
    monkeypatch.setattr(label_kinds, "__path__", [*label_kinds.__path__, str(tmp_path / "kinds")])
    registry.declarations.cache_clear()
    yield
    monkeypatch.undo()
    registry.declarations.cache_clear()
    sys.modules.pop("src.evaluation.label_kinds.hurdle", None)


def test_a_label_is_one_file_and_one_option(hurdle):
    label = compose(["label=above_two_percent"]).label
    assert decisions(bars([1.0, 1.0, 1.01, 1.05, 1.05]), label).label.tolist()[:3] == [0.0, 1.0, 0.0]
    assert market_of(bars([1.0, 2.0]), label) is None
    assert fit_code("lightgbm", "hurdle") != fit_code("lightgbm", "outright")
    assert {"beta", "outright", "relative", "hurdle"} == set(registry.declarations())


def test_a_kind_that_no_file_declares_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="must be one of beta, outright, relative, got relativ: did you mean"):
        decisions(bars([1.0, 2.0]), LabelConfig(kind="relativ"))


def test_every_option_names_a_declared_kind_and_every_kind_has_an_option():
    options = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "conf" / "label").glob("*.yaml")]
    assert {option["kind"] for option in options} == {*KINDS, *POOLED}
    assert all(set(option) <= set(asdict(LabelConfig())) for option in options)


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_label_of_a_decision_is_known_at_its_exit_and_never_later(kind, horizon):
    assert seeing_beyond_the_exit(kind, horizon) == []


def seeing_beyond_the_exit(kind: str, horizon: int) -> list[int]:
    """Decisions whose outcome changes with bars after the exit, or with the exit bar's own high, low and close."""
    label, random = LabelConfig(kind=kind, horizon=horizon), np.random.default_rng(4)
    tables = [bars(np.exp(np.cumsum(random.normal(size=40) * 0.01)), symbol=f"M{i}") for i in range(5)]
    whole = decisions(tables[0], label, market_of(pl.concat(tables), label)).label
    changed = []
    for k in range(0, 40 - 1 - horizon, 7):
        exit_bar = k + 1 + horizon
        known = [table[: exit_bar + 1].with_columns(
            pl.when(pl.int_range(pl.len()) == exit_bar).then(pl.col(column) * 1.5).otherwise(column).alias(column)
            for column in ("high", "low", "close")
        ) for table in tables]  # fmt: skip
        again = decisions(known[0], label, market_of(pl.concat(known), label)).label
        if not np.array_equal(again[k], whole[k], equal_nan=True) or not np.isnan(again[k + 1 :]).all():
            changed.append(k)
    return changed


def test_a_label_that_looks_beyond_its_exit_is_caught(monkeypatch):
    def closes(traded: TradedBars, label, market):
        return np.append(traded.close[1 + label.horizon :], np.full(1 + label.horizon, np.nan)) / traded.close - 1.0

    kind = registry.label_kind("outright")
    late = type(kind)("late", closes)
    monkeypatch.setattr(registry, "declarations", lambda: {"late": late})
    assert seeing_beyond_the_exit("late", 1) != []
