"""The loader that travels with a pooled model ranks a day as training does, asks each member, and stands alone."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.core.project import ROOT
from src.models import registry
from src.promote import promote
from src.tracking import pooled_code, pooled_loader, released_code
from src.training.pooled.day_ranks import codes, day_ranks
from src.training.pooled.score_store import combined
from tests import process_case
from tests.tracking.pooled_case import CATEGORIES, COLUMNS, MEMBERS, PooledCase, member, packed, pooled_case
from tests.tracking.routes_case import look_anew

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
DAYS = np.array(["2024-03-04", "2024-03-05"], dtype="datetime64[D]")
MODEL, RUN = "m-" + "a" * 32, "b" * 32


def frame(names: int = 40) -> pd.DataFrame:
    """Features of two days, indexed by date and symbol: with ties, gaps and a category."""
    generator = np.random.default_rng(5)
    index = pd.MultiIndex.from_product([DAYS, [f"SIM{number:02d}" for number in range(names)]])
    table = pd.DataFrame(generator.normal(size=(2 * names, 3)), columns=COLUMNS[:3], index=index)
    table["volume_ratio_5"] = table["volume_ratio_5"].round(0)
    table.iloc[::7, 1] = np.nan
    return table.assign(**{COLUMNS[3]: np.repeat([0.0, 1.0], names)})


def expected(table: pd.DataFrame, families: tuple[str, ...]) -> np.ndarray:
    """Scores by training's own ranks, functions and mean of several members, day by day."""
    scores = []
    for day in DAYS:
        own = table.loc[day]
        ranks = day_ranks(own[COLUMNS[:3]].to_numpy(np.float32).T.copy(), codes(own.index), day, codes(COLUMNS[:3]), 7)
        x = np.column_stack([ranks.T, own[COLUMNS[3]].to_numpy(np.uint8)])
        libraries: list[Any] = [registry.family(name) for name in families]
        found = {
            name: each.score(each.from_bytes(member(name)), x)[np.newaxis]
            for name, each in zip(families, libraries, strict=True)
        }
        scores.append(combined(found, np.ones((1, len(own)), dtype=bool))[0])
    return np.concatenate(scores)


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, families: tuple[str, ...]) -> Any:
    """The model as MLflow loads it: its code on the path, and the folder of its data."""
    written(folder, families)
    monkeypatch.syspath_prepend(folder / "code")
    return pooled_loader._load_pyfunc(str(folder / "model"))


def written(folder: Path, families: tuple[str, ...]) -> None:
    from src.tracking.model_package import ModelFolder

    native = folder / "pooled.zip"
    native.parent.mkdir(parents=True, exist_ok=True)
    native.write_bytes(packed(families))
    versions = ", ".join(registry.family(name).LIBRARY.version for name in families)
    ModelFolder(native, "ensemble", COLUMNS, versions, {"run_key": "k"}, seed=7).write(folder, MODEL, RUN)


@pytest.mark.parametrize("families", [("lightgbm",), MEMBERS])
def test_it_scores_as_training_does_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, families: tuple[str, ...]
) -> None:
    table = frame()
    scores = loaded(tmp_path, monkeypatch, families).predict(table.sample(frac=1.0, random_state=1).loc[table.index])
    np.testing.assert_array_equal(scores, expected(table, families))
    assert np.unique(scores).size > 5


def test_rows_may_come_in_any_order_and_days_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, table = loaded(tmp_path, monkeypatch, MEMBERS), frame()
    scores = pd.Series(model.predict(table), index=table.index)
    shuffled = table.sample(frac=1.0, random_state=2)[COLUMNS[::-1]].assign(other="text")
    pd.testing.assert_series_equal(pd.Series(model.predict(shuffled), index=shuffled.index).loc[table.index], scores)
    pd.testing.assert_series_equal(pd.Series(model.predict(table.loc[[DAYS[1]]]), index=table.loc[[DAYS[1]]].index),
                                   scores.loc[[DAYS[1]]])  # fmt: skip


