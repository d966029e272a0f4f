"""Whether CatBoost gains from the day of the week as a category, one instrument at a time (docs/settings.md):

    python -m tests.benchmarks.study_weekday FOLDER --market ../shared/market/bars.parquet

Both fits have the project's settings, features and folds. In one, day_of_week is a number, as for every family; in the
other it is a category, each day of which is split off by itself. Real instruments are evenly spaced in the file,
planted ones are simulated.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.compose import compose
from src.evaluation.metrics import auc
from src.models import catboost as family
from tests.benchmarks.study_cells import SEED, Dataset, Instrument, members

DAY = "day_of_week"


def with_day(x: Any) -> Any:
    """Numbers, and the last column as a category."""
    import catboost as cb

    days = np.array([str(int(day)).encode() for day in x[:, -1]], dtype=object)[:, np.newaxis]
    return cb.FeaturesData(num_feature_data=np.ascontiguousarray(x[:, :-1]), cat_feature_data=days)


def walked(instrument: Instrument, params: Any, *, category: bool) -> tuple[float, float]:
    """AUC of all out-of-sample decisions, and the seconds of CPU."""
    chosen, found, began = instrument.chosen, [], time.process_time()
    order = [name for name in instrument.names if name != DAY] + [DAY]
    columns = [instrument.names.index(name) for name in order]
    for fold in instrument.folds:
        train = fold.train[np.isfinite(chosen.label[fold.train])]
        test = fold.test[np.isfinite(chosen.bar_return[fold.test])]
        x, later = (np.ascontiguousarray(instrument.features[chosen.rows[rows]][:, columns]) for rows in (train, test))
        fit, predict = (by_category, of_category) if category else (family.fit, family.predict)
        model = fit(x, chosen.label[train], params, SEED, order)
        if test.size:
            found.append(predict(model, later))
    return auc(chosen.label[instrument.test], np.concatenate(found)), time.process_time() - began


def by_category(x: Any, y: Any, params: Any, seed: int, names: list[str]) -> Any:
    """The project's fit, but for the last column, which is a category."""
    import catboost as cb

    model = cb.CatBoost(family._settings(params, seed, "cpu") | {"one_hot_max_size": 10})
    return model.fit(cb.Pool(with_day(x), y, thread_count=1))


def of_category(model: Any, x: Any) -> Any:
    """P(up) of each row."""
    import catboost as cb

    return model.predict(cb.Pool(with_day(x), thread_count=1), prediction_type="Probability", thread_count=1)[:, 1]


def differences(dataset: Dataset, kinds: tuple[str, ...]) -> Iterator[tuple[float, float, float, float]]:
    """AUC and seconds without and with the category, of each instrument that has a walk-forward."""
    params = compose(["model=catboost"]).model.params
    for bucket in dataset.bars.buckets():
        for instrument in members(dataset, bucket):
            if instrument.key[0] in kinds:
                plain, seconds = walked(instrument, params, category=False)
                other, more = walked(instrument, params, category=True)
                yield plain, other, seconds, more


def main() -> None:
    """Make the data that is missing, and print a line for real and for planted instruments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--market", type=Path, required=True)
    parser.add_argument("--instruments", type=int, default=60)
    chosen = parser.parse_args()
    folder = chosen.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    some = folder / "bars.parquet"
    if not some.exists():
        bars = pl.scan_parquet(chosen.market).filter(pl.col("asset_class") != "crypto")
        keys = bars.select("asset_class", "symbol").unique().sort("asset_class", "symbol").collect()
        taken = keys.gather_every(max(1, keys.height // (chosen.instruments + 15))).lazy()
        bars.join(taken, on=["asset_class", "symbol"], how="semi").sink_parquet(some)
    common = ["universe.buckets=2", "universe.options=0"]
    real = Dataset(folder / "real").make([*common, "source=folder", f"source.path='{some}'"])
    simulated = ["source=simulated", "source.simulated.stock=40", "source.simulated.etf=0", "source.simulated.crypto=0"]
    planted = Dataset(folder / "planted").make([*common, "universe.allow_simulated=true", *simulated])
    for name, dataset, most in (("real", real, chosen.instruments), ("planted", planted, 20)):
        rows = np.array([row for _, row in zip(range(most), differences(dataset, ("stock", "etf")), strict=False)])
        gain = rows[:, 1] - rows[:, 0]
        sys.stdout.write(
            f"{name}: {len(rows)} instruments, AUC {rows[:, 0].mean():.4f} as a number and {rows[:, 1].mean():.4f} "
            f"as a category, difference {gain.mean():+.4f} +- {gain.std(ddof=1) / np.sqrt(len(gain)):.4f}; "
            f"{rows[:, 2].mean():.2f} and {rows[:, 3].mean():.2f} s of CPU\n"
        )


if __name__ == "__main__":
    main()
