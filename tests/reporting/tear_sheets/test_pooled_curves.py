"""IC over time and returns by score group, against loops over days and names."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import rankdata, spearmanr

from src.config.paths import DatasetPaths
from src.evaluation.pooled.information import daily_information
from src.reporting.tear_sheets.pooled_curves import GROUPS, YEAR, information, score_groups
from src.storage import atomic
from src.training.pooled.score_store import ScoreStore, StoredFold
from src.training.run_store import RunStore
from tests.monitoring.monitor_case import bars_of, stored_bars
from tests.training.test_run_store import row

NAMES = [f"N{n}" for n in range(8)]
FAMILIES = ("lightgbm", "ridge")


class Case:
    """Eight stocks, ranked on all days but where a coin says no, by two families from the 40th day on."""

    def __init__(self, root: Path, families: tuple[str, ...] = FAMILIES) -> None:
        self.paths = DatasetPaths(root / "data", "demo", root / "reports")
        bars = pl.concat([bars_of(("stock", name), dt.date(2021, 6, 30)) for name in NAMES]).sort("symbol", "date")
        bars = bars.with_columns(
            volume=pl.when((pl.col("symbol") == "N3") & (pl.int_range(pl.len()).over("symbol") % 9 == 4))
            .then(0.0)
            .otherwise("volume")
        )
        self.bars = bars
        stored_bars(bars, self.paths.bars)
        self.dates = bars["date"].unique().sort().to_numpy().astype("datetime64[D]")
        rng = np.random.default_rng(3)
        self.eligible = rng.random((self.dates.size, len(NAMES))) < 0.9
        self.offsets = np.concatenate([[0], np.cumsum(self.eligible.sum(axis=1))]).astype(np.int64)
        self.folds = (40, 80)
        self.scores = {name: np.full(self.eligible.shape, np.nan) for name in families}
        store = ScoreStore(self.paths.portfolios)
        for name, table in self.scores.items():
            for start, end in zip(self.folds, (80, self.dates.size), strict=True):
                values = rng.integers(0, 9, int(self.offsets[end] - self.offsets[start])).astype(np.float32)
                table[start:end][self.eligible[start:end]] = values
                store.add(f"key-{name}", str(self.dates[start]), values, StoredFold(5, 0.1, [1.0]))
        self._ranks()
        run = row("stock.neutral", "aa") | {
            "asset_class": "pooled",
            "created_at": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        }
        run |= {"parts": {"fits": {name: f"key-{name}" for name in families}}}
        RunStore(self.paths.portfolios).add("b000-1a2b3c4d", [run])

    def _ranks(self) -> None:
        folder = self.paths.ranks / "stock"
        names = np.nonzero(self.eligible)[1].astype(np.int32)

        def put(path: Path) -> None:
            with path.open("wb") as stream:
                np.savez(stream, dates=self.dates, offsets=self.offsets, names=names)

        atomic.write_atomic(folder / "rows.npz", put)
        atomic.write_json({"rows": "rows.npz", "symbols": NAMES, "files": {"a": "a.npy"}}, folder / "index.json")

    def groups(self) -> pl.DataFrame:
        return score_groups(self.paths, "aa.0", self.dates[self.folds[0]].item(), self.dates[-3].item())

    def expected(self) -> dict[tuple[dt.date, int], list[float]]:
        """Returns of the names of each day and group, one by one."""
        opens = {}
        for name in NAMES:
            own = self.bars.filter(pl.col("symbol") == name, pl.col("volume") > 0)
            opens[name] = dict(zip(own["date"], own["open"] * own["factor"], strict=True))
        out: dict[tuple[dt.date, int], list[float]] = {}
        for t in range(self.folds[0], self.dates.size - 2):
            today = [n for n in range(len(NAMES)) if self.eligible[t, n]]
            ranks = [rankdata([table[t, n] for n in today]) for table in self.scores.values()]
            places = rankdata(np.mean(ranks, axis=0).astype(np.float32))
            before, after = (self.dates[t + k].item() for k in (1, 2))
            for n, place in zip(today, places, strict=True):
                group = min(GROUPS, int(GROUPS * (place - 0.5) / len(today)) + 1)
                pair = opens[NAMES[n]].get(before), opens[NAMES[n]].get(after)
                held = out.setdefault((self.dates[t].item(), group), [])
                if None not in pair:
                    held.append(pair[1] / pair[0] - 1.0)
        return out


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp("pooled"))


def test_each_group_earns_the_mean_of_its_names_from_the_next_open_to_the_one_after(case: Case) -> None:
    found, expected = case.groups(), case.expected()
    assert {(day, group) for day, group in found.select("date", "group").iter_rows()} == set(expected)
    for each in found.iter_rows(named=True):
        returns = expected[each["date"], each["group"]]
        assert each["names"] == len(returns)
        assert each["return"] == pytest.approx(np.mean(returns) if returns else 0.0, abs=1e-6)


def test_the_equity_of_a_group_compounds_its_returns(case: Case) -> None:
    top = case.groups().filter(pl.col("group") == GROUPS)
    assert top["equity"].to_list() == pytest.approx(list(np.cumprod(1.0 + top["return"].to_numpy())))


def test_groups_are_kept_until_what_made_them_changes(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    first = case.groups()
    with monkeypatch.context() as patched:
        patched.setattr("src.reporting.tear_sheets.pooled_curves.open_returns", None)
        patched.setattr("src.reporting.tear_sheets.pooled_curves.code_digest", lambda _: "")
        with pytest.raises(TypeError):
            case.groups()
    assert case.groups().equals(first)
    assert len(list(case.paths.report_cache.iterdir())) == 1


def test_scores_of_other_eligible_names_give_no_groups(tmp_path: Path) -> None:
    case = Case(tmp_path, ("ridge",))
    assert case.groups().height > 0
    case.eligible[50] = ~case.eligible[50]
    case.offsets = np.concatenate([[0], np.cumsum(case.eligible.sum(axis=1))]).astype(np.int64)
    case._ranks()
    atomic.remove(next(case.paths.report_cache.iterdir()))
    assert case.groups().is_empty()


def test_the_daily_ic_is_spearmans_and_its_mean_rolls_over_a_year() -> None:
    rng = np.random.default_rng(1)
    scores, outcomes = rng.random((300, 12)), rng.random((300, 12))
    outcomes[10] = np.nan
    ic = daily_information(scores.astype(np.float32), outcomes.astype(np.float32))
    loop = [spearmanr(s, o).statistic for s, o in zip(scores, outcomes, strict=True)]
    days = pl.date_range(dt.date(2020, 1, 1), dt.date(2020, 1, 1) + dt.timedelta(days=299), eager=True)
    found = information(pl.DataFrame({"date": days, "ic": ic}))
    known = [value for value in loop if np.isfinite(value)]
    assert found["ic"].to_list() == pytest.approx(known, abs=1e-6)
    assert found["ic_sum"][-1] == pytest.approx(np.sum(known), abs=1e-4)
    assert found["ic_mean"][-1] == pytest.approx(np.mean(known[-YEAR:]), abs=1e-6)
    assert found["ic_mean"][YEAR // 4 - 2] is None