def test_one_day_may_be_indexed_by_symbol_or_by_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, day = loaded(tmp_path, monkeypatch, MEMBERS), frame().loc[DAYS[0]]
    scores = model.predict(day)
    np.testing.assert_array_equal(model.predict(day), scores)
    assert (scores > 0).all() and (scores < 1).all()
    untied = day.drop(columns="volume_ratio_5").assign(volume_ratio_5=np.arange(len(day)) / 7.0)
    np.testing.assert_array_equal(model.predict(untied.reset_index(drop=True)), model.predict(untied))


def test_what_is_no_frame_or_lacks_a_column_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded(tmp_path, monkeypatch, ("lightgbm",))
    with pytest.raises(ValueError, match="takes a frame, indexed by symbol"):
        model.predict(np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"2 of the model's columns are missing, the first is 'volume_ratio_5'"):
        model.predict(frame()[COLUMNS[:2]])


def test_a_changed_zip_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, ("lightgbm",))
    monkeypatch.syspath_prepend(tmp_path / "code")
    with (tmp_path / "model" / "pooled.zip").open("ab") as stream:
        stream.write(b"\n")
    with pytest.raises(ValueError, match=r"pooled\.zip was changed since it was graded"):
        pooled_loader._load_pyfunc(str(tmp_path / "model"))


ALONE = """
import importlib, importlib.util, json, pathlib
import pandas
(loader,) = [path.stem for path in pathlib.Path("code").glob("alpha_loop_pooled_loader_*.py")]
model = importlib.import_module(loader)._load_pyfunc("model")
table = pandas.read_json("table.json", orient="split", dtype=False)
table.index = pandas.MultiIndex.from_tuples([(day, name) for day, name in json.load(open("index.json"))])
print(json.dumps([model.predict(table).tolist(), importlib.util.find_spec("src") is None]))
"""


def test_a_process_without_this_project_scores_the_same_to_the_last_bit(tmp_path: Path) -> None:
    families, table = MEMBERS, frame()
    written(tmp_path, families)
    table.reset_index(drop=True).to_json(tmp_path / "table.json", orient="split", double_precision=15)
    index = [(str(np.datetime64(day, "D")), name) for day, name in table.index]
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    code = f"import sys; sys.path = [each for each in sys.path if each != {str(ROOT)!r}]; sys.path.insert(0, 'code')"
    code += f"; sys.meta_path = [each for each in sys.meta_path if 'editable' not in str(each)]{ALONE}"
    done = process_case.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    scores, alone = json.loads(done.stdout)
    assert alone
    assert scores == expected(table, families).tolist()


def test_the_champion_is_loaded_and_asked_through_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    look_anew()
    pooled: PooledCase = pooled_case(tmp_path, monkeypatch)
    pooled.add()
    pooled.project()
    promote(pooled.made.config, {})
    pooled.made.client()
    model = mlflow.pyfunc.load_model("models:/pooled.stock.neutral@champion")
    assert model.metadata.get_input_schema().input_names() == COLUMNS
    table = frame()
    np.testing.assert_array_equal(model.predict(table), expected(table, MEMBERS))
    day = table.loc[DAYS[0]]
    assert model.predict(day).shape == (40,)
    assert CATEGORIES == [3]


def digest(source: bytes) -> str:
    return hashlib.sha256(source).hexdigest()


def test_the_list_of_released_code_is_in_step() -> None:
    loader, ranks = digest(pooled_code.loader()), digest(pooled_code.ranks())
    assert loader in released_code.POOLED_LOADERS, f'add to POOLED_LOADERS in src/tracking/released_code.py: "{loader}"'
    assert ranks in released_code.RANKS, f'add to RANKS in src/tracking/released_code.py: "{ranks}"'
    for family in registry.POOLED:
        own = digest(pooled_code.functions(family))
        line = f'add to POOLED_FUNCTIONS["{family}"] in src/tracking/released_code.py: "{own}"'
        assert own in released_code.POOLED_FUNCTIONS.get(family, ()), line
